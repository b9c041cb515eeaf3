"""The driver on cameras that have what a daA1920-160uc has: settings, wiring, chunks, counters and events."""

import pytest

from exlcap.capture.cameras.pylon import PylonCamera
from exlcap.capture.takes.plan import Request, plan_take
from exlcap.capture.takes.shoot import open_writer, shoot_plan
from exlcap.capture.takes.skew import measure_skew
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS
from exlcap.core.take import read_take
from tests.capture.cameras import fake_dart
from tests.capture.cameras.fake_dart import LINES, TRIGGERS, fake_pylon

MODES = ("external", "timer", "exposure-active", "software")


SET = {
    "Gamma": 1.0, "DigitalShift": 0, "BslSharpnessEnhancement": 0.0, "PixelFormat": "BayerRG12", "OffsetX": 0,
    "Width": 320, "ReverseX": False, "BlackLevel": 60.0, "ExposureMode": "Timed",
    "DeviceLinkThroughputLimitMode": "On", "DeviceLinkThroughputLimit": 189_000_000,
}  # fmt: skip
ORDER = [
    ("ExposureAuto", None), ("BslColorSpace", None), ("PixelFormat", None), ("DeviceLinkThroughputLimitMode", None),
    ("LineSource", "Line2"), ("LineMode", "Line1"), ("TriggerMode", "FrameBurstStart"), ("TriggerMode", "FrameStart"),
    ("CounterEventSource", "Counter1"), ("ChunkModeActive", None), ("EventNotification", "FrameTriggerMissed"),
]  # fmt: skip


def rig_of(changed_lab, mode):
    lab = changed_lab({'"0815-0000"': '"1"', '"0815-0001"': '"2"', 'mode = "software"': f'mode = "{mode}"'})
    return lab, lab.rig


def shoot(changed_lab, mode, pairs=12, prepare=lambda darts: None):
    lab, rig = rig_of(changed_lab, mode)
    pylon, darts = fake_pylon(mode)
    prepare(darts)
    cameras = {light: PylonCamera(pylon, rig, light) for light in LIGHTS}
    request = Request("plaza", schedule="1,4", pairs=pairs)
    plan = plan_take(lab, request)
    shoot_plan(open_writer(rig, request, plan, cameras), plan, cameras, None, request.command)
    return read_take(plan.folder)


@pytest.mark.parametrize("mode", MODES)
def test_a_take_succeeds_with_the_wiring_of_its_sync_mode(changed_lab, mode):
    take = shoot(changed_lab, mode)
    assert take.header.status == "complete" and take.orphans == ()
    assert take.header.settings_proof == "chunk" and take.header.missed_triggers == {"well": 0, "low": 0}
    low = take.pairs[-1].low
    assert low.chunk == low.read_back and low.chunk.exposure_us == 250.0
    assert low.device_time_source == "chunk, exposure start" and low.temperature_c == 41.5
    assert (low.counter is None) == (mode == "software")
    assert measure_skew(take).data()["residual_us_max"] < 0.001


@pytest.mark.parametrize(("wired_as", "mode"), [("software", "timer"), ("software", "external"), ("timer", "external")])
def test_without_the_wiring_there_are_no_frames_and_no_pairs(changed_lab, wired_as, mode):
    def cut(darts):
        for dart in darts.values():
            dart._wires.clear()
            dart._wires["generator"] = []

    with pytest.raises(ExlcapError, match="10 pulses in a row gave no pair"):
        shoot(changed_lab, mode, prepare=cut)


@pytest.mark.parametrize("mode", MODES)
def test_everything_is_set_from_a_state_that_is_wrong_throughout(changed_lab, mode):
    """The fake dart begins with automatics, colour and every trigger on, as saved states of real units do."""
    _, rig = rig_of(changed_lab, mode)
    pylon, darts = fake_pylon(mode)
    camera = PylonCamera(pylon, rig, "well")
    dart = darts["1"]
    assert camera.info.absent == ()
    for name in ("ExposureAuto", "GainAuto", "BalanceWhiteAuto", "BslColorSpace", "BslLightSourcePreset"):
        assert dart.value(name) == "Off", name
    for name, value in SET.items():
        assert dart.value(name) == value, name
    assert [dart.value("BalanceRatio", channel) for channel in ("Red", "Green", "Blue")] == [1.0] * 3
    assert [dart.value("TriggerMode", name) for name in TRIGGERS if name != "FrameStart"] == ["Off"] * 8
    by_software = mode in ("software", "exposure-active")
    assert dart.value("TriggerSource", "FrameStart") == ("Software" if by_software else "Line1")
    assert dart.value("TriggerActivation", "FrameStart") == "RisingEdge"
    gives = {"timer": "Timer1Active", "exposure-active": "ExposureActive"}.get(mode, "Off")
    assert [dart.value("LineSource", line) for line in LINES] == ["Off", gives, "Off", "Off"]
    assert dart.value("CounterEventSource", "Counter1") == ("Off" if by_software else "Line1")
    assert camera.info.settings["EventNotification[FrameTriggerMissed]"] == "On"


def test_the_trigger_is_armed_after_its_lines_and_before_any_frame(changed_lab):
    _, rig = rig_of(changed_lab, "timer")
    pylon, darts = fake_pylon("timer")
    PylonCamera(pylon, rig, "well")
    order = [(name, selected) for name, selected, _ in darts["1"].written]
    places = [order.index(step) for step in ORDER]
    assert places == sorted(places)


@pytest.mark.parametrize("first_count", [0, 1])
def test_a_camera_may_count_an_edge_before_or_after_its_exposure(changed_lab, first_count):
    def prepare(darts):
        for dart in darts.values():
            dart.first_count = first_count

    take = shoot(changed_lab, "timer", prepare=prepare)
    assert take.missing() == {} and take.orphans == ()
    assert {pair.low.counter - pair.low.frame_id for pair in take.pairs} == {first_count}


def test_pulses_that_came_too_soon_are_counted_by_their_event(changed_lab):
    take = shoot(changed_lab, "timer", prepare=lambda darts: setattr(darts["2"], "too_soon", 2))
    assert take.missing() == {} and take.header.missed_triggers == {"well": 0, "low": 2}


def test_what_a_camera_lacks_is_on_record_and_what_it_alters_is_told_with_both_values(changed_lab, monkeypatch):
    _, rig = rig_of(changed_lab, "timer")
    monkeypatch.setitem(fake_dart.FEATURES, "DeviceTemperatureSelector", ("Sensor", ("Sensor",)))
    assert PylonCamera(fake_pylon("timer")[0], rig, "low").info.absent == ("DeviceTemperatureSelector=FpgaCore",)
    pylon, darts = fake_pylon("timer")
    darts["2"].stuck = {"Gamma": 0.4}
    with pytest.raises(ExlcapError, match=r"low camera 2: Gamma was set to 1\.0 but reads 0\.4"):
        PylonCamera(pylon, rig, "low")
