"""The training loop, to be read from top to bottom.

Reproducible: with the same config, data, threads and machine two runs give the same weights, and so does a run that
was killed and resumed. `optim.minutes` gives this up, since the number of epochs then depends on the machine's speed.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Light
from exlcap.train.config import Config
from exlcap.train.data.batches import PairCrop, batches_per_epoch, epoch_batches, prefetched
from exlcap.train.data.crops import Crop
from exlcap.train.data.people import Split
from exlcap.train.journal import Journal, Pace
from exlcap.train.machine.device import keep_memory
from exlcap.train.machine.distributed import World, average_statistics, together, world
from exlcap.train.networks.pose_net import PoseNet, build_model
from exlcap.train.networks.pretrained import load_backbone
from exlcap.train.postmortem import not_a_number
from exlcap.train.results.inference import predict_crops
from exlcap.train.results.precision import Judged, score_split
from exlcap.train.runs import load_checkpoint, save_checkpoint
from exlcap.train.step import (
    batch_losses,
    learning_rate,
    new_optimizer,
    out_of_time,
    training_progress,
    update_average,
)
from exlcap.train.stored import to_toml


@dataclass(frozen=True)
class TrainData:
    """What a run learns from: a data set, the crops of its training pairs, and for each light its part of the
    validation split with its crops. folder: of the data set.
    """

    folder: Path
    checksum: str
    train: Sequence[PairCrop]
    val: Mapping[Light, tuple[Split, Sequence[Crop]]]


@dataclass
class State:
    """What changes during training and is kept in last.pt.

    epoch: how many are done. step: how many batches of the next one are done. sums: of their losses. seconds: spent.
    """

    model: PoseNet
    average: PoseNet
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    best_ap: float | None = None
    done: bool = False


def train(folder: Path, config: Config, data: TrainData) -> State:
    """Train in a run's folder, from its last.pt if there is one.

    Raises ExlcapError when the loss is not a number, or when batches are too small to be shared by the processes.
    """
    keep_memory()
    where = world()
    resumed = (folder / "last.pt").exists()
    if not where.first:  # the first one may have to download backbone weights
        where.wait()
    state = new_state(config, where.device, resumed)
    if where.first:
        where.wait()
    if resumed:
        restore(state, load_checkpoint(folder / "last.pt"))
    if state.done:
        return state
    network = ready(state.model, config, where)
    steps = batches_per_epoch(len(data.train), config.optim.batch)
    check_shares(len(data.train) // steps, where)
    now = saved = where.clock()
    began = now - state.seconds
    pace = Pace(where.size)

    with Journal(folder, config, where.first, state.epoch, state.step, steps, state.seconds) as journal:
        while not state.done:
            state.model.train()
            batches = prefetched(epoch_batches(data.train, config, state.epoch, where, skip=state.step))
            with contextlib.closing(batches):
                for batch in pace.of(batches):
                    count = state.epoch * steps + state.step
                    progress = training_progress(count, steps, now - began, config.optim)
                    lr = learning_rate(progress, state.epoch, config.optim)
                    losses = batch_losses(network, batch, config)
                    parts = losses.values()
                    if not math.isfinite(parts["loss"]):
                        raise not_a_number(folder, batch, data.train, parts, state.epoch + 1, state.step + 1)
                    descend(state, losses.total * batch.share, lr, config.optim.clip_norm)
                    update_average(state.average, state.model, config.optim.ema, count)

                    state.step += 1
                    state.sums = {
                        name: state.sums.get(name, 0.0) + value * batch.share for name, value in parts.items()
                    }
                    journal.batch(count, parts, lr, pace)
                    now = where.clock()
                    if out_of_time(now - began, config.optim):
                        break
                    if now - saved >= 60 * config.machine.checkpoint_minutes and state.step < steps:
                        save(folder, state, config, data, where, now - began)
                        saved = now

            means = {name: value / state.step for name, value in where.mean(state.sums).items()}
            state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
            state.done = state.epoch >= config.optim.epochs or out_of_time(now - began, config.optim)
            average_statistics([state.model, state.average], where)
            judged = validate(state.average, data, config) if where.first and validates(state, config) else {}
            now = saved = where.clock()
            state.done = state.done or (validates(state, config) and out_of_time(now - began, config.optim))
            val_ap = journal.epoch(state.epoch, now - began, means, lr, pace, judged, data.folder, state.done)
            if where.first and is_best(val_ap, state, bool(data.val)):
                state.best_ap = val_ap
                save_checkpoint(folder / "best.pt", weights(state, config, data.checksum))
            save(folder, state, config, data, where, now - began)
    where.wait()
    return state


def new_state(config: Config, device: torch.device, resumed: bool) -> State:
    """Fresh weights from the config's seed and backbone weights; a resumed run does not read the latter.

    Raises ExlcapError for a number format that the device does not support.
    """
    if config.machine.precision == "fp16" and device.type == "cpu":
        raise ExlcapError("machine.precision: fp16 needs a GPU", 'use "bf16" or "fp32" on this machine')
    model = build_model(config.model, config.method.lsbn, config.seed)
    if not resumed:
        load_backbone(model.backbone, config.model)
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return State(
        model=model,
        average=copy.deepcopy(model).requires_grad_(False),
        optimizer=new_optimizer(model, config.optim),
        scaler=torch.amp.GradScaler(device.type, enabled=config.machine.precision == "fp16"),
    )


def ready(model: PoseNet, config: Config, where: World) -> nn.Module:
    """The network as it is trained: compiled if so configured, its gradients shared with the other processes."""
    network = together(model, where)
    return torch.compile(network) if config.machine.compile else network  # type: ignore[return-value]


def check_shares(smallest: int, where: World) -> None:
    """Raise ExlcapError unless every process gets at least one person of the smallest batch."""
    if smallest < where.size:
        raise ExlcapError(
            f"batches of {smallest} pairs cannot be shared by {where.size} processes",
            "start fewer processes, or raise optim.batch in a config file",
        )


def descend(state: State, loss: Tensor, lr: float, clip_norm: float) -> None:
    """One step of the optimiser; with fp16 the loss is scaled so that small gradients survive."""
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.optimizer.zero_grad()
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    if clip_norm:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()


def validates(state: State, config: Config) -> bool:
    """Whether validation follows the epoch that has just ended; pictures of predictions need it too."""
    optim = config.optim
    pictures = optim.pictures_every > 0 and state.epoch % optim.pictures_every == 0
    return state.done or pictures or state.epoch % optim.validate_every == 0


def validate(model: PoseNet, data: TrainData, config: Config) -> dict[Light, Judged]:
    """Predictions and scores on the validation split by light, without flip test."""
    judged: dict[Light, Judged] = {}
    for light, (split, crops) in data.val.items():
        predictions = predict_crops(model, crops, config, "none")
        if scores := score_split(split, predictions):
            judged[light] = Judged(split, split.people, predictions, scores)
    return judged


def is_best(val_ap: float | None, state: State, validates: bool) -> bool:
    """Whether these weights become best.pt: the highest AP so far, or the latest if there is no validation split."""
    if not validates:
        return True
    return val_ap is not None and (state.best_ap is None or val_ap > state.best_ap)


def save(folder: Path, state: State, config: Config, data: TrainData, where: World, seconds: float) -> None:
    """Write last.pt. All processes must call this together."""
    state.seconds, state.sums = seconds, where.mean(state.sums)
    average_statistics([state.model, state.average], where)
    if where.first:
        save_checkpoint(folder / "last.pt", everything(state, config, data.checksum))


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
    """Content of last.pt: everything a resumed run needs to continue as if it had never stopped."""
    return {
        "config": to_toml(config),
        "data_checksum": checksum,
        "epoch": state.epoch,
        "step": state.step,
        "sums": state.sums,
        "seconds": state.seconds,
        "best_ap": state.best_ap,
        "done": state.done,
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict(),
    }


def restore(state: State, saved: dict[str, Any]) -> None:
    """Inverse of `everything`."""
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    state.optimizer.load_state_dict(saved["optimizer"])
    state.scaler.load_state_dict(saved["scaler"])
    state.epoch, state.step, state.sums = saved["epoch"], saved["step"], saved["sums"]
    state.seconds, state.best_ap, state.done = saved["seconds"], saved["best_ap"], saved["done"]
