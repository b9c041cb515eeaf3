import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.capture.cameras.contract import CameraLimits
from exlcap.capture.takes.schedule import check_limits, steps_for_reference, steps_for_scene
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Setting

BASE = Setting(exposure_us=1000.0, gain_db=0.0)
ABLE = CameraLimits(exposure_us_min=1.0, exposure_us_max=1e7, gain_db_max=48.0, frame_rate_hz=200.0)


def both(limits):
    return {"well": limits, "low": limits}


def test_the_outdoor_schedule_is_that_of_the_paper(lab):
    steps = steps_for_scene(lab.rig, BASE, (1, 2, 4, 8, 12))
    assert [round(step.well.gain_db, 2) for step in steps] == [0.0, 6.02, 12.04, 18.06, 21.58]
    assert [int(step.well.exposure_us) for step in steps] == [1000, 500, 250, 125, 83]


@given(k=st.integers(1, 99), exposure_us=st.floats(100, 1e6), gain_db=st.floats(0, 8))
def test_the_bright_camera_makes_up_for_its_exposure_and_the_dark_one_does_not(rig, k, exposure_us, gain_db):
    (step,) = steps_for_scene(rig, Setting(exposure_us=exposure_us, gain_db=gain_db), (k,))
    assert step.well.exposure_us == step.low.exposure_us == exposure_us / k
    assert math.isclose(step.well.exposure_us * 10 ** (step.well.gain_db / 20), exposure_us * 10 ** (gain_db / 20))
    assert step.low.gain_db == rig.low.gain_db


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    from exlcap.core.rig import read_rig
    from exlcap.init import rig_toml

    path = tmp_path_factory.mktemp("rig") / "rig.toml"
    path.write_text(rig_toml(emulated=True))
    return read_rig(path)


@pytest.mark.parametrize("divisors", [(), (1, 1), (0, 1), (100,)])
def test_a_schedule_is_a_list_of_different_divisors(lab, divisors):
    with pytest.raises(ExlcapError, match="different divisors"):
        steps_for_scene(lab.rig, BASE, divisors)


def test_a_step_that_no_camera_can_do_is_named(lab):
    with pytest.raises(ExlcapError, match=r"step k = 8 .* 58\.06 dB"):
        steps_for_scene(lab.rig, Setting(exposure_us=1000.0, gain_db=40.0), (1, 8))


def test_a_reference_is_one_step_with_the_settings_of_rig_toml(lab):
    (step,) = steps_for_reference(lab.rig)
    assert (step.k, step.well, step.low) == (1, lab.rig.reference.well, lab.rig.reference.low)


@pytest.mark.parametrize(
    ("camera", "base", "divisors", "says"),
    [
        (ABLE, Setting(exposure_us=1000.0, gain_db=25.0), (1, 8),
         r"step k = 8: well camera: gain 43.06 dB is above the limit of rig.toml, 40 dB"),
        (CameraLimits(1.0, 1e7, 24.0), Setting(exposure_us=1000.0, gain_db=10.0), (1, 12),
         r"step k = 12: well camera: gain 31.58 dB is above the limit of the camera, 24 dB"),
        (ABLE, Setting(exposure_us=100.0, gain_db=0.0), (1, 8),
         r"step k = 8: well camera: exposure 12.50 us is below the limit of rig.toml, 20 us"),
        (CameraLimits(50.0, 1e7, 48.0), Setting(exposure_us=100.0, gain_db=0.0), (1, 4),
         r"step k = 4: well camera: exposure 25.00 us is below the limit of the camera, 50 us"),
        (ABLE, Setting(exposure_us=16_500.0, gain_db=0.0), (1,),
         r"exposure 16500 us and 500 us to get ready do not fit between pulses 16667 us apart"),
        (CameraLimits(1.0, 1e7, 48.0, 44.0), BASE, (1,), r"60 pulses/s, but the camera can take 44\.0 frames/s"),
    ],
)  # fmt: skip
def test_a_step_beyond_a_limit_is_named_with_its_value(lab, camera, base, divisors, says):
    steps = steps_for_scene(lab.rig, base, divisors)
    with pytest.raises(ExlcapError, match=says):
        check_limits(steps, lab.rig, both(camera))


def test_a_reference_may_wait_for_its_long_exposure(lab):
    steps = steps_for_reference(lab.rig)
    check_limits(steps, lab.rig, both(ABLE), fixed_rate=False)
    with pytest.raises(ExlcapError, match="do not fit"):
        check_limits(steps, lab.rig, both(ABLE), fixed_rate=True)
