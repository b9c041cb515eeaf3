"""`exlcap doctor`: what is wrong is named with what to do, what cannot be checked here is not invented."""

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from exlcap.capture.cameras.contract import Link
from exlcap.capture.cameras.simulated import Fault, Line, SimulatedCamera
from exlcap.capture.checking import host
from exlcap.capture.checking.host import (
    check_controllers,
    check_disk_space,
    check_disk_speed,
    check_mongod,
    check_usbfs,
    check_weights,
)
from exlcap.capture.checking.pulses import base_steps, check_cameras, check_not_swapped, check_pulses
from exlcap.core.errors import Refused


def real(rig, **changes):
    """The rig as if its cameras were real."""
    return rig.model_copy(update={"emulator": None, **changes})


def usb_tree(root, places):
    """A sysfs with USB devices: {serial: (PCI address of the controller, bus)}."""
    for serial, (controller, bus) in places.items():
        device = root / "devices" / "pci0000:00" / controller / bus / f"{bus}-1"
        device.mkdir(parents=True)
        (device / "serial").write_text(f"{serial}\n")
        link = root / "bus" / "usb" / "devices" / f"{bus}-1"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(device)
    return root


@pytest.mark.parametrize(
    ("low_at", "pulse_hz", "state", "says"),
    [
        (("0000:03:00.0", "3"), 20.0, "OK", "well on 0000:00:14.0, low on 0000:03:00.0"),
        (("0000:00:14.0", "3"), 20.0, "WARN", "184 MB/s through one"),
        (("0000:00:14.0", "3"), 60.0, "FAIL", "553 MB/s through one"),
    ],
)
def test_cameras_that_share_a_usb_controller_are_noticed(lab, tmp_path, low_at, pulse_hz, state, says):
    rig = real(lab.rig, sensor=lab.rig.sensor.model_copy(update={"width": 1920, "height": 1200}),
               sync=lab.rig.sync.model_copy(update={"pulse_hz": pulse_hz}))  # fmt: skip
    sysfs = usb_tree(tmp_path / "sys", {"0815-0000": ("0000:00:14.0", "2"), "0815-0001": low_at})
    row = check_controllers(rig, sysfs)
    assert (row.state, bool(row.todo)) == (state, state != "OK") and says in row.found


def test_without_usb_devices_nothing_is_said_of_controllers(lab, tmp_path):
    row = check_controllers(real(lab.rig), tmp_path)
    assert row.state == "-" and "not available here" in row.found


@pytest.mark.parametrize(("megabytes", "state"), [("2", "FAIL"), ("16", "WARN"), ("1000", "OK"), ("0", "OK")])
def test_usbfs_memory_is_held_against_the_buffers(lab, tmp_path, megabytes, state):
    file = tmp_path / "module/usbcore/parameters/usbfs_memory_mb"
    file.parent.mkdir(parents=True)
    file.write_text(f"{megabytes}\n")
    row = check_usbfs(real(lab.rig), 16, tmp_path)  # two cameras, 16 frames of 128 kB each
    assert row.state == state and ("usbfs_memory_mb=1000" in row.todo) == (state != "OK")
    assert check_usbfs(lab.rig, 16, tmp_path).state == "-", "emulated cameras use no USB"


def test_the_disk_is_measured_and_left_as_it_was(lab):
    before = sorted(lab.root.rglob("*"))
    row = check_disk_speed(lab.rig, lab.root)
    assert row.state in ("OK", "WARN") and "MB/s" in row.found
    assert sorted(lab.root.rglob("*")) == before


def test_a_disk_that_is_slower_than_the_pulses_is_a_warning(lab, monkeypatch):
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr(host, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    row = check_disk_speed(lab.rig, lab.root)
    assert row.state == "WARN" and "pulses will wait for the disk" in row.todo


def test_a_disk_without_room_for_a_take_fails(lab, monkeypatch):
    assert check_disk_space(lab.rig, lab.root).state == "OK"
    monkeypatch.setattr(host, "shutil", SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=1_000_000)))
    row = check_disk_space(lab.rig, lab.root)
    assert row.state == "FAIL" and row.found.startswith("0.0 GB free")


def test_no_mongod_is_a_warning_that_names_who_needs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(host, "find_mongod", lambda: tmp_path / "mongod")
    row = check_mongod()
    assert row.state == "WARN" and "does not run" in row.found


def test_the_weights_of_annotators_are_named_or_told_to_be_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("EXLCAP_CACHE", str(tmp_path))
    row = check_weights()
    assert row.state == "WARN" and "exlcap annotate" in row.todo
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "rtmo-l.onnx").write_bytes(b"")
    assert check_weights().state == "OK" and "rtmo-l.onnx" in check_weights().found


class Bright(SimulatedCamera):
    """A camera that sees 200 DN more than its like."""

    def grab(self, timeout_ms):
        grab = super().grab(timeout_ms)
        return None if grab is None else replace(grab, raw=grab.raw + np.uint16(200))


@pytest.mark.parametrize("mode", ["timer", "external"])
def test_cameras_in_each_others_role_are_refused_before_the_first_frame(lab, mode):
    rig = with_sync(lab.rig, mode)
    for kinds, swapped in (((SimulatedCamera, Bright), True), ((Bright, SimulatedCamera), False)):
        line = Line()
        cameras = {
            light: kind(light, line=line, outside=mode == "external")
            for light, kind in zip(("well", "low"), kinds, strict=True)
        }
        with pytest.raises(Refused, match="they look swapped") if swapped else nullcontext():
            check_not_swapped(rig, cameras, base_steps(rig)[0])


