"""From what a network of crops gives out to places in its input: float64 (N, joints, 3) of x, y, score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exlcap.annotate.networks.card import Card, Coordinates, Heatmap, Simcc
from exlcap.annotate.networks.network import Array, Network, run
from exlcap.core.develop import Rgb8
from exlcap.core.errors import ExlcapError


def joints_in_crops(network: Network, crops: Rgb8) -> Array:
    """Joints of the person in each crop, uint8 (N, height, width, 3), in the network's own order.

    Raises ExlcapError when the network gives another number of joints than its card names.
    """
    card = network.card
    if card.heatmap is not None:
        (maps,) = run(network, crops, [card.heatmap.output])
        joints = from_heatmaps(maps, card.heatmap, (card.input.width, card.input.height))
    elif card.simcc is not None:
        along_x, along_y = run(network, crops, [card.simcc.x, card.simcc.y])
        joints = from_simcc(along_x, along_y, card.simcc)
    elif card.coordinates is not None:
        (values,) = run(network, crops, [card.coordinates.output])
        joints = from_coordinates(values, card.coordinates, (card.input.width, card.input.height))
    else:
        raise ValueError(f"{card.name} is not a network of crops")
    check_joints(card, joints.shape[1])
    return joints


def check_joints(card: Card, count: int) -> None:
    """Raise ExlcapError unless a network's joints are as many as its card names."""
    if card.joints is None or count != len(card.joints.names):
        named = 0 if card.joints is None else len(card.joints.names)
        raise ExlcapError(
            f"{card.name} gives {count} joints, its card names {named}", "correct joints.names in the card"
        )


def from_heatmaps(maps: Array, heatmap: Heatmap, size: tuple[int, int]) -> Array:
    """Where each map peaks. maps: (N, joints, h, w), or (N, h, w, joints) for NHWC. size: (width, height) of the input.

    "gaussian": a parabola through the logarithms of the highest pixel and its neighbours, exact for a Gaussian (Zhang
    et al., CVPR 2020). "quarter": a quarter pixel to the higher neighbour (Newell et al., ECCV 2016).
    """
    if maps.ndim != 4:
        raise ExlcapError(f"heat maps have the shape {maps.shape}, not four axes", "mend heatmap.output in the card")
    if heatmap.layout == "NHWC":
        maps = maps.transpose(0, 3, 1, 2)
    maps = _blurred(maps, heatmap.blur) if heatmap.blur else maps
    n, joints, height, width = maps.shape
    flat = maps.reshape(n, joints, -1)
    rows, columns = np.divmod(flat.argmax(2), width)
    person, joint = np.ogrid[:n, :joints]
    x = columns + _refined(maps[person, joint, rows], columns, heatmap.refine)
    y = rows + _refined(maps[person, joint, :, columns], rows, heatmap.refine)
    stride = np.array([heatmap.stride or size[0] / width, heatmap.stride or size[1] / height])
    places = (np.stack([x, y], -1) + heatmap.offset) * stride - heatmap.offset
    return np.concatenate([places, flat.max(2)[..., None]], -1)


def _blurred(maps: Array, side: int) -> Array:
    import cv2

    return np.stack([[cv2.GaussianBlur(joint, (side, side), 0) for joint in person] for person in maps])


def _refined(lines: Array, top: npt.NDArray[np.intp], refine: str) -> Array:
    """Shift from the highest sample of each line to its vertex, at most one sample. lines: (N, joints, L)."""
    middle = np.clip(top, 1, lines.shape[2] - 2)[..., None]
    before, at, after = (np.take_along_axis(lines, middle + step, 2)[..., 0] for step in (-1, 0, 1))
    if refine == "none":
        return np.zeros_like(at)
    if refine == "quarter":
        return np.where(middle[..., 0] == top, 0.25 * np.sign(after - before), 0.0)
    before, at, after = (np.log(np.maximum(value, 1e-10)) for value in (before, at, after))
    curvature = before - 2 * at + after
    flat = curvature > -1e-6
    vertex = np.where(flat, 0.0, 0.5 * (before - after) / np.where(flat, 1.0, curvature))
    return np.clip(middle[..., 0] + vertex - top, -1, 1)


def from_simcc(x: Array, y: Array, simcc: Simcc) -> Array:
    """Where each line peaks; the score is the smaller of the two peaks. x: (N, joints, bins), y alike."""
    if x.ndim != 3 or y.ndim != 3 or x.shape[:2] != y.shape[:2]:
        raise ExlcapError(
            f"SimCC outputs have the shapes {x.shape} and {y.shape}", "mend simcc.x and simcc.y in the card"
        )
    return np.stack([x.argmax(2) / simcc.split, y.argmax(2) / simcc.split, np.minimum(x.max(2), y.max(2))], -1)


def from_coordinates(values: Array, coordinates: Coordinates, size: tuple[int, int]) -> Array:
    """Coordinates as given. values: (N, ..., joints, 3) of one person. size: (width, height) of the input."""
    if values.ndim < 3 or values.shape[-1] != 3:
        raise ExlcapError(f"coordinates have the shape {values.shape}", "mend coordinates.output in the card")
    values = values.reshape(len(values), -1, 3)
    x, y = (values[..., 1], values[..., 0]) if coordinates.order == "yxs" else (values[..., 0], values[..., 1])
    places = np.stack([x, y], -1) * (size if coordinates.unit == "share" else 1) - coordinates.offset
    return np.concatenate([places, values[..., 2:]], -1)
