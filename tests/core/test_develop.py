import cv2  # noqa: F401 - loaded here, not within the first example that hypothesis times
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.develop import Development, amplified, develop, srgb_thresholds, to_srgb


def mosaic(rgb, shape=(16, 16)):
    raw = np.zeros(shape, np.uint16)
    raw[0::2, 0::2], raw[1::2, 1::2] = rgb[0], rgb[2]
    raw[0::2, 1::2] = raw[1::2, 0::2] = rgb[1]
    return raw


@given(st.tuples(*[st.integers(0, 4095)] * 3))
def test_a_flat_colour_keeps_its_value_and_its_channels(rgb):
    linear = develop(mosaic(rgb), Development(60))
    expected = (np.array(rgb) - 60) / (4095 - 60)
    assert linear.dtype == np.float32
    assert np.allclose(linear, expected, atol=1e-5)


def test_noise_below_black_is_kept_so_that_the_mean_has_no_bias():
    raw = np.clip(np.random.default_rng(0).normal(60, 5, (200, 200)).round(), 0, 4095).astype(np.uint16)
    linear = develop(raw, Development(60))
    assert linear.min() < 0
    assert abs(float(linear.mean())) < 2e-5


def test_a_dot_stays_where_it_is():
    raw = np.zeros((20, 20), np.uint16)
    raw[9:12, 9:12] = 4000
    green = develop(raw, Development(0))[..., 1]
    rows, columns = np.mgrid[:20, :20]
    assert np.average(rows, weights=green) == pytest.approx(10, abs=1e-3)
    assert np.average(columns, weights=green) == pytest.approx(10, abs=1e-3)


def test_white_balance_multiplies_linear_light():
    linear = develop(mosaic((1000, 1000, 1000)), Development(0, (2.0, 1.0, 0.5)))
    assert np.allclose(linear[5, 5] / linear[5, 5, 1], (2, 1, 0.5), atol=1e-4)


MATRIX = ((1.6, -0.4, -0.2), (-0.2, 1.5, -0.3), (0.0, -0.5, 1.5))


def test_a_colour_matrix_follows_white_balance_in_linear_light():
    linear = develop(mosaic((400, 800, 1600)), Development(0, (2.0, 1.0, 0.5), MATRIX))
    assert np.allclose(linear, 800 / 4095, atol=1e-5)  # balanced to grey, and grey stays grey
    coloured = develop(mosaic((800, 800, 1600)), Development(0, (2.0, 1.0, 0.5), MATRIX))
    assert np.allclose(coloured * 4095, np.array(MATRIX) @ (1600, 800, 800), atol=0.05)


def test_a_colour_matrix_keeps_white_white_and_what_lies_below_black():
    assert np.allclose(develop(mosaic((4095,) * 3), Development(60, (1.9, 1.0, 1.4), MATRIX)), 1, atol=1e-5)
    assert np.allclose(develop(mosaic((40,) * 3), Development(60, colour_matrix=MATRIX)), -20 / 4035, atol=1e-5)


@pytest.mark.parametrize(("linear", "srgb"), [(0, 0), (1, 255), (0.5, 188), (0.18, 118), (0.001, 3), (-1, 0), (7, 255)])
def test_srgb_of_known_levels(linear, srgb):
    assert to_srgb(np.full((2, 2, 3), linear, np.float32)).tolist() == [[[srgb] * 3] * 2] * 2


def exact_srgb(linear):
    """IEC 61966-2-1 on the scale of 0..255, in float64."""
    linear = np.clip(np.asarray(linear, np.float64), 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def test_srgb_is_the_nearest_level_of_the_exact_curve_everywhere():
    borders = srgb_thresholds()
    dark = np.geomspace(1e-6, 1, 200_001)
    linear = np.concatenate([np.linspace(-0.1, 1.1, 200_001), dark, borders, np.nextafter(borders, np.float32(0))])
    linear = linear.astype(np.float32)
    assert np.abs(to_srgb(linear).astype(float) - exact_srgb(linear)).max() <= 0.5


def test_level_1_begins_half_way():
    assert to_srgb(np.array([[1.46e-4, 1.517e-4, 1.519e-4]], np.float32)).tolist() == [[0, 0, 1]]


def test_srgb_of_a_view_that_is_not_contiguous():
    linear = np.random.default_rng(0).random((7, 9, 3)).astype(np.float32)
    assert np.array_equal(to_srgb(linear[:, ::-1]), to_srgb(linear)[:, ::-1])
    assert to_srgb(linear[:0]).shape == (0, 9, 3)


def test_amplifying_black_stays_black():
    assert not amplified(np.zeros((3, 3, 3), np.float32)).any()
    assert amplified(np.full((3, 3, 3), 0.004, np.float32)).mean() == pytest.approx(0.4)


def test_a_wrong_array_is_named():
    with pytest.raises(ValueError, match=r"uint16 \(H, W\), got float64 \(2, 2\)"):
        develop(np.zeros((2, 2)), Development(0))
