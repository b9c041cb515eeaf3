"""Facts about the image files of a data set, each read once: size, checksum, brightness."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exlcap.core.files import sha256_bytes


@dataclass(frozen=True)
class ImageFile:
    """An image file. size: (width, height), None when it cannot be decoded.

    brightest, saturated_share: of the decoded values, on the scale of 0..1; saturated pixels are white in all channels.
    mean_level: of the values on the scale of 0..255.
    """

    sha256: str
    size: tuple[int, int] | None
    brightest: float = 0.0
    saturated_share: float = 0.0
    mean_level: float = 0.0


def read_image_file(path: Path) -> ImageFile | None:
    """Facts of an image file, as its pixels are stored (without turning it by EXIF); None when there is no file."""
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
    saturated = cv2.countNonZero(cv2.inRange(image, (white,) * 3, (white,) * 3))
    return ImageFile(
        sha256=digest,
        size=(image.shape[1], image.shape[0]),
        brightest=float(image.max()) / white,
        saturated_share=saturated / (image.shape[0] * image.shape[1]),
        mean_level=sum(cv2.mean(image)[:3]) / 3 * 255 / white,
    )


def read_image_files(root: Path, names: Iterable[str]) -> dict[str, ImageFile | None]:
    """Facts of image files below `root` by name, read on every core."""
    names = sorted(set(names))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(zip(names, pool.map(lambda name: read_image_file(root / name), names), strict=True))
