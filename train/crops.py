"""People cut out of images: each image is decoded once, each crop kept small in memory with a margin for augmentation.

A crop is the person's box times `box_scale`, widened to the input's shape. What is kept is MARGIN times larger, shrunk
by area averaging to the input's resolution, which averages the noise of a dark image instead of sampling it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from exlcap.errors import ExlcapError
from exlcap.labels import Box
from exlcap.train.augment import Change, Matrix, change_matrix
from exlcap.train.pairs import REBUILD, Figure, Rgb8, read_image

MARGIN = 1.5
"""Side of what is kept over side of the crop: room for rotation, scale and shift."""
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Crop:
    """A person ready for training or testing.

    pixels: uint8 (h, w, 3), the surroundings of the person. to_pixels: 3 x 3, image coordinates to those of `pixels`.
    plain: 3 x 3, image coordinates to those of the network's input without any change.
    """

    figure: Figure
    pixels: Rgb8
    to_pixels: Matrix
    plain: Matrix


def plain_matrix(box: Box, size: tuple[int, int], box_scale: tuple[float, float]) -> Matrix:
    """3 x 3 matrix from image coordinates to the input of (height, width) = `size` that shows a box.

    box_scale: how much wider and how much higher than the box the crop is at least.
    """
    height, width = size
    x, y, box_width, box_height = box
    scale = min(width / (box_width * box_scale[0]), height / (box_height * box_scale[1]))
    # a box from x over w pixels covers centres x .. x + w - 1 (COCO counts edges: its middle is x + w/2 - 1/2)
    middle = np.array([x + box_width / 2 - 0.5, y + box_height / 2 - 0.5])
    shift = np.array([(width - 1) / 2, (height - 1) / 2]) - scale * middle
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1.0]])


def crop_people(
    folder: Path, figures: Sequence[Figure], size: tuple[int, int], box_scale: tuple[float, float]
) -> list[Crop]:
    """Crops of people in the order given, every image decoded once. size: (height, width) of the input.

    Raises ExlcapError when an image is missing or damaged.
    """
    by_file: dict[str, list[int]] = defaultdict(list)
    for place, figure in enumerate(figures):
        by_file[figure.file].append(place)
    crops: dict[int, Crop] = {}
    for file, places in by_file.items():
        image = read_image(folder, file)
        for place in places:
            crops[place] = cut(image, figures[place], size, box_scale)
    return [crops[place] for place in range(len(figures))]


def cut(image: Rgb8, figure: Figure, size: tuple[int, int], box_scale: tuple[float, float]) -> Crop:
    """Cut one person out of an image, uint8 (H, W, 3). Raises ExlcapError for a box outside the image."""
    plain = plain_matrix(figure.box, size, box_scale)
    kept = (round(size[0] * MARGIN), round(size[1] * MARGIN))
    centre = (np.array([(size[1] - 1) / 2, (size[0] - 1) / 2]) - plain[:2, 2]) / plain[0, 0]
    # whole pixels, so that area averaging starts at pixel edges; the matrix below is exact for them
    width, height = (max(1, round(side / plain[0, 0])) for side in (kept[1], kept[0]))
    left, top = round(centre[0] - (width - 1) / 2), round(centre[1] - (height - 1) / 2)
    if left >= image.shape[1] or top >= image.shape[0] or left + width <= 0 or top + height <= 0:
        raise ExlcapError(
            f"{figure.file}: the box of person {figure.person_id} lies outside the image of "
            f"{image.shape[1]}x{image.shape[0]} pixels",
            REBUILD,
        )
    region = _region(image, left, top, width, height)
    shrinks = height >= kept[0] and width >= kept[1]
    resized = cv2.resize(region, (kept[1], kept[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if figure.light == "low":
        resized = _stretched(resized)
    sx, sy = kept[1] / width, kept[0] / height
    to_pixels = np.array([[sx, 0, (0.5 - left) * sx - 0.5], [0, sy, (0.5 - top) * sy - 0.5], [0, 0, 1.0]])
    return Crop(figure, np.rint(resized).astype(np.uint8), to_pixels, plain)


def _region(image: Rgb8, left: int, top: int, width: int, height: int) -> Pixels:
    """A rectangle of an image as float32; beyond the image it has the mean colour, so that means stay as they are."""
    inner = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if inner.shape[:2] == (height, width):
        return inner.astype(np.float32)
    region = np.empty((height, width, 3), np.float32)
    region[:] = inner.mean((0, 1))
    y, x = max(0, -top), max(0, -left)
    region[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return region


def _stretched(pixels: Pixels) -> Pixels:
    """Each channel scaled to fill 8 bits, so that rounding does not undo the averaging of a dark crop.

    The network's input is scaled to a fixed mean per channel anyway, so the factor need not be kept.
    """
    white = np.percentile(pixels, 99.5, axis=(0, 1))
    factor = np.where(white > 0, 255 / np.maximum(white, 1e-6), 1.0)
    return np.minimum(pixels * factor.astype(np.float32), 255)


def place(crop: Crop, change: Change, size: tuple[int, int]) -> tuple[Rgb8, Matrix]:
    """The network's input and the 3 x 3 matrix from image coordinates to it.

    Returns uint8 (height, width, 3) and float64 (3, 3).
    """
    matrix = change_matrix(change, size) @ crop.plain
    warp = matrix @ np.linalg.inv(crop.to_pixels)
    pixels: Rgb8 = cv2.warpAffine(
        crop.pixels, warp[:2], (size[1], size[0]), flags=cv2.INTER_LINEAR, borderValue=crop.pixels.mean((0, 1)).tolist()
    )
    return pixels, matrix
