"""How far the live views lie from the alignment in force, measured on the pairs that are shown."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from exlcap.capture.preview.live import LiveRig
from exlcap.capture.preview.look import Looker, give_way
from exlcap.core.alignment import Alignment
from exlcap.core.drift import Drift
from exlcap.core.errors import Refused
from exlcap.core.rig import LIGHTS, Light

PAIRS = 8
"""As many as `exlcap align --check-drift` uses of a take."""
PATIENCE_S = 10.0


def measure_live_drift(live: LiveRig, looker: Looker) -> Drift:
    """How far the views shown lie from the alignment in force; it takes seconds, at low priority.

    Raises Refused while a take is shot, or when there is no alignment or no pair comes.
    """
    aligned = looker.alignment(live.workspace)
    if aligned is None:
        raise Refused("there is no alignment yet", "shoot a reference here, then run `exlcap align`")
    if live.status.phase != "live":
        raise Refused("the views are not live", "measure the drift before or after a take")
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        return pool.submit(_measure, live, *aligned).result()


def _measure(live: LiveRig, name: str, alignment: Alignment) -> Drift:
    from exlcap.align.measure_drift import drift_between

    sensor = live.workspace.rig.sensor
    sums = {light: np.zeros((sensor.height, sensor.width), np.uint32) for light in LIGHTS}
    after, until = 0, time.monotonic() + PATIENCE_S
    for _ in range(PAIRS):
        after = _add_next(live, sums, after, until)
    well, low = ((sums[light] / PAIRS).astype(np.float32) for light in LIGHTS)
    return drift_between(well, low, sensor.black_level_dn, name, alignment)


def _add_next(
    live: LiveRig, sums: dict[Light, np.ndarray[tuple[int, int], np.dtype[np.uint32]]], after: int, until: float
) -> int:
    """Add the next pair to the sums. Returns its number."""
    while live.newest is None or live.newest.number <= after:
        if time.monotonic() > until:
            raise Refused("no pairs are coming", "see what the page says about the cameras")
        time.sleep(0.01)
    newest = live.newest
    for light in LIGHTS:
        raw = newest.shot.grab(light).raw
        if raw is not None:
            sums[light] += raw
    return newest.number
