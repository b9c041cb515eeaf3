"""Every method under every preset takes a step: its parts of the loss are there, and what it leaves out is not."""

from __future__ import annotations

import pytest
import torch

from exlcap.train.commands import METHODS, PRESETS
from exlcap.train.config import Config
from exlcap.train.data.batches import Batch
from exlcap.train.networks.lsbn import LSBN2d
from exlcap.train.networks.pose_net import PoseNet, build_model
from exlcap.train.prepare import new_config
from exlcap.train.step import batch_losses, new_optimizer

SMALL = {"height": 64, "width": 32, "base_channels": 8, "head_channels": 8, "depth": 18, "backbone_weights": "none"}
PAIRS = 3


def begun(preset: str, method: str) -> tuple[Config, PoseNet, Batch]:
    config = new_config(preset, None, {"data": "night", "method": method, "model": SMALL})
    generator = torch.Generator().manual_seed(0)
    n_low, n_well = (PAIRS * (config.lights in ("both", light)) for light in ("low", "well"))
    joints = torch.rand(PAIRS, 14, 2, generator=generator) * torch.tensor([7.0, 15.0])
    batch = Batch(
        images=torch.randn(n_low + n_well, 3, 64, 32, generator=generator),
        n_low=n_low,
        joints=joints.repeat((n_low + n_well) // PAIRS, 1, 1),
        labelled=torch.ones(n_low + n_well, 14, dtype=torch.bool),
    )
    return config, build_model(config.model, config.uses_lsbn, 0).train(), batch


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHODS)
def test_a_step_has_the_method_s_parts_and_lowers_the_loss_of_the_same_batch(preset: str, method: str) -> None:
    config, model, batch = begun(preset, method)
    first = batch_losses(model, batch, config)
    assert (first.low is not None, first.well is not None) == (method != "baseline-well", method != "baseline-low")
    assert (first.lupi is not None) == (method in ("ours", "lupi", "lupi-feat", "unpaired"))
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
    ).lupi
    assert lupi is not None
    (gradient,) = torch.autograd.grad(lupi, batch.images)
    low, well = gradient[: batch.n_low].abs().sum(), gradient[batch.n_low :].abs().sum()
    assert low > 0
    assert (well == 0) == config.uses_lsbn  # a BatchNorm that both share carries it from one to the other
