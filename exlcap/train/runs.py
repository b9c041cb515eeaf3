"""The folder of a training run: checkpoints, the log and its plot, and a record of the environment."""

from __future__ import annotations

import csv
import io
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from exlcap import __version__
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_atomic, write_json
from exlcap.core.rig import LIGHTS
from exlcap.train.config import Config
from exlcap.train.machine.distributed import world
from exlcap.train.stored import to_toml

FORMAT = 1
LOSSES = ("loss", "loss_low", "loss_well", "loss_lupi")
"""Losses that have a column in every log.csv, as since version 0.1; a method with others adds columns behind them."""
VALUES = ("lr", "val_ap", "val_ap_low", "val_ap_well", "images_per_s", "data_wait")
PACKAGES = ("torch", "numpy", "opencv-python-headless", "pycocotools", "pydantic")


@dataclass(frozen=True)
class LogRow:
    """One epoch. seconds: since training began. losses: means over people, the total as "loss", its parts as
    "loss_<name>". A value that does not exist is None. images_per_s and data_wait (the part of the time spent waiting
    for data, 0..1) are of this epoch alone.
    """

    epoch: int
    seconds: float
    losses: Mapping[str, float]
    lr: float
    val_ap: float | None
    val_ap_low: float | None
    val_ap_well: float | None
    images_per_s: float
    data_wait: float


def make_run_folder(folder: Path, config: Config, data_checksum: str, backbone_sha256: str | None) -> None:
    """Make the folder of a run with its config.toml and environment.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "environment.json", environment(config, data_checksum, backbone_sha256))
    write_atomic(folder / "config.toml", to_toml(config).encode())


def environment(config: Config, data_checksum: str, backbone_sha256: str | None) -> dict[str, Any]:
    """What a run was trained with besides its config: versions, machine, command and data."""
    return {
        "format": FORMAT,
        "exlcap": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "processes": world().size,
        "command": sys.argv,
        "seed": config.seed,
        "data": config.data,
        "data_checksum": data_checksum,
        "backbone_sha256": backbone_sha256,
    }


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values atomically."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing in it is executed.

    Raises ExlcapError when it is missing, damaged, or of an unknown format.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ExlcapError(f"no checkpoint {path}", "train a network first with `exlcap train`") from None
    except Exception as error:  # torch raises whatever its parsers meet first in a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExlcapError(
            f"{path} is damaged or not a checkpoint ({reason})", "restore it from a copy or train again"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ExlcapError(f"{path}: not a checkpoint of format {FORMAT}", "train again with this version of exlcap")
    return content


def write_log(path: Path, rows: Sequence[LogRow]) -> None:
    """Write log.csv: one row per epoch, empty where a value does not exist.

    The columns of the losses are LOSSES, then any other in the order in which the rows first have it.
    """
    losses = list(dict.fromkeys([*LOSSES, *(name for row in rows for name in row.losses)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "seconds", *losses, *VALUES])
    for row in rows:
        values = [row.epoch, row.seconds, *(row.losses.get(name) for name in losses)]
        values += [getattr(row, name) for name in VALUES]
        writer.writerow("" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in values)
    write_atomic(path, text.getvalue().encode())


def read_log(path: Path) -> list[LogRow]:
    """Read log.csv; a missing file holds no rows."""
    if not path.exists():
        return []
    rows = []
    for line in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
        values = {name: float(value) for name, value in line.items() if value}
        losses = {name: value for name, value in values.items() if name == "loss" or name.startswith("loss_")}
        others: dict[str, Any] = {name: values.get(name) for name in VALUES}
        rows.append(LogRow(int(line["epoch"]), values["seconds"], losses, **others))
    return rows


def plot_log(path: Path, rows: Sequence[LogRow], title: str) -> None:
    """Plot the losses, and the AP on the validation split if there is one, over epochs as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    epochs = [row.epoch for row in rows]
    for name in dict.fromkeys(name for row in rows for name in row.losses if name != "loss"):
        part = name.removeprefix("loss_")
        values = [row.losses.get(name, np.nan) for row in rows]
        axes.plot(epochs, values, label=f"loss, {part if part in LIGHTS else part.upper()}")
    axes.set(xlabel="epoch", ylabel="loss", title=title, ylim=(0, None))
    handles = axes.get_legend_handles_labels()[0]
    if validated := [row for row in rows if row.val_ap is not None]:
        right = axes.twinx()
        right.set(ylabel="AP on the validation split", ylim=(0, 100))
        points = np.array([(row.epoch, row.val_ap) for row in validated], np.float64)
        handles += right.plot(points[:, 0], points[:, 1], "k.--", label="val AP")
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomic(path, buffer.getvalue())
