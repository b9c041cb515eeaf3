"""The light of both cameras from the reference: transmittance, black level, white balance."""

import numpy as np
import pytest

from exlcap.align.photometry import light_scale, photometry, quads, remarks
from exlcap.core.alignment import mirror_matrix
from exlcap.core.errors import Refused
from exlcap.core.rig import Setting
from exlcap.simulate.sensor import mosaic

SETTINGS = (Setting(exposure_us=1000, gain_db=0), Setting(exposure_us=50_000, gain_db=6))
BLACK_DN = 60
SHARES = np.array([0.0102, 0.0100, 0.0099])


def cameras(offset_dn=0.0, shares=SHARES, seed=1):
    """Mean raw frames of both cameras, the dark one mirrored; light that changes from place to place."""
    rng = np.random.default_rng([seed])
    light = np.kron(rng.uniform(0.02, 0.8, (16, 24, 3)), np.ones((32, 32, 1))) * (0.8, 1.0, 0.6)
    well = mosaic(3000 * light) + BLACK_DN
    ratio = light_scale(SETTINGS[1]) / light_scale(SETTINGS[0])
    low = mosaic(3000 * (light * shares)[:, ::-1] * ratio) + BLACK_DN + offset_dn
    noisy = [(picture + rng.normal(0, 1, picture.shape)).astype(np.float32) for picture in (well, low)]
    return noisy[0], noisy[1], mirror_matrix(light.shape[1])


def test_each_colours_transmittance_is_found_settings_allowed_for():
    well, low, matrix = cameras()
    found = photometry(well, low, matrix, SETTINGS, BLACK_DN)
    assert found.transmittance == pytest.approx(tuple(SHARES), rel=2e-3)
    assert found.offset_dn == pytest.approx(0, abs=0.5)
    assert max(found.transmittance_sd) < 1e-4
    assert remarks(found, 0.01) == []


def test_a_wrong_black_level_shows_as_an_offset_not_as_light():
    well, low, matrix = cameras(offset_dn=5.0)
    found = photometry(well, low, matrix, SETTINGS, BLACK_DN)
    assert found.offset_dn == pytest.approx(5, abs=0.5)
    assert found.transmittance == pytest.approx(tuple(SHARES), rel=5e-3)
    assert "+5.0 DN off its black level" in remarks(found, 0.01)[0]


def test_a_filter_of_another_strength_is_remarked():
    well, low, matrix = cameras(shares=2 * SHARES)
    said = remarks(photometry(well, low, matrix, SETTINGS, BLACK_DN), 0.01)
    assert said == ["the dark path passes 2.01 %, rig.toml says 1 %"]


def test_white_balance_makes_the_mean_of_the_reference_grey():
    well, low, matrix = cameras()
    found = photometry(well, low, matrix, SETTINGS, BLACK_DN)
    means = quads(well, BLACK_DN).mean((0, 1)) * found.well_white_balance
    assert means == pytest.approx(np.full(3, means[1]), rel=0.04)  # blocks at the border may be left out
    # the dark camera sees the same scene through the filter: its factors differ by the filter's tint
    tint = np.array(found.low_white_balance) / np.array(found.well_white_balance)
    assert tint == pytest.approx(SHARES[1] / SHARES, rel=3e-3)


def test_a_saturated_reference_is_refused():
    well, low, matrix = cameras()
    with pytest.raises(Refused, match="saturated"):
        photometry(np.full_like(well, 4095), low, matrix, SETTINGS, BLACK_DN)
