"""Has the rig moved since its alignment? Measured on a take's own frames at k = 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exlcap.align.luminance import Mean, luminance, mean_of
from exlcap.align.motion import motion_between
from exlcap.align.quality import placement
from exlcap.align.register import flip
from exlcap.core.alignment import Alignment, apply_homography
from exlcap.core.contents import alignment_name_of, read_alignment_named, read_labels_of, read_takes
from exlcap.core.drift import Drift, read_drift, write_drift
from exlcap.core.errors import ExlcapError
from exlcap.core.take import Take, read_take
from exlcap.core.workspace import Workspace

MOST_PAIRS = 8
"""Pairs of a take that are measured; more would make a check of many takes slow."""


def drift_of(workspace: Workspace, take: Take) -> Drift | None:
    """How far a take of a scene is off the alignment that carried its labels, else off the one in force.

    Read from the note in its folder, or measured here and not noted; a note of exlcap 0.1, which saw shifts alone, is
    measured anew. Without an alignment, what the note says; None without both.
    """
    noted = read_drift(take.folder)
    name = alignment_name_of(workspace, read_labels_of(workspace, take))
    if name is None or (noted is not None and noted.tells(name)):
        return noted
    return measure_drift(take, name, read_alignment_named(workspace, name))


def measure_drifts(workspace: Workspace, scene: str | None, name: str, alignment: Alignment) -> dict[str, Drift]:
    """How far each take, of one scene or of all, is off the alignment called `name`; noted in its folder.

    By name of the take. Raises ExlcapError when there are no takes.
    """
    drifts = {}
    for take in read_takes(workspace, scene):
        drifts[take.name] = measure_drift(take, name, alignment)
        write_drift(take.folder, drifts[take.name])
    if not drifts:
        raise ExlcapError(f"no takes in {workspace.scene(scene) if scene else workspace.root / 'scenes'}",
                          "shoot one with `exlcap shoot --scene NAME`")  # fmt: skip
    return drifts


def noted_drift(folder: Path, name: str, alignment: Alignment) -> Drift:
    """How far the take in `folder` is off the alignment called `name`: measured once and noted there.

    A note of exlcap 0.1, which saw shifts alone, is measured anew.
    """
    noted = read_drift(folder)
    if noted is not None and noted.tells(name):
        return noted
    drift = measure_drift(read_take(folder), name, alignment)
    write_drift(folder, drift)
    return drift


def measure_drift(take: Take, name: str, alignment: Alignment) -> Drift:
    """How far a take is off the alignment called `name`.

    Both frames of a pair show the same instant, so people do no harm. Parts of the picture that disagree with the rest
    (reflections, things near the lens) have little say. Uses the brightest step, k = 1 where there is one.
    """
    if not take.pairs:
        return Drift(alignment=name)
    brightest = min(pair.k for pair in take.pairs)
    pairs = [pair for pair in take.pairs if pair.k == brightest][:MOST_PAIRS]
    black = take.header.rig.sensor.black_level_dn
    return drift_between(mean_of(take, pairs, "well"), mean_of(take, pairs, "low"), black, name, alignment)


def drift_between(well_dn: Mean, low_dn: Mean, black_level_dn: float, name: str, alignment: Alignment) -> Drift:
    """How far two views, means of raw frames of the same instants, are off the alignment called `name`."""
    well, low = (luminance(mean_dn, black_level_dn) for mean_dn in (well_dn, low_dn))
    motion = motion_between(well, flip(low, alignment.mirror), np.array(alignment.homography))
    if motion is None:
        return Drift(alignment=name)
    moves = apply_homography(motion.correction, motion.corners) - motion.corners
    turn_deg, zoom, shift_px = placement(motion.correction, (well.shape[1], well.shape[0]))
    return Drift(
        alignment=name,
        corners_px=tuple((float(x), float(y)) for x, y in moves),  # type: ignore[arg-type]
        corner_sd_px=motion.corner_sd_px,
        shift_px=shift_px,
        turn_deg=turn_deg,
        zoom=zoom,
        cells=motion.cells,
    )
