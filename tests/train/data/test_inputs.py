"""The network's input: dark images brought to a mean, both lights normalised alike or as in the official code."""

from __future__ import annotations

import pytest
import torch

from exlcap.train.config import InputConfig
from exlcap.train.data.inputs import IMAGENET, OFFICIAL_WELL, brightened, network_input

GREY = torch.full((2, 3, 4, 4), 0.4)


def input_config(normalisation: str) -> InputConfig:
    return InputConfig(box_scale=(1.25, 1.25), resampling="area", low_mean=0.4, normalisation=normalisation)


def test_each_channel_of_a_dark_image_is_scaled_to_the_mean() -> None:
    dark = torch.rand((5, 3, 8, 6), generator=torch.Generator().manual_seed(0)) * torch.tensor([1e-3, 2e-3, 9e-3]).view(
        3, 1, 1
    )
    torch.testing.assert_close(brightened(dark, 0.4).mean((2, 3)), torch.full((5, 3), 0.4))


def test_a_black_channel_stays_black_and_the_others_are_finite() -> None:
    image = torch.full((1, 3, 4, 4), 0.01)
    image[:, 1] = 0
    assert brightened(image, 0.4).mean((0, 2, 3)).tolist() == pytest.approx([0.4, 0.0, 0.4])


@pytest.mark.parametrize("light", ["low", "well"])
def test_equal_takes_the_same_mean_and_deviation_out_of_both_lights(light: str) -> None:
    wanted = [(0.4 - mean) / deviation for mean, deviation in zip(*IMAGENET, strict=True)]
    found = network_input(GREY, light, input_config("equal"))
    torch.testing.assert_close(found[:, :, 0, 0], torch.tensor([wanted, wanted]))


def test_official_leaves_dark_images_scaled_only() -> None:
    torch.testing.assert_close(network_input(GREY / 40, "low", input_config("official")), GREY)
    wanted = [(0.4 - mean) / deviation for mean, deviation in zip(*OFFICIAL_WELL, strict=True)]
    torch.testing.assert_close(network_input(GREY, "well", input_config("official"))[1, :, 2, 3], torch.tensor(wanted))


def test_gains_change_the_brightened_image() -> None:
    gains = torch.tensor([[0.5, 1.0, 2.0], [1.0, 1.0, 1.0]])
    found = network_input(GREY / 40, "low", input_config("official"), gains)
    torch.testing.assert_close(found[:, :, 0, 0], 0.4 * gains)


@pytest.mark.parametrize("light", ["low", "well"])
@pytest.mark.parametrize("normalisation", ["equal", "official"])
def test_bytes_give_what_their_fractions_give_in_either_order_of_memory(light: str, normalisation: str) -> None:
    pixels = torch.randint(0, 256, (3, 6, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    gains = torch.tensor([[0.5, 1.0, 2.0], [1.0, 1.0, 1.0], [1.5, 0.7, 1.1]])
    images = pixels.permute(0, 3, 1, 2)
    found = network_input(images, light, input_config(normalisation), gains)
    wanted = network_input(images.contiguous() / 255, light, input_config(normalisation), gains)
    torch.testing.assert_close(found, wanted)
    assert found.is_contiguous(memory_format=torch.channels_last)
