"""`exlcap shoot` that is killed, stopped, unplugged or out of disk, and goes on with --resume."""

import os
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest

from exlcap.capture.takes import shoot as session
from exlcap.capture.takes.plan import Request
from exlcap.capture.takes.shoot import run_take
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.files import read_jsonl
from exlcap.core.labels import read_coco
from exlcap.core.rig import LIGHTS
from exlcap.core.take import read_take
from tests.capture.conftest import ask, take_folder


@pytest.fixture
def slow_lab(changed_lab):
    """Pulses so far apart that a busy machine has time to interrupt a take before it ends."""
    return changed_lab({"pulse_hz = 20.0": "pulse_hz = 4.0"})


@pytest.fixture
def shooting(slow_lab, exlcap_line):
    """Start `exlcap shoot` of 12 pairs at each of two steps; the process, once so many pairs are listed."""
    started = []

    def shooting(listed):
        line = exlcap_line(slow_lab, "shoot", "--scene", "plaza", "--schedule", "1,4", "--pairs", "12")
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        pairs = take_folder(slow_lab) / "pairs.jsonl"
        while not pairs.exists() or len(read_jsonl(pairs)[0]) < listed:
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        return process

    yield shooting
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_kill_9_loses_at_most_the_pair_in_flight_and_resume_finishes(slow_lab, exlcap, shooting):
    lab, process = slow_lab, shooting(4)
    process.kill()
    process.wait()

    cut = read_take(take_folder(lab))
    assert cut.header.status == "recording" and 4 <= len(cut.pairs) < 12
    for pair in cut.pairs:
        for light in LIGHTS:
            cut.raw(pair, light)
    kept = {path: path.read_bytes() for path in cut.folder.glob("raw/*/*.tif")}

    told = exlcap(lab, "verify", "plaza")
    assert told.returncode == 1 and f"lacks {12 - len(cut.pairs)} pairs" in told.stdout, told.stdout

    done = exlcap(lab, "shoot", "--scene", "plaza", "--resume")
    assert done.returncode == 0, done.stderr
    whole = read_take(take_folder(lab))
    assert whole.header.status == "complete" and whole.missing() == {} and len(whole.pairs) == 24
    assert whole.pairs[: len(cut.pairs)] == cut.pairs
    assert {path: path.read_bytes() for path in kept} == kept, "a frame was written again"
    assert not list(whole.folder.glob("raw/*/.*.tmp"))
    assert exlcap(lab, "verify", "plaza").returncode == 0
    truth = {image.file_name for image in read_coco(lab.simulated / "plaza" / "take-001.json")}
    assert truth == {f"{whole.pair_id(pair)}.png" for pair in whole.pairs}