def test_a_black_picture_tells_nothing_about_roles(lab):
    """As with a cap on the lens."""
    check_not_swapped(with_sync(lab.rig, "timer"), on_a_line(), base_steps(lab.rig)[0])


def on_a_line(well=(), low=(), **about):
    line = Line()
    return {
        "well": SimulatedCamera("0815-0000", line=line, faults=well, **about),
        "low": SimulatedCamera("0815-0001", line=line, faults=low, **about),
    }


def with_sync(rig, mode):
    return rig.model_copy(update={"sync": rig.sync.model_copy(update={"mode": mode})})


@pytest.mark.parametrize(
    ("mode", "about", "state", "says"),
    [
        ("timer", {}, "OK", "counters on Line1 moved by one each"),
        ("external", {"outside": True}, "OK", "counters on Line1 moved by one each"),
        ("timer", {"counts": False}, "OK", "lines and counters: not available here"),
        ("external", {}, "FAIL", "well gave 0 frames, low gave 0 frames"),
        ("timer", {"low": [Fault(2, "miss")]}, "FAIL", "low gave 2 frames"),
        ("timer", {"low": [Fault(2, "failed")]}, "FAIL", "low gave 4 frames"),
        ("timer", {"low": [Fault(2, "counter reset")]}, "FAIL", "counters moved by"),
        ("timer", {"low": [Fault(2, "unplug")]}, "FAIL", "was unplugged"),
    ],
)
def test_the_pulse_self_test_sees_whether_lines_and_counters_move(lab, mode, about, state, says):
    row = check_pulses(with_sync(lab.rig, mode), on_a_line(**about))
    assert row.state == state and says in row.found, row
    assert bool(row.todo) == (state == "FAIL")


def test_a_schedule_that_the_cameras_cannot_keep_is_named(lab):
    rig = with_sync(lab.rig, "timer")
    scenes = {**rig.scenes, "quay": rig.base.model_copy(update={"gain_db": 28.0, "preset": "indoor"})}
    rows = {row.check: row for row in check_cameras(rig.model_copy(update={"scenes": scenes}), on_a_line())}
    found = rows["schedule and pulse period"]
    assert found.state == "FAIL" and "scene quay: step k = 4: well camera: gain 40.04 dB" in found.found


class Told(SimulatedCamera):
    """A camera that says something of its connection."""

    says = Link()

    @property
    def link(self):
        return self.says


@pytest.mark.parametrize(
    ("link", "states"),
    [
        (Link(), ("-", "-")),
        (Link("SuperSpeed", 160e6), ("OK", "OK")),
        (Link("HighSpeed", 5e6), ("FAIL", "FAIL")),
    ],
)
def test_usb_speed_and_link_share_are_as_the_camera_says(lab, link, states):
    line = Line()
    cameras = {light: Told(light, line=line) for light in ("well", "low")}
    for camera in cameras.values():
        camera.says = link
    rows = {row.check: row for row in check_cameras(real(with_sync(lab.rig, "timer")), cameras)}
    assert (rows["USB speed"].state, rows["link throughput"].state) == states


def test_the_command_on_the_emulator_invents_nothing(lab, exlcap, tmp_path):
    done = exlcap(lab, "doctor", "--json", "--probe", str(tmp_path / "probe.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["check"]: row for row in json.loads(done.stdout)["rows"]}
    for check in ("USB speed", "link throughput", "usbfs memory"):
        assert rows[check]["state"] == "-" and "not available here" in rows[check]["found"]
    assert "counters: not available here" in rows["pulse self-test"]["found"]
    assert "well 0815-0000" in rows["cameras"]["found"]
    probe = json.loads((tmp_path / "probe.json").read_text())
    low = probe["cameras"]["low"]
    assert probe["emulated"] and low["ranges"]["ExposureTime"] == {"min": 1.0, "max": 1e7, "step": 0.1}
    assert (
        low["says"]["SensorReadoutTime"] == low["linearity"] == low["frames"]["first_counter"] == "not available here"
    )
    assert low["frames"]["frames"] == 10 and low["frames"]["device_time_steps_ns"] == "not available here"
    assert low["default_user_set"] == "not available here", "the emulator's UserSetLoad changes nothing"


def test_a_missing_camera_fails_with_the_serials_that_are_there(changed_lab, exlcap):
    done = exlcap(changed_lab({"0815-0001": "40715749"}), "doctor")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "FAIL  cameras" in done.stdout and "serials found: 0815-0000, 0815-0001" in done.stdout
    assert "-> plug it in, or put its serial into low.serial of rig.toml" in done.stdout
    assert "disk space" in done.stdout, "the rest is checked all the same"


def test_the_probe_reads_what_chunks_and_counters_tell():
    from exlcap.capture.checking.probe import PULSES, _frames_data
    from exlcap.core.rig import Setting

    camera = SimulatedCamera("1", stale_frames=1)
    before, after = Setting(exposure_us=1000.0, gain_db=0.0), Setting(exposure_us=400.0, gain_db=6.0)
    camera.set(before)
    camera.start()
    grabs = []
    for pulse in range(PULSES):
        if pulse == 2:
            camera.set(after)
        camera.pulse()
        grabs.append(camera.grab(10))
    data = _frames_data(grabs, after)
    assert data["frames_until_setting"] == 1 and data["first_counter"] == 1
