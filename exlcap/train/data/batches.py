"""Batches of people for training and testing, reproducible from (seed, epoch, index) alone.

What is drawn for a person is drawn on the CPU; pixels are moved, warped and normalised on the device.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from exlcap.core.joints import FLIP_INDICES
from exlcap.core.rig import Light
from exlcap.train.config import Config, InputConfig
from exlcap.train.data.augment import PLAIN, Matrix, change_matrix, draw
from exlcap.train.data.crops import Crop, place
from exlcap.train.data.heatmaps import to_map
from exlcap.train.data.inputs import network_input
from exlcap.train.machine.distributed import World
from exlcap.train.methods import Lights

LOW_FIRST: tuple[Light, Light] = ("low", "well")
CPU = torch.device("cpu")
AHEAD = 2
"""Batches that are prepared while the network works."""


@dataclass(frozen=True)
class PairCrop:
    """The crops of one person in both images of a pair."""

    low: Crop
    well: Crop

    def crops(self, lights: Lights) -> tuple[Crop, ...]:
        """The crops of these lights, low first."""
        return (self.low, self.well) if lights == "both" else (self.low,) if lights == "low" else (self.well,)


@dataclass(frozen=True)
class Batch:
    """images: float32 (N, 3, H, W), [low..., well...]; n_low: how many are low-light. joints: float32 (N, 14, 2), x, y
    in heat map pixels. labelled: bool (N, 14). With both lights, images i and n_low + i show the same person.

    share: if several processes divide a batch, the weight of this part's mean in the mean over the whole, times their
    number. people: indices in the data set.
    """

    images: Tensor
    n_low: int
    joints: Tensor
    labelled: Tensor
    share: float = 1.0
    people: tuple[int, ...] = ()


def epoch_batches(
    pairs: Sequence[PairCrop], config: Config, epoch: int, world: World | None = None, skip: int = 0
) -> Iterator[Batch]:
    """The batches of one epoch: every person once, in batches of nearly equal size (a tiny one would upset BatchNorm).

    world: of each batch only this process's share, on its device. skip: number of batches to leave out at the start.
    """
    world = world or World(0, 1, CPU)
    order = np.random.default_rng([config.seed, epoch]).permutation(len(pairs))
    for chosen in np.array_split(order, batches_per_epoch(len(pairs), config.optim.batch))[skip:]:
        own = world.share(chosen.tolist())
        share = len(own) * world.size / len(chosen)
        yield train_batch([(i, pairs[i]) for i in own], config, epoch, world.device, share)


def batches_per_epoch(people: int, batch: int) -> int:
    """Number of batches of one epoch."""
    return max(1, round(people / batch))


def train_batch(
    chosen: Sequence[tuple[int, PairCrop]], config: Config, epoch: int, device: torch.device = CPU, share: float = 1.0
) -> Batch:
    """A batch of augmented people. chosen: (index in the data set, crops). Both images of a pair change alike."""
    changes = []
    for index, pair in chosen:
        rng = np.random.default_rng([config.seed, epoch, index])
        changes.append(draw(rng, config.augment, pair.well.person.keypoints, pair.well.plain, config.size))
    matrices = np.stack([change_matrix(change, config.size) for change in changes])
    flipped = np.array([change.flip for change in changes])
    gains = torch.tensor([change.gains for change in changes], dtype=torch.float32, device=device)
    lights = [light for light in LOW_FIRST if config.method.lights in ("both", light)]
    n = len(chosen)
    images = torch.empty((n * len(lights), *config.size, 3), device=device).permute(0, 3, 1, 2)  # channels last
    joints, labelled = [], []
    for number, light in enumerate(lights):
        crops = [getattr(pair, light) for _, pair in chosen]
        to_input = matrices @ np.stack([crop.plain for crop in crops])
        pixels = warped(crops, to_input, config.size, device)
        network_input(pixels, light, config.input, gains, out=images[number * n : (number + 1) * n])
        keypoints = np.stack([crop.person.keypoints for crop in crops])
        keypoints[flipped] = keypoints[flipped][:, list(FLIP_INDICES)]
        joints.append(keypoints[..., :2] @ to_input[:, :2, :2].transpose(0, 2, 1) + to_input[:, None, :2, 2])
        labelled.append(keypoints[..., 2] > 0)
    return Batch(
        images=images,
        n_low=n if "low" in lights else 0,
        joints=to_map(torch.from_numpy(np.concatenate(joints)).float().to(device)),
        labelled=torch.from_numpy(np.concatenate(labelled)).to(device),
        share=share,
        people=tuple(index for index, _ in chosen),
    )


def warped(crops: Sequence[Crop], to_input: Matrix, size: tuple[int, int], device: torch.device) -> Tensor:
    """Crops as inputs, bilinear; beyond a crop lies its mean colour. (N, 3, height, width), channels last.

    to_input: (N, 3, 3), image coordinates to those of the input of (height, width) = `size`. On the CPU uint8, by
    OpenCV, which takes a third of the time of grid_sample there; elsewhere float of 0..1.
    """
    matrices = to_input @ np.linalg.inv(np.stack([crop.to_pixels for crop in crops]))
    if device.type != "cpu":
        pixels = torch.from_numpy(np.stack([crop.pixels for crop in crops]))
        pixels = pixels.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else pixels.to(device)
        borders = torch.tensor([crop.border for crop in crops], dtype=torch.float32, device=device)
        return sampled(pixels, borders, torch.from_numpy(matrices).to(device), size)
    inputs = np.empty((len(crops), *size, 3), np.uint8)
    for crop, matrix, out in zip(crops, matrices, inputs, strict=True):
        cv2.warpAffine(crop.pixels, matrix[:2], (size[1], size[0]), dst=out, borderValue=crop.border)
    return torch.from_numpy(inputs).permute(0, 3, 1, 2)


def sampled(pixels: Tensor, borders: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """`warped` for any device, in one batch. Returns float32 (N, 3, height, width), 0..1.

    pixels: uint8 (N, h, w, 3). borders: float32 (N, 3), 0..255. matrices: float64 (N, 3, 3), pixels to the input.
    """
    height, width = size
    back = torch.linalg.inv(matrices).float()
    x = torch.arange(width, device=pixels.device, dtype=torch.float32)
    y = torch.arange(height, device=pixels.device, dtype=torch.float32)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    grid = torch.stack([columns, rows], -1)[None] @ back[:, None, :2, :2].mT + back[:, None, None, :2, 2]
    sides = grid.new_tensor([pixels.shape[2], pixels.shape[1]])
    grid = (2 * grid + 1) / sides - 1  # grid_sample's units: -1 and 1 are the outer edges
    border = borders[:, :, None, None]
    images = pixels.permute(0, 3, 1, 2).float() - border  # 0 is what grid_sample takes beyond the edges
    return (F.grid_sample(images, grid, align_corners=False) + border) / 255


def plain_inputs(
    crops: Sequence[Crop], size: tuple[int, int], config: InputConfig
) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """People in one light, not augmented: inputs float32 (N, 3, H, W) and matrices (N, 3, 3) from image to input."""
    placed = [place(crop, PLAIN, size) for crop in crops]
    images = torch.from_numpy(np.stack([pixels for pixels, _ in placed])).permute(0, 3, 1, 2)
    return network_input(images, crops[0].person.light, config), np.stack([matrix for _, matrix in placed])


def prefetched(batches: Iterator[Batch]) -> Generator[Batch, None, None]:
    """The same batches, prepared by a thread (OpenCV, NumPy and torch release the interpreter lock)."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for batch in batches:
                put(batch)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # raised again where the batches are used
            put(error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
