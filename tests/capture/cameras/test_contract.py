"""What every camera must do, held against pylon's emulated devices, the driver on fake darts and simulated cameras."""

import json
import os
import time
from dataclasses import asdict

import numpy as np
import pytest

from exlcap.capture.cameras.contract import CameraLost, Link
from exlcap.capture.cameras.open import open_cameras
from exlcap.capture.cameras.pylon import PylonCamera, load_pylon, open_pylon_cameras
from exlcap.capture.cameras.simulated import Fault, SimulatedCamera
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Setting, Simulated, SimulatedFault
from tests.capture.cameras.fake_dart import fake_pylon

KINDS = ("emulated", "fake dart", "simulated", "simulated without chunks", "simulated rig")


class Bench:
    """A camera, and what makes the next pulse go wrong."""

    def __init__(self, kind, lab):
        self.kind, self.rig = kind, lab.rig
        if kind == "emulated":
            cameras = open_pylon_cameras(lab.rig)
            cameras["low"].close()
            self.camera = cameras["well"]
        elif kind == "fake dart":
            pylon, darts = fake_pylon()
            self.dart = darts["1"]
            well = lab.rig.well.model_copy(update={"serial": "1"})
            self.camera = PylonCamera(pylon, lab.rig.model_copy(update={"well": well, "emulator": None}), "well")
        else:
            self.camera = self.simulated()

    def simulated(self, *faults):
        if self.kind == "simulated rig":
            table = Simulated(faults=tuple(SimulatedFault(light="well", **asdict(fault)) for fault in faults))
            sync = self.rig.sync.model_copy(update={"mode": "timer"})
            changes = {"driver": "simulated", "sync": sync, "simulated": table}
            return open_cameras(self.rig.model_copy(update=changes))["well"]
        sure = self.kind == "simulated"
        return SimulatedCamera("1", (320, 200), chunks=sure, counts=sure, faults=faults)

    def spoil_next(self):
        if self.kind == "emulated":
            self.camera.device.ForceFailedBufferCount.Value = 1
            self.camera.device.ForceFailedBuffer.Execute()
        elif self.kind == "fake dart":
            self.dart.spoiled = 1
        else:
            self.camera = self.simulated(Fault(0, "failed"))
            self.camera.start()

    def unplug(self):
        if self.kind == "emulated":
            self.camera.device.FirePnPCallback.Execute()
        elif self.kind == "fake dart":
            self.dart.removed = True
        else:
            self.camera = self.simulated(Fault(0, "unplug"))
            self.camera.start()
            self.camera.pulse()


@pytest.fixture(params=KINDS)
def bench(request, lab):
    bench = Bench(request.param, lab)
    yield bench
    bench.camera.close()


def shoot(camera):
    assert camera.wait_ready(1000)
    camera.pulse()
    return camera.grab(1000)


def test_it_says_what_it_is_and_what_it_can_do(bench):
    info, limits = bench.camera.info, bench.camera.limits
    assert info.serial and info.model and info.driver
    assert limits.exposure_us_min <= 20 < 100_000 <= limits.exposure_us_max
    assert limits.gain_db_max > 24


@pytest.mark.parametrize("asked", [Setting(exposure_us=1000.0, gain_db=0.0), Setting(exposure_us=83.33, gain_db=21.58)])
def test_a_setting_is_read_back(bench, asked):
    found = bench.camera.set(asked)
    assert found.exposure_us == pytest.approx(asked.exposure_us, abs=1.0)
    assert found.gain_db == pytest.approx(asked.gain_db, abs=0.1)


def test_a_setting_out_of_range_is_refused(bench):
    with pytest.raises(ExlcapError):
        bench.camera.set(Setting(exposure_us=2.0, gain_db=48.0).model_copy(update={"gain_db": 60.0}))


def test_one_pulse_gives_one_frame_of_its_own(bench):
    bench.camera.start()
    first = shoot(bench.camera)
    kept = first.raw.copy()
    second = shoot(bench.camera)
    assert (first.frame_id, second.frame_id) == (0, 1)
    assert first.raw.dtype == np.uint16 and first.raw.shape == (200, 320)
    assert second.host_time_ns > first.host_time_ns
    assert np.array_equal(first.raw, kept), "the driver reused the buffer"
    assert bench.camera.grab(10) is None, "a frame nobody asked for"


def test_frame_ids_start_anew_with_grabbing(bench):
    for _ in range(2):
        bench.camera.start()
        assert shoot(bench.camera).frame_id == 0
        bench.camera.stop()


def test_frames_not_fetched_are_gone_after_stop(bench):
    bench.camera.start()
    bench.camera.pulse()
    bench.camera.stop()
    bench.camera.start()
    assert bench.camera.grab(10) is None


