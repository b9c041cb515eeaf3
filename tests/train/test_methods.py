"""The table of methods: each row takes its step under every preset, the manual agrees, and a row can be added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from exlcap.train.commands import PRESETS
from exlcap.train.config import Config
from exlcap.train.data.batches import Batch
from exlcap.train.loop import train
from exlcap.train.methods import METHOD_NAMES, TABLE, Method, method_named
from exlcap.train.networks.lsbn import LSBN2d
from exlcap.train.networks.pose_net import Output, PoseNet, build_model
from exlcap.train.networks.resnet import Features
from exlcap.train.prepare import new_config, read_data
from exlcap.train.results.table import TRUE_BOXES
from exlcap.train.runs import load_checkpoint, read_log, write_log
from exlcap.train.step import batch_losses, new_optimizer

SMALL = {"height": 64, "width": 32, "base_channels": 8, "head_channels": 8, "depth": 18, "backbone_weights": "none"}
PAIRS = 3


def begun(preset: str, method: str) -> tuple[Config, PoseNet, Batch]:
    config = new_config(preset, None, {"data": "night", "method": method, "model": SMALL})
    generator = torch.Generator().manual_seed(0)
    n_low, n_well = (PAIRS * (config.method.lights in ("both", light)) for light in ("low", "well"))
    joints = torch.rand(PAIRS, 14, 2, generator=generator) * torch.tensor([7.0, 15.0])
    batch = Batch(
        images=torch.randn(n_low + n_well, 3, 64, 32, generator=generator),
        n_low=n_low,
        joints=joints.repeat((n_low + n_well) // PAIRS, 1, 1),
        labelled=torch.ones(n_low + n_well, 14, dtype=torch.bool),
    )
    return config, build_model(config.model, config.method.lsbn, 0).train(), batch


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_step_has_the_method_s_parts_and_lowers_the_loss_of_the_same_batch(preset: str, method: str) -> None:
    config, model, batch = begun(preset, method)
    first = batch_losses(model, batch, config)
    parts = {"low": method != "baseline-well", "well": method != "baseline-low",
             "lupi": method in ("ours", "lupi", "lupi-feat", "unpaired")}  # fmt: skip
    assert list(first.parts) == [name for name, there in parts.items() if there]
    assert any(isinstance(m, LSBN2d) for m in model.modules()) == (method in ("ours", "lsbn", "lupi-feat", "unpaired"))
    optimizer = new_optimizer(model, config.optim)
    for _ in range(4):
        optimizer.zero_grad()
        batch_losses(model, batch, config).total.backward()
        optimizer.step()
    assert batch_losses(model, batch, config).total < first.total


@pytest.mark.parametrize("method", ["ours", "lupi", "lupi-feat", "unpaired"])
def test_the_lupi_loss_teaches_the_low_light_pass_only(method: str) -> None:
    config, model, batch = begun("small", method)
    lupi = batch_losses(
        model, Batch(batch.images.requires_grad_(), batch.n_low, batch.joints, batch.labelled), config
    ).parts["lupi"]
    (gradient,) = torch.autograd.grad(lupi, batch.images)
    low, well = gradient[: batch.n_low].abs().sum(), gradient[batch.n_low :].abs().sum()
    assert low > 0
    assert (well == 0) == config.method.lsbn  # a BatchNorm that both share carries it from one to the other


DOCS = Path(__file__).parents[2] / "docs" / "methods.md"
LEARNS_FROM = {"both": "both images", "low": "the low-light image", "well": "the well-lit image"}
MATCHES = {"gram": "Gram matrices", "features": "features", None: ""}


def test_the_manual_says_of_every_method_what_the_table_says() -> None:
    section = DOCS.read_text(encoding="utf-8").split("## Methods")[1].split("## Recipes")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")][1:]  # the first is the heading
    said = [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]
    table = []
    for method in TABLE:
        assert method.paper is not None
        person = (", same person" if method.paired else ", another person") if method.match else ""
        table.append((
            f"`{method.name}`", LEARNS_FROM[method.lights], "yes" if method.lsbn else "",
            MATCHES[method.match] + person, f"{method.paper.table}, {method.paper.name}",
        ))  # fmt: skip
    assert said == table


def test_every_row_of_the_paper_is_in_its_published_tables() -> None:
    published = {(table, name) for name, table, _ in TRUE_BOXES}
    assert {(method.paper.table, method.paper.name) for method in TABLE if method.paper} <= published


@pytest.mark.parametrize("method", TABLE, ids=METHOD_NAMES)
def test_a_method_has_the_lupi_loss_where_it_says_what_is_matched(method: Method) -> None:
    assert ("lupi" in method.losses) == (method.match is not None) == bool(method.layers)
    assert set(method.layers) <= set(Features._fields)
    assert method_named(method.name) is method


def mean_heat(output: Output, batch: Batch, config: Config) -> tuple[torch.Tensor, float]:
    """A loss that no method of ours has: the heat maps' mean square, one quarter of it."""
    return output.refined.float().square().mean(), 0.25


