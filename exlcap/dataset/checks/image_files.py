"""Facts about the image files of a data set, each read once: size, checksum, brightness."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exlcap.core.files import sha256_bytes

SRGB_SLOPE = 12.92
"""Of sRGB over linear light near black (IEC 61966-2-1)."""


@dataclass(frozen=True)
class ImageFile:
    """An image file. size: (width, height), None when it cannot be decoded.

    brightest, saturated_share: of the decoded values, on the scale of 0..1 of sRGB; saturated pixels are white in all
    channels. mean_level: of the values on the scale of 0 at black to 255 at white.
    """

    sha256: str
    size: tuple[int, int] | None
    brightest: float = 0.0
    saturated_share: float = 0.0
    mean_level: float = 0.0


def read_image_file(path: Path, pedestal: int | None = None) -> ImageFile | None:
    """Facts of an image file, as its pixels are stored (without turning it by EXIF); None when there is no file.

    pedestal: the value of black in an image of linear light; None for sRGB.
    """
    import cv2

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    digest = sha256_bytes(data)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if image is None:
        return ImageFile(digest, None)
    white = int(np.iinfo(image.dtype).max)
    black = pedestal or 0
    brightest = (float(image.max()) - black) / (white - black)
    saturated = cv2.countNonZero(cv2.inRange(image, (white,) * 3, (white,) * 3))
    return ImageFile(
        sha256=digest,
        size=(image.shape[1], image.shape[0]),
        brightest=brightest if pedestal is None else min(1.0, SRGB_SLOPE * brightest),
        saturated_share=saturated / (image.shape[0] * image.shape[1]),
        mean_level=(sum(cv2.mean(image)[:3]) / 3 - black) * 255 / (white - black),
    )


def read_image_files(root: Path, names: Iterable[str], pedestal: int | None = None) -> dict[str, ImageFile | None]:
    """Facts of image files below `root` by name, read on every core. pedestal: as of `read_image_file`."""
    names = sorted(set(names))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(zip(names, pool.map(lambda name: read_image_file(root / name, pedestal), names), strict=True))
