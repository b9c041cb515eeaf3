"""Joints of people from their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exlcap.alignment import apply_homography
from exlcap.joints import FLIP_INDICES, N_JOINTS
from exlcap.rig import ROLES
from exlcap.train.batches import plain_inputs
from exlcap.train.config import Config
from exlcap.train.crops import Crop
from exlcap.train.heatmaps import decode, to_input
from exlcap.train.losses import probabilities
from exlcap.train.model import PoseNet

BATCH = 32


@dataclass(frozen=True, eq=False)
class Predictions:
    """joints: float64 (N, 14, 2), x and y in the image; scores: float64 (N, 14), how high each heat map peaks."""

    joints: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]


@torch.no_grad()
def predict(model: PoseNet, crops: Sequence[Crop], config: Config, flip: bool) -> Predictions:
    """Joints of people, each with the BatchNorm of its own lighting.

    flip: average the heat maps with those of the mirrored input, in which left is right.
    """
    device = next(model.parameters()).device
    joints, scores = np.zeros((len(crops), N_JOINTS, 2)), np.zeros((len(crops), N_JOINTS))
    model.eval()
    for light in ROLES:
        chosen = [i for i, crop in enumerate(crops) if crop.figure.light == light]
        for start in range(0, len(chosen), BATCH):
            part = chosen[start : start + BATCH]
            images, matrices = plain_inputs([crops[i] for i in part], config.size, config.input)
            n_low = len(part) if light == "low" else 0
            maps = heatmaps(model, images.to(device), n_low, config, flip)
            places, heights = decode(maps.cpu())
            scores[part] = heights.numpy()
            for i, matrix, place in zip(part, matrices, to_input(places).double().numpy(), strict=True):
                joints[i] = apply_homography(np.linalg.inv(matrix), place)
    return Predictions(joints, scores)


def heatmaps(model: PoseNet, images: Tensor, n_low: int, config: Config, flip: bool) -> Tensor:
    """Heat maps (N, 14, H / 4, W / 4) as they are decoded, of inputs ordered [low..., well...]."""
    maps = probabilities(model(images, n_low).refined, config.loss)
    if not flip:
        return maps
    mirrored = probabilities(model(images.flip(3), n_low).refined, config.loss)
    return (maps + unmirrored(mirrored)) / 2


def unmirrored(maps: Tensor) -> Tensor:
    """Heat maps of a mirrored input as those of the input: columns reversed, left and right joints swapped.

    Both grids share their outer edges, so that no shift is left over.
    """
    return maps.flip(3)[:, list(FLIP_INDICES)]
