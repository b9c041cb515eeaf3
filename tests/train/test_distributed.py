"""Two processes train as one with the doubled batch; LSBN statistics never mix and are averaged; one process writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from exlcap.core.errors import ExlcapError
from exlcap.train.config import Config
from exlcap.train.data.batches import epoch_batches
from exlcap.train.loop import State, TrainData, check_shares, new_state
from exlcap.train.machine.distributed import World
from exlcap.train.prepare import new_config, read_data
from exlcap.train.runs import load_checkpoint, read_log
from exlcap.train.step import batch_losses

CPU = torch.device("cpu")
WHOLE = {"data": "sticks", "optim": {"batch": 100, "epochs": 1}, "lupi": {"normalisation": "paper"}}


@pytest.fixture
def config(tiny_toml: Path) -> Config:
    return new_config("small", tiny_toml, WHOLE)


@pytest.fixture
def data(tmp_path: Path, write_stick_figures: Callable[..., Path], config: Config) -> TrainData:
    return read_data(write_stick_figures(tmp_path / "lab", train=5, val=1, test=0), config)


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a Python file or module in two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)


def frozen(state: State) -> State:
    """BatchNorm takes its kept statistics, so that an image's features do not depend on the rest of the batch."""
    state.model.train()
    for module in state.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return state


STEP = """
import sys, torch
from pathlib import Path
from torch import nn
from exlcap.train.data.batches import epoch_batches
from exlcap.train.machine.distributed import together, world
from exlcap.train.loop import new_state
from exlcap.train.prepare import new_config, read_data
from exlcap.train.step import batch_losses
torch.set_num_threads(1)
config = new_config("small", Path(sys.argv[2]), eval(sys.argv[3]))
data = read_data(Path(sys.argv[1]), config)
where = world()
state = new_state(config, where.device, resumed=False)
state.model.train()
for module in state.model.modules():
    if isinstance(module, nn.BatchNorm2d):
        module.eval()
network = together(state.model, where)
(batch,) = epoch_batches(data.train, config, 0, where)
losses = batch_losses(network, batch, config)
(losses.total * batch.share).backward()
mean = where.mean({"loss": losses.total.item() * batch.share})["loss"]
grads = {name: parameter.grad for name, parameter in state.model.named_parameters()}
torch.save({"loss": mean, "grads": grads, "people": len(batch.people)}, f"{sys.argv[4]}/{where.rank}.pt")
where.wait()
"""


def test_two_processes_have_the_loss_and_the_gradients_of_one_with_the_doubled_batch(
    tmp_path: Path, tiny_toml: Path, config: Config, data: TrainData
) -> None:
    (tmp_path / "step.py").write_text(STEP)
    done = torchrun("--", tmp_path / "step.py", data.folder, tiny_toml, repr(WHOLE), tmp_path)
    assert done.returncode == 0, done.stderr
    state = frozen(new_state(config, CPU, resumed=False))
    (batch,) = epoch_batches(data.train, config, 0)
    loss = batch_losses(state.model, batch, config).total
    loss.backward()
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    people = [part["people"] for part in found]
    assert sum(people) == len(data.train) and min(people) >= 1
    for part in found:
        assert part["loss"] == pytest.approx(loss.item(), rel=1e-5)
        for name, parameter in state.model.named_parameters():
            scale = float(parameter.grad.abs().max())
            torch.testing.assert_close(part["grads"][name], parameter.grad, rtol=1e-3, atol=1e-4 * scale + 1e-7)


@pytest.mark.slow
def test_lsbn_statistics_are_the_mean_of_the_processes_own_and_in_one_light_only(
    tmp_path: Path, tiny_toml: Path, config: Config, data: TrainData
) -> None:
    """The whole command in two processes: one step, then a look at what was written and said."""
    toml = tmp_path / "whole.toml"
    toml.write_text(tiny_toml.read_text().replace("batch = 4", "batch = 100") + '[lupi]\nnormalisation = "paper"\n')
    lab = data.folder.parent.parent
    done = torchrun(
        "-m", "--", "exlcap", "-C", lab, "train", "--data", "sticks", "--run", "two", "--preset", "small",
        "--config", toml, "--epochs", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 1, "said once"
    folder = lab / "runs" / "two"
    assert json.loads((folder / "environment.json").read_text())["processes"] == 2
    (row,) = read_log(folder / "log.csv")

    own, losses = [], []
    for rank in (0, 1):
        state = new_state(config, CPU, resumed=False)
        state.model.train()
        (batch,) = epoch_batches(data.train, config, 0, World(rank, 2, CPU))
        losses.append(float(batch_losses(state.model, batch, config).total.detach()) * batch.share)
        own.append(dict(state.model.named_buffers()))
    saved = load_checkpoint(folder / "last.pt")["model"]
    for name in own[0]:
        if name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(saved[name], (own[0][name] + own[1][name]) / 2, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(own[0]["backbone.bn1.low.running_mean"], own[1]["backbone.bn1.low.running_mean"])
    assert row.losses["loss"] == pytest.approx(sum(losses) / 2, rel=1e-4)


def test_shares_of_a_batch_are_all_of_it_and_differ_by_one_at_most() -> None:
    shares = [World(rank, 3, CPU).share(range(10)) for rank in range(3)]
    assert sorted(shares[0] + shares[1] + shares[2]) == list(range(10))
    assert {len(share) for share in shares} == {3, 4}


def test_a_person_s_change_is_the_same_however_many_processes_there_are(data: TrainData, config: Config) -> None:
    (whole,) = epoch_batches(data.train, config, 3)
    (part,) = epoch_batches(data.train, config, 3, World(1, 2, CPU))
    places = [whole.people.index(person) for person in part.people]
    assert torch.equal(part.images[: part.n_low], whole.images[places])


def test_more_processes_than_people_in_a_batch_are_refused() -> None:
    with pytest.raises(ExlcapError, match="batches of 2 pairs cannot be shared by 3 processes"):
        check_shares(2, World(0, 3, CPU))
