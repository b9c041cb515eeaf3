"""The thread that owns the cameras: it shows pairs, changes settings, survives a lost camera, and shoots."""

import pytest

from exlcap.capture.cameras.simulated import Line, SimulatedCamera, true_pulse
from exlcap.capture.preview.live import LiveRig, Wanted
from exlcap.capture.takes.plan import Request
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import LIGHTS
from exlcap.core.take import read_take
from exlcap.init import rig_toml
from tests.capture.conftest import SMALL, TINY, make_lab
from tests.capture.preview.serving import simulated, until


@pytest.fixture
def tiny(tmp_path):
    return make_lab(tmp_path / "tiny", TINY)


def test_the_newest_pair_is_both_frames_of_one_pulse(tiny):
    with LiveRig(tiny.root, simulated()) as live:
        for number in (5, 20):
            newest = until(lambda n=number: live.newest and live.newest.number > n and live.newest)
            well, low = (newest.shot.grab(light).raw for light in LIGHTS)
            assert true_pulse(well) == true_pulse(low)
        assert live.status.phase == "live"


def test_a_change_of_settings_reaches_both_cameras(tiny):
    with LiveRig(tiny.root, simulated()) as live:
        until(lambda: live.newest)
        live.want(Wanted("plaza", 1200.0, 3.0, 12))
        shot = until(lambda: live.newest.shot.step.k == 12 and live.newest.shot)
        assert shot.well.chunk.exposure_us == shot.low.chunk.exposure_us == 100
        assert shot.well.chunk.gain_db == pytest.approx(3 + 21.5836, abs=1e-3)
        assert shot.low.chunk.gain_db == tiny.rig.low.gain_db
        live.want(Wanted("plaza", 1200.0, 3.0, None))
        shot = until(lambda: live.newest.shot.low.chunk.exposure_us > 200 and live.newest.shot)
        assert (shot.well.chunk, shot.low.chunk) == (tiny.rig.reference.well, tiny.rig.reference.low)


def test_what_no_camera_can_do_is_refused_and_what_is_shown_stays(tiny):
    with LiveRig(tiny.root, simulated()) as live:
        until(lambda: live.newest)
        before = live.wanted
        with pytest.raises(ExlcapError, match=r"k = 12: well camera: gain 51\.58 dB|no camera can do that"):
            live.want(Wanted("plaza", 1000.0, 30.0, 12))
        with pytest.raises(ExlcapError, match="do not fit between pulses"):
            live.want(Wanted("plaza", 50_000.0, 0.0, 1))
        assert live.wanted == before


def test_a_lost_camera_is_told_and_found_again(tiny):
    with LiveRig(tiny.root, simulated(5)) as live:
        until(lambda: live.status.phase == "trouble", "the trouble")
        assert "camera 0815-0001 was unplugged" in live.status.message and live.status.hint == "plug it in again"
        lost_at = live.newest.number
        until(lambda: live.status.phase == "live" and live.newest.number > lost_at, "the way back")
        assert live.status.message == ""


def test_cameras_that_cannot_be_opened_are_told(tiny):
    def none_there(rig):
        raise ExlcapError("the low camera is not connected", "plug it in")

    with LiveRig(tiny.root, none_there) as live:
        until(lambda: live.status.phase == "trouble")
        assert live.status.message == "the low camera is not connected"
        assert live.newest is None
        with pytest.raises(Refused, match="show nothing"):
            live.shoot(Request("plaza"))


def test_the_cameras_are_released_at_the_end(tiny):
    opened = []

    def remember(rig):
        opened.append(simulated()(rig))
        return opened[-1]

    with LiveRig(tiny.root, remember) as live:
        until(lambda: live.newest)
    assert len(opened) == 1
    for camera in opened[0].values():
        with pytest.raises(ExlcapError, match="is closed"):
            camera.pulses_counted()


