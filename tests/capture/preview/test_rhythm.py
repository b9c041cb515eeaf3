"""How pairs come, as the page says it: their rate and how long ago the last one was."""

import pytest

from exlcap.capture.cameras.contract import Grab
from exlcap.capture.preview.rhythm import Rhythm
from exlcap.capture.takes.recorder import Shot
from exlcap.core.rig import Setting
from exlcap.core.take import Step

SETTING = Setting(exposure_us=1000, gain_db=0)
GRAB = Grab(raw=None, frame_id=0, host_time_ns=0)
SHOT = Shot(Step(k=1, well=SETTING, low=SETTING), 0, GRAB, GRAB, {})


def test_the_rate_is_that_of_the_last_seconds():
    now_s = 0.0
    rhythm = Rhythm(lambda: now_s)
    assert rhythm.rate_hz() == 0 and rhythm.age_s() is None, "nothing came yet"
    for n in range(100):  # 5 s at 20 Hz, then 4 s at 10 Hz
        now_s = 0.05 * n
        rhythm.seen(SHOT)
    assert rhythm.rate_hz() == pytest.approx(20)
    for _ in range(40):
        now_s += 0.1
        rhythm.seen(SHOT)
    assert rhythm.rate_hz() == pytest.approx(10)


def test_when_no_pair_comes_any_more_the_rate_goes_to_zero_and_the_age_rises():
    now_s = 0.0
    rhythm = Rhythm(lambda: now_s)
    for _ in range(10):
        now_s += 0.1
        rhythm.seen(SHOT)
    now_s += 5.0
    assert rhythm.rate_hz() == 0 and rhythm.age_s() == pytest.approx(5.0)
