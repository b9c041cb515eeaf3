"""The network: the original CPN's size, names that ImageNet checkpoints know, weights from the seed alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from exlcap.train.config import ModelConfig
from exlcap.train.networks.lsbn import ApartBN2d, LSBN2d
from exlcap.train.networks.pose_net import PoseNet, build_model
from exlcap.train.settings import preset

PAPER = ModelConfig(**preset("official")["model"])
TINY = ModelConfig(
    depth=18, height=64, width=32, base_channels=8, head_channels=8, last_bn=False, lsbn="backbone",
    shared_bn="together", backbone_weights="none",
)  # fmt: skip


@pytest.mark.parametrize("lsbn, parameters", [(False, 27_372_236), (True, 27_425_356)])
def test_the_paper_s_network_has_the_published_number_of_parameters(lsbn: bool, parameters: int) -> None:
    with torch.device("meta"):
        model = PoseNet(PAPER, lsbn)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_paper_s_network_makes_64_x_48_heat_maps_of_256_x_192_inputs() -> None:
    with torch.device("meta"):
        output = PoseNet(PAPER, lsbn=True)(torch.zeros(2, 3, 256, 192), n_low=1)
    assert output.refined.shape == (2, 14, 64, 48)
    assert [level.shape for level in output.levels] == [(2, 14, 64, 48)] * 4
    assert [tuple(f.shape[1:]) for f in output.features] == [
        (64, 128, 96), (256, 64, 48), (512, 32, 24), (1024, 16, 12), (2048, 8, 6),
    ]  # fmt: skip


def test_global_net_s_heat_maps_are_made_in_training_only() -> None:
    model = build_model(TINY, lsbn=True, seed=0)
    images = torch.zeros(2, 3, 64, 32)
    assert len(model(images, n_low=1).levels) == 4
    assert model.eval()(images, n_low=1).levels == []


@pytest.mark.parametrize("depth, blocks, convolutions", [(18, 8, 2), (34, 16, 2), (50, 16, 3), (101, 33, 3)])
def test_the_backbone_names_its_parameters_as_torchvision_does(depth: int, blocks: int, convolutions: int) -> None:
    with torch.device("meta"):
        names = set(PoseNet(PAPER.model_copy(update={"depth": depth}), lsbn=False).backbone.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.bn2.bias", "layer4.1.conv2.weight"} <= names
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_mean"} <= names
    block_convolutions = [n for n in names if n.startswith("layer") and ".conv" in n]
    assert len(block_convolutions) == blocks * convolutions
    assert ("layer1.0.downsample.0.weight" in names) == (depth >= 50)


def test_every_backbone_norm_is_lighting_specific_and_no_other() -> None:
    plain, lsbn = (dict(build_model(TINY, lsbn, seed=0).named_parameters()) for lsbn in (False, True))
    doubled = {name for name in plain if name not in lsbn}
    assert doubled and all(
        name.startswith("backbone.") and ("bn" in name or "downsample.1" in name) for name in doubled
    )
    assert len(lsbn) == len(plain) + len(doubled)


def test_lsbn_everywhere_reaches_the_heads_too() -> None:
    everywhere = PoseNet(TINY.model_copy(update={"lsbn": "everywhere", "last_bn": True}), lsbn=True)
    assert not [m for m in everywhere.modules() if isinstance(m, nn.BatchNorm2d) and m not in _halves(everywhere)]
    assert isinstance(everywhere.refine_net.final[-1], LSBN2d)


def _halves(model: nn.Module) -> set[nn.Module]:
    return {half for m in model.modules() if isinstance(m, LSBN2d) for half in (m.low, m.well)}


def test_weights_come_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = build_model(TINY, lsbn=True, seed=7).state_dict()
    torch.manual_seed(2)
    again = build_model(TINY, lsbn=True, seed=7).state_dict()
    other = build_model(TINY, lsbn=True, seed=8).state_dict()
    assert all(torch.equal(a, b) for a, b in zip(first.values(), again.values(), strict=True))
    assert not torch.equal(first["backbone.conv1.weight"], other["backbone.conv1.weight"])


def test_the_light_of_an_image_decides_what_the_network_sees() -> None:
    model = build_model(TINY, lsbn=True, seed=0)
    images = torch.randn(4, 3, 64, 32)
    model(torch.cat([images, 5 + 3 * images]), n_low=4)  # teaches the two conditions different statistics
    model.eval()
    assert not torch.allclose(model(images, n_low=4).refined, model(images, n_low=0).refined)


@pytest.mark.parametrize("lsbn", [True, False])
def test_norms_that_both_lights_share_are_seen_apart_where_the_config_says(lsbn: bool) -> None:
    model = PoseNet(TINY.model_copy(update={"shared_bn": "apart"}), lsbn)
    shared = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m not in _halves(model)]
    assert shared and all(isinstance(m, ApartBN2d) for m in shared)
    assert any(isinstance(m, LSBN2d) for m in model.modules()) == lsbn
