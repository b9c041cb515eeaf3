"""The two images of a pair: 12-bit raw -> linear -> aligned and cropped -> 8-bit sRGB PNG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exlcap.alignment import Alignment
from exlcap.develop import Development, Linear, Rgb8, develop, to_srgb
from exlcap.files import sha256_bytes, write_atomic
from exlcap.take import Raw

PNG_LEVEL = 3
"""zlib effort: sensor noise does not compress, so more effort only costs time."""


@dataclass(frozen=True)
class Image:
    """A written image: checksum of the file and mean of its 8-bit values."""

    sha256: str
    mean_level: float


def well_image(raw: Raw, how: Development, alignment: Alignment) -> Rgb8:
    """Bright frame, cropped to the common area: uint8 (H, W, 3) sRGB."""
    return to_srgb(cropped(develop(raw, how), alignment))


def low_image(raw: Raw, how: Development, alignment: Alignment) -> Rgb8:
    """Dark frame laid onto the bright one in linear light, cropped to the common area: uint8 (H, W, 3) sRGB."""
    return to_srgb(low_on_well(develop(raw, how), alignment))


def low_on_well(linear: Linear, alignment: Alignment) -> Linear:
    """A developed dark frame warped onto the bright one and cropped to the common area, float32 (H, W, 3)."""
    import cv2

    x, y, width, height = alignment.crop
    shift = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
    warped: Linear = cv2.warpPerspective(
        linear, shift @ alignment.low_to_well, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped


def cropped(linear: Linear, alignment: Alignment) -> Linear:
    """The common area of a developed bright frame."""
    x, y, width, height = alignment.crop
    return linear[y : y + height, x : x + width]


def write_png(path: Path, picture: Rgb8) -> Image:
    """Write an sRGB picture (uint8, (H, W, 3)) as PNG, atomically."""
    import cv2

    done, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise ValueError(f"cannot encode a picture of {picture.dtype} {picture.shape} as PNG")
    encoded = data.tobytes()
    write_atomic(path, encoded)
    return Image(sha256_bytes(encoded), float(picture.mean()))
