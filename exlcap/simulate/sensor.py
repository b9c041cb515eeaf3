"""From irradiance to a 12-bit raw frame: shot noise, full well, read noise, gain, black level, rounding.

The defaults are those of an IMX255-like pixel (Sony's second-generation 3.45 um): a signal-to-noise maximum of 40.3 dB
and a dynamic range of 71.3 dB give about 10,700 e- full well and 2.4 e- read noise by the formulas of EMVA 1288.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exlcap.core.rig import WHITE_DN, Setting
from exlcap.core.take import Raw

Irradiance = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SensorModel:
    """Constants of a sensor, per pixel. Electrons (e-) and 12-bit digital numbers (DN)."""

    black_level_dn: float
    full_well_e: float = 10_700.0
    read_noise_e: float = 2.4

    @property
    def electrons_per_dn(self) -> float:
        """Conversion at 0 dB, at which a full well is just white."""
        return self.full_well_e / (WHITE_DN - self.black_level_dn)

    def electrons_per_us(self, scene_light: float = 1.0) -> float:
        """Electrons per microsecond that white gives without a filter: scene light 1 fills the well in 1000 us."""
        return self.full_well_e * scene_light / 1000


def mosaic(irradiance: Irradiance) -> Irradiance:
    """The channel that each pixel of an RGGB sensor sees: float32 (H, W) of linear RGB (H, W, 3)."""
    if irradiance.ndim != 3 or irradiance.shape[2] != 3:
        raise ValueError(f"expected linear light (H, W, 3), got {irradiance.shape}")
    seen = irradiance[..., 1].copy()
    seen[::2, ::2] = irradiance[::2, ::2, 0]
    seen[1::2, 1::2] = irradiance[1::2, 1::2, 2]
    return seen


def expose(
    irradiance: Irradiance,
    electrons_per_us: float,
    setting: Setting,
    transmittance: float,
    model: SensorModel,
    rng: np.random.Generator,
) -> Raw:
    """A raw frame of a scene.

    irradiance: linear light, 1 is white; float32 (H, W, 3) RGB, or (H, W) if it is mosaiced already (RGGB).
    electrons_per_us: what white gives in an unfiltered pixel. transmittance: of the filter in front of the camera.
    Returns uint16 (H, W), 12-bit RGGB.
    """
    seen = irradiance if irradiance.ndim == 2 else mosaic(irradiance)
    expected = seen * np.float32(electrons_per_us * setting.exposure_us * transmittance)
    electrons = rng.poisson(np.maximum(expected, 0)).astype(np.float32)
    np.minimum(electrons, np.float32(model.full_well_e), out=electrons)
    electrons += np.float32(model.read_noise_e) * rng.standard_normal(seen.shape, np.float32)
    dn_per_electron = 10 ** (setting.gain_db / 20) / model.electrons_per_dn
    levels = np.rint(electrons * np.float32(dn_per_electron) + np.float32(model.black_level_dn))
    raw: Raw = np.clip(levels, 0, WHITE_DN).astype(np.uint16)
    return raw
