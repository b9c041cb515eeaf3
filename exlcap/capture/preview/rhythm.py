"""How pairs come: their rate, frames without a partner, and how well the shutters agreed lately."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from exlcap.capture.takes.recorder import Shot
from exlcap.capture.takes.skew import FEWEST_PAIRS, clock_residuals_us
from exlcap.core.take import Orphan

REMEMBERED = 200
RATE_OVER_S = 3.0


@dataclass(frozen=True)
class Beat:
    """One pair: when it came, and the times that both cameras' clocks gave it."""

    seen_s: float
    well_ns: int | None
    low_ns: int | None


class Rhythm:
    """Takes note of pairs and orphans, and forgets all but the latest. Fulfils Sink without recording anything.

    now_s: the clock, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._beats: deque[Beat] = deque(maxlen=REMEMBERED)
        self.orphans = 0
        self.last_orphan: Orphan | None = None

    def pair(self, shot: Shot) -> None:
        """Nothing: `seen` takes note of pairs."""

    def orphan(self, orphan: Orphan) -> None:
        """Count a frame without a partner."""
        self.orphans += 1
        self.last_orphan = orphan

    def seen(self, shot: Shot) -> None:
        """Take note of a pair."""
        comparable = shot.well.device_time_source == shot.low.device_time_source
        well_ns, low_ns = (shot.well.device_time_ns, shot.low.device_time_ns) if comparable else (None, None)
        self._beats.append(Beat(self._now_s(), well_ns, low_ns))

    def age_s(self) -> float | None:
        """Seconds since the last pair; None before the first."""
        return self._now_s() - self._beats[-1].seen_s if self._beats else None

    def rate_hz(self) -> float:
        """Pairs per second over the last seconds."""
        now = self._now_s()
        recent = [beat.seen_s for beat in tuple(self._beats) if now - beat.seen_s < RATE_OVER_S]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def skew_us(self) -> float | None:
        """99th percentile of the residuals of a fit of both clocks; None where it cannot be measured."""
        times = [(b.well_ns, b.low_ns) for b in tuple(self._beats) if b.well_ns is not None and b.low_ns is not None]
        if len(times) < FEWEST_PAIRS:
            return None
        fit = clock_residuals_us(times)
        return None if fit is None else float(np.percentile(fit[1], 99))
