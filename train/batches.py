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
from exlcap.train.augment import PLAIN, draw
from exlcap.train.config import Config, InputConfig, Lights
from exlcap.train.crops import Crop, place
from exlcap.train.heatmaps import to_map
from exlcap.train.inputs import network_input

LOW_FIRST: tuple[Role, Role] = ("low", "well")


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
    images: dict[Role, list[Tensor]] = {"low": [], "well": []}
    joints: dict[Role, list[npt.NDArray[np.float64]]] = {"low": [], "well": []}
    labelled: dict[Role, list[npt.NDArray[np.bool_]]] = {"low": [], "well": []}
    gains: list[tuple[float, float, float]] = []
    for index, pair in chosen:
        rng = np.random.default_rng([config.seed, epoch, index])
        change = draw(rng, config.augment, pair.well.figure.keypoints, pair.well.plain, config.size)
        gains.append(change.gains)
        for crop in pair.crops(config.lights):
            light = crop.figure.light
            pixels, matrix = place(crop, change, config.size)
            images[light].append(as_tensor(pixels))
            keypoints = crop.figure.keypoints[list(FLIP_INDICES)] if change.flip else crop.figure.keypoints
            joints[light].append(apply_homography(matrix, keypoints[:, :2]))
            labelled[light].append(keypoints[:, 2] > 0)
    places = torch.from_numpy(np.stack(joints["low"] + joints["well"])).float()
    factors = torch.tensor(gains, dtype=torch.float32)
    inputs = [
        network_input(torch.stack(images[light]), light, config.input, factors) for light in LOW_FIRST if images[light]
    ]
    return Batch(
        images=torch.cat(inputs),
        n_low=len(images["low"]),
        joints=to_map(places),
        labelled=torch.from_numpy(np.stack(labelled["low"] + labelled["well"])),
    )


def as_tensor(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """A crop, uint8 (H, W, 3), as float32 (3, H, W), 0..1."""
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def plain_inputs(
    crops: Sequence[Crop], size: tuple[int, int], how: InputConfig
) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """People of one lighting, unchanged: inputs float32 (N, 3, H, W) and matrices (N, 3, 3) from image to input."""
    placed = [place(crop, PLAIN, size) for crop in crops]
    images = torch.stack([as_tensor(pixels) for pixels, _ in placed])
    return network_input(images, crops[0].figure.light, how), np.stack([matrix for _, matrix in placed])
