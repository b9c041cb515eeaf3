"""What a run reports while it trains: a progress bar, TensorBoard, log.csv and its plot, pictures of predictions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from exlcap.core.console import progress
from exlcap.core.files import one_at_a_time
from exlcap.core.rig import Light
from exlcap.train.config import Config
from exlcap.train.data.batches import Batch
from exlcap.train.results.gallery import write_gallery
from exlcap.train.results.precision import Judged
from exlcap.train.runs import LogRow, plot_log, read_log, write_log

EVERY = 10
"""Batches between two points in TensorBoard."""


class Pace:
    """How many images an epoch has processed, and how long it waited for them.

    processes: how many processes take a share of the same size.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._images, self._waited_s, self._began = 0, 0.0, time.monotonic()

    def of(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; counting starts again."""
        self._images, self._waited_s, self._began = 0, 0.0, time.monotonic()
        while True:
            asked = time.monotonic()
            batch = next(batches, None)
            self._waited_s += time.monotonic() - asked
            if batch is None:
                return
            self._images += len(batch.images) * self._processes
            yield batch

    @property
    def images_per_s(self) -> float:
        """Images per second since the epoch began, of all processes together."""
        return self._images / max(time.monotonic() - self._began, 1e-9)

    @property
    def waiting(self) -> float:
        """The part of the time, 0..1, spent waiting for a batch."""
        return self._waited_s / max(time.monotonic() - self._began, 1e-9)


class Journal:
    """The record of a run in its folder, used in a ``with`` block that only one process at a time can enter.
    Unless `active`, it prints and writes nothing.

    epoch, step: where the run continues, after `seconds` of training; later rows of log.csv and later points of
    TensorBoard, written after the last checkpoint of a run that was killed, are dropped. steps: batches of an epoch.
    """

    def __init__(
        self, folder: Path, config: Config, active: bool, epoch: int, step: int, steps: int, seconds: float
    ) -> None:
        self._folder, self._config, self._active, self._steps = folder, config, active, steps
        self._rows = [row for row in read_log(folder / "log.csv") if row.epoch <= epoch] if active else []
        self._done = epoch * steps + step
        self._left_s = None if config.optim.minutes is None else 60 * config.optim.minutes - seconds
        self._ap = next((row.val_ap for row in reversed(self._rows) if row.val_ap is not None), None)
        self._open = ExitStack()

    def __enter__(self) -> Journal:
        if self._active:
            trains = one_at_a_time(
                self._folder / ".run", f"trains {self._folder.name}", "wait for it, or choose another --run NAME"
            )
            self._open.enter_context(trains)
            left = self._config.optim.epochs * self._steps - self._done
            self._tell = self._open.enter_context(progress(self._folder.name, left, self._left_s))
            self._board = SummaryWriter(str(self._folder / "tensorboard"), purge_step=self._done or None)
            self._open.callback(self._board.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def batch(self, count: int, losses: Mapping[str, float], lr: float, pace: Pace) -> None:
        """Report a batch, the `count`-th of the run from 0."""
        if not self._active:
            return
        epoch = f"epoch {count // self._steps + 1}/{self._config.optim.epochs}"
        ap = "" if self._ap is None else f", val AP {self._ap:.1f}"
        self._tell(f"{epoch}, {_losses(losses)}{ap}, {pace.images_per_s:.0f} images/s, {pace.waiting:.0%} waiting")
        if count % EVERY == 0:
            self._points(count, {**losses, "lr": lr, "images_per_s": pace.images_per_s, "data_wait": pace.waiting})

    def epoch(
        self, epoch: int, seconds: float, losses: Mapping[str, float], lr: float, pace: Pace,
        judged: Mapping[Light, Judged], data: Path, done: bool,
    ) -> float | None:  # fmt: skip
        """Report an epoch, the `epoch`-th from 1, and draw what is due.

        losses: means over people. judged: the validation split by light, if it was evaluated. data: the data set.
        done: whether it is the last. Returns the mean AP of the lights, None without validation.
        """
        if not self._active:
            return None
        aps = {light: part.scores.ap for light, part in judged.items()}
        val_ap = sum(aps.values()) / len(aps) if aps else None
        self._rows.append(
            LogRow(
                epoch=epoch,
                seconds=seconds,
                losses=losses,
                lr=lr,
                val_ap=val_ap,
                val_ap_low=aps.get("low"),
                val_ap_well=aps.get("well"),
                images_per_s=pace.images_per_s,
                data_wait=pace.waiting,
            )
        )
        write_log(self._folder / "log.csv", self._rows)
        if val_ap is not None:
            self._ap = val_ap
            by_light = {f"val_ap_{light}": ap for light, ap in aps.items()}
            self._points(epoch * self._steps - 1, {"val_ap": val_ap, **by_light})
        if aps or done:
            title = f"{self._folder.name}: {self._config.method.name} on {self._config.data}"
            plot_log(self._folder / "loss.png", self._rows, title)
        every = self._config.optim.pictures_every
        if every and judged and (epoch % every == 0 or done):
            dark = [("val", judged["low"])] if "low" in judged else []
            write_gallery(
                self._folder / "samples" / f"epoch-{epoch:04d}.png", data, self._config, dark, judged.get("well")
            )
        return val_ap

    def _points(self, count: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._board.add_scalar(name, value, count)


def _losses(losses: Mapping[str, float]) -> str:
    """Losses in short: "loss 0.41 (low 0.2, well 0.19, lupi 0.3)"."""
    parts = ", ".join(f"{name.removeprefix('loss_')} {v:.3g}" for name, v in losses.items() if name != "loss")
    return f"loss {losses['loss']:.3g} ({parts})"
