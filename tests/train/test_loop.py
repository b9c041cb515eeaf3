"""Training: it can be stopped anywhere and resumed as if it had not been, and it learns."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from exlcap.errors import ExlcapError
from exlcap.train import loop
from exlcap.train.config import Config, OptimConfig, preset
from exlcap.train.loop import State, TrainData, learning_rate, train, training_progress
from exlcap.train.prepare import new_config, new_run, read_data
from exlcap.train.runs import load_checkpoint, read_log


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
    return train(folder, config, data, report=lambda remark: None)


def optim(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"optim": config.optim.model_copy(update=changes)})


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
from exlcap.train.prepare import new_config, new_run
torch.set_num_threads(1)
root, config_file, at_batch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
config = new_config("small", config_file, {"data": "sticks"})
whole, seen = loop.batch_losses, 0
def batch_losses(*args):
    global seen
    seen += 1
    if seen == at_batch:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args)
loop.batch_losses = batch_losses
data = new_run(root / "killed", config, root / "datasets" / "sticks")
loop.train(root / "killed", config, data, print)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_with_kill_9_resumes_to_the_same_bits_as_one_that_was_not(
    tmp_path: Path, tiny_toml: Path, config: Config, data: TrainData
) -> None:
    """Killed in the middle of the second of two epochs."""
    script = [sys.executable, "-c", KILLED, str(tmp_path), str(tiny_toml), "4"]
    killed = subprocess.run(script, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_checkpoint(tmp_path / "killed" / "last.pt")["epoch"] == 1
    run_in(tmp_path / "killed", config, data)
    run_in(tmp_path / "straight", config, data)
    for name in ("last.pt", "best.pt"):
        assert_same(*(load_checkpoint(tmp_path / run / name) for run in ("killed", "straight")))
    logs = [read_log(tmp_path / run / "log.csv") for run in ("killed", "straight")]
    assert [(row.epoch, row.loss, row.lr, row.val_ap) for row in logs[0]] == [
        (row.epoch, row.loss, row.lr, row.val_ap) for row in logs[1]
    ]
    assert [row.epoch for row in logs[0]] == [1, 2]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_before_its_first_checkpoint_starts_again_on_resume(
    tmp_path: Path, tiny_toml: Path, config: Config, data: TrainData
) -> None:
    script = [sys.executable, "-c", KILLED, str(tmp_path), str(tiny_toml), "1"]
    assert subprocess.run(script, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["config.toml", "environment.json"]
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
    config = optim(config.model_copy(update={"method": method}), epochs=1)
    run_in(tmp_path / method, config, read_data(data_folder, config))
    (row,) = read_log(tmp_path / method / "log.csv")
    found = {name for name in ("loss_low", "loss_well", "loss_lupi") if getattr(row, name) is not None}
    assert found == parts
    total = sum(filter(None, (row.loss_low, row.loss_well))) + config.lupi.weight * (row.loss_lupi or 0)
    assert row.loss == pytest.approx(total, rel=1e-4)
    assert (row.val_ap_low is None) == (method == "baseline-well")


def test_only_the_low_light_side_of_a_plain_network_learns_from_lupi(config: Config, data: TrainData) -> None:
    """With LSBN, the well-lit BatchNorm must not move by the Gram loss alone."""
    from exlcap.train.batches import epoch_batches

    state = loop.new_state(config, torch.device("cpu"))
    batch = next(epoch_batches(data.train, config, 0))
    losses = loop.batch_losses(state.model, batch, config)
    assert losses.lupi is not None
    losses.lupi.backward()
    bn = state.model.backbone.bn1
    assert bn.low.weight.grad.abs().sum() > 0
    assert bn.well.weight.grad is None or bn.well.weight.grad.abs().sum() == 0


def test_the_run_folder_holds_log_curve_and_checkpoints_with_config_and_checksum(
    tmp_path: Path, config: Config, data_folder: Path
) -> None:
    folder = tmp_path / "run"
    data = new_run(folder, config, data_folder)
    run_in(folder, config, data)
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.pt", "config.toml", "environment.json", "last.pt", "log.csv", "loss.png"
    ]  # fmt: skip
    header = (folder / "log.csv").read_text().splitlines()[0]
    assert header == "epoch,seconds,loss,loss_low,loss_well,loss_lupi,lr,val_ap,val_ap_low,val_ap_well"
    for name in ("best.pt", "last.pt"):
        saved = torch.load(folder / name, weights_only=True)
        assert saved["config"] == (folder / "config.toml").read_text()
        assert saved["data_checksum"] == data.checksum
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_best_are_the_weights_of_the_highest_validation_ap(
    tmp_path: Path, config: Config, data: TrainData, monkeypatch: pytest.MonkeyPatch
) -> None:
    aps = iter([10.0, 30.0, 20.0])
    row = loop.log_row

    def fixed(*args: Any) -> Any:
        return loop.LogRow(**{**vars(row(*args)), "val_ap": next(aps)})

    monkeypatch.setattr(loop, "log_row", fixed)
    run_in(tmp_path / "run", optim(config, epochs=3), data)
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    assert (best["epoch"], best["val_ap"]) == (2, 30.0)


def test_without_a_validation_split_the_last_weights_are_the_best(
    tmp_path: Path, config: Config, data: TrainData
) -> None:
    run_in(tmp_path / "run", config, TrainData(data.checksum, data.train, {}))
    best, last = (load_checkpoint(tmp_path / "run" / name) for name in ("best.pt", "last.pt"))
    assert best["epoch"] == 2 and best["val_ap"] is None
    assert_same(best["model"], last["average"])


def test_a_loss_that_is_not_a_number_stops_with_epoch_and_batch(
    tmp_path: Path, config: Config, data: TrainData
) -> None:
    with pytest.raises(ExlcapError, match=r"not a number in epoch \d+, batch \d+"):
        run_in(tmp_path / "run", optim(config, lr=1e30), data)


def test_a_finished_run_stays_as_it_is(tmp_path: Path, config: Config, data: TrainData) -> None:
    run_in(tmp_path / "run", config, data)
    before = load_checkpoint(tmp_path / "run" / "last.pt")
    assert run_in(tmp_path / "run", config, data).epoch == 2
    assert_same(load_checkpoint(tmp_path / "run" / "last.pt"), before)


def test_time_ends_training_even_within_an_epoch(
    tmp_path: Path, config: Config, data: TrainData, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            Clock.now += 1.0
            return Clock.now

    monkeypatch.setattr(loop, "time", Clock())
    config = optim(config, epochs=50, minutes=1.0, validate_every=50)
    state = run_in(tmp_path / "run", config, data)
    rows = read_log(tmp_path / "run" / "log.csv")
    assert 2 < state.epoch < 50
    epoch_seconds = rows[1].seconds - rows[0].seconds
    assert rows[-2].seconds < 60 <= rows[-1].seconds < 60 + epoch_seconds
    assert rows[-1].loss == pytest.approx(rows[-2].loss, rel=0.5)  # a mean over the batches there were
    assert rows[-1].lr < 0.1 * config.optim.lr


def schedule(**changes: object) -> OptimConfig:
    values = {**preset("small")["optim"], "batch": 4, "epochs": 10, "lr": 1.0, "warmup": 0.2, "milestones": ()}
    return OptimConfig(**{**values, **changes})


def test_the_learning_rate_warms_up_and_falls_as_a_cosine_to_zero() -> None:
    how = schedule()
    assert learning_rate(0.1, how) == pytest.approx(0.5)
    assert learning_rate(0.2, how) == pytest.approx(1.0)
    assert learning_rate(0.6, how) == pytest.approx(0.5)
    assert learning_rate(1.0, how) == pytest.approx(0.0)
    assert 0 < learning_rate(0.0, how) < 0.05


def test_progress_is_by_steps_or_by_the_clock_whichever_is_ahead() -> None:
    assert training_progress(step=25, steps_per_epoch=5, seconds=1e6, how=schedule()) == 0.5
    timed = schedule(minutes=1.0)
    assert training_progress(step=25, steps_per_epoch=5, seconds=15.0, how=timed) == 0.5
    assert training_progress(step=25, steps_per_epoch=5, seconds=45.0, how=timed) == 0.75
    assert training_progress(step=25, steps_per_epoch=5, seconds=99.0, how=timed) == 1.0


def test_averaged_weights_follow_their_definition(config: Config) -> None:
    state = loop.new_state(config, torch.device("cpu"))
    before = state.average.backbone.conv1.weight.clone()
    with torch.no_grad():
        state.model.backbone.conv1.weight += 1.0
    loop.update_average(state.average, state.model, decay=0.9, step=10**6)
    torch.testing.assert_close(state.average.backbone.conv1.weight, before + 0.1)
    loop.update_average(state.average, state.model, decay=0.0, step=0)
    assert torch.equal(state.average.backbone.conv1.weight, state.model.backbone.conv1.weight)


@pytest.mark.slow
def test_a_small_network_learns_stick_figures_in_light_and_dark(
    tmp_path: Path, write_stick_figures: Callable[..., Path]
) -> None:
    folder = write_stick_figures(tmp_path, train=60, val=10, test=0)
    options = {"data": "sticks", "optim": {"epochs": 6}, "model": {"base_channels": 16, "head_channels": 32}}
    config = new_config("small", None, options)
    state = run_in(tmp_path / "run", config, read_data(folder, config))
    (*_, last) = read_log(tmp_path / "run" / "log.csv")
    assert state.best_ap is not None and math.isfinite(last.loss)
    assert last.val_ap_well is not None and last.val_ap_well > 30
    assert last.val_ap_low is not None and last.val_ap_low > 30
