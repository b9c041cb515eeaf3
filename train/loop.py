"""The training loop, to be read from top to bottom.

Reproducible: with the same config, data, threads and machine two runs give the same weights, and so does a run that
was killed and resumed. `optim.minutes` gives that up, since the number of epochs then depends on the machine's speed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from exlcap.errors import ExlcapError
from exlcap.rig import Role
from exlcap.train.batches import Batch, PairCrop, batches_per_epoch, epoch_batches
from exlcap.train.config import Config, OptimConfig, to_toml
from exlcap.train.crops import Crop
from exlcap.train.evaluate import Scores, score_split
from exlcap.train.losses import pose_losses
from exlcap.train.lupi import batch_lupi
from exlcap.train.model import PoseNet, build_model
from exlcap.train.pairs import Split
from exlcap.train.predict import predict
from exlcap.train.runs import LogRow, load_checkpoint, plot_log, read_log, save_checkpoint, write_log


@dataclass(frozen=True)
class TrainData:
    """What a run learns from: crops of pairs, and for each lighting its part of the validation split and its crops."""

    checksum: str
    train: Sequence[PairCrop]
    val: Mapping[Role, tuple[Split, Sequence[Crop]]]


@dataclass
class State:
    """What changes during training and is kept in last.pt. epoch: how many are done. seconds: spent on them."""

    model: PoseNet
    average: PoseNet
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    seconds: float = 0.0
    best_ap: float | None = None
    done: bool = False


@dataclass(frozen=True)
class Losses:
    """Losses of a batch, scalars; None where the method has no such part."""

    total: Tensor
    low: Tensor | None
    well: Tensor | None
    lupi: Tensor | None


def train(folder: Path, config: Config, data: TrainData, report: Callable[[str], None]) -> State:
    """Train in a run's folder, from its last.pt if there is one. `report` is called once an epoch with a remark.

    Raises ExlcapError when the loss is not a number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = new_state(config, device)
    if (folder / "last.pt").exists():
        restore(state, load_checkpoint(folder / "last.pt"))
    rows = [row for row in read_log(folder / "log.csv") if row.epoch <= state.epoch]
    steps = batches_per_epoch(len(data.train), config.optim.batch)
    began = time.monotonic() - state.seconds

    while not state.done:
        done_steps = 0
        sums: dict[str, float] = {}
        lr = 0.0
        state.model.train()
        for number, batch in enumerate(epoch_batches(data.train, config, state.epoch)):
            step = state.epoch * steps + number
            lr = learning_rate(training_progress(step, steps, time.monotonic() - began, config.optim), config.optim)
            for group in state.optimizer.param_groups:
                group["lr"] = lr
            losses = batch_losses(state.model, to_device(batch, device), config)
            state.optimizer.zero_grad()
            losses.total.backward()  # type: ignore[no-untyped-call]
            state.optimizer.step()
            update_average(state.average, state.model, config.optim.ema, step)
            add_losses(sums, losses)
            if not math.isfinite(sums["loss"]):
                raise ExlcapError(
                    f"the loss is not a number in epoch {state.epoch + 1}, batch {number + 1}",
                    "lower optim.lr or lupi.weight in a config file and start a new run",
                )
            done_steps = number + 1
            if out_of_time(time.monotonic() - began, config.optim):
                break
        state.epoch += 1
        state.seconds = time.monotonic() - began
        state.done = state.epoch >= config.optim.epochs or out_of_time(state.seconds, config.optim)

        scores: dict[Role, Scores | None] = {}
        if state.done or state.epoch % config.optim.validate_every == 0:
            scores = validate(state.average, data, config)
        row = log_row(state, {name: value / done_steps for name, value in sums.items()}, lr, scores)
        rows.append(row)
        write_log(folder / "log.csv", rows)
        if is_best(row.val_ap, state, bool(data.val)):
            state.best_ap = row.val_ap
            save_checkpoint(folder / "best.pt", weights(state, config, data.checksum))
        state.seconds = time.monotonic() - began
        save_checkpoint(folder / "last.pt", everything(state, config, data.checksum))
        if scores or state.done:
            plot_log(folder / "loss.png", rows, f"{folder.name}: {config.method} on {config.data}")
        report(remark(row))
    return state


def new_state(config: Config, device: torch.device) -> State:
    """Fresh weights from the config's seed."""
    model = build_model(config.model, config.uses_lsbn, config.seed)
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.optim.lr, weight_decay=config.optim.weight_decay)
    return State(model, copy.deepcopy(model).requires_grad_(False), optimizer)


