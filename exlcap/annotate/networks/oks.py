"""Whether two sets of joints, or two boxes, are the same person: OKS, IoU, and non-maximum suppression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from exlcap.annotate.hand_labels import iou
from exlcap.core.joints import OKS_AREA_FACTOR, OKS_SIGMAS
from exlcap.core.labels import Box

Array = npt.NDArray[np.float64]
T = TypeVar("T")


def likeness(a: Array, b: Array, box: Box) -> Array:
    """How alike places of the 14 joints are, each 0..1: the terms of OKS for a person of this box.

    a, b: (14, 2 or more), x and y first. Returns (14,).
    """
    area = max(box[2] * box[3] * OKS_AREA_FACTOR, 1e-9)
    squared = ((a[:, :2] - b[:, :2]) ** 2).sum(1)
    alike: Array = np.exp(-squared / (2 * area * (2 * np.array(OKS_SIGMAS)) ** 2))
    return alike


def oks(a: Array, b: Array, box: Box) -> float:
    """OKS of two people over the joints that both have (third column above 0); 0 where they share none."""
    both = (a[:, 2] > 0) & (b[:, 2] > 0)
    return float(likeness(a, b, box)[both].mean()) if both.any() else 0.0


def suppressed(
    candidates: Sequence[T], score: Callable[[T], float], alike: Callable[[T, T], float], limit: float
) -> list[T]:
    """Candidates without those that are alike, to `limit` or more, to one with a higher score; highest score first."""
    kept: list[T] = []
    for candidate in sorted(candidates, key=score, reverse=True):
        if all(alike(other, candidate) < limit for other in kept):
            kept.append(candidate)
    return kept


def suppressed_boxes(rows: Array, limit: float) -> Array:
    """Rows of x0, y0, x1, y1, score without boxes that overlap one with a higher score by an IoU of `limit` or more."""
    boxes = [(row[0], row[1], row[2] - row[0], row[3] - row[1]) for row in rows]
    kept = suppressed(range(len(rows)), lambda i: float(rows[i, 4]), lambda i, j: iou(boxes[i], boxes[j]), limit)
    return rows[kept]
