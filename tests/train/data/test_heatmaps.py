"""Heat maps hold places to a fraction of a pixel, and mirroring the input mirrors them without a shift."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.joints import FLIP_INDICES
from exlcap.train.data.heatmaps import OFFICIAL_KERNELS, decode, inside, official_targets, targets, to_input, to_map
from exlcap.train.results.inference import unmirrored

SIZE = (32, 24)
places = st.tuples(st.floats(-0.4, SIZE[1] - 0.6), st.floats(-0.4, SIZE[0] - 0.6))


@given(places, st.floats(1.0, 3.0))
def test_a_gaussian_map_gives_back_its_centre_anywhere_on_the_map(place: tuple[float, float], sigma: float) -> None:
    joint = torch.tensor([[place]], dtype=torch.float64)
    found, height = decode(targets(joint, SIZE, sigma))
    torch.testing.assert_close(found, joint, atol=0.01, rtol=0)
    assert 0.7 < float(height) <= 1.0


def test_targets_peak_at_one_and_fall_off_as_a_gaussian() -> None:
    maps = targets(torch.tensor([[[5.0, 7.0]]]), SIZE, sigma=2.0)
    assert maps.shape == (1, 1, *SIZE)
    assert float(maps[0, 0, 7, 5]) == 1.0
    torch.testing.assert_close(maps[0, 0, 7, 7], torch.tensor(-0.5).exp())
    torch.testing.assert_close(maps[0, 0, 9, 7], torch.tensor(-1.0).exp())


def test_a_noisy_map_is_decoded_within_a_pixel_of_its_maximum() -> None:
    noise = torch.rand((8, 14, *SIZE), generator=torch.Generator().manual_seed(0))
    found, peak = decode(noise)
    top = noise.flatten(2).argmax(2)
    offset = found - torch.stack([top % SIZE[1], top // SIZE[1]], -1)
    assert offset.abs().max() <= 1.0
    assert torch.equal(peak, noise.amax((2, 3)))


def test_an_empty_map_is_decoded_to_finite_places_with_score_zero() -> None:
    found, peak = decode(torch.zeros(1, 14, *SIZE))
    assert torch.isfinite(found).all() and peak.abs().max() == 0


def drawn_as_the_official_code(x: float, y: float, kernel: int) -> np.ndarray:
    """A pixel at floor(x / 4), floor(y / 4), blurred, peak 1. x, y in input pixels."""
    heatmap = np.zeros(SIZE, np.float64)
    heatmap[int(y / 4), int(x / 4)] = 1
    heatmap = cv2.GaussianBlur(heatmap, (kernel, kernel), 0)
    return heatmap / heatmap.max()


@given(st.floats(0, 4 * SIZE[1] - 1), st.floats(0, 4 * SIZE[0] - 1), st.sampled_from(OFFICIAL_KERNELS))
def test_official_targets_equal_opencv_s_blur_of_a_pixel_borders_included(x: float, y: float, kernel: int) -> None:
    joints = to_map(torch.tensor([[[x, y]]], dtype=torch.float64))
    found = official_targets(joints, SIZE, kernel)[0, 0]
    x, y = to_input(joints)[0, 0].tolist()  # rounding may cross a whole pixel
    np.testing.assert_allclose(found.numpy(), drawn_as_the_official_code(max(x, 0), max(y, 0), kernel), atol=1e-6)


def test_the_reflected_border_moves_the_peak_of_an_official_target_and_not_of_ours() -> None:
    joint = to_map(torch.tensor([[[4 * 1 + 1.5, 4 * 16 + 1.5]]], dtype=torch.float64))  # the middle of pixel (1, 16)
    tops = [int(maps[0, 0, 16].argmax()) for maps in (official_targets(joint, SIZE, 7), targets(joint, SIZE, 1.41))]
    assert tops == [0, 1]


@given(places)
def test_input_and_map_coordinates_are_inverse_and_share_their_outer_edges(place: tuple[float, float]) -> None:
    point = torch.tensor(place, dtype=torch.float64)
    torch.testing.assert_close(to_map(to_input(point)), point)
    assert float(to_input(torch.tensor(-0.5))) == -0.5
    assert float(to_input(torch.tensor(SIZE[1] - 0.5))) == 4 * SIZE[1] - 0.5


def test_maps_of_a_mirrored_person_come_back_exactly_on_those_of_the_person() -> None:
    joints = to_map(torch.rand((2, 14, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 90)
    mirrored = joints[:, list(FLIP_INDICES)].clone()
    mirrored[..., 0] = SIZE[1] - 1 - mirrored[..., 0]
    torch.testing.assert_close(unmirrored(targets(mirrored, SIZE, 1.5), "mirror"), targets(joints, SIZE, 1.5))


@pytest.mark.parametrize(
    "x, y, on_map", [(0, 0, True), (-0.6, 3, False), (23.4, 31.4, True), (23.6, 3, False), (3, 31.6, False)]
)
def test_a_joint_is_on_the_map_up_to_the_edge_of_its_pixels(x: float, y: float, on_map: bool) -> None:
    assert bool(inside(torch.tensor([[[x, y]]]), SIZE)) is on_map


def test_joints_of_a_wrong_shape_are_refused_with_their_shape() -> None:
    with pytest.raises(ValueError, match=r"\(14, 2\)"):
        targets(torch.zeros(14, 2), SIZE, 1.0)
