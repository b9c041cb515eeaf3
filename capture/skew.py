"""How well the two shutters agree, as far as the cameras' own clocks can tell.

The clocks have unrelated origins and drift by 50 to 100 ppm, so t_low = a t_well + b is fitted over a take; what is
left is the jitter between the shutters. A constant delay between them cannot be seen this way: it is part of b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from exlcap.take import Pair

FEWEST_PAIRS = 10
"""Below this the fit would follow the jitter it is meant to show."""


@dataclass(frozen=True)
class Skew:
    """Drift of the dark camera's clock against the bright one's, and the residuals of the fit by size."""

    drift_ppm: float
    residual_us_p50: float
    residual_us_p99: float
    residual_us_max: float
    pairs: int

    def text(self) -> str:
        """For people."""
        return (
            f"residual p50 {self.residual_us_p50:.2f}, p99 {self.residual_us_p99:.2f}, max {self.residual_us_max:.2f} "
            f"us over {self.pairs} pairs, clocks drift {self.drift_ppm:+.1f} ppm"
        )

    def data(self) -> dict[str, float | int]:
        """As JSON types."""
        return {key: round(value, 3) for key, value in asdict(self).items()}


def measure_skew(pairs: Sequence[Pair]) -> Skew | None:
    """Fit the two clocks over the pairs of a take.

    None when it cannot be measured: device timestamps are missing, mean different moments or started anew (the camera
    was plugged in again), or pairs are too few.
    """
    timed = [
        (pair.well.device_time_ns, pair.low.device_time_ns)
        for pair in pairs
        if pair.well.device_time_ns is not None
        and pair.low.device_time_ns is not None
        and pair.well.device_time_source == pair.low.device_time_source
    ]
    if len(timed) < max(FEWEST_PAIRS, len(pairs)):
        return None
    # whole nanoseconds since the first pair: a clock's own count may exceed what float64 holds exactly
    well = np.array([w - timed[0][0] for w, _ in timed], np.float64)
    low = np.array([d - timed[0][1] for _, d in timed], np.float64)
    if np.any(np.diff(well) <= 0) or np.any(np.diff(low) <= 0):
        return None
    lag = low - well  # fitting the difference keeps the small slope's digits
    slope, offset = np.polyfit(well, lag, 1)
    residual_us = np.abs(lag - (slope * well + offset)) / 1000
    p50, p99 = np.percentile(residual_us, [50, 99])
    return Skew(float(slope * 1e6), float(p50), float(p99), float(residual_us.max()), len(timed))


def skew_text(skew: Skew | None) -> str:
    """For people; never a zero where nothing was measured."""
    return "not measurable here" if skew is None else skew.text()
