"""A knock against a rig: the dark camera shifts, turns, zooms or tilts by a known amount."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from exlcap.core.alignment import Matrix, apply_homography, image_corners

Knock = Literal["shift", "turn", "zoom", "tilt", "mixture"]
KNOCKS: tuple[Knock, ...] = get_args(Knock)
TOLERANCE = 1e-9


def knocked(kind: Knock, corner_px: float, size: tuple[int, int], seed: int) -> Matrix:
    """3 x 3 homography that moves the worst corner of a picture of (width, height) by that many pixels.

    Direction, sign and the shares of a mixture are drawn from the seed. Put before the homography of an alignment it
    gives that of the knocked rig. Raises ValueError when no such motion reaches that far.
    """
    generator = _generator(kind, size, np.random.default_rng(seed))
    low, high = 0.0, 1.0
    while worst_corner_px(_motion(generator, high, size), size) < corner_px:
        high *= 2
        if high > 1e4:
            raise ValueError(f"no {kind} moves a corner of {size} by {corner_px} px")
    while high - low > TOLERANCE * high:
        middle = (low + high) / 2
        if worst_corner_px(_motion(generator, middle, size), size) < corner_px:
            low = middle
        else:
            high = middle
    return _motion(generator, high, size)


def worst_corner_px(motion: Matrix, size: tuple[int, int]) -> float:
    """How far a homography moves the corner of a picture of (width, height) that it moves most."""
    corners = image_corners(size)
    return float(np.linalg.norm(apply_homography(motion, corners) - corners, axis=1).max())


def _generator(kind: Knock, size: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """What the motion is the matrix exponential of, about the centre, in coordinates from -1 to 1 over the width."""
    (x, y), (g, h), sign = rng.normal(size=2), rng.normal(size=2), rng.choice([-1.0, 1.0])
    generators: dict[Knock, Matrix] = {
        "shift": np.array([[0, 0, x], [0, 0, y], [0, 0, 0]]),
        "turn": sign * np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]]),
        "zoom": sign * np.diag([1.0, 1.0, 0.0]),
        "tilt": np.array([[0, 0, 0], [0, 0, 0], [g, h, 0]]),
    }
    if kind != "mixture":
        return generators[kind]
    mixture = np.zeros((3, 3))
    for part in generators.values():  # each with a size of its own
        mixture += rng.normal() * part / worst_corner_px(_motion(part, 1e-3, size), size)
    return mixture


def _motion(generator: Matrix, amount: float, size: tuple[int, int]) -> Matrix:
    """The motion of a generator, 3 x 3 in pixels."""
    from scipy.linalg import expm

    half_px, (x, y) = size[0] / 2, ((size[0] - 1) / 2, (size[1] - 1) / 2)
    from_unit = np.array([[half_px, 0, x], [0, half_px, y], [0, 0, 1]])
    motion: Matrix = from_unit @ expm(generator * amount / half_px) @ np.linalg.inv(from_unit)
    return np.asarray(motion / motion[2, 2], np.float64)
