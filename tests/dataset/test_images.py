"""Images as they are stored: what of the light, and of the noise below black, comes back."""

import cv2
import numpy as np
import pytest

from exlcap.core.develop import Development, develop
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Setting
from exlcap.dataset.checks.image_files import read_image_file
from exlcap.dataset.images import encoded, pedestal_of, read_linear, write_png
from exlcap.dataset.manifest import Manifest
from exlcap.simulate.sensor import SensorModel, expose


def dark_frame():
    """A dark frame of 1/4,000 of white, under noise of five times that: linear light."""
    sensor = SensorModel(black_level_dn=60)
    light = np.full((200, 300, 3), 1 / 4000, np.float32)
    setting = Setting(exposure_us=1000, gain_db=12)
    raw = expose(light, sensor.full_well_e / 1000 * 10 ** (-12 / 20), setting, 1.0, sensor, np.random.default_rng(0))
    return develop(raw, Development(60))


def test_a_16_bit_image_gives_signed_linear_light_back(tmp_path):
    linear = dark_frame()
    assert linear.min() < 0
    image = write_png(tmp_path / "dark.png", encoded(linear, 16), pedestal_of(16))
    back = read_linear(tmp_path / "dark.png", pedestal_of(16))
    assert back.dtype == np.float32
    assert np.abs(back - linear).max() < 1 / 65535
    assert back.mean() == pytest.approx(linear.mean(), abs=1e-6)
    assert image.mean_level == pytest.approx(255 * float(linear.mean()), abs=1e-3)


def test_the_mean_of_a_16_bit_image_is_that_of_the_light_and_of_an_8_bit_one_is_not():
    linear = dark_frame()
    deep = (encoded(linear, 16).mean() - pedestal_of(16)) / (65535 - pedestal_of(16))
    assert deep == pytest.approx(1 / 4000, rel=0.05)
    clipped = encoded(linear, 8).mean() / 255 / 12.92
    assert clipped > 1.3 / 4000


def test_white_and_what_lies_above_is_65535():
    assert encoded(np.array([[[1.0, 1.7, 0.0]]], np.float32), 16).tolist() == [[[65535, 65535, 4096]]]
    assert encoded(np.array([[[-0.2, -0.01, 0.5]]], np.float32), 16)[0, 0, 0] == 0


def test_channels_come_back_in_their_order(tmp_path):
    linear = np.broadcast_to(np.array([0.1, 0.5, 0.9], np.float32), (4, 5, 3))
    write_png(tmp_path / "rgb.png", encoded(linear, 16), pedestal_of(16))
    assert np.allclose(read_linear(tmp_path / "rgb.png", pedestal_of(16)), linear, atol=1e-5)


def test_a_16_bit_image_of_version_0_1_has_no_pedestal(tmp_path):
    cv2.imwrite(str(tmp_path / "old.png"), np.full((2, 2, 3), 32768, np.uint16))
    assert np.allclose(read_linear(tmp_path / "old.png", 0), 32768 / 65535)
    assert Manifest(name="old", status="complete", exlcap="0.1.0").pedestal == 0


def test_what_is_no_16_bit_image_is_named(tmp_path):
    write_png(tmp_path / "eight.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "torn.png").write_bytes((tmp_path / "eight.png").read_bytes()[:20])
    for name, text in (("eight", "not a 16-bit image"), ("torn", "damaged or cut off"), ("none", "image not found")):
        with pytest.raises(ExlcapError, match=text):
            read_linear(tmp_path / f"{name}.png", 4096)


def test_a_black_16_bit_image_is_known_as_black_and_a_dark_one_is_not(tmp_path):
    write_png(tmp_path / "dark.png", encoded(dark_frame(), 16), pedestal_of(16))
    write_png(tmp_path / "black.png", encoded(np.zeros((20, 20, 3), np.float32), 16), pedestal_of(16))
    black, dark = (read_image_file(tmp_path / f"{name}.png", pedestal_of(16)) for name in ("black", "dark"))
    assert (black.brightest, black.mean_level) == (0, 0)
    assert dark.brightest > 1 / 255
    assert read_image_file(tmp_path / "dark.png", None).mean_level > 15  # without it black is grey
