"""One view laid onto the other: even noise, sharp edges, and pixels where the labels say."""

import numpy as np
import pytest

from exlcap.core.alignment import apply_homography, make_alignment, mirror_matrix
from exlcap.core.develop import (
    Development,
    cropped,
    cropped_low,
    develop,
    low_crop,
    low_on_well,
    well_on_low,
)

SIZE = (112, 96)
SPACING = 16
"""Further apart than the kernels reach, so that many impulses go into one frame."""


def small_homography(seed, size=SIZE):
    """Up to 2 degrees of turn, 3 % of zoom, a shift and a little tilt, about the centre."""
    rng = np.random.default_rng(seed)
    turn, zoom = np.deg2rad(rng.uniform(-2, 2)), 1 + rng.uniform(-0.03, 0.03)
    centre = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    matrix = np.eye(3)
    matrix[:2, :2] = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix[:2, 2] = centre - matrix[:2, :2] @ centre + rng.uniform(-3, 3, 2)
    matrix[2, :2] = rng.uniform(-2e-5, 2e-5, 2)
    return matrix


def alignment_of(seed, mirror=False, size=SIZE):
    return make_alignment(small_homography(seed, size), mirror, size, size, "ref-001", "2024-01-01T00:00:00Z")


def noise_gain(alignment):
    """Standard deviation of each pixel and colour of the warped dark image, for raw noise of 1: exactly, (h, w, 3).

    Developing and warping are linear, so it is the root of the sum of squares of what every raw pixel contributes.
    """
    total = np.zeros((alignment.crop.height, alignment.crop.width, 3))
    for row in range(SPACING):
        for column in range(SPACING):
            raw = np.zeros(SIZE[::-1], np.uint16)
            raw[row::SPACING, column::SPACING] = 4095
            total += low_on_well(develop(raw, Development(0)), alignment).astype(float) ** 2
    return np.sqrt(total)[12:-12, 12:-12]


@pytest.mark.parametrize(("seed", "mirror"), [(0, False), (1, True), (2, False)])
def test_the_noise_of_a_warped_dark_image_is_even(seed, mirror):
    gain = noise_gain(alignment_of(seed, mirror))
    assert (gain.max((0, 1)) / gain.min((0, 1)) < 1.05).all()


def amplitude(picture, period):
    """Of a grating along x, by channel, as a share of 0.25."""
    inner = picture[16:-16, 16:-16].mean(0)
    inner = inner[: len(inner) // period * period]
    phase = np.exp(-2j * np.pi * np.arange(len(inner)) / period)
    return np.abs((inner * phase[:, None]).mean(0)) * 2 / 0.25


def test_a_warped_dark_image_is_as_sharp_as_a_bilinear_one():
    """0.79 of the amplitude of red and 0.86 of green are left after bilinear resampling, at a period of 8 pixels."""
    columns = np.arange(SIZE[0])
    grey = np.rint(4095 * (0.5 + 0.25 * np.cos(2 * np.pi * columns / 8))).astype(np.uint16)
    raw = np.tile(grey, (SIZE[1], 1))
    shifted = make_alignment(np.array([[1, 0, 0.37], [0, 1, 0.23], [0, 0, 1]]), False, SIZE, SIZE, "r", "t")
    left = amplitude(low_on_well(develop(raw, Development(0)), shifted), 8)
    assert left[0] > 0.78
    assert left[1] > 0.85


def test_noise_below_black_stays_below_black():
    raw = np.clip(np.random.default_rng(0).normal(60, 4, (200, 240)).round(), 0, 4095).astype(np.uint16)
    alignment = make_alignment(small_homography(3, (240, 200)), False, (240, 200), (240, 200), "r", "t")
    linear = low_on_well(develop(raw, Development(60)), alignment)
    assert linear.min() < 0
    assert abs(float(linear.mean())) < 3e-5


def dots(places, size):
    """Round dots of 2 pixels at places (N, 2), float32 (H, W, 3)."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    light = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.0**2)) for x, y in places)
    return np.repeat(light[..., None], 3, axis=2).astype(np.float32)


def centre_of(picture, near, reach=9):
    """Centre of light about a place of a picture."""
    x, y = np.rint(near).astype(int)
    window = np.s_[y - reach : y + reach + 1, x - reach : x + reach + 1]
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    light = picture[..., 1][window]
    return np.array([np.average(columns[window], weights=light), np.average(rows[window], weights=light)])


PLACES = np.array([[60.3, 50.7], [240.1, 61.4], [150.6, 105.2], [58.8, 150.9], [243.4, 148.2]])


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_pixels_of_both_warps_lie_where_labels_are_carried_to(seed, mirror):
    size = (300, 200)
    alignment = alignment_of(seed, mirror, size)
    in_low = alignment.map_well_to_low(PLACES)

    over = low_on_well(dots(in_low, size), alignment)
    for place in PLACES - alignment.crop[:2]:
        assert centre_of(over, place) == pytest.approx(place, abs=0.02)

    upright = apply_homography(mirror_matrix(size[0]), in_low) if mirror else in_low
    under = well_on_low(dots(PLACES, size), alignment)
    same = cropped_low(dots(in_low, size), alignment)
    for place in upright - low_crop(alignment)[:2]:
        assert centre_of(under, place) == pytest.approx(place, abs=0.02)
        assert centre_of(same, place) == pytest.approx(place, abs=0.02)


@pytest.mark.parametrize("mirror", [False, True])
def test_both_common_areas_are_wholly_seen_by_both_cameras(mirror):
    alignment = alignment_of(5, mirror)
    ones = np.ones((SIZE[1], SIZE[0], 3), np.float32)
    for made in (low_on_well(ones, alignment), cropped(ones, alignment)):
        assert made.shape == (alignment.crop.height, alignment.crop.width, 3)
    x, y, width, height = low_crop(alignment)
    for made in (well_on_low(ones, alignment), cropped_low(ones, alignment)):
        assert made.shape == (height, width, 3)
    corners = np.array([[x, y], [x + width - 1, y], [x, y + height - 1], [x + width - 1, y + height - 1]], float)
    seen = apply_homography(np.array(alignment.homography), corners)
    assert (seen >= -1e-9).all()
    assert (seen <= np.array(SIZE) - 1 + 1e-9).all()
