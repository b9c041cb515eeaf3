"""Lighting-specific BatchNorm: one concatenated batch does what two separate networks with shared convolutions do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from exlcap.train.lsbn import Lighting, LSBN2d
from exlcap.train.resnet import Features, ResNet

N_LOW = 3


class Pair:
    """A small LSBN backbone and its plain reference: two ordinary networks with the same convolutions."""

    def __init__(self, depth: int) -> None:
        torch.manual_seed(0)
        self.lighting = Lighting()
        self.lsbn = ResNet(depth, 8, lambda channels: LSBN2d(channels, self.lighting)).double()
        for module in self.lsbn.modules():  # no two BatchNorms alike, or a mix-up would go unseen
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
        plain = ResNet(depth, 8, nn.BatchNorm2d).double()
        self.plain = {light: copy.deepcopy(plain) for light in ("low", "well")}
        for light, network in self.plain.items():
            network.load_state_dict(self.state_of(light))

    def state_of(self, light: str) -> dict[str, torch.Tensor]:
        """The LSBN network's state as that of a plain network for one lighting."""
        other = {"low": ".well.", "well": ".low."}[light]
        return {k.replace(f".{light}.", "."): v for k, v in self.lsbn.state_dict().items() if other not in k}

    def both(self, images: torch.Tensor) -> tuple[Features, dict[str, Features]]:
        with self.lighting.batch(len(images), N_LOW):
            together = self.lsbn(images)
        return together, {"low": self.plain["low"](images[:N_LOW]), "well": self.plain["well"](images[N_LOW:])}


@pytest.fixture(params=[18, 50])
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(1)
    dark, bright = torch.randn(N_LOW, 3, 64, 64), 3 + 2 * torch.randn(5, 3, 64, 64)
    return torch.cat([dark, bright]).double()


def test_features_of_both_lightings_equal_two_forward_passes(pair: Pair, images: torch.Tensor) -> None:
    together, apart = pair.both(images)
    for layer, low, well in zip(together, apart["low"], apart["well"], strict=True):
        torch.testing.assert_close(layer, torch.cat([low, well]))


def test_running_statistics_equal_two_forward_passes_and_never_mix(pair: Pair, images: torch.Tensor) -> None:
    pair.both(images)
    for light, network in pair.plain.items():
        torch.testing.assert_close(pair.state_of(light), network.state_dict())
    low, well = (pair.state_of(light)["bn1.running_mean"] for light in ("low", "well"))
    assert not torch.allclose(low, well)


def test_gradients_equal_the_sum_of_two_backward_passes(pair: Pair, images: torch.Tensor) -> None:
    together, apart = pair.both(images)
    together.r4.square().sum().backward()
    (apart["low"].r4.square().sum() + apart["well"].r4.square().sum()).backward()
    plain = {light: dict(network.named_parameters()) for light, network in pair.plain.items()}
    for name, parameter in pair.lsbn.named_parameters():
        parts = [p[n] for light, p in plain.items() if (n := name.replace(f".{light}.", ".")) in p]
        wanted = torch.stack([part.grad for part in parts if part.grad is not None]).sum(0)
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-8, atol=1e-8)


def test_evaluation_uses_the_running_statistics_of_the_image_s_own_lighting(pair: Pair, images: torch.Tensor) -> None:
    pair.both(images)
    for network in (pair.lsbn, *pair.plain.values()):
        network.eval()
    together, apart = pair.both(images)
    torch.testing.assert_close(together.r4, torch.cat([apart["low"].r4, apart["well"].r4]))


@pytest.mark.parametrize("n_low", [0, 4], ids=["all well-lit", "all low-light"])
def test_a_batch_of_one_lighting_leaves_the_other_statistics_alone(n_low: int) -> None:
    lighting = Lighting()
    layer = LSBN2d(2, lighting)
    with lighting.batch(4, n_low):
        layer(5 + torch.randn(4, 2, 3, 3))
    used, unused = (layer.low, layer.well) if n_low else (layer.well, layer.low)
    assert used.num_batches_tracked == 1 and unused.num_batches_tracked == 0
    assert torch.equal(unused.running_mean, torch.zeros(2))


def test_a_layer_outside_a_batch_is_refused_rather_than_guessing() -> None:
    lighting = Lighting()
    layer = LSBN2d(2, lighting)
    with lighting.batch(1, 1):
        layer(torch.randn(1, 2, 3, 3))
    with pytest.raises(RuntimeError, match="lighting"):
        layer(torch.randn(1, 2, 3, 3))


@pytest.mark.parametrize("n_low", [-1, 5])
def test_a_count_that_does_not_fit_the_batch_is_refused(n_low: int) -> None:
    with pytest.raises(ValueError, match=f"batch size 4, got {n_low}"), Lighting().batch(4, n_low):
        pass
