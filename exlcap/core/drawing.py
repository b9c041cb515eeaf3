"""Draw people into pictures for the eye: contact sheets, galleries."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from exlcap.core.develop import Rgb8
from exlcap.core.joints import JOINTS, N_JOINTS, SKELETON
from exlcap.core.labels import Keypoints

SIDE_COLOURS = {"left": (64, 196, 255), "right": (255, 138, 64), "middle": (150, 240, 120)}
"""RGB by side of the body, so that a left/right swap shows at a glance."""


def side(joint: int) -> str:
    """Which side of the body a joint is on: "left", "right" or "middle"."""
    first = JOINTS[joint].split("_")[0]
    return first if first in ("left", "right") else "middle"


def check_picture(picture: Rgb8) -> None:
    """Raise ValueError unless this is a picture of 8 bits a channel: uint8 (H, W, 3)."""
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"expected a picture uint8 (H, W, 3), got {type(picture).__name__}")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"expected a picture uint8 (H, W, 3), got {picture.dtype} {picture.shape}")


def draw_people(picture: Rgb8, people: Iterable[Keypoints], thickness: int = 1) -> Rgb8:
    """A copy of an RGB picture, uint8 (H, W, 3), with skeletons: hidden joints are hollow, unlabelled ones left out.

    people: keypoints (14, 3) each, in pixels of the picture. Raises ValueError for another shape or type, or a
    coordinate that is not a finite number.
    """
    import cv2

    check_picture(picture)
    drawn = np.array(picture, order="C")
    for given in people:
        keypoints = np.asarray(given, np.float64)
        if keypoints.shape != (N_JOINTS, 3):
            raise ValueError(f"keypoints: expected shape ({N_JOINTS}, 3), got {keypoints.shape}")
        if not np.isfinite(keypoints).all():
            raise ValueError("keypoints: every coordinate must be a finite number")
        at = [(round(16 * float(x)), round(16 * float(y))) for x, y, _ in keypoints]
        for a, b in SKELETON:
            if keypoints[a, 2] > 0 and keypoints[b, 2] > 0:
                colour = SIDE_COLOURS[side(b)] if side(a) == side(b) or side(a) == "middle" else SIDE_COLOURS["middle"]
                cv2.line(drawn, at[a], at[b], colour, thickness, cv2.LINE_AA, 4)
        for joint, (_, _, flag) in enumerate(keypoints):
            if flag > 0:
                fill = -1 if flag == 2 else 1
                cv2.circle(drawn, at[joint], 16 * (1 + thickness), SIDE_COLOURS[side(joint)], fill, cv2.LINE_AA, 4)
    return drawn


def caption(picture: Rgb8, text: str) -> Rgb8:
    """A copy with a line of text on a dark strip above it."""
    import cv2

    scale = max(0.4, picture.shape[1] / 1200)
    height = round(40 * scale)
    strip = np.full((height, picture.shape[1], 3), 24, np.uint8)
    cv2.putText(
        strip, text, (6, round(0.72 * height)), cv2.FONT_HERSHEY_SIMPLEX, scale, (235, 235, 235), 1, cv2.LINE_AA
    )
    return np.concatenate([strip, picture])
