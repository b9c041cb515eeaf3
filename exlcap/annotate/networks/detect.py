"""Boxes of people, or people at once, in a whole picture."""

from __future__ import annotations

import numpy as np

from exlcap.annotate.networks.card import Detector
from exlcap.annotate.networks.decode import check_joints
from exlcap.annotate.networks.network import Array, Network, run
from exlcap.annotate.networks.oks import suppressed_boxes
from exlcap.annotate.networks.placing import placed, whole_matrix
from exlcap.annotate.networks.thresholds import BOX_SCORE
from exlcap.core.alignment import Matrix, apply_homography
from exlcap.core.develop import Rgb8
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import Box

YOLOX_STRIDES = (8, 16, 32)


def find_boxes(network: Network, picture: Rgb8) -> list[tuple[Box, float]]:
    """People in a picture, uint8 (H, W, 3): boxes cut to it, in its pixels, with scores; the surest first."""
    card = network.card
    if card.detector is None:
        raise ValueError(f"{card.name} is not a detector")
    size = (picture.shape[1], picture.shape[0])
    matrix = whole_matrix(size, card.input)
    wanted = [card.detector.boxes, *([] if card.detector.labels is None else [card.detector.labels])]
    outputs = run(network, placed(picture, matrix, card.input)[None], wanted)
    rows = _rows(network, outputs, card.detector)
    rows = suppressed_boxes(rows[rows[:, 4] >= BOX_SCORE], card.detector.nms_iou)
    return [box for row in rows if (box := _box_in(row, matrix, size)) is not None]


def _rows(network: Network, outputs: list[Array], detector: Detector) -> Array:
    """Rows of x0, y0, x1, y1, score in the input, of people only."""
    rows = outputs[0].reshape(-1, outputs[0].shape[-1])
    if detector.decoding == "yolox":
        return from_yolox(rows, (network.card.input.width, network.card.input.height), detector.person)
    if rows.shape[1] < 5:
        raise ExlcapError(
            f"{network.card.name}: its boxes have {rows.shape[1]} columns, not x0, y0, x1, y1, score",
            "mend detector.boxes in the card",
        )
    return rows if len(outputs) == 1 else rows[outputs[1].reshape(-1) == detector.person]


def from_yolox(rows: Array, size: tuple[int, int], person: int) -> Array:
    """Rows of x0, y0, x1, y1, score from the raw grid of YOLOX (Ge et al. 2021). size: (width, height) of the input.

    Its coordinates count pixel edges, as those of ready boxes do.
    """
    cells, strides = [], []
    for stride in YOLOX_STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full((x.size, 1), stride))
    cell, stride_of = np.concatenate(cells), np.concatenate(strides)
    if rows.shape[0] != len(cell) or rows.shape[1] < 6 + person:
        raise ExlcapError(
            f"the boxes are {rows.shape}, not a YOLOX grid of {len(cell)} cells with class {person}",
            'set detector.decoding = "corners" in the card if the file decodes them itself',
        )
    centre, half = (rows[:, :2] + cell) * stride_of, np.exp(np.minimum(rows[:, 2:4], 20)) * stride_of / 2
    score = rows[:, 4] * rows[:, 5 + person]
    return np.concatenate([centre - half, centre + half, score[:, None]], 1)


def _box_in(row: Array, matrix: Matrix, size: tuple[int, int]) -> tuple[Box, float] | None:
    """A row of the input as a box of the picture, cut to it; None if nothing is left."""
    scale = np.diag(matrix)[:2]
    # corners count pixel edges, which lie half a pixel before the centres that the matrix maps
    corners = (row[:4].reshape(2, 2) - 0.5 - matrix[:2, 2]) / scale + 0.5
    low, high = np.maximum(corners[0], 0), np.minimum(corners[1], size)
    if (high - low < 1).any():
        return None
    return (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])), float(min(row[4], 1))


def find_people(network: Network, picture: Rgb8) -> list[tuple[Box, float, Array]]:
    """People of a one-stage network: box, its score, and joints (joints, 3) of x, y, score in the network's order."""
    card = network.card
    if card.onestage is None:
        raise ValueError(f"{card.name} is not a one-stage network")
    size = (picture.shape[1], picture.shape[0])
    matrix = whole_matrix(size, card.input)
    boxes, joints = run(
        network, placed(picture, matrix, card.input)[None], [card.onestage.boxes, card.onestage.keypoints]
    )
    rows, joints = boxes.reshape(-1, boxes.shape[-1]), joints.reshape(-1, *joints.shape[-2:])
    check_joints(card, joints.shape[1])
    if len(rows) != len(joints) or rows.shape[1] < 5 or joints.shape[2] != 3:
        raise ExlcapError(
            f"{card.name} gives boxes {boxes.shape} and joints {joints.shape}", "correct [onestage] in the card"
        )
    back: Matrix = np.linalg.inv(matrix).astype(np.float64)
    people = []
    for row, points in zip(rows, joints, strict=True):
        box = _box_in(row, matrix, size) if row[4] >= BOX_SCORE else None
        if box is not None:
            joints_there: Array = np.concatenate([apply_homography(back, points[:, :2]), points[:, 2:]], 1)
            people.append((*box, joints_there))
    return people
