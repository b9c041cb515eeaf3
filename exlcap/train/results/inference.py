"""Joints of people from their crops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exlcap.core.alignment import apply_homography
from exlcap.core.joints import FLIP_INDICES, N_JOINTS
from exlcap.core.rig import LIGHTS
from exlcap.train.config import Config, LossConfig
from exlcap.train.data.batches import plain_inputs
from exlcap.train.data.crops import Crop
from exlcap.train.data.heatmaps import decode, to_input
from exlcap.train.losses.pose import probabilities
from exlcap.train.networks.pose_net import PoseNet

BATCH = 32
Flip = Literal["none", "mirror", "official"]
"""Whether heat maps are averaged with those of the mirrored input; "official" does this with the two errors of the
official code."""
OFFICIAL_PAIRS = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 13)
"""The joints that the official flip test swaps: its pairs count from 1 and its joints from 0, so it swaps the right
shoulder with the left elbow, and the right ankle with the head."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """joints: float64 (N, 14, 2), x and y in the image; scores: float64 (N, 14), peaks of the heat maps."""

    joints: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]


@torch.no_grad()
def predict_crops(model: PoseNet, crops: Sequence[Crop], config: Config, flip: Flip) -> Predictions:
    """Joints of people, each with the BatchNorm of its own light."""
    device = next(model.parameters()).device
    joints, scores = np.zeros((len(crops), N_JOINTS, 2)), np.zeros((len(crops), N_JOINTS))
    model.eval()
    for light in LIGHTS:
        chosen = [i for i, crop in enumerate(crops) if crop.person.light == light]
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


def heatmaps(model: PoseNet, images: Tensor, n_low: int, config: Config, flip: Flip) -> Tensor:
    """Heat maps (N, 14, H / 4, W / 4) as they are decoded, of inputs ordered [low..., well...]."""
    maps = probabilities(model(images, n_low).refined, config.loss)
    if flip == "none":
        return maps
    mirrored = images.flip(3) / 255 if flip == "official" else images.flip(3)
    return (maps + unmirrored(probabilities(model(mirrored, n_low).refined, config.loss), flip)) / 2


def unmirrored(maps: Tensor, flip: Flip) -> Tensor:
    """Heat maps of a mirrored input as those of the input: columns reversed, left and right joints swapped.

    Both grids share their outer edges, so there is no shift.
    """
    return maps.flip(3)[:, list(OFFICIAL_PAIRS if flip == "official" else FLIP_INDICES)]


def full_score(loss: LossConfig) -> float:
    """Peak of a perfect heat map: that of the targets, or that of a Gaussian of sum 1."""
    if loss.kind == "mse":
        return loss.peak
    return 1 / (2 * math.pi * loss.refine_sigma**2)
