"""People cut out of images: each image is decoded once, each crop is stored small with a margin for augmentation.

A crop is the person's box times `box_scale`, widened to the input's aspect ratio. The stored pixels cover MARGIN times
as much, shrunk to the input's resolution: by area averaging, which averages the noise of a dark image instead of
sampling it, or by bilinear sampling as in the official code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from exlcap.core.errors import ExlcapError
from exlcap.core.labels import Box
from exlcap.train.config import InputConfig
from exlcap.train.data.augment import Change, Matrix, change_matrix
from exlcap.train.data.people import REBUILD, LabelledPerson, Rgb8, read_image

MARGIN = 1.5
"""Side of the stored pixels over side of the crop: room for rotation, scale and shift."""
Pixels = npt.NDArray[np.float32]
Colour = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Crop:
    """A person ready for training or testing.

    pixels: uint8 (h, w, 3), the surroundings of the person. border: their mean colour, for what lies beyond them.
    to_pixels: 3 x 3, image coordinates to those of `pixels`. plain: 3 x 3, image coordinates to those of the network's
    input without any change.
    """

    person: LabelledPerson
    pixels: Rgb8
    border: Colour
    to_pixels: Matrix
    plain: Matrix


@dataclass(frozen=True)
class _Region:
    """Whole pixels of an image, perhaps beyond its edges."""

    left: int
    top: int
    width: int
    height: int


def plain_matrix(box: Box, size: tuple[int, int], box_scale: tuple[float, float]) -> Matrix:
    """3 x 3 matrix from image coordinates to the input of (height, width) = `size` that shows a box.

    box_scale: least width and height of the crop, in parts of the box.
    """
    height, width = size
    x, y, box_width, box_height = box
    scale = min(width / (box_width * box_scale[0]), height / (box_height * box_scale[1]))
    # a box from x over w pixels covers centres x .. x + w - 1 (COCO counts edges: its middle is x + w/2 - 1/2)
    middle = np.array([x + box_width / 2 - 0.5, y + box_height / 2 - 0.5])
    shift = np.array([(width - 1) / 2, (height - 1) / 2]) - scale * middle
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1.0]])


def crop_people(
    folder: Path, people: Sequence[LabelledPerson], size: tuple[int, int], config: InputConfig
) -> list[Crop]:
    """Crops of people in the order given, every image decoded once. size: (height, width) of the input.

    Raises ExlcapError when an image is missing or damaged.
    """
    crops: dict[int, Crop] = {}
    for file, places in by_image(people).items():
        image = read_image(folder, file)
        for place in places:
            crops[place] = cut(image, people[place], size, config)
    return [crops[place] for place in range(len(people))]


def by_image(people: Sequence[LabelledPerson]) -> dict[str, list[int]]:
    """Indices into `people` by image."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, person in enumerate(people):
        places[person.file].append(place)
    return dict(places)


def cut(image: Rgb8, person: LabelledPerson, size: tuple[int, int], config: InputConfig) -> Crop:
    """Cut one person out of an image, uint8 (H, W, 3). Raises ExlcapError for a box outside the image."""
    pixels = cut_pixels(image, person, size, config)
    return as_crop(person, pixels, mean_colour(pixels), size, config)


def mean_colour(pixels: Rgb8) -> Colour:
    """Mean of each channel. pixels: uint8 (h, w, 3)."""
    return tuple(cv2.mean(pixels)[:3])


def kept_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the stored pixels for an input of `size`."""
    return round(size[0] * MARGIN), round(size[1] * MARGIN)


def _region_of(plain: Matrix, size: tuple[int, int]) -> _Region:
    """The stored part of an image: whole pixels, so that area averaging starts at pixel edges."""
    kept = kept_size(size)
    centre = (np.array([(size[1] - 1) / 2, (size[0] - 1) / 2]) - plain[:2, 2]) / plain[0, 0]
    width, height = (max(1, round(side / plain[0, 0])) for side in (kept[1], kept[0]))
    return _Region(round(centre[0] - (width - 1) / 2), round(centre[1] - (height - 1) / 2), width, height)


def as_crop(person: LabelledPerson, pixels: Rgb8, border: Colour, size: tuple[int, int], config: InputConfig) -> Crop:
    """A person's stored pixels with the matrices of their place in the image."""
    plain = plain_matrix(person.box, size, config.box_scale)
    region = _region_of(plain, size)
    height, width = kept_size(size)
    sx, sy = width / region.width, height / region.height
    to_pixels = np.array([[sx, 0, (0.5 - region.left) * sx - 0.5], [0, sy, (0.5 - region.top) * sy - 0.5], [0, 0, 1.0]])
    return Crop(person, pixels, border, to_pixels, plain)


def cut_pixels(image: Rgb8, person: LabelledPerson, size: tuple[int, int], config: InputConfig) -> Rgb8:
    """The stored pixels of a person: uint8 (h, w, 3). Raises ExlcapError for a box outside the image."""
    region = _region_of(plain_matrix(person.box, size, config.box_scale), size)
    if (
        region.left >= image.shape[1] or region.top >= image.shape[0]
        or region.left + region.width <= 0 or region.top + region.height <= 0
    ):  # fmt: skip
        box = ", ".join(f"{value:g}" for value in person.box)
        raise ExlcapError(
            f"{person.file}: the box of person {person.person_id} ({box}) lies outside the image of "
            f"{image.shape[1]}x{image.shape[0]} pixels",
            REBUILD,
        )
    height, width = kept_size(size)
    region_pixels = _pixels_of(image, region)
    shrinks = region.height >= height and region.width >= width
    averaged = config.resampling == "area"
    kept = cv2.resize(
        region_pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks and averaged else cv2.INTER_LINEAR
    )
    if person.light == "low" and averaged:
        kept = _stretched(kept)
    pixels: Rgb8 = np.rint(kept).astype(np.uint8)
    return pixels


def _pixels_of(image: Rgb8, region: _Region) -> Pixels:
    """A region of an image as float32, beyond the image in the mean colour, so that means do not change."""
    left, top, width, height = region.left, region.top, region.width, region.height
    inner = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if inner.shape[:2] == (height, width):
        return inner.astype(np.float32)
    pixels = np.empty((height, width, 3), np.float32)
    pixels[:] = inner.mean((0, 1))
    y, x = max(0, -top), max(0, -left)
    pixels[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return pixels


def _stretched(pixels: Pixels) -> Pixels:
    """Each channel scaled to fill 8 bits, so that rounding does not undo the averaging of a dark crop.

    The network's input is scaled to a fixed mean per channel anyway, so the factor is not stored.
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
        crop.pixels, warp[:2], (size[1], size[0]), flags=cv2.INTER_LINEAR, borderValue=crop.border
    )
    return pixels, matrix
