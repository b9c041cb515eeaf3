"""The two images of a pair: 12-bit raw -> linear -> aligned and cropped -> 8-bit sRGB PNG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exlcap.alignment import Alignment
from exlcap.develop import Development, Rgb8, cropped, develop, low_on_well, to_srgb
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


def write_png(path: Path, picture: Rgb8) -> Image:
    """Write an sRGB picture (uint8, (H, W, 3)) as PNG, atomically."""
    import cv2

    done, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise ValueError(f"cannot encode a picture of {picture.dtype} {picture.shape} as PNG")
    encoded = data.tobytes()
    write_atomic(path, encoded)
    return Image(sha256_bytes(encoded), float(picture.mean()))
