"""Malvar's filters against photographs whose every pixel is known."""

from pathlib import Path

import numpy as np
import pytest

from exlcap.core.demosaic import BAND_ROWS, malvar
from exlcap.core.develop import Development, develop, to_srgb
from exlcap.simulate.photos import read_linear
from exlcap.simulate.sensor import mosaic


def photograph() -> Path:
    """A portrait that comes with matplotlib."""
    from matplotlib import get_data_path

    return Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"


def psnr_db(picture, truth):
    inner = np.s_[8:-8, 8:-8]
    return 10 * np.log10(255**2 / np.mean((picture[inner].astype(float) - truth[inner]) ** 2))


def raw_of(light, balance=(1.0, 1.0, 1.0), black=60):
    return np.rint(mosaic(light / np.array(balance, np.float32)) * (4095 - black) + black).astype(np.uint16)


@pytest.mark.parametrize("balance", [(1.0, 1.0, 1.0), (1.9, 1.0, 1.5)])
def test_a_bright_photograph_comes_nearer_to_the_truth_than_bilinearly(balance):
    light = read_linear(photograph(), None)
    raw = raw_of(light, balance)
    found = {
        demosaic: psnr_db(to_srgb(develop(raw, Development(60, balance, demosaic=demosaic))), to_srgb(light))
        for demosaic in ("bilinear", "malvar")
    }
    assert found["malvar"] > found["bilinear"] + 1.5


def test_a_plane_of_any_slope_is_exact_away_from_the_border():
    rows, columns = np.mgrid[:21, :30].astype(np.float32)
    plane = 0.01 * rows - 0.02 * columns + 0.3
    assert np.allclose(malvar(plane)[2:-2, 2:-2], plane[2:-2, 2:-2, None], atol=1e-6)


def test_measured_pixels_stay_as_they_are():
    raw = np.random.default_rng(0).random((9, 12), np.float32)
    rgb = malvar(raw)
    assert np.array_equal(rgb[::2, ::2, 0], raw[::2, ::2])
    assert np.array_equal(rgb[1::2, 1::2, 2], raw[1::2, 1::2])
    assert np.array_equal(rgb[::2, 1::2, 1], raw[::2, 1::2])
    assert np.array_equal(rgb[1::2, ::2, 1], raw[1::2, ::2])


def test_the_borders_keep_the_pattern():
    """Colours that differ by constants stay apart up to the last pixel."""
    colours = np.array([0.2, 0.5, 0.9], np.float32)
    for shape in ((8, 8), (7, 9), (4, 5)):
        assert np.allclose(malvar(mosaic(np.broadcast_to(colours, (*shape, 3)))), colours, atol=1e-6)


def test_a_wrong_array_is_named():
    with pytest.raises(ValueError, match=r"float32 \(H, W\), got uint16 \(4, 4\)"):
        malvar(np.zeros((4, 4), np.uint16))


def test_twelve_bits_are_kept():
    """Frames a tenth of a level apart in the mean stay apart: nothing is rounded to 8 bits on the way."""
    rng = np.random.default_rng(1)
    raw = rng.integers(500, 600, (64, 64)).astype(np.uint16)
    more = raw + (rng.random(raw.shape) < 0.1).astype(np.uint16)
    how = Development(60, demosaic="malvar")
    rise = develop(more, how).mean() - develop(raw, how).mean()
    assert rise * 4035 == pytest.approx((more.astype(float) - raw).mean(), rel=0.1)


def test_rows_that_are_done_apart_fit_together():
    """Every value is that of the same filter over the whole mosaic."""
    raw = np.random.default_rng(2).random((2 * BAND_ROWS + 6, 10), np.float32)
    part = malvar(raw[BAND_ROWS - 6 : BAND_ROWS + 8])
    assert np.allclose(malvar(raw)[BAND_ROWS - 4 : BAND_ROWS + 6], part[2:-2], atol=1e-6)