TOY = Method("toy", "both", lsbn=True, paper=None, losses={"heat": mean_heat})


def test_a_new_method_is_a_row_and_its_loss_a_function() -> None:
    """Nothing is registered: the row goes into the config, and the step does what it says."""
    config, model, batch = begun("small", "lsbn")
    plain = batch_losses(model, batch, config)
    losses = batch_losses(model, batch, config.model_copy(update={"method": TOY}))
    heat = losses.parts["heat"]
    assert list(losses.values()) == ["loss", "loss_low", "loss_well", "loss_heat"]
    torch.testing.assert_close(losses.total, plain.total + 0.25 * heat)
    losses.total.backward()


def test_the_loss_of_a_new_method_reaches_log_tensorboard_and_checkpoint(
    tmp_path: Path, tiny_toml: Path, write_stick_figures: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_stick_figures(tmp_path, train=2, val=0, test=0)
    config = new_config("small", tiny_toml, {"data": "sticks", "optim": {"epochs": 1}})
    config = config.model_copy(update={"method": TOY})
    (tmp_path / "run").mkdir()
    train(tmp_path / "run", config, read_data(folder, config))
    log = tmp_path / "run" / "log.csv"
    assert log.read_text().startswith("epoch,seconds,loss,loss_low,loss_well,loss_lupi,loss_heat,lr,val_ap,")
    (row,) = read_log(log)
    assert row.losses.keys() == {"loss", "loss_low", "loss_well", "loss_heat"}
    curves = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload().Tags()["scalars"]
    assert "loss_heat" in curves and "loss_lupi" not in curves
    assert 'method = "toy"' in load_checkpoint(tmp_path / "run" / "last.pt")["config"]


def test_a_loss_that_is_new_gets_a_column_and_earlier_epochs_stay_as_they_were(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "epoch,seconds,loss,loss_low,loss_well,loss_lupi,lr,val_ap,val_ap_low,val_ap_well,images_per_s,data_wait\n"
        "1,0.5,5.5,2.5,2.5,,0.001,12.5,10,15,40,0.25\n"
    )
    rows = read_log(log)
    write_log(log, rows)
    assert read_log(log) == rows and log.read_text().splitlines()[1] == "1,0.5,5.5,2.5,2.5,,0.001,12.5,10,15,40,0.25"
    later = replace(rows[0], epoch=2, losses={**rows[0].losses, "loss_heat": 0.125})
    write_log(log, [*rows, later])
    assert [line.split(",")[5:8] for line in log.read_text().splitlines()] == [
        ["loss_lupi", "loss_heat", "lr"], ["", "", "0.001"], ["", "0.125", "0.001"]
    ]  # fmt: skip
    assert read_log(log) == [*rows, later]
