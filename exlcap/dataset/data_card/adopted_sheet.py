"""A contact sheet of a finished data set, from its own files: bright, dark, and dark amplified, from bright to dark."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from exlcap.core.develop import Rgb8, amplified, to_srgb
from exlcap.core.drawing import caption, draw_people
from exlcap.core.light_levels import lighting_split
from exlcap.dataset.formats.keypoint_file import KeypointFile, read_keypoint_file
from exlcap.dataset.images import write_png
from exlcap.dataset.manifest import Manifest, PairEntry
from exlcap.simulate.photos import read_linear

COLUMNS = 6
HEIGHT = 360
AMPLIFIED_MEAN = 0.2


def write_adopted_sheet(path: Path, manifest: Manifest) -> None:
    """Write a PNG into the folder of the data set: a column for each of a few pairs that span the gains."""
    folder = path.parent
    ordered = sorted(manifest.pairs, key=lambda entry: (entry.well_gain_db, entry.pair_id))
    chosen = [ordered[i] for i in sorted(set(np.linspace(0, len(ordered) - 1, COLUMNS).round().astype(int)))]
    names = [n for n in ("train", "val", "test_WL") if manifest.counts.get(n, (0, 0))[0]]
    files = [read_keypoint_file(folder / "annotations" / f"{name}.json") for name in names]
    columns = [_column(folder, entry, files) for entry in chosen]
    height = max(column.shape[0] for column in columns)
    padded = [np.pad(c, ((0, height - c.shape[0]), (0, 6), (0, 0)), constant_values=24) for c in columns]
    write_png(path, np.concatenate(padded, axis=1))


def _column(folder: Path, entry: PairEntry, files: list[KeypointFile]) -> Rgb8:
    """The three pictures of a pair, one below the other."""
    people = [one.keypoints for file in files for one in file.people
              if one.image["pair_id"] == entry.pair_id and one.image["lighting"] == "well"]  # fmt: skip
    well, low = (read_linear(folder / "images" / light / f"{entry.pair_id}.png", None) for light in ("well", "low"))
    texts = (f"{entry.well_gain_db:.1f} dB", lighting_split(entry.well_gain_db), "amplified")
    scale = HEIGHT / entry.height
    tiles = []
    for linear, text in zip((well, low, amplified(low, AMPLIFIED_MEAN)), texts, strict=True):
        small = cv2.resize(to_srgb(linear), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        scaled = [np.column_stack([(k[:, :2] + 0.5) * scale - 0.5, k[:, 2]]) for k in people]
        tiles.append(caption(draw_people(small, scaled), text))
    return np.concatenate(tiles)
