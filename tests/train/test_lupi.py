"""The Gram loss against eq. 3 of the paper, written out as a loop in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from exlcap.train.lupi import lupi_loss

MORE_POSITIONS, MORE_CHANNELS = (3, 4, 5), (24, 3, 2)


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
    torch.testing.assert_close(lupi_loss(low, well, "paper"), equation_3(low, well))


def test_layers_add_up() -> None:
    low, well = (features([MORE_POSITIONS, MORE_CHANNELS], seed) for seed in (0, 1))
    torch.testing.assert_close(lupi_loss(low, well, "paper"), equation_3(low, well))


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_relative_is_the_distance_in_units_of_the_well_lit_gram_matrices(shape: tuple[int, int, int]) -> None:
    (low,), (well,) = features([shape], 0), features([shape], 1)
    distance = sum((gram(a) - gram(b)).square().sum() for a, b in zip(low, well, strict=True))
    scale = sum(gram(b).square().sum() for b in well)
    torch.testing.assert_close(lupi_loss([low], [well], "relative"), distance / scale)


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_relative_does_not_change_with_the_scale_of_the_features(shape: tuple[int, int, int]) -> None:
    low, well = features([shape], 0), features([shape], 1)
    scaled = lupi_loss([1000 * f for f in low], [1000 * f for f in well], "relative")
    torch.testing.assert_close(scaled, lupi_loss(low, well, "relative"))


@pytest.mark.parametrize("normalisation", ["paper", "relative"])
@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_gradients_reach_the_low_light_side_only_and_are_right(shape: tuple[int, int, int], normalisation: str) -> None:
    low, well = features([shape], 0)[0].requires_grad_(), features([shape], 1)[0].requires_grad_()
    lupi_loss([low], [well], normalisation).backward()
    assert well.grad is None
    assert torch.autograd.gradcheck(lambda f: lupi_loss([f], [well], normalisation), [low])


@pytest.mark.parametrize("shape", [MORE_POSITIONS, MORE_CHANNELS])
def test_equal_features_cost_nothing(shape: tuple[int, int, int]) -> None:
    same = features([shape], 0)
    assert abs(float(lupi_loss(same, same, "relative"))) < 1e-12


def test_dead_features_give_a_finite_loss() -> None:
    dead = [torch.zeros(2, 3, 4, 4)]
    assert float(lupi_loss(dead, dead, "relative")) == 0.0


def test_features_of_different_shapes_are_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 5\) and \(2, 24, 3, 2\)"):
        lupi_loss(features([MORE_POSITIONS], 0), features([MORE_CHANNELS], 0), "paper")