def test_a_new_take_tells_of_the_one_left_unfinished(slow_lab, exlcap, shooting):
    lab, process = slow_lab, shooting(2)
    process.kill()
    process.wait()
    done = exlcap(lab, "shoot", "--scene", "plaza", "--schedule", "1", "--pairs", "1")
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "unfinished" in line]
    assert "plaza take-001" in line and "exlcap shoot --scene plaza --resume" in line
    assert read_take(take_folder(lab, 2)).header.status == "complete"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_ends_after_the_pair_in_flight(slow_lab, shooting):
    lab, process = slow_lab, shooting(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    take = read_take(take_folder(lab))
    assert process.returncode == 130, err
    assert take.header.status == "stopped" and take.header.reason == "stopped by the operator"
    assert f"{len(take.pairs)} pairs whole" in out
    assert "finish it with: exlcap shoot --scene plaza --resume" in out
    assert "Traceback" not in err
    listed = {frame.file for pair in take.pairs for frame in (pair.well, pair.low)}
    assert listed == {path.relative_to(take.folder).as_posix() for path in take.folder.glob("raw/*/*.tif")}


def stopped_take(lab, monkeypatch, at=2):
    """A take whose dark camera was unplugged after `at` pairs."""
    from exlcap.capture.cameras.pylon import PylonCamera

    pulse, fired = PylonCamera.pulse, []

    def unplugged(camera):
        if camera.info.serial == "0815-0001":
            fired.append(camera)
            if len(fired) == at + 2:
                camera.device.FirePnPCallback.Execute()
        pulse(camera)

    with monkeypatch.context() as patch:
        patch.setattr(PylonCamera, "pulse", unplugged)
        run_take(lab, ask())


def test_unplugging_ends_the_take_cleanly_and_resume_goes_on(lab, monkeypatch):
    with pytest.raises(ExlcapError, match="low camera 0815-0001 was unplugged") as error:
        stopped_take(lab, monkeypatch)
    assert "2 pairs are safe" in error.value.hint and "--resume" in error.value.hint
    take = read_take(take_folder(lab))
    assert take.header.status == "stopped" and len(take.pairs) == 2
    whole = run_take(lab, Request("plaza", resume=True)).take
    assert whole.header.status == "complete" and whole.missing() == {} and whole.pairs[:2] == take.pairs


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (("gain_db = 3.4 ", "gain_db = 6.0 "), {}, r"low\.gain_db was 3\.4, is 6\.0"),
        (("black_level_dn = 60", "black_level_dn = 64"), {}, r"sensor\.black_level_dn was 60, is 64"),
        (None, {"schedule": "1,2"}, "schedule was 1,4, asked 1,2"),
        (None, {"pairs": 9}, "pairs per step was 3, asked 9"),
        (None, {"gain_db": 3.0}, r"base gain \(dB\) was 0\.0, asked 3\.0"),
    ],
)
def test_resume_with_another_rig_or_schedule_is_refused(lab, monkeypatch, change, options, says):
    with pytest.raises(ExlcapError):
        stopped_take(lab, monkeypatch)
    if change:
        rig = lab.root / "rig.toml"
        assert change[0] in rig.read_text()
        rig.write_text(rig.read_text().replace(*change))
    with pytest.raises(Refused, match=says):
        run_take(type(lab)(lab.root), Request("plaza", resume=True, **options))


def test_resume_does_not_mind_other_scenes_of_the_rig(lab, monkeypatch):
    with pytest.raises(ExlcapError):
        stopped_take(lab, monkeypatch)
    rig = lab.root / "rig.toml"
    rig.write_text(rig.read_text() + "[scenes.quay]\nexposure_us = 900.0\ngain_db = 1.0\n")
    assert run_take(type(lab)(lab.root), Request("plaza", resume=True)).take.missing() == {}


def test_a_full_disk_ends_the_take_with_every_listed_pair_whole(tmp_path, changed_lab, exlcap, monkeypatch):
    lab = changed_lab({})
    disk = lab.root / "scenes"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can be mounted only by root")
    try:
        with pytest.raises(ExlcapError, match=r"scenes has 0\.00 GB free"):
            run_take(lab, ask(pairs=20))
        roomy = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=10**12))
        monkeypatch.setattr(session, "shutil", roomy)  # as if the disk filled up later
        with pytest.raises(ExlcapError, match="the disk is full") as error:
            run_take(lab, ask(pairs=20))
        take = read_take(take_folder(lab))
        assert 0 < len(take.pairs) < 20
        assert f"{len(take.pairs)} pairs are safe" in error.value.hint
        assert take.header.status == "stopped" and "the disk is full" in take.header.reason
        for pair in take.pairs:
            for light in LIGHTS:
                take.raw(pair, light)
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_disk_error_ends_the_take_with_every_listed_pair_whole(lab, monkeypatch):
    """The same without root: the third pair finds no room."""
    from exlcap.core import take as take_module

    write = take_module.write_atomic

    def full(path, *parts, **options):
        if path.name >= "000003" and path.suffix == ".tif":
            raise OSError(28, "No space left on device", str(path))
        write(path, *parts, **options)

    monkeypatch.setattr(take_module, "write_atomic", full)
    with pytest.raises(ExlcapError, match="the disk is full") as error:
        run_take(lab, ask())
    take = read_take(take_folder(lab))
    assert len(take.pairs) == 2 and take.header.status == "stopped"
    assert "2 pairs are safe" in error.value.hint
