"""Pictures for the page: both views made small, overlays of both through an alignment, and pieces at full size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from exlcap.capture.preview.measure import Planes
from exlcap.core.alignment import Alignment, Matrix
from exlcap.core.develop import Development, Linear, Rgb8, amplified, coloured, development_of, to_srgb
from exlcap.core.rig import WHITE_DN, Light, Rig
from exlcap.core.take import Raw

Mode = Literal["views", "blend", "checker"]
Amplify = Literal["x30", "mean"]
Plane = npt.NDArray[Any]
AMPLIFIED_BY = 30.0
AMPLIFIED_TO = 0.4
TILES_ACROSS = 12
BLACK_WITHIN_DN = 0.5
BLACK_OVER = 9
"""A place holds no light when the mean about it, over so many pixels of the view, is this near to the dark level."""
WHITE_MARK, BLACK_MARK = (255, 60, 40), (40, 90, 255)
"""What marks places without detail: red where a pixel is at white, blue where there is no light."""
LOUPE_SIZE = (640, 400)
JPEG_QUALITY = 82
LOUPE_QUALITY = 95


@dataclass(frozen=True)
class Developments:
    """How the frames of both cameras are developed. alignment: the one in force; None where there is none yet."""

    well: Development
    low: Development
    alignment: Alignment | None
    mirror: bool

    def of(self, light: Light) -> Development:
        """That of one camera."""
        return self.well if light == "well" else self.low


def developments(rig: Rig, alignment: Alignment | None) -> Developments:
    """White balance is that of the alignment's reference; without one colours are those of the sensor."""
    well, low = (development_of(rig, light, alignment) for light in ("well", "low"))
    return Developments(well, low, alignment, rig.low.mirror)


@dataclass(frozen=True, eq=False)
class Small:
    """A view made small. linear: float32 (h, w, 3). white, black: bool (h, w), places without detail."""

    linear: Linear
    white: npt.NDArray[np.bool_]
    black: npt.NDArray[np.bool_]


def make_small(planes: Planes, how: Development, width: int) -> Small:
    """Develop a frame at a width of at most half its own: a 2 x 2 block of pixels becomes one of each colour."""
    import cv2

    size = size_at(planes, width)
    green = (planes.green1 + planes.green2) >> np.uint16(1)
    # four spare bits keep the mean of dark pixels between two levels
    above_dn = [
        _shrunk(plane << np.uint16(4), size).astype(np.float32) / np.float32(16) - np.float32(how.black_level_dn)
        for plane in (planes.red, green, planes.blue)
    ]
    top = np.maximum(np.maximum(planes.red, planes.blue), np.maximum(planes.green1, planes.green2))
    white = _shrunk((top >= WHITE_DN).astype(np.uint8) * np.uint8(255), size) > 0
    around = [cv2.blur(plane, (BLACK_OVER, BLACK_OVER)) for plane in above_dn]
    black = np.maximum(np.maximum(*around[:2]), around[2]) <= BLACK_WITHIN_DN
    range_dn = WHITE_DN - how.black_level_dn
    balanced = [plane * np.float32(one / range_dn) for plane, one in zip(above_dn, how.white_balance, strict=True)]
    light: Linear = cv2.merge(balanced)
    if how.colour_matrix is not None:
        light = coloured(light, how.colour_matrix)
    return Small(light, white, black)


def _shrunk(plane: Plane, size: tuple[int, int]) -> Plane:
    """A plane averaged down to (width, height)."""
    import cv2

    if size == (plane.shape[1], plane.shape[0]):
        return plane
    shrunk: Plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return shrunk


def size_at(planes: Planes, width: int) -> tuple[int, int]:
    """Width and height of a small picture of at most this width."""
    rows, columns = planes.red.shape
    width = min(width, columns)
    return width, max(1, round(rows * width / columns))


def brightened(linear: Linear, amplify: Amplify) -> Linear:
    """The dark view made visible."""
    return linear * np.float32(AMPLIFIED_BY) if amplify == "x30" else amplified(linear, AMPLIFIED_TO)


def marked(picture: Rgb8, small: Small) -> Rgb8:
    """The picture, with places without detail in plain colours."""
    picture[small.black] = BLACK_MARK
    picture[small.white] = WHITE_MARK
    return picture


def unmirrored(small: Small) -> Small:
    """A small view flipped left to right."""
    return Small(
        np.ascontiguousarray(small.linear[:, ::-1]),
        np.ascontiguousarray(small.white[:, ::-1]),
        np.ascontiguousarray(small.black[:, ::-1]),
    )


def overlaid(well: Linear, low: Linear, alignment: Alignment, mode: Mode) -> Rgb8:
    """Both views, small, in the geometry of the bright one, the dark one amplified to the same mean.

    low: as its camera gives it. Where the dark camera sees nothing the bright view is dimmed.
    """
    import cv2

    height, width = well.shape[:2]
    matrix = _shrinking(alignment.well_size, (width, height)) @ alignment.low_to_well
    matrix = matrix @ np.linalg.inv(_shrinking(alignment.low_size, (low.shape[1], low.shape[0])))
    level = max(float(np.clip(well, 0, 1).mean()), 0.02)
    lit = amplified(low, level)
    warped = cv2.warpPerspective(lit, matrix, (width, height), flags=cv2.INTER_LINEAR)
    inside = cv2.warpPerspective(np.ones(low.shape[:2], np.uint8), matrix, (width, height)) > 0
    first, second = to_srgb(well), to_srgb(warped)
    if mode == "blend":
        both = cv2.addWeighted(first, 0.5, second, 0.5, 0)
    else:
        side = max(1, width // TILES_ACROSS)
        tiles = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2 == 1
        both = np.where(tiles[..., None], second, first)
    picture: Rgb8 = np.where(inside[..., None], both, first // 3)
    return picture


def _shrinking(full: tuple[int, int], small: tuple[int, int]) -> Matrix:
    """Matrix from pixel centres of a picture of (width, height) to those of the same picture made smaller."""
    x, y = small[0] / full[0], small[1] / full[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])


def loupe_centres(
    xy: tuple[float, float], size: tuple[int, int], development: Developments
) -> dict[Light, tuple[float, float]]:
    """The same place in the raw frames of both cameras. xy: shares of width and height in the bright view.

    Through the alignment, or without one at the same place of both views.
    """
    width, height = size
    well = (xy[0] * width - 0.5, xy[1] * height - 0.5)
    if development.alignment is not None:
        x, y = development.alignment.map_well_to_low(np.array([well]))[0]
        return {"well": well, "low": (float(x), float(y))}
    return {"well": well, "low": (width - 1 - well[0] if development.mirror else well[0], well[1])}


def loupe(raw: Raw, centre: tuple[float, float]) -> Raw:
    """A piece of a raw frame about a place, moved inside where it would leave the frame.

    It begins with a red pixel, as the frame does (RGGB).
    """
    width, height = (min(a, b) for a, b in zip(LOUPE_SIZE, (raw.shape[1], raw.shape[0]), strict=True))
    x, y = (
        2 * (round(min(max(at - length / 2, 0), full - length)) // 2)
        for at, length, full in ((centre[0], width, raw.shape[1]), (centre[1], height, raw.shape[0]))
    )
    return np.ascontiguousarray(raw[y : y + height, x : x + width])


def to_jpeg(picture: Rgb8, quality: int = JPEG_QUALITY) -> bytes:
    """A picture as JPEG; a loupe's colours are kept at full resolution."""
    import cv2

    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if quality >= LOUPE_QUALITY else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    )
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a picture of {picture.shape} could not be encoded")
    return bytes(encoded)