def batch_losses(model: PoseNet, batch: Batch, config: Config) -> Losses:
    """Loss = pose(low) + pose(well) + weight * LUPI, whichever of them the method has; means over people."""
    output = model(batch.images, batch.n_low)
    per_person = pose_losses(output.levels, output.refined, batch.joints, batch.labelled, config.loss)
    low = per_person[: batch.n_low].mean() if batch.n_low else None
    well = per_person[batch.n_low :].mean() if batch.n_low < len(per_person) else None
    lupi = None
    if config.uses_lupi:
        lupi = batch_lupi(output.features, batch.n_low, config)
    parts = [part for part in (low, well) if part is not None]
    if lupi is not None:
        parts.append(config.lupi.weight * lupi)
    return Losses(torch.stack(parts).sum(), low, well, lupi)


def training_progress(step: int, steps_per_epoch: int, seconds: float, how: OptimConfig) -> float:
    """How much of the training is over, 0..1: by steps or, where time is limited, by the clock if that is ahead."""
    by_steps = step / (steps_per_epoch * how.epochs)
    by_time = seconds / (60 * how.minutes) if how.minutes else 0.0
    return min(1.0, max(by_steps, by_time))


def learning_rate(progress: float, how: OptimConfig) -> float:
    """Linear warm-up, then a cosine to zero at progress 1."""
    if progress < how.warmup:
        return how.lr * max(progress / how.warmup, 0.01)
    return how.lr * 0.5 * (1 + math.cos(math.pi * (progress - how.warmup) / (1 - how.warmup)))


def out_of_time(seconds: float, how: OptimConfig) -> bool:
    """Whether the time limit is reached; looked at after every batch, since an epoch may outlast it."""
    return how.minutes is not None and seconds >= 60 * how.minutes


@torch.no_grad()
def update_average(average: PoseNet, model: PoseNet, decay: float, step: int) -> None:
    """Exponential moving average of weights and BatchNorm statistics; young averages forget faster."""
    decay = min(decay, (1 + step) / (10 + step)) if decay else 0.0
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def validate(model: PoseNet, data: TrainData, config: Config) -> dict[Role, Scores | None]:
    """Scores on the validation split by lighting, without flip test."""
    return {
        light: score_split(split, predict(model, crops, config, "none"))
        for light, (split, crops) in data.val.items()
    }


def is_best(val_ap: float | None, state: State, validates: bool) -> bool:
    """Whether these weights become best.pt: the highest AP so far, or simply the latest where nothing validates."""
    if not validates:
        return True
    return val_ap is not None and (state.best_ap is None or val_ap > state.best_ap)


def add_losses(sums: dict[str, float], losses: Losses) -> None:
    """Add a batch to the epoch's sums."""
    for name, value in (
        ("loss", losses.total), ("loss_low", losses.low), ("loss_well", losses.well), ("loss_lupi", losses.lupi),
    ):  # fmt: skip
        if value is not None:
            sums[name] = sums.get(name, 0.0) + float(value.detach())


def log_row(state: State, means: dict[str, float], lr: float, scores: dict[Role, Scores | None]) -> LogRow:
    """The epoch's row; `val_ap` is the mean over the lightings that were validated."""
    aps = {light: found.ap for light, found in scores.items() if found is not None}
    return LogRow(
        epoch=state.epoch,
        seconds=state.seconds,
        loss=means["loss"],
        loss_low=means.get("loss_low"),
        loss_well=means.get("loss_well"),
        loss_lupi=means.get("loss_lupi"),
        lr=lr,
        val_ap=sum(aps.values()) / len(aps) if aps else None,
        val_ap_low=aps.get("low"),
        val_ap_well=aps.get("well"),
    )


def remark(row: LogRow) -> str:
    """One epoch in a few words."""
    text = f"epoch {row.epoch}, {row.seconds:.0f} s, loss {row.loss:.3f}"
    return text if row.val_ap is None else f"{text}, val AP {row.val_ap:.1f}"


def weights(state: State, config: Config, checksum: str) -> dict[str, Any]:
    """Content of best.pt: the averaged weights and where they come from."""
    return {
        "config": to_toml(config),
        "data_checksum": checksum,
        "epoch": state.epoch,
        "val_ap": state.best_ap,
        "model": state.average.state_dict(),
    }


def everything(state: State, config: Config, checksum: str) -> dict[str, Any]:
    """Content of last.pt: all that a resumed run needs to go on as if never stopped."""
    return {
        "config": to_toml(config),
        "data_checksum": checksum,
        "epoch": state.epoch,
        "seconds": state.seconds,
        "best_ap": state.best_ap,
        "done": state.done,
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
    }


def restore(state: State, saved: dict[str, Any]) -> None:
    """Inverse of `everything`."""
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    state.optimizer.load_state_dict(saved["optimizer"])
    state.epoch, state.seconds = saved["epoch"], saved["seconds"]
    state.best_ap, state.done = saved["best_ap"], saved["done"]


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch where the network is."""
    return Batch(batch.images.to(device), batch.n_low, batch.joints.to(device), batch.labelled.to(device))
