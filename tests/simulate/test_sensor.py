"""The sensor: its mean and noise are those of photons, electrons and an amplifier."""

from __future__ import annotations

import numpy as np
import pytest

from exlcap.core.rig import Setting
from exlcap.simulate.sensor import SensorModel, expose, mosaic

MODEL = SensorModel(black_level_dn=60)
SIDE = 240


def flat(level: float, exposure_us: float, gain_db: float, transmittance: float = 1.0, light: float = 1.0):
    """A frame of an even grey, as float64."""
    grey = np.full((SIDE, SIDE, 3), level, np.float32)
    rng = np.random.default_rng(1)
    setting = Setting(exposure_us=exposure_us, gain_db=gain_db)
    raw = expose(grey, MODEL.electrons_per_us(light), setting, transmittance, MODEL, rng)
    assert raw.dtype == np.uint16 and raw.shape == (SIDE, SIDE)
    return raw.astype(np.float64)


@pytest.mark.parametrize(
    ("level", "exposure_us", "gain_db", "transmittance", "light"),
    [
        (0.5, 1000, 0.0, 1.0, 1.0),  # bright, base gain
        (0.2, 250, 12.04, 1.0, 1.0),  # k = 4: gain makes up for time
        (0.3, 83, 21.58, 1.0, 1.0),  # k = 12
        (0.5, 1000, 3.4, 0.01, 1.0),  # the dark camera: 53 e-
        (0.4, 1000, 3.4, 0.01, 0.05),  # the dark camera in a dark scene: 2 e-, about its read noise
    ],
)
def test_mean_and_variance_follow_shot_read_and_quantisation_noise(level, exposure_us, gain_db, transmittance, light):
    raw = flat(level, exposure_us, gain_db, transmittance, light)
    electrons = level * light * 10_700 * exposure_us / 1000 * transmittance
    dn_per_electron = 10 ** (gain_db / 20) * (4095 - 60) / 10_700
    variance = dn_per_electron**2 * (electrons + 2.4**2) + 1 / 12
    assert raw.mean() == pytest.approx(60 + dn_per_electron * electrons, abs=5 * np.sqrt(variance) / SIDE)
    assert raw.var() == pytest.approx(variance, rel=5 * np.sqrt(2) / SIDE)


def test_the_dark_camera_gets_the_transmitted_share():
    bright, dark = flat(0.8, 1000, 0), flat(0.8, 1000, 0, transmittance=0.01)
    assert (dark.mean() - 60) / (bright.mean() - 60) == pytest.approx(0.01, rel=0.01)


def test_exposure_over_k_with_gain_times_k_keeps_the_level():
    base, twelfth = flat(0.5, 1000, 0), flat(0.5, 1000 / 12, 20 * np.log10(12))
    assert twelfth.mean() == pytest.approx(base.mean(), rel=0.005)
    assert twelfth.std() > 2.5 * base.std()


def test_a_full_well_is_white_at_0_db_and_holds_no_more():
    raw = flat(1.0, 5000, 0)
    assert raw.max() == 4095
    assert raw.mean() == pytest.approx(4095, abs=3)
    assert flat(1.0, 5000, 20).min() == 4095  # beyond white the converter clips


def test_without_light_there_is_black_level_and_read_noise():
    raw = flat(0.0, 1000, 0)
    assert raw.mean() == pytest.approx(60, abs=0.05)
    assert raw.std() == pytest.approx(np.hypot(2.4 * 4035 / 10_700, np.sqrt(1 / 12)), rel=0.02)
    assert flat(0.0, 1000, 40).min() == 0  # noise below black is cut off at 0


def test_each_pixel_sees_its_own_colour_of_rggb():
    colours = np.broadcast_to(np.array([1, 2, 3], np.float32), (4, 6, 3))
    assert mosaic(colours).tolist() == [[1, 2] * 3, [2, 3] * 3] * 2
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        mosaic(np.zeros((4, 4), np.float32))
