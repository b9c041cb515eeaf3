"""Several processes that train one network: ``torchrun --standalone --nproc-per-node 2 -m -- exlcap train ...``

Every process holds the whole network and takes its share of each batch; gradients are averaged by DDP. BatchNorm
statistics are computed on a process's own share, for each light separately; before saving or validating they are
averaged over the processes. Only the first process writes files and prints. The workspace must be on a file system
that all processes see.
"""

from __future__ import annotations

import datetime
import functools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from exlcap.core.console import say

PATIENCE = datetime.timedelta(hours=2)
"""How long the other processes wait for the first one, which alone fills the cache and validates."""
Item = TypeVar("Item")


@dataclass(frozen=True)
class World:
    """The processes of a run. rank: which of `size` this one is. device: what this one computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """The part of a batch that is this process's: every `size`-th item."""
        return list(items[self.rank :: self.size])

    def clock(self) -> float:
        """Seconds on the first process's clock, so that all agree on what is due. All must call it together."""
        now = time.monotonic()
        if self.size == 1:
            return now
        shared = torch.tensor([now], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Means over the processes. All must call it together, with the same keys."""
        if self.size == 1:
            return values
        total = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return dict(zip(values, (total / self.size).tolist(), strict=True))

    def wait(self) -> None:
        """Block until all processes have called it."""
        if self.size > 1:
            dist.barrier()


@functools.cache
def world() -> World:
    """The processes that torchrun started, connected on the first call; otherwise this one alone."""
    size, rank, local = (int(os.environ.get(name, fallback)) for name, fallback in
                         (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0)))  # fmt: skip
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return World(rank, size, device)


def tell(text: str) -> None:
    """Print a line to standard error, from the first process only."""
    if world().first:
        say(text)


def together(model: nn.Module, where: World) -> nn.Module:
    """The network for training: gradients are averaged over the processes as they are computed.

    One forward pass serves both lights and uses every weight, so DDP need not look for unused ones.
    """
    if where.size == 1:
        return model
    return nn.parallel.DistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=False, gradient_as_bucket_view=True
    )


@torch.no_grad()
def average_statistics(models: Sequence[nn.Module], where: World) -> None:
    """Give all processes the mean of their BatchNorm statistics, for each light separately."""
    if where.size == 1:
        return
    for model in models:
        for buffer in model.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= where.size
