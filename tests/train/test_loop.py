"""Training: it can be stopped anywhere and resumed as if it had not been, and it learns."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from exlcap.core.errors import ExlcapError
from exlcap.train import journal, loop
from exlcap.train.config import Config
from exlcap.train.data.batches import Batch, batches_per_epoch, epoch_batches
from exlcap.train.data.heatmaps import to_input
from exlcap.train.journal import Journal, Pace
from exlcap.train.loop import State, TrainData, train
from exlcap.train.machine.distributed import World
from exlcap.train.methods import method_named
from exlcap.train.postmortem import picture
from exlcap.train.prepare import new_config, new_run, read_data
from exlcap.train.runs import load_checkpoint, read_log, save_checkpoint


@pytest.fixture
def config(tiny_toml: Path) -> Config:
    return new_config("small", tiny_toml, {"data": "sticks"})


@pytest.fixture
def data_folder(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> Path:
    return write_stick_figures(tmp_path, train=6, val=2, test=1)


@pytest.fixture
def data(data_folder: Path, config: Config) -> TrainData:
    return read_data(data_folder, config)


def run_in(folder: Path, config: Config, data: TrainData) -> State:
    folder.mkdir(exist_ok=True)
    return train(folder, config, data)


def optim(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"optim": config.optim.model_copy(update=changes)})


def machine(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"machine": config.machine.model_copy(update=changes)})


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal to the last bit, all the way down."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b or where.endswith("seconds"), where


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from exlcap.train import loop
from exlcap.train.postmortem import picture
from exlcap.train.prepare import new_config, new_run
torch.set_num_threads(1)
root, config_file, at_batch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
config = new_config("small", config_file, {"data": "sticks", "machine": {"checkpoint_minutes": float(sys.argv[4])}})
whole, seen = loop.batch_losses, 0
def batch_losses(*args):
    global seen
    seen += 1
    if seen == at_batch:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args)
loop.batch_losses = batch_losses
data = new_run(root / "killed", config, root / "datasets" / "sticks")
loop.train(root / "killed", config, data)
"""


