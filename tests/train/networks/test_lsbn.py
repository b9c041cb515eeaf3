"""Lighting-specific BatchNorm: one concatenated batch does what two separate networks with shared convolutions do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from exlcap.train.networks.lsbn import ApartBN2d, BatchLights, LSBN2d
from exlcap.train.networks.resnet import Features, ResNet

N_LOW = 3


class Pair:
    """A small LSBN backbone and its plain reference: two ordinary networks with the same convolutions."""

    def __init__(self, depth: int) -> None:
        torch.manual_seed(0)
        self.lights = BatchLights()
        self.lsbn = ResNet(depth, 8, lambda channels: LSBN2d(channels, self.lights)).double()
        for module in self.lsbn.modules():  # no two BatchNorms alike, or a mix-up would go unseen
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
        plain = ResNet(depth, 8, nn.BatchNorm2d).double()
        self.plain = {light: copy.deepcopy(plain) for light in ("low", "well")}
        for light, network in self.plain.items():
            network.load_state_dict(self.state_of(light))

    def state_of(self, light: str) -> dict[str, torch.Tensor]:
        """The LSBN network's state as that of a plain network for one light."""
        other = {"low": ".well.", "well": ".low."}[light]
        return {k.replace(f".{light}.", "."): v for k, v in self.lsbn.state_dict().items() if other not in k}

    def both(self, images: torch.Tensor) -> tuple[Features, dict[str, Features]]:
        with self.lights.batch(len(images), N_LOW):
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


def test_features_of_both_lights_equal_two_forward_passes(pair: Pair, images: torch.Tensor) -> None:
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


def test_evaluation_uses_the_running_statistics_of_the_image_s_own_light(pair: Pair, images: torch.Tensor) -> None:
    pair.both(images)
    for network in (pair.lsbn, *pair.plain.values()):
        network.eval()
    together, apart = pair.both(images)
    torch.testing.assert_close(together.r4, torch.cat([apart["low"].r4, apart["well"].r4]))


@pytest.mark.parametrize("n_low", [0, 4], ids=["all well-lit", "all low-light"])
def test_a_batch_in_one_light_leaves_the_other_statistics_alone(n_low: int) -> None:
    lights = BatchLights()
    layer = LSBN2d(2, lights)
    with lights.batch(4, n_low):
        layer(5 + torch.randn(4, 2, 3, 3))
    used, unused = (layer.low, layer.well) if n_low else (layer.well, layer.low)
    assert used.num_batches_tracked == 1 and unused.num_batches_tracked == 0
    assert torch.equal(unused.running_mean, torch.zeros(2))


def test_a_layer_outside_a_batch_is_refused_rather_than_guessing() -> None:
    lights = BatchLights()
    layer = LSBN2d(2, lights)
    with lights.batch(1, 1):
        layer(torch.randn(1, 2, 3, 3))
    with pytest.raises(RuntimeError, match="the lights of this batch"):
        layer(torch.randn(1, 2, 3, 3))


@pytest.mark.parametrize("n_low", [-1, 5])
def test_a_count_that_does_not_fit_the_batch_is_refused(n_low: int) -> None:
    with pytest.raises(ValueError, match=f"batch size 4, got {n_low}"), BatchLights().batch(4, n_low):
        pass


@pytest.fixture
def layer() -> LSBN2d:
    torch.manual_seed(2)
    layer = LSBN2d(3, BatchLights())
    for norm in (layer.low, layer.well):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    return layer


def through(layer: LSBN2d, x: torch.Tensor, n_low: int) -> torch.Tensor:
    with layer._lights.batch(len(x), n_low):
        return layer(x)


def apart(layer: LSBN2d, x: torch.Tensor, n_low: int) -> torch.Tensor:
    """What two ordinary BatchNorm layers give."""
    return torch.cat([layer.low(x[:n_low]), layer.well(x[n_low:])])


def test_gradients_of_the_images_and_of_all_four_weights_are_right(layer: LSBN2d) -> None:
    layer.double()
    x = torch.randn(5, 3, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))

    names, weights = zip(*layer.named_parameters(), strict=True)
    with layer._lights.batch(5, 2):
        assert torch.autograd.gradcheck(run, (x, *weights))


