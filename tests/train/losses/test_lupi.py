"""The loss between lights against eq. 3 of the paper and its variants, written out as loops in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from exlcap.train.config import Config, LupiConfig
from exlcap.train.losses.lupi import batch_lupi, lupi_loss
from exlcap.train.methods import Match
from exlcap.train.networks.resnet import Features
from exlcap.train.prepare import new_config

MORE_POSITIONS, MORE_CHANNELS = (3, 4, 5), (24, 3, 2)


def lupi_config(normalisation: str, batch: str = "mean") -> LupiConfig:
    return LupiConfig(weight=1.0, normalisation=normalisation, batch=batch)


def features(shapes: list[tuple[int, int, int]], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn((2, *shape), generator=generator, dtype=torch.float64) for shape in shapes]


def gram(sample: Tensor) -> Tensor:
    channels = sample.shape[0]
    result = torch.zeros(channels, channels, dtype=torch.float64)
    for i in range(channels):
        for j in range(channels):
            result[i, j] = (sample[i] * sample[j]).sum()
    return result


def equation_3(low: list[Tensor], well: list[Tensor]) -> Tensor:
    """Sum over layers of 1 / (4 C^2 N^2) ||G_low - G_well||_F^2, mean over pairs."""
    total = torch.zeros((), dtype=torch.float64)
    for a, b in zip(low, well, strict=True):
        channels, positions = a.shape[1], a.shape[2] * a.shape[3]
        for sample_a, sample_b in zip(a, b, strict=True):
            distance = (gram(sample_a) - gram(sample_b)).square().sum()
            total += distance / (4 * channels**2 * positions**2) / len(a)
    return total


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS], ids=["C x C is smaller", "N x N is smaller"])
def test_one_layer_equals_equation_3(shape: tuple[int, int, int]) -> None:
    low, well = features([shape], 0), features([shape], 1)
    torch.testing.assert_close(lupi_loss(low, well, lupi_config("paper"), "gram"), equation_3(low, well))


def test_layers_add_up() -> None:
    low, well = (features([MORE_POSITIONS, MORE_CHANNELS], seed) for seed in (0, 1))
    torch.testing.assert_close(lupi_loss(low, well, lupi_config("paper"), "gram"), equation_3(low, well))


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_relative_is_the_distance_in_units_of_the_well_lit_gram_matrices(shape: tuple[int, int, int]) -> None:
    (low,), (well,) = features([shape], 0), features([shape], 1)
    distance = sum((gram(a) - gram(b)).square().sum() for a, b in zip(low, well, strict=True))
    scale = sum(gram(b).square().sum() for b in well)
    torch.testing.assert_close(lupi_loss([low], [well], lupi_config("relative"), "gram"), distance / scale)


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_relative_does_not_change_with_the_scale_of_the_features(shape: tuple[int, int, int]) -> None:
    low, well = features([shape], 0), features([shape], 1)
    scaled = lupi_loss([1000 * f for f in low], [1000 * f for f in well], lupi_config("relative"), "gram")
    torch.testing.assert_close(scaled, lupi_loss(low, well, lupi_config("relative"), "gram"))


@pytest.mark.parametrize("normalisation", ["paper", "relative"])
def test_feature_matching_is_the_mean_squared_difference(normalisation: str) -> None:
    low, well = (features([MORE_POSITIONS, MORE_CHANNELS], seed) for seed in (0, 1))
    wanted = torch.zeros((), dtype=torch.float64)
    for a, b in zip(low, well, strict=True):
        distance = (a - b).square().sum() / 2  # of two pairs
        wanted += distance / (b[0].numel() if normalisation == "paper" else b.square().sum() / 2)
    torch.testing.assert_close(lupi_loss(low, well, lupi_config(normalisation), "features"), wanted)


@pytest.mark.parametrize("match", ["gram", "features"])
def test_a_sum_over_the_batch_is_as_many_times_the_mean_as_there_are_pairs(match: Match) -> None:
    low, well = features([MORE_POSITIONS], 0), features([MORE_POSITIONS], 1)
    mean = lupi_loss(low, well, lupi_config("paper"), match)
    torch.testing.assert_close(lupi_loss(low, well, lupi_config("paper", "sum"), match), 2 * mean)


@pytest.mark.parametrize("match", ["gram", "features"])
@pytest.mark.parametrize("normalisation", ["paper", "relative"])
@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_gradients_reach_the_low_light_side_only_and_are_right(
    shape: tuple[int, int, int], normalisation: str, match: Match
) -> None:
    low, well = features([shape], 0)[0].requires_grad_(), features([shape], 1)[0].requires_grad_()
    lupi_loss([low], [well], lupi_config(normalisation), match).backward()
    assert well.grad is None
    assert torch.autograd.gradcheck(lambda f: lupi_loss([f], [well], lupi_config(normalisation), match), [low])


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_half_precision_features_are_compared_in_float32(shape: tuple[int, int, int]) -> None:
    low, well = ([f.bfloat16() for f in features([shape], seed)] for seed in (0, 1))
    wanted = lupi_loss([f.float() for f in low], [f.float() for f in well], lupi_config("paper"), "gram")
    with torch.autocast("cpu", torch.bfloat16):
        found = lupi_loss(low, well, lupi_config("paper"), "gram")
    assert found.dtype == torch.float32 and torch.equal(found, wanted)


def everywhere(layer: torch.Tensor) -> Features:
    """The same feature maps at every layer."""
    return Features(layer, layer, layer, layer, layer)


def at_conv1(config: Config) -> Config:
    """The method, comparing one layer only."""
    return config.model_copy(update={"method": replace(config.method, layers=("conv1",))})


@pytest.mark.parametrize(
    "method, match, partner", [("ours", "gram", 0), ("lupi", "gram", 0), ("lupi-feat", "features", 0),
                               ("unpaired", "gram", 1)],
)  # fmt: skip
def test_a_method_compares_the_same_person_or_without_pairing_another(method: str, match: Match, partner: int) -> None:
    config = new_config("small", None, {"data": "night", "method": method})
    (low,), (well,) = features([MORE_POSITIONS], 0), features([MORE_POSITIONS], 1)
    others = well[[partner, 1 - partner]]
    wanted = lupi_loss([low], [others], config.lupi, match)
    torch.testing.assert_close(batch_lupi(everywhere(torch.cat([low, well])), 2, at_conv1(config)), wanted)


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_equal_features_cost_nothing(shape: tuple[int, int, int]) -> None:
    same = features([shape], 0)
    assert abs(float(lupi_loss(same, same, lupi_config("relative"), "gram"))) < 1e-12


def test_dead_features_give_a_finite_loss() -> None:
    dead = [torch.zeros(2, 3, 4, 4)]
    assert float(lupi_loss(dead, dead, lupi_config("relative"), "gram")) == 0.0


def test_features_of_different_shapes_are_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 5\) and \(2, 24, 3, 2\)"):
        lupi_loss(features([MORE_POSITIONS], 0), features([MORE_CHANNELS], 0), lupi_config("paper"), "gram")


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_the_gradient_lies_in_memory_as_the_features_do_and_leaves_the_well_lit_ones_alone(shape):
    config = new_config("modern", None, {"data": "none"})
    low, well = features([shape], 0)[0], features([shape], 1)[0]
    batch = torch.cat([low, well]).contiguous(memory_format=torch.channels_last).requires_grad_()
    batch_lupi(everywhere(batch), 2, at_conv1(config)).backward()
    low.requires_grad_()
    lupi_loss([low], [well], config.lupi, config.method.match).backward()
    assert batch.grad.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(batch.grad, torch.cat([low.grad, torch.zeros_like(well)]))