def kill(root: Path, config_file: Path, at_batch: int, checkpoint_minutes: float) -> None:
    """Train in another process that ends with kill -9 at a batch, counted from 1."""
    script = [sys.executable, "-c", KILLED, root, config_file, at_batch, checkpoint_minutes]
    killed = subprocess.run([str(part) for part in script], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("minutes, done", [(0.0, 1), (10.0, 0)], ids=["each batch", "each epoch"])
def test_a_run_killed_with_kill_9_resumes_to_the_same_bits_as_one_that_was_not(
    tmp_path: Path, tiny_toml: Path, config: Config, data: TrainData, minutes: float, done: int
) -> None:
    """Killed in the middle of the second of two epochs; it goes on there, or where its last checkpoint is."""
    kill(tmp_path, tiny_toml, at_batch=4, checkpoint_minutes=minutes)
    config = machine(config, checkpoint_minutes=minutes)
    last = load_checkpoint(tmp_path / "killed" / "last.pt")
    assert (last["epoch"], last["step"]) == (1, done) and batches_per_epoch(len(data.train), 4) == 2
    run_in(tmp_path / "killed", config, data)
    run_in(tmp_path / "straight", config, data)
    for name in ("last.pt", "best.pt"):
        assert_same(*(load_checkpoint(tmp_path / run / name) for run in ("killed", "straight")))
    logs = [read_log(tmp_path / run / "log.csv") for run in ("killed", "straight")]
    assert [(row.epoch, row.losses["loss"], row.lr, row.val_ap) for row in logs[0]] == [
        (row.epoch, row.losses["loss"], row.lr, row.val_ap) for row in logs[1]
    ]
    assert [row.epoch for row in logs[0]] == [1, 2]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_before_its_first_checkpoint_starts_again_on_resume(
    tmp_path: Path, tiny_toml: Path, config: Config, data: TrainData
) -> None:
    kill(tmp_path, tiny_toml, at_batch=1, checkpoint_minutes=10)
    assert not (tmp_path / "killed" / "last.pt").exists()
    assert run_in(tmp_path / "killed", optim(config, epochs=1), data).epoch == 1


def test_another_seed_gives_other_weights(tmp_path: Path, config: Config, data: TrainData) -> None:
    a = run_in(tmp_path / "a", config, data)
    b = run_in(tmp_path / "b", config.model_copy(update={"seed": 1}), data)
    assert not torch.equal(a.model.backbone.conv1.weight, b.model.backbone.conv1.weight)


@pytest.mark.parametrize(
    "method, parts",
    [
        ("ours", {"loss_low", "loss_well", "loss_lupi"}),
        ("lupi", {"loss_low", "loss_well", "loss_lupi"}),
        ("lsbn", {"loss_low", "loss_well"}),
        ("baseline-all", {"loss_low", "loss_well"}),
        ("baseline-low", {"loss_low"}),
        ("baseline-well", {"loss_well"}),
    ],
)
def test_a_method_s_loss_is_the_sum_of_its_parts(
    tmp_path: Path, config: Config, data_folder: Path, method: str, parts: set[str]
) -> None:
    config = optim(config.model_copy(update={"method": method_named(method)}), epochs=1)
    run_in(tmp_path / method, config, read_data(data_folder, config))
    (row,) = read_log(tmp_path / method / "log.csv")
    assert set(row.losses) == {"loss", *parts}
    weights = {"loss_low": 1, "loss_well": 1, "loss_lupi": config.lupi.weight}
    total = sum(weights[name] * row.losses[name] for name in parts)
    assert row.losses["loss"] == pytest.approx(total, rel=1e-4)
    assert (row.val_ap_low is None) == (method == "baseline-well")


def test_only_the_low_light_side_of_a_plain_network_learns_from_lupi(config: Config, data: TrainData) -> None:
    """With LSBN, the well-lit BatchNorm must not move by the Gram loss alone."""
    state = loop.new_state(config, torch.device("cpu"), resumed=False)
    batch = next(epoch_batches(data.train, config, 0))
    losses = loop.batch_losses(state.model, batch, config)
    losses.parts["lupi"].backward()
    bn = state.model.backbone.bn1
    assert bn.low.weight.grad.abs().sum() > 0
    assert bn.well.weight.grad is None or bn.well.weight.grad.abs().sum() == 0


def test_the_run_folder_holds_log_curve_and_checkpoints_with_config_and_checksum(
    tmp_path: Path, config: Config, data_folder: Path
) -> None:
    folder = tmp_path / "run"
    data = new_run(folder, config, data_folder)
    run_in(folder, config, data)
    assert sorted(path.name for path in folder.iterdir() if path.name != ".run.lock") == [
        "best.pt", "config.toml", "environment.json", "last.pt", "log.csv", "loss.png", "samples", "tensorboard"
    ]  # fmt: skip
    header = (folder / "log.csv").read_text().splitlines()[0]
    assert (
        header
        == "epoch,seconds,loss,loss_low,loss_well,loss_lupi,lr,val_ap,val_ap_low,val_ap_well,images_per_s,data_wait"
    )
    for name in ("best.pt", "last.pt"):
        saved = torch.load(folder / name, weights_only=True)
        assert saved["config"] == (folder / "config.toml").read_text()
        assert saved["data_checksum"] == data.checksum
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_best_are_the_weights_of_the_highest_validation_ap(
    tmp_path: Path, config: Config, data: TrainData, monkeypatch: pytest.MonkeyPatch
) -> None:
    aps = iter([10.0, 30.0, 20.0])
    monkeypatch.setattr(Journal, "epoch", lambda *args: next(aps))
    run_in(tmp_path / "run", optim(config, epochs=3), data)
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    assert (best["epoch"], best["val_ap"]) == (2, 30.0)


def test_without_a_validation_split_the_last_weights_are_the_best(
    tmp_path: Path, config: Config, data: TrainData
) -> None:
    run_in(tmp_path / "run", config, replace(data, val={}))
    best, last = (load_checkpoint(tmp_path / "run" / name) for name in ("best.pt", "last.pt"))
    assert best["epoch"] == 2 and best["val_ap"] is None
    assert_same(best["model"], last["average"])


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_batch(tmp_path: Path, config: Config, data: TrainData) -> None:
    folder = tmp_path / "run"
    with pytest.raises(ExlcapError, match=r"not a number in epoch \d+, batch \d+") as error:
        run_in(folder, optim(config, lr=1e30, warmup=0.0), data)
    assert str(folder / "nan-batch.pt") in error.value.message and str(folder / "nan-batch.png") in error.value.hint
    kept = torch.load(folder / "nan-batch.pt", weights_only=True)
    assert not math.isfinite(kept["losses"]["loss"])
    assert len(kept["images"]) == 2 * kept["n_low"] == 2 * len(kept["people"])
    names = [f"{pair.low.person.pair_id} {pair.low.person.person_id}" for pair in data.train]
    chosen = data.train[names.index(kept["people"][0])]
    assert chosen.low.person.keypoints[:, 2].astype(bool).tolist() == kept["labelled"][0].tolist()
    assert (folder / "nan-batch.png").read_bytes().startswith(b"\x89PNG")


def test_a_batch_with_broken_pixels_is_pictured_with_them(data: TrainData, config: Config) -> None:
    batch = next(epoch_batches(data.train, config, 0))
    batch.images[0, :, 3, 4] = float("nan")
    drawn = picture(batch)
    height, width = config.size
    assert drawn.shape == (height, len(batch.images) * width, 3)
    assert drawn[3, 4].tolist() == [255, 0, 255]
    x, y = to_input(batch.joints[1, batch.labelled[1]][0]).round().int().tolist()
    assert drawn[y, width + x].tolist() == [0, 255, 0]


def test_tensorboard_holds_losses_speed_and_ap_and_no_point_twice_after_a_resume(
    tmp_path: Path, config: Config, data: TrainData
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "run"
    run_in(folder, optim(config, epochs=1), data)
    saved = load_checkpoint(folder / "last.pt")
    save_checkpoint(folder / "last.pt", {**saved, "done": False})
    run_in(folder, optim(config, epochs=2), data)
    points = EventAccumulator(str(folder / "tensorboard"))
    points.Reload()
    steps = batches_per_epoch(len(data.train), config.optim.batch)
    assert {"loss", "loss_low", "loss_well", "loss_lupi", "lr", "images_per_s", "data_wait", "val_ap"} <= set(
        points.Tags()["scalars"]
    )
    assert [event.step for event in points.Scalars("val_ap")] == [steps - 1, 2 * steps - 1]


def test_pictures_of_predictions_are_drawn_every_few_epochs_and_at_the_end(
    tmp_path: Path, config: Config, data: TrainData
) -> None:
    run_in(tmp_path / "run", optim(config, epochs=3, pictures_every=2, validate_every=3), data)
    assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == [
        "epoch-0002.png",
        "epoch-0003.png",
    ]
    assert [row.val_ap is not None for row in read_log(tmp_path / "run" / "log.csv")] == [False, True, True]


def test_log_tells_speed_and_the_share_of_waiting(tmp_path: Path, config: Config, data: TrainData) -> None:
    run_in(tmp_path / "run", optim(config, epochs=1), data)
    (row,) = read_log(tmp_path / "run" / "log.csv")
    assert row.images_per_s > 0 and 0 <= row.data_wait <= 1


def test_waiting_is_the_part_of_the_time_without_a_batch(
    data: TrainData, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    (batch, *_) = epoch_batches(data.train, config, 0)
    now_s = 0.0
    monkeypatch.setattr(journal, "time", SimpleNamespace(monotonic=lambda: now_s))

    def slow() -> Iterator[Batch]:
        nonlocal now_s
        now_s += 0.15
        yield batch

    pace = Pace(processes=2)
    for _ in pace.of(slow()):
        now_s += 0.05
        assert pace.waiting == pytest.approx(0.75)
        assert pace.images_per_s == pytest.approx(2 * len(batch.images) / 0.2)


def test_bf16_trains_with_weights_in_full_precision(tmp_path: Path, config: Config, data: TrainData) -> None:
    half = run_in(tmp_path / "half", optim(machine(config, precision="bf16"), epochs=1), data)
    full = run_in(tmp_path / "full", optim(config, epochs=1), data)
    assert {value.dtype for value in half.model.parameters()} == {torch.float32}
    rows = [read_log(tmp_path / name / "log.csv")[0] for name in ("half", "full")]
    losses = [row.losses["loss"] for row in rows]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)
    assert not torch.equal(half.model.backbone.conv1.weight, full.model.backbone.conv1.weight)


def test_fp16_on_a_machine_without_gpu_is_refused(config: Config) -> None:
    with pytest.raises(ExlcapError, match="fp16 needs a GPU"):
        loop.new_state(machine(config, precision="fp16"), torch.device("cpu"), resumed=False)


def test_gradients_are_cut_to_the_norm_that_is_set(config: Config, data: TrainData) -> None:
    state = loop.new_state(config, torch.device("cpu"), resumed=False)
    state.model.train()
    losses = loop.batch_losses(state.model, next(epoch_batches(data.train, config, 0)), config)
    loop.descend(state, losses.total, lr=1e-3, clip_norm=0.01)
    norm = torch.stack([p.grad.square().sum() for p in state.model.parameters() if p.grad is not None]).sum().sqrt()
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


def test_a_finished_run_stays_as_it_is(tmp_path: Path, config: Config, data: TrainData) -> None:
    run_in(tmp_path / "run", config, data)
    before = load_checkpoint(tmp_path / "run" / "last.pt")
    assert run_in(tmp_path / "run", config, data).epoch == 2
    assert_same(load_checkpoint(tmp_path / "run" / "last.pt"), before)


def test_a_run_that_another_process_trains_is_left_alone(tmp_path: Path, config: Config, data: TrainData) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with Journal(folder, config, active=True, epoch=0, step=0, steps=1, seconds=0.0):
        with pytest.raises(ExlcapError, match="another process trains run"):
            train(folder, config, data)
        assert not (folder / "last.pt").exists()
    assert train(folder, config, data).done


def test_time_ends_training_even_within_an_epoch(
    tmp_path: Path, config: Config, data: TrainData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(10_000))
    monkeypatch.setattr(World, "clock", lambda self: float(next(seconds)))
    config = optim(config, epochs=50, minutes=1.0, validate_every=50)
    state = run_in(tmp_path / "run", config, data)
    rows = read_log(tmp_path / "run" / "log.csv")
    assert 2 < state.epoch < 50
    epoch_seconds = rows[1].seconds - rows[0].seconds
    assert rows[-2].seconds <= 60 <= rows[-1].seconds < 60 + epoch_seconds
    losses = [row.losses["loss"] for row in rows]
    assert losses[-1] == pytest.approx(losses[-2], rel=0.5)  # a mean over the batches there were
    assert rows[-1].lr < 0.1 * config.optim.lr


@pytest.mark.slow
def test_a_small_network_learns_stick_figures_in_light_and_dark(
    tmp_path: Path, write_stick_figures: Callable[..., Path]
) -> None:
    folder = write_stick_figures(tmp_path, train=60, val=10, test=0)
    options = {"data": "sticks", "optim": {"epochs": 6}, "model": {"base_channels": 16, "head_channels": 32}}
    config = new_config("small", None, options)
    state = run_in(tmp_path / "run", config, read_data(folder, config))
    (*_, last) = read_log(tmp_path / "run" / "log.csv")
    assert state.best_ap is not None and math.isfinite(last.losses["loss"])
    assert last.val_ap_well is not None and last.val_ap_well > 30
    assert last.val_ap_low is not None and last.val_ap_low > 30