def test_a_failed_buffer_says_so_and_has_no_picture(bench):
    bench.camera.start()
    bench.spoil_next()
    failed, good = shoot(bench.camera), shoot(bench.camera)
    assert failed.raw is None and "incomplete" in failed.failure
    assert good.failure is None and good.raw is not None


def test_what_a_camera_does_not_tell_is_none_and_never_zero(bench):
    bench.camera.set(Setting(exposure_us=500.0, gain_db=6.0))
    bench.camera.start()
    grab = shoot(bench.camera)
    timed = bench.kind in ("fake dart", "simulated rig")
    assert (grab.device_time_ns is not None) == (grab.device_time_source is not None) == timed
    assert (grab.chunk is not None) == bench.camera.has_chunks == (timed or bench.kind == "simulated")
    counts = bench.kind in ("simulated", "simulated rig")
    assert (grab.counter is not None) == (bench.camera.pulses_counted() is not None) == counts


def test_its_connection_is_known_where_it_reports_it(bench):
    link = bench.camera.link
    assert link == (Link("SuperSpeed", 189e6) if bench.kind == "fake dart" else Link())


def test_its_state_is_saved_where_its_driver_can(bench, tmp_path):
    if "simulated" in bench.kind:
        with pytest.raises(ExlcapError, match="no state to save"):
            bench.camera.save_state(tmp_path / "bench")
    elif bench.kind == "emulated":
        assert bench.camera.save_state(tmp_path / "bench") == tmp_path / "bench.well.pfs"
        assert (tmp_path / "bench.well.pfs").read_text().startswith("#")


def test_what_it_says_for_the_probe_is_json(bench):
    features = json.loads(json.dumps(bench.camera.probe()))
    if bench.kind == "fake dart":
        assert features["says"]["BslUSBSpeedMode"] == "SuperSpeed" and "ExposureTime" in features["chunks_enabled"]
        assert features["ranges"]["DeviceLinkThroughputLimit"]["max"] == 420_000_000
        assert features["default_user_set"]["ExposureAuto"] != "not available here"


def test_pulses_ignored_are_counted_where_the_camera_tells(bench):
    assert bench.camera.missed_triggers == (None if bench.kind == "emulated" else 0)


def test_an_unplugged_camera_is_noticed_and_can_be_closed(bench):
    bench.camera.start()
    bench.unplug()
    with pytest.raises(CameraLost, match="unplugged"):
        bench.camera.grab(10)
    bench.camera.close()


def test_stop_and_close_may_come_twice(bench):
    bench.camera.start()
    for _ in range(2):
        bench.camera.stop()
    for _ in range(2):
        bench.camera.close()


def test_it_closes_itself_at_the_end_of_a_with_block(bench):
    with bench.camera as camera:
        assert camera is bench.camera
    with pytest.raises(ExlcapError):
        camera.set(Setting(exposure_us=100.0, gain_db=0.0))


def test_the_serials_that_are_there_are_named_when_one_is_missing(changed_lab):
    lab = changed_lab({"0815-0001": "40715749"})
    with pytest.raises(ExlcapError, match=r"low camera, serial 40715749, is not connected.*0815-0000, 0815-0001") as e:
        open_pylon_cameras(lab.rig)
    assert "low.serial of rig.toml" in e.value.hint


def test_what_the_emulator_lacks_is_recorded(lab):
    cameras = open_pylon_cameras(lab.rig)
    info = cameras["well"].info
    for camera in cameras.values():
        camera.close()
    assert {"BslColorSpace", "BalanceWhiteAuto", "ChunkSelector"} <= set(info.absent)
    assert info.settings["PixelFormat"] == "BayerRG12"
    assert info.settings["TriggerMode[FrameStart]"] == "On"
    assert info.settings["TriggerMode[FrameBurstStart]"] == "Off"
    assert info.settings["BlackLevel"] == "60.0"


def test_events_are_counted(lab):
    """The emulator never tells of a missed trigger, but of every end of an exposure."""
    from exlcap.capture.cameras.pylon_events import EventCount

    cameras = open_pylon_cameras(lab.rig)
    with cameras["well"] as camera, cameras["low"]:
        count = EventCount(load_pylon(emulated=True), camera.device, camera.nodes, "ExposureEnd")
        assert count.value == 0 and "EventSelector=FrameTriggerMissed" in camera.info.absent
        camera.start()
        for _ in range(3):
            shoot(camera)
        while count.value < 3:
            time.sleep(0.01)
        assert count.value == 3


def test_the_emulator_must_be_asked_for_before_pypylon_is_loaded(lab, monkeypatch):
    load_pylon(emulated=True)
    monkeypatch.delenv("PYLON_CAMEMU")
    with pytest.raises(ExlcapError, match="before the emulator") as error:
        load_pylon(emulated=True)
    assert "PYLON_CAMEMU" in error.value.hint
    assert "PYLON_CAMEMU" not in os.environ
