"""An alignment: how pixels of the dark camera lie on those of the bright one.

Convention, used everywhere: pixel (x, y) with whole numbers is the CENTRE of a pixel, (0, 0) the centre of the top
left one, as in OpenCV. `homography` maps centres of the dark image, un-mirrored, to centres of the bright image.
Un-mirroring takes x to W - 1 - x. `low_to_well` is both steps in one matrix.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, write_json
from exlcap.core.records import Record, parse
from exlcap.core.rig import Light
from exlcap.core.workspace import Workspace, numbered

FORMAT = 1
Row = tuple[float, float, float]
Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]


class Crop(NamedTuple):
    """The common area: a rectangle of whole pixels of the bright image that the dark camera sees too."""

    x: int
    y: int
    width: int
    height: int


class Residual(Record):
    """How well the alignment holds on parts of the reference that were held out of the fit. Lengths in pixels.

    halves_px: how far apart two fits on alternate parts put the corners. features: those that agreed with the first
    estimate. blocks: parts of the picture it was judged on. ecc: correlation of small pictures of both views.
    corner_sd_px: standard deviation of each corner (top left, then clockwise). back_px: how far apart fits on the grids
    of either camera put the corners. structure_px: largest smooth distortion that a homography cannot explain.
    """

    held_out_median_px: float
    held_out_p95_px: float
    halves_px: float
    blocks: int
    ecc: float
    features: int
    corner_sd_px: tuple[float, float, float, float] | None = None
    back_px: float | None = None
    structure_px: float | None = None


class Photometry(Record):
    """How the light reaches both cameras, measured on the reference. Three values are for red, green and blue.

    transmittance: of the dark path relative to the bright one, corrected for the settings. offset_dn: what the dark
    camera reads above its black level where no light falls. white_balance: factors that make the reference's mean grey.
    """

    transmittance: tuple[float, float, float]
    transmittance_sd: tuple[float, float, float]
    offset_dn: float
    well_white_balance: tuple[float, float, float]
    low_white_balance: tuple[float, float, float]


class Alignment(Record):
    """align-NNN.json. Sizes are (width, height) in pixels."""

    format: Literal[1] = 1
    created: str
    reference: str
    mirror: bool
    homography: tuple[Row, Row, Row]
    low_size: tuple[int, int]
    well_size: tuple[int, int]
    crop: Crop
    residual: Residual | None = Field(default=None, description="None: known, not measured, as in a simulation")
    photometry: Photometry | None = None

    @field_validator("homography")
    @classmethod
    def _invertible(cls, rows: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
        if abs(np.linalg.det(np.array(rows))) < 1e-9:
            raise ValueError("the homography has no inverse")
        return rows

    @property
    def low_to_well(self) -> Matrix:
        """3 x 3 matrix from pixel centres of the dark image, as the camera gave it, to those of the bright image."""
        return compose(np.array(self.homography, np.float64), self.mirror, self.low_size[0])

    def white_balance(self, light: Light) -> tuple[float, float, float]:
        """Factors for red, green, blue that make a camera's picture of the reference grey; 1 where not measured."""
        if self.photometry is None:
            return (1.0, 1.0, 1.0)
        return self.photometry.well_white_balance if light == "well" else self.photometry.low_white_balance

    def map_low_to_well(self, points: Points) -> Points:
        """Points (N, 2) of the dark image in the bright one. Raises ValueError for another shape."""
        return apply_homography(self.low_to_well, points)

    def map_well_to_low(self, points: Points) -> Points:
        """Points (N, 2) of the bright image in the dark one. Raises ValueError for another shape."""
        inverse: Matrix = np.linalg.inv(self.low_to_well).astype(np.float64)
        return apply_homography(inverse, points)

    def corner_error_px(self, truth: Alignment) -> float:
        """Largest distance between the places where two alignments put a corner of the dark image, in pixels."""
        corners = image_corners(self.low_size)
        return float(np.linalg.norm(self.map_low_to_well(corners) - truth.map_low_to_well(corners), axis=1).max())


