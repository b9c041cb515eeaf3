"""One step of training: the losses of a batch, the optimiser, its learning rate, the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from exlcap.train.config import Config, OptimConfig
from exlcap.train.data.batches import Batch
from exlcap.train.losses.pose import pose_losses
from exlcap.train.machine.device import autocast
from exlcap.train.networks.pose_net import Output


@dataclass(frozen=True)
class Losses:
    """Losses of a batch, scalars in float32 at least.

    parts: what the total is the weighted sum of, without the weights: the pose losses "low" and "well" of the lights
    that the method trains on, then its own losses by name.
    """

    total: Tensor
    parts: Mapping[str, Tensor]

    def values(self) -> dict[str, float]:
        """The total as "loss" and its parts as "loss_<name>", as log.csv and TensorBoard name them."""
        tensors = {"loss": self.total, **{f"loss_{name}": part for name, part in self.parts.items()}}
        numbers = torch.stack([value.detach() for value in tensors.values()]).tolist()
        return dict(zip(tensors, numbers, strict=True))


def batch_losses(model: nn.Module, batch: Batch, config: Config) -> Losses:
    """Loss = pose(low) + pose(well) + weight * loss for each of the method's own losses; means over people.

    The network runs in the config's number format, the losses in float32 at least.
    """
    with autocast(batch.images.device, config.machine):
        output: Output = model(batch.images, batch.n_low)
    per_person = pose_losses(output.levels, output.refined, batch.joints, batch.labelled, config.loss)
    lights = {"low": per_person[: batch.n_low], "well": per_person[batch.n_low :]}
    parts = {light: losses.mean() for light, losses in lights.items() if len(losses)}
    weighted = list(parts.values())
    for name, method_loss in config.method.losses.items():
        parts[name], weight = method_loss(output, batch, config)
        weighted.append(weight * parts[name])
    return Losses(torch.stack(weighted).sum(), parts)


def new_optimizer(model: nn.Module, optim: OptimConfig) -> torch.optim.Optimizer:
    """Adam, or AdamW with decoupled weight decay; fused, one call for all weights."""
    kind = torch.optim.AdamW if optim.optimiser == "adamw" else torch.optim.Adam
    return kind(model.parameters(), lr=optim.lr, weight_decay=optim.weight_decay, fused=True)


def training_progress(step: int, steps_per_epoch: int, seconds: float, optim: OptimConfig) -> float:
    """Completed part of the training, 0..1: by steps or, if time is limited and further on, by the clock."""
    by_steps = step / (steps_per_epoch * optim.epochs)
    by_time = seconds / (60 * optim.minutes) if optim.minutes else 0.0
    return min(1.0, max(by_steps, by_time))


def learning_rate(progress: float, epoch: int, optim: OptimConfig) -> float:
    """Linear warm-up, then a cosine to zero at progress 1, or `factor` for each milestone that `epoch` has reached.

    epoch: number of completed epochs.
    """
    if progress < optim.warmup:
        return optim.lr * max(progress / optim.warmup, 0.01)
    if optim.schedule == "steps":
        return optim.lr * optim.factor ** sum(epoch >= milestone for milestone in optim.milestones)
    return optim.lr * 0.5 * (1 + math.cos(math.pi * (progress - optim.warmup) / (1 - optim.warmup)))


def out_of_time(seconds: float, optim: OptimConfig) -> bool:
    """Whether the time limit is reached; checked after every batch, since an epoch may take longer."""
    return optim.minutes is not None and seconds >= 60 * optim.minutes


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of weights and BatchNorm statistics; young averages forget faster."""
    decay = min(decay, (1 + step) / (10 + step)) if decay else 0.0
    old, new = list(average.state_dict().values()), list(model.state_dict().values())
    numbers = [i for i, value in enumerate(old) if value.is_floating_point()]
    torch._foreach_lerp_([old[i] for i in numbers], [new[i] for i in numbers], 1 - decay)
    for averaged, latest in zip(old, new, strict=True):
        if not averaged.is_floating_point():
            averaged.copy_(latest)