@pytest.mark.parametrize("mode", ["external", "timer"])
def test_pulses_on_a_line_are_shown_as_well(tmp_path, mode):
    """As on a real rig: no emulator, frames paired by the counters of their pulses."""
    text = rig_toml(emulated=False)
    for old, new in {
        "width = 1920": "width = 64",
        "height = 1200": "height = 64",
        'mode = "external"': f'mode = "{mode}"',
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    (tmp_path / "rig.toml").write_text(text)

    def on_a_line(rig):
        line = Line()
        outside = mode == "external"
        return {light: SimulatedCamera(rig.serial(light), (64, 64), line=line, outside=outside) for light in LIGHTS}

    with LiveRig(tmp_path, on_a_line) as live:
        until(lambda: live.newest and live.newest.number > 5)
        live.want(Wanted("plaza", 1200.0, 3.0, 4))
        shot = until(lambda: live.newest.shot.step.k == 4 and live.newest.shot)
        assert shot.well.chunk.exposure_us == shot.low.chunk.exposure_us == 300
        assert true_pulse(shot.well.raw) == true_pulse(shot.low.raw)
        assert live.rhythm.orphans == 0


def test_skew_is_measured_where_cameras_have_clocks_and_never_zero_elsewhere(tiny):
    with LiveRig(tiny.root, simulated(clocks=True)) as live:
        until(lambda: live.newest and live.newest.number > 30)
        assert 0.1 < live.rhythm.skew_us() < 2, "the jitter of 0.3 us, not the drift of 50 ppm"
    with LiveRig(tiny.root, simulated()) as live:
        until(lambda: live.newest and live.newest.number > 30)
        assert live.rhythm.skew_us() is None


@pytest.fixture
def emulated(tmp_path):
    return make_lab(tmp_path / "lab", SMALL)


@pytest.fixture
def slow(tmp_path):
    """Pulses so far apart that a busy machine has time to end a take of ten pairs before its end."""
    return make_lab(tmp_path / "slow", {**SMALL, "pulse_hz = 20.0": "pulse_hz = 4.0"})


def test_a_scene_is_shot_as_by_the_command_line(emulated):
    with LiveRig(emulated.root) as live:
        until(lambda: live.status.phase == "live")
        live.shoot(Request("plaza", exposure_us=800.0, gain_db=1.0, schedule="1,4", pairs=3))
        with pytest.raises(Refused, match="a take is being shot"):
            live.shoot(Request("plaza"))
        with pytest.raises(Refused, match="a take is being shot"):
            live.want(Wanted("plaza", 900.0, 0.0))
        until(lambda: live.status.ended, "the end of the take")
        assert live.status.ended.ok, live.status.ended
        until(lambda: live.status.phase == "live", "the live views after the take")
    take = read_take(emulated.scene("plaza") / "take-001")
    assert take.header.status == "complete" and len(take.pairs) == 6 and take.orphans == ()
    assert take.header.steps[0].well.exposure_us == 800 and take.header.steps[0].well.gain_db == 1
    assert not (emulated.simulated / "frames").exists(), "pictures for the emulator were left behind"


def test_cancelling_ends_the_take_after_the_pair_in_flight(slow):
    with LiveRig(slow.root) as live:
        until(lambda: live.status.phase == "live")
        live.shoot(Request("plaza", schedule="1", pairs=10))
        until(lambda: live.status.shooting and live.status.shooting.done >= 2)
        live.cancel()
        ended = until(lambda: live.status.ended)
        take = read_take(slow.scene("plaza") / "take-001")
        assert not ended.ok and "finish it with: exlcap shoot --scene plaza --resume" in ended.message
        assert take.header.status == "stopped" and 2 <= len(take.pairs) < 10
        for pair in take.pairs:
            for light in LIGHTS:
                take.raw(pair, light)

        until(lambda: live.status.phase == "live")
        live.shoot(ended.rest)
        finished = until(lambda: live.status.ended.number == 2 and live.status.ended)
    assert finished.ok and finished.rest is None
    whole = read_take(take.folder)
    assert whole.missing() == {} and whole.pairs[: len(take.pairs)] == take.pairs


def test_closing_while_recording_leaves_the_take_whole(slow):
    with LiveRig(slow.root) as live:
        until(lambda: live.status.phase == "live")
        live.shoot(Request("plaza", schedule="1", pairs=10))
        until(lambda: live.status.shooting and live.status.shooting.done >= 2)
    take = read_take(slow.scene("plaza") / "take-001")
    assert take.header.status == "stopped" and len(take.pairs) >= 2


def test_unplugging_while_recording_ends_the_take_and_the_views_come_back(emulated, monkeypatch):
    from exlcap.capture.cameras.pylon import PylonCamera

    pulse, fired = PylonCamera.pulse, []

    def unplugged(camera):
        recording = live.status.phase == "recording" and live.status.shooting.total
        if recording and camera.info.serial == "0815-0001":
            fired.append(camera)
            if len(fired) == 5:
                camera.device.FirePnPCallback.Execute()
        pulse(camera)

    monkeypatch.setattr(PylonCamera, "pulse", unplugged)
    with LiveRig(emulated.root) as live:
        until(lambda: live.status.phase == "live")
        live.shoot(Request("plaza", schedule="1", pairs=10))
        ended = until(lambda: live.status.ended)
        assert not ended.ok and "unplugged" in ended.message and "--resume" in ended.hint
        until(lambda: live.status.phase == "live", "the way back")
    take = read_take(emulated.scene("plaza") / "take-001")
    assert take.header.status == "stopped" and 0 < len(take.pairs) < 10


def test_an_error_that_nobody_foresaw_ends_the_take_and_is_told(emulated, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("surprise")

    monkeypatch.setattr("exlcap.capture.preview.live.run_take", broken)
    with LiveRig(emulated.root) as live:
        until(lambda: live.status.phase == "live")
        live.shoot(Request("plaza"))
        ended = until(lambda: live.status.ended)
        assert not ended.ok and "surprise" in ended.message
        until(lambda: live.status.phase == "live")
    assert "Traceback" in capsys.readouterr().err


def test_a_rig_toml_that_breaks_is_told_until_it_is_mended(emulated):
    rig = emulated.root / "rig.toml"
    text = rig.read_text()
    with LiveRig(emulated.root) as live:
        until(lambda: live.status.phase == "live")
        rig.write_text(text.replace("format = 1", "format = 9"))
        with pytest.raises(ExlcapError, match="unknown format 9"):
            live.shoot(Request("plaza"))
        assert live.status.phase == "live"
        rig.write_text(text)
        live.shoot(Request("plaza", schedule="1", pairs=1))
        assert until(lambda: live.status.ended).ok
