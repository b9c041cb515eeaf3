"""What a step will give, from the light in the scene and a model of the sensor: levels, noise, clipping.

The mean of a developed dark picture is no simple function of the mean light: noise below black is cut off and sRGB
bends the rest, so what remains is above what the light alone would give. Both are averages over levels and noise; they
are computed here by drawing both, with a fixed seed, from the same model that simulates takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from exlcap.core.develop import Development, Linear, develop, to_srgb
from exlcap.core.light_levels import lighting_split
from exlcap.core.rig import WHITE_DN, Setting
from exlcap.core.take import Raw, Step, Take
from exlcap.simulate.sensor import SensorModel, expose

SAMPLES = 1 << 14
RED_OR_BLUE = {1: 0.25, 2: 0.5, 4: 0.25}
NEIGHBOURS = (RED_OR_BLUE, {1: 0.5, 4: 0.5}, RED_OR_BLUE)
"""Bilinear demosaicing of RGGB averages so many raw pixels for such a share of a colour's values."""
PIXELS = np.array([0.25, 0.5, 0.25])
"""Share of the raw pixels that see red, green and blue."""
SPREAD = 0.8
"""Standard deviation of ln(light) over a scene of which only the mean is known."""

Rates = npt.NDArray[np.float32]
"""Electrons per us that red, green and blue pixels collect without a filter, (3, N): a sample of the picture."""
Three = tuple[float, float, float]


@dataclass(frozen=True)
class Paths:
    """The light of both cameras, for red, green and blue. transmittance: of the dark path against the bright one.

    well_balance, low_balance: the white balances they are developed with. source: where all that comes from.
    """

    transmittance: Three
    source: str
    well_balance: Three = (1.0, 1.0, 1.0)
    low_balance: Three = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Prediction:
    """What a step will give. SNR: of one raw pixel at the mean level. low_mean_found: of the dark frames of a take."""

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


def rates_of_level(level: float, base: Setting, model: SensorModel, balance: Three = (1.0, 1.0, 1.0)) -> Rates:
    """Light of a scene whose raw bright frame has a mean linear level (0..1 of white) at a setting.

    Its levels are taken as log-normal about that mean, cut at a full well, as of a scene with a few highlights; its
    colours as grey on average, which the bright camera's white `balance` makes of them.
    """
    normal = NormalDist(-(SPREAD**2) / 2, SPREAD)
    shares = (np.arange(SAMPLES) + 0.5) / SAMPLES
    strengths = 1 / np.array(balance)
    means = level * strengths / (PIXELS @ strengths)
    levels = np.minimum(means[:, None] * np.exp([normal.inv_cdf(share) for share in shares]), 1.0)
    return _rates(levels * means[:, None] / levels.mean(axis=1, keepdims=True), base, model)


def rates_of_frame(raw: Raw, dark_level_dn: float, setting: Setting, model: SensorModel) -> Rates:
    """Light of a scene from a raw bright frame uint16 (H, W), pixel by pixel."""
    green = np.concatenate([raw[::2, 1::2], raw[1::2, ::2]])
    sampled = [_sample(colour) for colour in (raw[::2, ::2], green, raw[1::2, 1::2])]
    return _rates((np.array(sampled) - dark_level_dn) / (WHITE_DN - dark_level_dn), setting, model)


def _sample(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Evenly spaced quantiles of raw pixels: (SAMPLES,)."""
    ordered = np.sort(pixels, axis=None)
    sample: npt.NDArray[np.float32] = ordered[np.linspace(0, ordered.size - 1, SAMPLES).astype(int)].astype(np.float32)
    return sample


def _rates(levels: npt.NDArray[Any], setting: Setting, model: SensorModel) -> Rates:
    """From linear levels, 1 at white, to electrons per us."""
    per_level = model.full_well_e / (10 ** (setting.gain_db / 20) * setting.exposure_us)
    rates: Rates = (np.maximum(levels, 0) * per_level).astype(np.float32)
    return rates


def predict(
    step: Step, rates: Rates, paths: Paths, model: SensorModel, mean_shot: float | None, problem: str | None
) -> Prediction:
    """What a step will give. mean_shot: mean of the dark frames of a take, for comparison."""
    rng = np.random.default_rng([step.k])
    well = [expose(colour[:, None], 1.0, step.well, 1.0, model, rng) for colour in rates]
    means = [
        _developed_mean(colour, step.low, transmittance, balance, model, shares, rng)
        for colour, transmittance, balance, shares in zip(
            rates, paths.transmittance, paths.low_balance, NEIGHBOURS, strict=True
        )
    ]
    colour_rates = rates.mean(axis=1, dtype=np.float64)
    return Prediction(
        k=step.k,
        exposure_us=step.well.exposure_us,
        well_gain_db=step.well.gain_db,
        low_gain_db=step.low.gain_db,
        split=lighting_split(step.well.gain_db),
        low_mean=float(np.mean(means)),
        low_snr_db=_snr_db(float(PIXELS @ (colour_rates * np.array(paths.transmittance))), step.low, model),
        well_snr_db=_snr_db(float(PIXELS @ colour_rates), step.well, model),
        well_clipped_share=float(PIXELS @ [np.mean(raw >= WHITE_DN) for raw in well]),
        low_mean_found=mean_shot,
        problem=problem,
    )


def _developed_mean(
    rates: npt.NDArray[np.float32], setting: Setting, transmittance: float, balance: float, model: SensorModel,
    neighbours: Mapping[int, float], rng: np.random.Generator,
) -> float:  # fmt: skip
    """Mean 0..255 of a colour of the dark image after demosaicing, white balance and sRGB."""
    most = max(neighbours)
    raw = expose(np.repeat(rates[:, None], most, axis=1), 1.0, setting, transmittance, model, rng)
    black = np.float32(model.black_level_dn)
    linear: Linear = (raw.astype(np.float32) - black) * np.float32(balance) / (WHITE_DN - black)
    return sum(share * float(to_srgb(linear[:, :count].mean(axis=1)).mean()) for count, share in neighbours.items())


def _snr_db(rate: float, setting: Setting, model: SensorModel) -> float:
    """Signal to noise of a pixel: shot noise, read noise and rounding to whole DN."""
    electrons = min(rate * setting.exposure_us, model.full_well_e)
    rounding_e = model.electrons_per_dn / 10 ** (setting.gain_db / 20) / math.sqrt(12)
    noise_e = math.sqrt(electrons + model.read_noise_e**2 + rounding_e**2)
    return 20 * math.log10(max(electrons, 1e-3) / noise_e)


def dark_mean(take: Take, k: int, balance: Three) -> float | None:
    """Mean 0..255 of a developed dark frame of a step: the first pair's; None where there is none."""
    pair = next((pair for pair in take.pairs if pair.k == k), None)
    if pair is None:
        return None
    development = Development(take.header.rig.dark_level_dn("low"), balance)
    return float(to_srgb(develop(take.raw(pair, "low"), development)).mean())