def make_alignment(
    homography: Matrix,
    mirror: bool,
    low_size: tuple[int, int],
    well_size: tuple[int, int],
    reference: str,
    created: str,
    residual: Residual | None = None,
    photometry: Photometry | None = None,
) -> Alignment:
    """An alignment with its common crop computed. Sizes are (width, height)."""
    matrix = compose(homography, mirror, low_size[0])
    rows = homography / homography[2, 2]
    return Alignment(
        created=created,
        reference=reference,
        mirror=mirror,
        homography=tuple(tuple(float(v) for v in row) for row in rows),  # type: ignore[arg-type]
        low_size=low_size,
        well_size=well_size,
        residual=residual,
        photometry=photometry,
        crop=common_crop(matrix, low_size, well_size),
    )


def compose(homography: Matrix, mirror: bool, low_width: int) -> Matrix:
    """Matrix from the dark image as the camera gave it to the bright one: un-mirroring, then the homography."""
    matrix: Matrix = homography @ mirror_matrix(low_width) if mirror else homography
    return matrix


def mirror_matrix(width: int) -> Matrix:
    """Matrix that flips an image of `width` pixels left to right."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def image_corners(size: tuple[int, int]) -> Points:
    """Centres of the four corner pixels of an image of (width, height)."""
    width, height = size
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64)


def apply_homography(matrix: Matrix, points: Points) -> Points:
    """Map points (N, 2) through a 3 x 3 homography.

    Raises ValueError when a shape is another or a point falls on the horizon.
    """
    points = np.asarray(points, dtype=np.float64)
    if matrix.shape != (3, 3):
        raise ValueError(f"expected a homography (3, 3), got {matrix.shape}")
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"expected points (N, 2), got {points.shape}")
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    if np.any(np.abs(mapped[:, 2]) < 1e-9):
        raise ValueError("a point falls on the horizon of the homography")
    result: Points = mapped[:, :2] / mapped[:, 2:]
    return result


def common_crop(low_to_well: Matrix, low_size: tuple[int, int], well_size: tuple[int, int]) -> Crop:
    """The upright rectangle of bright pixels that all lie inside the dark image.

    Raises ExlcapError when the views do not overlap.
    """
    quad = apply_homography(low_to_well, image_corners(low_size))
    xs, ys = np.sort(quad[:, 0]), np.sort(quad[:, 1])
    left, right = max(0, math.ceil(xs[1])), min(well_size[0] - 1, math.floor(xs[2]))
    top, bottom = max(0, math.ceil(ys[1])), min(well_size[1] - 1, math.floor(ys[2]))
    if right - left < 15 or bottom - top < 15:
        raise ExlcapError("the two views do not overlap", "check that both cameras look through the same lens")
    return Crop(left, top, right - left + 1, bottom - top + 1)


def read_alignment(path: Path) -> Alignment:
    """Read an alignment. Raises ExlcapError when it is missing or damaged."""
    return parse(Alignment, read_json(path, "alignment", (FORMAT,)), path, "run `exlcap align` again")


def write_alignment(path: Path, alignment: Alignment) -> None:
    """Write an alignment. Raises ExlcapError when the file exists: an alignment is never overwritten."""
    if path.exists():
        raise ExlcapError(f"{path} exists already", "an alignment is never overwritten")
    write_json(path, alignment.model_dump(mode="json"))


def alignment_in_force(workspace: Workspace) -> tuple[str, Alignment]:
    """Name and content of the newest alignment of the workspace.

    Raises ExlcapError when there is none.
    """
    alignments = numbered(workspace.alignments, "align", ".json")
    if not alignments:
        raise ExlcapError(
            f"no alignment in {workspace.alignments}",
            "shoot a static reference with `exlcap shoot --reference`, then run `exlcap align`",
        )
    path = alignments[-1][1]
    return path.stem, read_alignment(path)
