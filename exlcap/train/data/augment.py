"""How a training crop differs from the plain one: drawn once for a person, the same for both images of a pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exlcap.core.alignment import apply_homography
from exlcap.core.joints import JOINTS
from exlcap.core.labels import Keypoints
from exlcap.train.config import AugmentConfig

Matrix = npt.NDArray[np.float64]
UPPER = np.array([not name.endswith(("hip", "knee", "ankle")) for name in JOINTS])
"""Joints above the hips, bool (14,)."""
HALF_BODY_MARGIN = 1.5
"""Side of a half-body crop over the extent of its joints."""
LARGEST_SCALE = 2.0
"""Largest magnification of a half-body crop: beyond it a crop of the input's size has no detail left."""


@dataclass(frozen=True)
class Change:
    """Geometry and light of one training crop. Lengths are in parts of the plain crop's width and height.

    focus_x, focus_y: centre of rotation and scale, relative to the middle of the plain crop. shift_x, shift_y: where it
    lies in the changed crop, relative to the middle. gains: factors of red, green and blue.
    """

    flip: bool = False
    rotation_deg: float = 0.0
    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    focus_x: float = 0.0
    focus_y: float = 0.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)


PLAIN = Change()


def draw(
    rng: np.random.Generator, config: AugmentConfig, keypoints: Keypoints, plain: Matrix, size: tuple[int, int]
) -> Change:
    """A random change for one person.

    keypoints: float64 (14, 3) in an image of the person. plain: 3 x 3, that image's coordinates to the plain crop's.
    size: (height, width) of the crop. For a pair, draw once (for either image) and change both alike.
    """
    flip = config.flip and bool(rng.random() < 0.5)
    rotation_deg = rng.uniform(-config.rotation_deg, config.rotation_deg)
    scale = 1 / min(rng.uniform(*config.view), config.view_limit)
    shift_x, shift_y = (rng.uniform(-config.shift, config.shift) for _ in range(2))
    brightness = rng.uniform(1 - config.brightness, 1 + config.brightness)
    red, green, blue = (brightness * rng.uniform(1 - config.colour, 1 + config.colour) for _ in range(3))
    focus_x, focus_y, closer = 0.0, 0.0, 1.0
    if rng.random() < config.half_body and (half := _half_body(rng, keypoints, plain, size)) is not None:
        focus_x, focus_y, closer = half
        scale = min(scale * closer, LARGEST_SCALE)
    return Change(flip, rotation_deg, scale, shift_x, shift_y, focus_x, focus_y, (red, green, blue))


def _half_body(
    rng: np.random.Generator, keypoints: Keypoints, plain: Matrix, size: tuple[int, int]
) -> tuple[float, float, float] | None:
    """Focus and magnification that show the upper or the lower body only; None where too few joints are labelled."""
    height, width = size
    wanted = UPPER if rng.random() < 0.5 else ~UPPER
    chosen = keypoints[wanted & (keypoints[:, 2] > 0)]
    if len(chosen) < 3 or len(chosen) == (keypoints[:, 2] > 0).sum():
        return None
    points = apply_homography(plain, chosen[:, :2])
    low, high = points.min(0), points.max(0)
    focus = (low + high) / 2 - [(width - 1) / 2, (height - 1) / 2]
    side = max(float((high[0] - low[0]) / width), float((high[1] - low[1]) / height)) * HALF_BODY_MARGIN
    return float(focus[0] / width), float(focus[1] / height), 1 / max(side, 1 / LARGEST_SCALE)


def change_matrix(change: Change, size: tuple[int, int]) -> Matrix:
    """3 x 3 matrix from the plain crop of (height, width) = `size` to the changed one."""
    height, width = size
    sides = np.array([width, height], np.float64)
    centre = (sides - 1) / 2
    angle = np.deg2rad(change.rotation_deg)
    turn = change.scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if change.flip:
        turn = np.array([[-1.0, 0.0], [0.0, 1.0]]) @ turn
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = (
        centre + sides * (change.shift_x, change.shift_y) - turn @ (centre + sides * (change.focus_x, change.focus_y))
    )
    return matrix
