"""A contact sheet: bright, dark as it is, and dark amplified, with the labelled joints drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from exlcap.core.develop import Linear, Rgb8, amplified, to_srgb
from exlcap.core.drawing import caption, draw_people
from exlcap.core.light_levels import lighting_split
from exlcap.core.rig import LIGHTS
from exlcap.dataset.annotations import people_of
from exlcap.dataset.images import Warp, linear_image, write_png
from exlcap.dataset.labelled_pairs import LabelledPair
from exlcap.dataset.manifest import Parameters

ROWS = 5
TILE_WIDTH = 640
AMPLIFIED_MEAN = 0.2


def write_built_sheet(path: Path, labelled: Sequence[LabelledPair], parameters: Parameters) -> None:
    """Write a PNG of a few pairs, from bright to dark."""
    rows = [_row(item, parameters) for item in choose(labelled)]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 6), (0, width - row.shape[1]), (0, 0)), constant_values=24) for row in rows]
    write_png(path, np.concatenate(padded))


def choose(labelled: Sequence[LabelledPair]) -> list[LabelledPair]:
    """At most ROWS pairs that span the well-lit gains of the data set."""
    ordered = sorted(labelled, key=lambda item: (_well_gain_db(item), item.pair_id))
    return [ordered[i] for i in sorted(set(np.linspace(0, len(ordered) - 1, ROWS).round().astype(int)))]


def _well_gain_db(item: LabelledPair) -> float:
    return item.pair.well.read_back.gain_db


def _row(item: LabelledPair, parameters: Parameters) -> Rgb8:
    warp: Warp = "low" if parameters.warp == "none" else parameters.warp
    full = {
        light: linear_image(
            item.take.raw(item.pair, light), light, item.development(light, parameters), item.alignment, warp
        )
        for light in LIGHTS
    }
    scale = TILE_WIDTH / full["well"].shape[1]
    well, low = (_shrunk(full[light], scale) for light in LIGHTS)
    people = [person.keypoints for person in people_of(item.labels, item.alignment, warp)["well"]]
    setting = item.pair.well.read_back
    split = lighting_split(setting.gain_db)
    tiles = [
        (well, f"{item.pair_id}: {setting.exposure_us:g} us, {setting.gain_db:.1f} dB"),
        (low, f"dark as it is ({split})"),
        (amplified(low, AMPLIFIED_MEAN), "dark, amplified"),
    ]
    return np.concatenate([_tile(to_srgb(picture), scale, people, text) for picture, text in tiles], axis=1)


def _shrunk(linear: Linear, scale: float) -> Linear:
    """Made smaller in linear light: noise is averaged before it is clipped, or black would be grey."""
    size = (TILE_WIDTH, round(scale * linear.shape[0]))
    shrunk: Linear = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    return shrunk


def _tile(picture: Rgb8, scale: float, people: Sequence[np.ndarray], text: str) -> Rgb8:
    """A picture with its people, who are in pixels of one that was larger by 1 / scale."""
    # pixel centres: x -> (x + 0.5) * scale - 0.5
    scaled = [np.column_stack([(k[:, :2] + 0.5) * scale - 0.5, k[:, 2]]) for k in people]
    return np.pad(caption(draw_people(picture, scaled), text), ((0, 0), (0, 6), (0, 0)), constant_values=24)