@pytest.mark.parametrize("n_low", [1, 3, 4])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels last"])
def test_one_pass_equals_two_batch_norms_in_output_gradients_and_statistics(
    layer: LSBN2d, n_low: int, form: torch.memory_format
) -> None:
    plain = copy.deepcopy(layer)
    x = (4 * torch.randn(5, 3, 6, 7) + 1).contiguous(memory_format=form)
    weights = torch.randn(5, 3, 6, 7)
    grads = []
    for module, run in ((layer, through), (plain, apart)):
        leaf = x.clone().requires_grad_()
        out = run(module, leaf, n_low)
        (out * weights).sum().backward()
        grads.append((out.detach(), leaf.grad, *(parameter.grad for parameter in module.parameters())))
        assert out.is_contiguous(memory_format=form)
    torch.testing.assert_close(grads[0], grads[1])
    torch.testing.assert_close(layer.state_dict(), plain.state_dict())
    assert layer.low.num_batches_tracked == 1 and not torch.allclose(layer.low.running_var, torch.ones(3))


def test_frozen_statistics_are_used_and_stay(layer: LSBN2d) -> None:
    for norm in (layer.low, layer.well):
        norm.eval()
    before = copy.deepcopy(layer.state_dict())
    x = 3 + torch.randn(5, 3, 6, 7)
    torch.testing.assert_close(through(layer, x, 2), apart(layer, x, 2))
    torch.testing.assert_close(layer.state_dict(), before)


def test_under_autocast_halves_stay_half_and_statistics_full_precision(layer: LSBN2d) -> None:
    plain = copy.deepcopy(layer)
    x = torch.randn(6, 3, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = through(layer, x, 2), apart(plain, x, 2)
    assert found.dtype == wanted.dtype == torch.bfloat16
    torch.testing.assert_close(found, wanted)
    assert layer.low.running_mean.dtype == torch.float32
    torch.testing.assert_close(layer.state_dict(), plain.state_dict())


def test_names_of_the_weights_are_those_of_two_batch_norms(layer: LSBN2d) -> None:
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert list(layer.state_dict()) == [f"{light}.{part}" for light in ("low", "well") for part in parts]


def test_a_shared_norm_seen_apart_does_what_two_passes_do() -> None:
    lights = BatchLights()
    apart, plain = ApartBN2d(3, lights).double(), nn.BatchNorm2d(3).double()
    low, well = (torch.randn(4, 3, 5, 6, dtype=torch.float64) * scale + scale for scale in (1, 7))
    both = torch.cat([low, well]).requires_grad_()
    with lights.batch(8, 4):
        found = apart(both)
    wanted = torch.cat([plain(both[:4]), plain(both[4:])])
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(apart.state_dict(), plain.state_dict())
    gradients = [torch.autograd.grad(out.square().sum() + out[0].sum(), both)[0] for out in (found, wanted)]
    torch.testing.assert_close(*gradients)
    apart.eval(), plain.eval()
    with lights.batch(8, 4):
        torch.testing.assert_close(apart(both), plain(both))


@pytest.mark.parametrize("n_low", [0, 4])
def test_a_shared_norm_seen_apart_takes_batches_in_one_light(n_low: int) -> None:
    lights, images = BatchLights(), torch.randn(4, 3, 5, 6)
    with lights.batch(4, n_low):
        torch.testing.assert_close(ApartBN2d(3, lights)(images), nn.BatchNorm2d(3)(images))


@pytest.mark.slow
def test_a_compiled_layer_does_the_same_without_a_break_of_its_graph(layer: LSBN2d) -> None:
    plain = copy.deepcopy(layer)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(6, 3, 4, 4)
    with layer._lights.batch(6, 2):
        found = compiled(x)
    torch.testing.assert_close(found, apart(plain, x, 2))
    found.square().sum().backward()
    torch.testing.assert_close(layer.state_dict(), plain.state_dict())
    assert layer.well.weight.grad.abs().sum() > 0
