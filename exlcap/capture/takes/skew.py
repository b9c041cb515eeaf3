"""How well the two shutters agree, as far as the cameras' own clocks show.

The clocks have unrelated origins and drift by 50 to 100 ppm, so t_low = a t_well + b is fitted over a take; what is
left is the jitter between the shutters. A constant delay between them cannot be seen this way: it is part of b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exlcap.core.take import Pair, Take

FEWEST_PAIRS = 10
"""Below this the fit would follow the jitter it is meant to show."""
ROUNDS = 5
OUTLIER = 4.0
"""Pairs this many times the median residual off do not bend the fit: one late shutter must not accuse the others."""
NOT_MEASURABLE = "not measurable here"
"""Printed instead of a number; never a zero where nothing was measured."""


@dataclass(frozen=True)
class Skew:
    """Drift of the dark camera's clock against the bright one's, and what the fit leaves of each pair.

    residual_us: sizes, in the order of the pairs. beyond: which pairs are off by more than tolerance_us, as text.
    """

    drift_ppm: float
    residual_us: tuple[float, ...]
    tolerance_us: float
    beyond: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the take keeps to the tolerance: 99 of 100 pairs do. Single pairs beyond are flagged one by one."""
        return self._percentile(99) <= self.tolerance_us

    def _percentile(self, share: float) -> float:
        return float(np.percentile(self.residual_us, share))

    def text(self) -> str:
        """For people."""
        data = self.data()
        return (
            f"residual p50 {data['residual_us_p50']:.2f}, p99 {data['residual_us_p99']:.2f}, max "
            f"{data['residual_us_max']:.2f} us over {data['pairs']} pairs, clocks drift {self.drift_ppm:+.1f} ppm"
            + ("" if self.ok else f": BEYOND the tolerance of {self.tolerance_us:g} us")
        )

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "ok": self.ok,
            "drift_ppm": round(self.drift_ppm, 3),
            "residual_us_p50": round(self._percentile(50), 3),
            "residual_us_p99": round(self._percentile(99), 3),
            "residual_us_max": round(max(self.residual_us), 3),
            "pairs": len(self.residual_us),
            "max_skew_us": self.tolerance_us,
            "beyond": list(self.beyond),
        }


def measure_skew(take: Take) -> Skew | None:
    """Fit the two clocks over a take and hold its pairs against the tolerance of its rig.

    None when it cannot be measured: device timestamps are missing, mean different moments or started anew (the camera
    was plugged in again), or pairs are too few.
    """
    fit = clock_residuals_us(_times_ns(take.pairs))
    if fit is None:
        return None
    drift_ppm, residual_us = fit
    tolerance_us = take.header.rig.sync.max_skew_us
    beyond = [
        f"k = {pair.k} pulse {pair.index}: shutters {size:.1f} us apart, tolerance {tolerance_us:g}"
        for pair, size in zip(take.pairs, residual_us, strict=True)
        if size > tolerance_us
    ]
    return Skew(drift_ppm, tuple(map(float, residual_us)), tolerance_us, tuple(beyond))


def clock_residuals_us(times: Sequence[tuple[int, int]]) -> tuple[float, npt.NDArray[np.float64]] | None:
    """Drift of the second clock against the first in ppm, and what the fit leaves of each time, in microseconds.

    times: of both clocks in nanoseconds. None where a clock did not go on, or there are no times.
    """
    if not times:
        return None
    # whole nanoseconds are subtracted first: a clock's own count may exceed what float64 holds exactly
    well = np.array([w - times[0][0] for w, _ in times], np.float64)
    low = np.array([d - times[0][1] for _, d in times], np.float64)
    if np.any(np.diff(well) <= 0) or np.any(np.diff(low) <= 0):
        return None
    lag = low - well  # fitting the difference keeps the small slope's digits
    slope, offset = _fit(well, lag)
    return slope * 1e6, np.abs(lag - (slope * well + offset)) / 1000


def _times_ns(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """Device times of both cameras in nanoseconds; none where they cannot be compared or are too few."""
    timed = [
        (pair.well.device_time_ns, pair.low.device_time_ns)
        for pair in pairs
        if pair.well.device_time_ns is not None
        and pair.low.device_time_ns is not None
        and pair.well.device_time_source == pair.low.device_time_source
    ]
    return timed if len(timed) >= max(FEWEST_PAIRS, len(pairs)) else []


def _fit(well: npt.NDArray[np.float64], lag: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of lag over well, by least squares on the pairs that are no outliers."""
    kept = np.ones(len(well), bool)
    slope, offset = 0.0, 0.0
    for _ in range(ROUNDS):
        slope, offset = np.polyfit(well[kept], lag[kept], 1)
        residual = np.abs(lag - (slope * well + offset))
        kept = residual <= OUTLIER * max(float(np.median(residual)), 1.0)
    return float(slope), float(offset)


def skew_text(skew: Skew | None, take: Take) -> str:
    """For people. skew: of `take`; None where it cannot be measured, and the text says why."""
    return f"{NOT_MEASURABLE}: {_why_not(take.pairs)}" if skew is None else skew.text()


def _why_not(pairs: Sequence[Pair]) -> str:
    """Why `measure_skew` gives None; first what more pairs would not mend."""
    frames = [(pair.well, pair.low) for pair in pairs]
    if any(well.device_time_ns is None or low.device_time_ns is None for well, low in frames):
        return "not every frame carries a time of its camera's clock"
    if any(well.device_time_source != low.device_time_source for well, low in frames):
        return "the cameras' times mark different moments of a frame"
    if len(pairs) < FEWEST_PAIRS:
        return f"needs at least {FEWEST_PAIRS} pairs, the take has {len(pairs)}"
    return "a camera's clock started anew during the take"
