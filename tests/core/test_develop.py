import cv2  # noqa: F401 - loaded here, not within the first example that hypothesis times
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.alignment import Photometry
from exlcap.core.develop import (
    Development,
    amplified,
    coloured,
    develop,
    development_of,
    srgb_thresholds,
    to_srgb,
)
from exlcap.core.rig import LIGHTS
from exlcap.simulate.optics import true_alignment
from tests.conftest import make_workspace


def mosaic(rgb, shape=(16, 16)):
    raw = np.zeros(shape, np.uint16)
    raw[0::2, 0::2], raw[1::2, 1::2] = rgb[0], rgb[2]
    raw[0::2, 1::2] = raw[1::2, 0::2] = rgb[1]
    return raw


@given(st.tuples(*[st.integers(0, 4095)] * 3), st.sampled_from(["bilinear", "malvar"]))
def test_a_flat_colour_keeps_its_value_and_its_channels(rgb, demosaic):
    linear = develop(mosaic(rgb), Development(60, demosaic=demosaic))
    expected = (np.array(rgb) - 60) / (4095 - 60)
    assert linear.dtype == np.float32
    assert np.allclose(linear, expected, atol=1e-5)


@pytest.mark.parametrize("demosaic", ["bilinear", "malvar"])
def test_noise_below_black_is_kept_so_that_the_mean_has_no_bias(demosaic):
    raw = np.clip(np.random.default_rng(0).normal(60, 5, (200, 200)).round(), 0, 4095).astype(np.uint16)
    linear = develop(raw, Development(60, demosaic=demosaic))
    assert linear.min() < 0
    assert abs(float(linear.mean())) < 2e-5


@pytest.mark.parametrize("demosaic", ["bilinear", "malvar"])
def test_a_dot_stays_where_it_is(demosaic):
    raw = np.zeros((20, 20), np.uint16)
    raw[9:12, 9:12] = 4000
    green = develop(raw, Development(0, demosaic=demosaic))[..., 1]
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
    white = develop(mosaic((4095,) * 3), Development(60, (1.9, 1.0, 1.4), MATRIX))
    assert (to_srgb(white) == 255).all()
    assert np.allclose(white, (1.9, 1.0, 1.4), atol=1e-5)  # above white nothing is cut off, either
    assert np.allclose(develop(mosaic((40,) * 3), Development(60, colour_matrix=MATRIX)), -20 / 4035, atol=1e-5)


def test_what_a_balance_lifts_above_white_is_not_cut_off_before_the_matrix():
    """Noise about white has no bias, so that averages of bright pixels have none."""
    rng = np.random.default_rng(0)
    linear = np.float32(1.0) + rng.normal(0, 0.02, (300, 300, 3)).astype(np.float32)
    assert abs(float(coloured(linear, MATRIX).mean()) - 1) < 2e-3 * 0.5
    assert coloured(linear, MATRIX).max() > 1.05


@pytest.mark.parametrize("balance", [(0.8, 1.0, 1.6), (1.2, 1.0, 0.7), (2.0, 1.0, 0.5)])
@pytest.mark.parametrize("light", ["well", "low"])
def test_a_saturated_pixel_is_white_under_any_balance(balance, light, tmp_path):
    photometry = Photometry(
        transmittance=(0.01,) * 3, transmittance_sd=(0,) * 3, offset_dn=0, well_white_balance=balance,
        low_white_balance=balance,
    )  # fmt: skip
    rig = make_workspace(tmp_path).rig
    how = development_of(rig, light, true_alignment(rig).model_copy(update={"photometry": photometry}))
    assert (to_srgb(develop(mosaic((4095,) * 3), how)) == 255).all()
    assert min(how.white_balance) == 1
    assert np.allclose(np.divide(how.white_balance, balance), how.white_balance[0] / balance[0])


def test_bright_frames_are_demosaiced_with_malvars_filters_and_dark_ones_bilinearly(tmp_path):
    rig = make_workspace(tmp_path).rig
    assert [development_of(rig, light, None).demosaic for light in LIGHTS] == ["malvar", "bilinear"]


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


@pytest.mark.parametrize("made", [to_srgb, amplified])
def test_what_is_not_linear_light_is_named(made):
    for wrong, named in (
        (np.zeros((4, 6, 3), np.uint8), r"uint8 \(4, 6, 3\)"),
        (np.zeros((4, 6), bool), r"bool \(4, 6\)"),
        ([0.5, 0.5], "list"),
    ):
        with pytest.raises(ValueError, match=f"expected linear light as an array of floats, .* got {named}"):
            made(wrong)
    with pytest.raises(ValueError, match="got a value that is NaN"):
        made(np.where(np.arange(200_000) == 150_000, np.nan, 0.5).astype(np.float32))


@pytest.mark.parametrize("made", [to_srgb, amplified])
@pytest.mark.parametrize("shape", [(), (5,), (4, 6), (4, 6, 3), (0, 6, 3)])
def test_linear_light_of_any_shape_and_float_is_taken(made, shape):
    for dtype in (np.float32, np.float64):
        assert made(np.full(shape, 0.5, dtype)).shape == shape


def test_infinite_light_is_no_nan():
    assert to_srgb(np.array([-np.inf, 0.5, np.inf], np.float32)).shape == (3,)
