"""Batches of people for training and testing, reproducible from (seed, epoch, index) alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from exlcap.alignment import apply_homography
from exlcap.joints import FLIP_INDICES
from exlcap.rig import Role
from exlcap.train.config import AugmentConfig, Config, Lights
from exlcap.train.crops import PLAIN, Change, Crop, place
from exlcap.train.heatmaps import to_map

LOW_MEAN = 0.4
"""Mean that each channel of a low-light input is scaled to (Lee et al. 2023, section 4.1)."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, as the usual backbone weights expect; the same for both lightings."""


@dataclass(frozen=True)
class PairCrop:
    """The crops of one person in both images of a pair."""

    low: Crop
    well: Crop

    def crops(self, lights: Lights) -> tuple[Crop, ...]:
        """Those of the lightings asked for, low first."""
        return (self.low, self.well) if lights == "both" else (self.low,) if lights == "low" else (self.well,)


@dataclass(frozen=True)
class Batch:
    """images: float32 (N, 3, H, W), [low..., well...]; n_low: how many are low-light. joints: float32 (N, 14, 2), x, y
    in heat map pixels. labelled: bool (N, 14). With both lightings, image i and n_low + i show the same person.
    """

    images: Tensor
    n_low: int
    joints: Tensor
    labelled: Tensor


def epoch_batches(pairs: Sequence[PairCrop], config: Config, epoch: int) -> Iterator[Batch]:
    """The batches of one epoch: everybody once, in batches of nearly equal size (a tiny one would upset BatchNorm)."""
    order = np.random.default_rng([config.seed, epoch]).permutation(len(pairs))
    for chosen in np.array_split(order, batches_per_epoch(len(pairs), config.optim.batch)):
        yield train_batch([(int(i), pairs[int(i)]) for i in chosen], config, epoch)


def batches_per_epoch(people: int, batch: int) -> int:
    """Number of batches of one epoch."""
    return max(1, round(people / batch))


def train_batch(chosen: Sequence[tuple[int, PairCrop]], config: Config, epoch: int) -> Batch:
    """A batch of augmented people. chosen: (place in the data set, crops). Both images of a pair change alike."""
    size = (config.model.height, config.model.width)
    images: dict[Role, list[Tensor]] = {"low": [], "well": []}
    joints: dict[Role, list[npt.NDArray[np.float64]]] = {"low": [], "well": []}
    labelled: dict[Role, list[npt.NDArray[np.bool_]]] = {"low": [], "well": []}
    for index, pair in chosen:
        rng = np.random.default_rng([config.seed, epoch, index])
        change = draw_change(rng, config.augment)
        tint = draw_tint(rng, config.augment)
        for crop in pair.crops(config.lights):
            light = crop.figure.light
            pixels, matrix = place(crop, change, size)
            images[light].append(scaled(pixels, light) * tint)
            keypoints = crop.figure.keypoints[list(FLIP_INDICES)] if change.flip else crop.figure.keypoints
            joints[light].append(apply_homography(matrix, keypoints[:, :2]))
            labelled[light].append(keypoints[:, 2] > 0)
    places = torch.from_numpy(np.stack(joints["low"] + joints["well"])).float()
    return Batch(
        images=normalised(torch.stack(images["low"] + images["well"])),
        n_low=len(images["low"]),
        joints=to_map(places),
        labelled=torch.from_numpy(np.stack(labelled["low"] + labelled["well"])),
    )


def draw_change(rng: np.random.Generator, how: AugmentConfig) -> Change:
    """A random change of geometry."""
    return Change(
        flip=how.flip and bool(rng.random() < 0.5),
        rotation_deg=rng.uniform(-how.rotation_deg, how.rotation_deg),
        scale=rng.uniform(1 - how.scale, 1 + how.scale),
        shift_x=rng.uniform(-how.shift, how.shift),
        shift_y=rng.uniform(-how.shift, how.shift),
    )


def draw_tint(rng: np.random.Generator, how: AugmentConfig) -> Tensor:
    """A random factor for each channel, float32 (3, 1, 1)."""
    factor = rng.uniform(1 - how.brightness, 1 + how.brightness) * rng.uniform(1 - how.colour, 1 + how.colour, 3)
    return torch.from_numpy(factor.astype(np.float32)).view(3, 1, 1)


def scaled(pixels: npt.NDArray[np.uint8], light: Role) -> Tensor:
    """A crop as float32 (3, H, W): 0..1 for a well-lit one, each channel's mean brought to 0.4 for a low-light one.

    pixels: uint8 (H, W, 3). A black channel stays black.
    """
    image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    if light == "well":
        return image
    mean = image.mean((1, 2), keepdim=True)
    return torch.where(mean > 0, image * LOW_MEAN / mean.clamp_min(1e-6), image)


def normalised(images: Tensor) -> Tensor:
    """Mean and standard deviation taken out, alike for both lightings. (N, 3, H, W), channels last in memory."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def plain_inputs(crops: Sequence[Crop], size: tuple[int, int]) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """People as they are, unchanged: inputs float32 (N, 3, H, W) and matrices (N, 3, 3) from image to input."""
    placed = [place(crop, PLAIN, size) for crop in crops]
    images = [scaled(pixels, crop.figure.light) for crop, (pixels, _) in zip(crops, placed, strict=True)]
    return normalised(torch.stack(images)), np.stack([matrix for _, matrix in placed])
