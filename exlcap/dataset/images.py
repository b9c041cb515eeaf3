"""The two images of a pair: 12-bit raw -> linear -> aligned and cropped -> PNG, 8-bit sRGB or 16-bit linear."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from exlcap.core.alignment import Alignment
from exlcap.core.develop import (
    Development,
    Linear,
    Rgb8,
    cropped,
    cropped_low,
    develop,
    low_on_well,
    to_srgb,
    well_on_low,
)
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_bytes, write_atomic
from exlcap.core.rig import Light
from exlcap.core.take import Raw

Warp = Literal["well", "low", "none"]
Depth = Literal[8, 16]
PEDESTAL = 4096
"""Where black lies in 16-bit images: 1/16 of the range, which holds the noise below black.

Without it noise would be cut off at black, and averages of dark pixels too bright. Raw frames reach 60 DN below black,
a third of it; white balance and a colour matrix may make that twice as much.
"""
WHITE_16 = 65535


@dataclass(frozen=True)
class WrittenImage:
    """A written image: checksum of the file and mean of its values, on the scale of 0 at black to 255 at white."""

    sha256: str
    mean_level: float


def linear_image(raw: Raw, light: Light, development: Development, alignment: Alignment, warp: Warp) -> Linear:
    """A raw frame as its image of the data set, in linear light: float32 (H, W, 3), signed and not clipped.

    warp: which image is resampled. "well": the bright one is laid onto the dark one, whose pixels stay as they were.
    "low": the dark one onto the bright one. Both are cropped to the common area. "none": the bright one is cropped and
    the dark one whole. A dark image is turned back where its camera sees it mirrored: left must stay left.
    """
    linear = develop(raw, development)
    if warp == "well":
        return well_on_low(linear, alignment) if light == "well" else cropped_low(linear, alignment)
    if light == "well":
        return cropped(linear, alignment)
    if warp == "low":
        return low_on_well(linear, alignment)
    return linear[:, ::-1] if alignment.mirror else linear


def pedestal_of(depth: Depth) -> int:
    """The value of black in images of a depth."""
    return PEDESTAL if depth == 16 else 0


def encoded(linear: Linear, depth: Depth) -> Rgb8 | npt.NDArray[np.uint16]:
    """Linear light as it is stored: 8-bit sRGB clipped to 0..1, or 16-bit linear, `PEDESTAL` at black, 65535 at white.

    The 8-bit form clips the noise below black, so means of its dark images are above the light that was there; in the
    16-bit form they are not.
    """
    if depth == 8:
        return to_srgb(linear)
    levels = linear * np.float32(WHITE_16 - PEDESTAL) + np.float32(PEDESTAL + 0.5)
    stored: npt.NDArray[np.uint16] = np.clip(levels, 0, WHITE_16).astype(np.uint16)
    return stored


def read_linear(path: Path, pedestal: int) -> Linear:
    """A 16-bit image as `encoded` stores it, in linear light: float32 (H, W, 3), RGB, signed, 1 at the sensor's white.

    pedestal: of its data set (dataset.json), 0 in those built before version 0.2, whose noise is clipped at black.
    Raises ExlcapError when the file is missing or damaged, or not a 16-bit image.
    """
    image = read_image(path)
    if image.dtype != np.uint16:
        raise ExlcapError(f"{path} is not a 16-bit image", "only `exlcap build --depth 16` stores linear light")
    linear: Linear = image.astype(np.float32)
    linear -= np.float32(pedestal)
    linear /= np.float32(WHITE_16 - pedestal)
    return linear


def write_png(path: Path, picture: Rgb8 | npt.NDArray[np.uint16], pedestal: int = 0) -> WrittenImage:
    """Write an RGB picture (uint8 or uint16, (H, W, 3)) as PNG, atomically. pedestal: its value at black."""
    import cv2

    # OpenCV's own choice of filter and effort: twice as fast as zlib level 1, and sensor noise does not compress anyway
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"cannot encode a picture of {picture.dtype} {picture.shape} as PNG")
    content = data.tobytes()
    write_atomic(path, content)
    return WrittenImage(
        sha256_bytes(content), (float(picture.mean()) - pedestal) * 255 / (np.iinfo(picture.dtype).max - pedestal)
    )


def read_image(path: Path) -> Rgb8 | npt.NDArray[np.uint16]:
    """An image of a data set as it is stored: RGB, uint8 or uint16, (H, W, 3).

    Raises ExlcapError when it is missing or damaged.
    """
    import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise ExlcapError(f"image not found: {path}", "build or import the data set again") from None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(data, flags) if data.size else None
    if decoded is None:
        raise ExlcapError(f"{path} is damaged or cut off", "build or import the data set again")
    image: Rgb8 | npt.NDArray[np.uint16] = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return image
