"""Pictures of predictions: the same people in the dark (amplified) and in the light, prediction over truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from exlcap.alignment import apply_homography
from exlcap.files import write_atomic
from exlcap.joints import SKELETON
from exlcap.train.batches import scaled
from exlcap.train.crops import PLAIN, Crop, place
from exlcap.train.pairs import Rgb8
from exlcap.train.predict import Predictions

TILE_HEIGHT = 256
TRUE, PREDICTED = (255, 255, 255), (255, 150, 0)
COLUMNS = 8


@dataclass(frozen=True)
class Shown:
    """People of one split with what was predicted for them."""

    crops: Sequence[Crop]
    predictions: Predictions


def write_gallery(path: Path, low: Shown | None, well: Shown | None, size: tuple[int, int]) -> None:
    """A PNG with up to eight people in columns, dark above bright; nothing is written where there is nobody.

    size: (height, width) of the network's input.
    """
    shown = [part for part in (low, well) if part is not None and part.crops]
    if not shown:
        return
    columns = _people(shown)
    grid = np.vstack([np.hstack([_tile(part, key, size) for key in columns]) for part in shown])
    caption = np.full((28, grid.shape[1], 3), 32, np.uint8)
    cv2.putText(caption, "predicted", (8, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, PREDICTED, 1, cv2.LINE_AA)
    cv2.putText(caption, "true", (100, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, TRUE, 1, cv2.LINE_AA)
    done, data = cv2.imencode(".png", np.vstack([grid, caption])[..., ::-1])
    assert done
    write_atomic(path, data.tobytes())


def _key(crop: Crop) -> tuple[str, str]:
    return crop.figure.pair_id, crop.figure.person_id


def _people(shown: Sequence[Shown]) -> list[tuple[str, str]]:
    """Up to COLUMNS people, evenly spread, of those that every part shows (of the first part if none is in all)."""
    first = [_key(crop) for crop in shown[0].crops]
    others = [{_key(crop) for crop in part.crops} for part in shown[1:]]
    common = [key for key in first if all(key in other for other in others)] or first
    chosen = np.linspace(0, len(common) - 1, min(COLUMNS, len(common))).round().astype(int)
    return [common[i] for i in chosen]


def _tile(part: Shown, key: tuple[str, str], size: tuple[int, int]) -> Rgb8:
    """One person: the network's input with the true and the predicted skeleton; black where the part lacks them."""
    zoom = TILE_HEIGHT / size[0]
    tile_size = (round(size[1] * zoom), TILE_HEIGHT)
    found = [i for i, crop in enumerate(part.crops) if _key(crop) == key]
    if not found:
        return np.zeros((tile_size[1], tile_size[0], 3), np.uint8)
    crop = part.crops[found[0]]
    pixels, matrix = place(crop, PLAIN, size)
    visible = scaled(pixels, crop.figure.light).permute(1, 2, 0).clamp(0, 1).numpy()
    picture: Rgb8 = cv2.resize((255 * visible).astype(np.uint8), tile_size, interpolation=cv2.INTER_LINEAR)
    to_tile = np.diag([zoom, zoom, 1.0]) @ matrix
    labelled = crop.figure.keypoints[:, 2] > 0
    _draw(picture, apply_homography(to_tile, crop.figure.keypoints[:, :2]), labelled, TRUE)
    _draw(picture, apply_homography(to_tile, part.predictions.joints[found[0]]), np.ones(14, bool), PREDICTED)
    return picture


def _draw(
    picture: npt.NDArray[np.uint8],
    joints: npt.NDArray[np.float64],
    shown: npt.NDArray[np.bool_],
    colour: tuple[int, int, int],
) -> None:
    points = [(int(x), int(y)) for x, y in joints.round()]
    for a, b in SKELETON:
        if shown[a] and shown[b]:
            cv2.line(picture, points[a], points[b], colour, 1, cv2.LINE_AA)
    for point, visible in zip(points, shown, strict=True):
        if visible:
            cv2.circle(picture, point, 2, colour, -1, cv2.LINE_AA)
