"""What a step will give, from the light in the scene and a model of the sensor: levels, noise, clipping.

The mean of a developed dark picture is no simple function of the mean light: noise below black is cut off and sRGB
bends the rest, so what remains is above what the light alone would give. Both are averages over levels and noise; they
are computed here by drawing both, with a fixed seed, from the same model that simulates takes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from exlcap.develop import Development, Linear, develop, to_srgb
from exlcap.lighting import lighting_split
from exlcap.rig import WHITE_DN, Setting
from exlcap.simulate.sensor import SensorModel, expose
from exlcap.take import Raw, Step, Take

SAMPLES = 1 << 15
NEIGHBOURS = (1, 2, 4)
"""Bilinear demosaicing averages one, two or four raw pixels, each for a third of a picture's values (RGGB)."""
SPREAD = 0.8
"""Standard deviation of ln(light) over a scene of which only the mean is known."""

Rates = npt.NDArray[np.float32]
"""Electrons per us that single pixels collect without a filter, (N,): a sample of the picture."""


@dataclass(frozen=True)
class Prediction:
    """What a step will give. SNR: of one raw pixel at the mean level. found: mean of the dark frames of a take."""

    k: int
    exposure_us: float
    well_gain_db: float
    low_gain_db: float
    split: str
    low_mean: float
    low_snr_db: float
    well_snr_db: float
    well_clipped_share: float
    low_mean_found: float | None
    problem: str | None

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        return {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(self).items()}


def rates_of_level(level: float, base: Setting, model: SensorModel) -> Rates:
    """Light of a scene whose bright frame has a mean linear level (0..1 of white) at a setting.

    Its levels are taken as log-normal about that mean, cut at a full well, as of a scene with a few highlights.
    """
    normal = NormalDist(-(SPREAD**2) / 2, SPREAD)
    shares = (np.arange(SAMPLES) + 0.5) / SAMPLES
    levels = np.minimum(level * np.exp([normal.inv_cdf(share) for share in shares]), 1.0)
    return _rates(levels * level / levels.mean(), base, model)


def rates_of_frame(raw: Raw, dark_level_dn: float, setting: Setting, model: SensorModel) -> Rates:
    """Light of a scene from a raw bright frame uint16 (H, W), pixel by pixel."""
    levels = (np.sort(raw, axis=None).astype(np.float32) - dark_level_dn) / (WHITE_DN - dark_level_dn)
    return _rates(levels[np.linspace(0, levels.size - 1, SAMPLES).astype(int)], setting, model)


def _rates(levels: npt.NDArray[Any], setting: Setting, model: SensorModel) -> Rates:
    """From linear levels, 1 at white, to electrons per us."""
    per_level = model.full_well_e / (10 ** (setting.gain_db / 20) * setting.exposure_us)
    rates: Rates = (np.maximum(levels, 0) * per_level).astype(np.float32)
    return rates


def predict(
    step: Step, rates: Rates, transmittance: float, model: SensorModel, found: float | None, problem: str | None
) -> Prediction:
    """What a step will give. transmittance: of the dark path against the bright one."""
    rng = np.random.default_rng([step.k])
    grid = np.repeat(rates[:, None], NEIGHBOURS[-1], axis=1)
    well = expose(grid, 1.0, step.well, 1.0, model, rng)
    low = expose(grid, 1.0, step.low, transmittance, model, rng)
    mean_rate = float(rates.mean(dtype=np.float64))
    return Prediction(
        k=step.k,
        exposure_us=step.well.exposure_us,
        well_gain_db=step.well.gain_db,
        low_gain_db=step.low.gain_db,
        split=lighting_split(step.well.gain_db),
        low_mean=_developed_mean(low, model.black_level_dn),
        low_snr_db=_snr_db(mean_rate * transmittance, step.low, model),
        well_snr_db=_snr_db(mean_rate, step.well, model),
        well_clipped_share=float(np.mean(well >= WHITE_DN)),
        low_mean_found=found,
        problem=problem,
    )


def _developed_mean(raw: Raw, black_dn: float) -> float:
    """Mean 0..255 after demosaicing and sRGB of raw pixels (N, 4) that see the same light in each row."""
    linear: Linear = (raw.astype(np.float32) - np.float32(black_dn)) / np.float32(WHITE_DN - black_dn)
    return float(np.mean([to_srgb(linear[:, :count].mean(axis=1)).mean() for count in NEIGHBOURS]))


def _snr_db(rate: float, setting: Setting, model: SensorModel) -> float:
    """Signal to noise of a pixel: shot noise, read noise and rounding to whole DN."""
    electrons = min(rate * setting.exposure_us, model.full_well_e)
    rounding_e = model.electrons_per_dn / 10 ** (setting.gain_db / 20) / math.sqrt(12)
    noise_e = math.sqrt(electrons + model.read_noise_e**2 + rounding_e**2)
    return 20 * math.log10(max(electrons, 1e-3) / noise_e)


def mean_found(take: Take, k: int) -> float | None:
    """Mean 0..255 of a developed dark frame of a step: the first pair's; None where there is none."""
    pair = next((pair for pair in take.pairs if pair.k == k), None)
    if pair is None:
        return None
    how = Development(take.header.rig.dark_level_dn("low"))
    return float(to_srgb(develop(take.raw(pair, "low"), how)).mean())
