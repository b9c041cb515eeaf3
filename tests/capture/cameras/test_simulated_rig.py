"""Simulated cameras as a user chooses them: `exlcap init --simulated`, then everything as on a real rig."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from exlcap.capture.cameras import simulated
from exlcap.capture.cameras.contract import NOT_HERE
from exlcap.capture.cameras.open import open_cameras, view_of_take
from exlcap.capture.preview.live import LiveRig
from exlcap.capture.takes.plan import Request
from exlcap.capture.takes.shoot import run_take
from exlcap.cli import group, main
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import read_coco
from exlcap.core.rig import LIGHTS, read_rig
from exlcap.core.take import read_take
from exlcap.core.workspace import Workspace
from exlcap.init import rig_toml
from exlcap.simulate.rendering import render_step
from tests.capture.conftest import FEW, SMALL, ask, take_folder
from tests.capture.preview.serving import until

MODES = ("external", "timer", "exposure-active", "software")
ONE_STEP = ("shoot", "--scene", "plaza", "--schedule", "1")


def change(lab, **changes):
    """Values of the [simulated] table, and sync.mode."""
    path = lab.root / "rig.toml"
    text = path.read_text()
    if "mode" in changes:
        text = text.replace('mode = "timer"', f'mode = "{changes.pop("mode")}"')
    lines = [line for line in text.splitlines() if line.split(" =")[0] not in changes]
    at = lines.index("[simulated]") + 1
    lines[at:at] = [f"{key} = {value}" for key, value in changes.items()]
    path.write_text("\n".join(lines))
    return Workspace(lab.root)


def made(root, sizes):
    """A simulated workspace as `exlcap init` makes it, with 60 pulses/s, one guard frame and a small sensor."""
    done = CliRunner().invoke(group, ["init", "--simulated", str(root)])
    assert done.exit_code == 0 and "next: exlcap shoot --reference" in done.output, done.output
    text = (root / "rig.toml").read_text()
    for old, new in {**FEW, **sizes}.items():
        assert old in text, f"the rig template has no {old!r}"
        text = text.replace(old, new)
    (root / "rig.toml").write_text(text)
    return Workspace(root)


@pytest.fixture
def sim(tmp_path):
    return made(tmp_path / "sim", {**SMALL, "width = 960": "width = 96", "height = 600": "height = 64"})


@pytest.fixture
def shell(capsys):
    """The command line in this process: ``shell(workspace, "shoot", ...)`` gives exit code, output and errors."""

    def run(lab, *arguments):
        with pytest.raises(SystemExit) as left:
            main(["-C", str(lab.root), *arguments])
        return SimpleNamespace(code=left.value.code, **capsys.readouterr()._asdict())

    return run


@pytest.mark.slow
def test_an_operator_can_walk_the_line_and_gets_what_the_emulator_cannot_give(tmp_path, exlcap):
    """Init, reference, scene, alignment, verification: with proof of settings, pulse counters and a skew report."""
    sim = made(tmp_path / "sim", SMALL)
    for command in (("shoot", "--reference"), ("align",), ("doctor",)):
        done = exlcap(sim, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    done = exlcap(sim, "shoot", "--scene", "plaza", "--schedule", "1,4", "--pairs", "10", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["pairs"] == 20 and report["orphans"] == 0 and report["settings_proof"] == "chunk"
    assert report["skew"]["ok"] and 0.1 < report["skew"]["residual_us_p50"] < 5
    assert report["skew"]["drift_ppm"] == pytest.approx(50, abs=15), "+38 ppm against -12, seen over a second"
    done = exlcap(sim, "verify", "--all", "--json")
    assert done.returncode == 0, done.stdout
    reference, plaza = json.loads(done.stdout)["takes"]
    assert reference["ok"] and plaza["ok"] and plaza["skew"]["ok"] and plaza["drift_px"] < 0.5
    frame = read_take(take_folder(sim)).pairs[-1].low
    assert frame.chunk == frame.read_back and frame.counter is not None and frame.device_time_ns is not None


def test_metering_finds_the_light_of_a_scene(sim, shell):
    done = shell(sim, "meter", "--scene", "plaza", "--max-exposure-us", "1000", "--dry-run", "--json")
    assert done.code == 0, done.err
    assert 0.8 < json.loads(done.out)["highlights"] < 1
    assert not (sim.root / "simulated" / "frames").exists(), "the pictures were left behind"


@pytest.mark.parametrize("mode", MODES)
def test_in_every_sync_mode_both_frames_are_one_render_and_the_truth_is_of_it(sim, mode):
    """Although the dark camera misses a pulse, which shifts its frames against those of the bright one."""
    lab = change(sim, mode=mode, faults='[{ light = "low", pulse = 3, kind = "miss" }]')
    take = run_take(lab, ask(pairs=3)).take
    assert take.missing() == {} and take.orphans
    truth = {image.file_name: image.people for image in read_coco(lab.simulated / "plaza" / "take-001.json")}
    assert set(truth) == {f"{take.pair_id(pair)}.png" for pair in take.pairs}
    for step in take.header.steps:
        pulses = list(render_step(lab.rig, "plaza", 1, step, 0, 8))
        for pair in (pair for pair in take.pairs if pair.k == step.k):
            well, low = (take.raw(pair, light) for light in LIGHTS)
            (pulse,) = (pulse for pulse in pulses if np.array_equal(well, pulse.well))
            assert np.array_equal(low, pulse.low), (step.k, pair.index)
            people = truth[f"{take.pair_id(pair)}.png"]
            assert [person.id for person in people] == [person.id for person in pulse.people]
            for person, true in zip(people, pulse.people, strict=True):
                assert np.allclose(person.keypoints, true.keypoints, atol=1e-4)


def test_a_fault_of_rig_toml_is_seen_by_the_operator_who_then_finishes_the_take(sim, shell):
    faults = '[{ light = "low", pulse = 2, kind = "drop" }, { light = "well", pulse = 5, kind = "unplug" }]'
    change(sim, faults=faults)
    done = shell(sim, *ONE_STEP, "--pairs", "12")
    assert done.code == 2 and "camera sim-well was unplugged" in done.err, done.err
    assert "`exlcap shoot --scene plaza --resume`" in done.err and "Traceback" not in done.err
    take = read_take(take_folder(sim))
    assert take.header.status == "stopped" and 0 < len(take.pairs) < 12
    assert any("no frame came" in orphan.reason for orphan in take.orphans)
    change(sim, faults="[]")
    done = shell(sim, "shoot", "--scene", "plaza", "--resume")
    assert done.code == 0 and "12 pairs whole, 2 orphans" in done.out, done.out + done.err
    assert "clocks drift" in done.out, "the clocks of the cameras went on meanwhile"
    assert shell(sim, "verify", "plaza").code == 0


def test_a_resumed_take_that_is_killed_keeps_the_truth_of_what_it_had(sim):
    lab = change(sim, faults='[{ light = "well", pulse = 4, kind = "unplug" }]')
    with pytest.raises(ExlcapError, match="unplugged"):
        run_take(lab, ask(schedule="1", pairs=8))
    take, path = read_take(take_folder(lab)), lab.simulated / "plaza" / "take-001.json"
    whole = {image.file_name: len(image.people) for image in read_coco(path)}
    assert set(whole) == {f"{take.pair_id(pair)}.png" for pair in take.pairs} and whole
    view_of_take(lab, open_cameras(lab.rig), "plaza", 1).show(take.header.steps[0], 10, 1)  # and then the power fails
    truth = {image.file_name: len(image.people) for image in read_coco(path)}
    assert truth == {**whole, "plaza-t001-k01-000010.png": truth["plaza-t001-k01-000010.png"]}


def test_stale_settings_become_orphans_and_late_shutters_condemn_a_take(sim, shell):
    change(sim, stale_frames=3)
    done = shell(sim, "shoot", "--scene", "plaza", "--schedule", "1,4", "--pairs", "2")
    assert done.code == 0 and "4 pairs whole" in done.out, done.err
    assert any("wrong settings" in orphan.reason for orphan in read_take(take_folder(sim)).orphans)
    change(sim, clock_jitter_us=300.0)
    done = shell(sim, *ONE_STEP, "--pairs", "12")
    assert done.code == 3 and "BEYOND the tolerance of 50 us" in done.out


def test_simulated_cameras_have_no_state_to_save(sim, shell):
    done = shell(sim, *ONE_STEP, "--pfs-save", "bench")
    assert done.code == 2 and "no state to save or load" in done.err
    assert not take_folder(sim).exists()


def test_a_probe_says_what_is_not_available(sim, shell, tmp_path):
    done = shell(sim, "doctor", "--probe", str(tmp_path / "probe.json"))
    assert done.code == 0, done.out
    assert "counters on Line1 moved by one each" in done.out
    probe = json.loads((tmp_path / "probe.json").read_text())
    low = probe["cameras"]["low"]
    assert probe["driver"] == "simulated" and low["frames"]["first_counter"] == 0
    assert low["frames"]["chunks_enabled"] == low["linearity"] == NOT_HERE


def test_the_preview_shows_the_scene(sim):
    lab = change(sim, mode="external")
    with LiveRig(lab.root) as live:
        until(lambda: live.newest and live.newest.number > 2)
        assert live.newest.shot.well.raw.std() > 100, "a scene, not an even field"
    assert not (lab.simulated / "frames").exists()


def test_pulses_from_outside_keep_the_pace_of_their_generator(monkeypatch):
    """They are not fired by the host: without a pace they would come as fast as frames are fetched."""
    clock = SimpleNamespace(
        now=100.0, monotonic=lambda: clock.now, sleep=lambda s: setattr(clock, "now", clock.now + s)
    )
    monkeypatch.setattr(simulated, "time", clock)  # the module's own name, not everybody's clock
    line = simulated.Line(pulse_hz=20.0)
    camera = simulated.SimulatedCamera("1", line=line, outside=True)
    camera.start()
    came = []
    for hurry_s in (0.0, 0.0, 0.2, 0.0, 0.0):
        clock.now += hurry_s
        assert camera.grab(1000) is not None
        came.append(round(clock.now - 100, 3))
    assert came == [0.0, 0.05, 0.25, 0.3, 0.35], "after a pause the generator does not make up for it"


def test_what_the_template_shows_is_valid():
    text = rig_toml(simulated=True)
    shown = [line for line in text.splitlines() if line.startswith(("# faults", "#     {", "# ]"))]
    assert len(shown) == 4
    for line in shown:
        text = text.replace(line, line.removeprefix("# "))
    rig = read(text)
    assert [(fault.light, fault.pulse, fault.kind) for fault in rig.simulated.faults] == [
        ("low", 4, "drop"), ("well", 9, "unplug")]  # fmt: skip


@pytest.fixture(autouse=True)
def rig_path(tmp_path):
    read.path = tmp_path / "rig.toml"


def read(text):
    read.path.write_text(text)
    return read_rig(read.path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("stale_frames = 0", 'faults = [{ light = "low", pulse = 1, kind = "melt" }]', r"simulated\.faults\.0\.kind"),
        ("stale_frames = 0", 'faults = [{ light = "low", pulse = -1, kind = "drop" }]', r"simulated\.faults\.0\.pulse"),
        ("stale_frames = 0", 'faults = [{ light = "low", pulse = 1, kind = "drop" }, '
                             '{ light = "low", pulse = 1, kind = "miss" }]', "two faults of the low camera at pulse 1"),
        ("[-12.0, 38.0]", "[-1e9, 38]", r"simulated\.clock_drift_ppm\.0.* -1000"),
        ("[-12.0, 38.0]", "[0, 1000.5]", r"simulated\.clock_drift_ppm\.1.* 1000"),
        ("stale_frames = 0", "stale = 1", "unknown key 'simulated.stale'"),
        ('driver = "simulated"', 'driver = "flir"', "driver"),
        ('driver = "simulated"', 'driver = "pylon"', r'\[simulated\] table needs driver = "simulated"'),
        ("[emulator]", "[emulators]", "unknown key 'emulators'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(old, new, says):
    text = rig_toml(simulated=True)
    assert old in text
    with pytest.raises(ExlcapError, match=says):
        read(text.replace(old, new))


def test_a_simulated_rig_must_say_what_its_cameras_see():
    with pytest.raises(ExlcapError, match=r"needs an \[emulator\] table"):
        read(rig_toml().replace('driver = "pylon"', 'driver = "simulated"'))


def test_rigs_and_takes_of_0_1_which_name_no_driver_are_of_basler_cameras(lab, shell):
    text = (lab.root / "rig.toml").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("driver = ")]
    (lab.root / "rig.toml").write_text(text.replace(line + "\n", ""))
    old = Workspace(lab.root)
    assert old.rig.driver == "pylon" and old.rig == lab.rig
    take = run_take(old, Request("plaza", schedule="1", pairs=1)).take
    header = json.loads((take.folder / "take.json").read_text())
    del header["rig"]["driver"], header["rig"]["simulated"]
    header["status"], header["pairs_per_step"] = "stopped", 2
    (take.folder / "take.json").write_text(json.dumps(header))
    done = shell(old, "shoot", "--scene", "plaza", "--resume")
    assert done.code == 0 and "2 pairs whole" in done.out, done.err
