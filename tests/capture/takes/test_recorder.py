"""Pairs reach the disk in order, the queue is bounded, and what goes wrong there is heard."""

import threading
import time

import numpy as np
import pytest

from exlcap.capture.cameras.contract import Grab
from exlcap.capture.takes.recorder import Recorder, Shot
from exlcap.core.rig import LIGHTS, Setting
from exlcap.core.take import CameraInfo, Orphan, Step, TakeHeader, TakeWriter, read_take

SETTING = Setting(exposure_us=1000.0, gain_db=0.0)
STEP = Step(k=1, well=SETTING, low=SETTING)
PAIR_BYTES = 2 * 2 * 320 * 200


@pytest.fixture
def writer(lab):
    header = TakeHeader(
        kind="scene", scene="plaza", number=1, created="2026-11-20T00:00:00+00:00", status="recording", rig=lab.rig,
        steps=(STEP,), pairs_per_step=9, sync_mode="software", settings_proof="assumed", versions={},
        cameras={light: CameraInfo(serial=lab.rig.serial(light), model="m", driver="d") for light in LIGHTS},
    )  # fmt: skip
    return TakeWriter(lab.scene("plaza") / "take-001", header)


def shot(index):
    grabs = [Grab(raw=np.full((200, 320), index, np.uint16), frame_id=index, host_time_ns=index) for _ in LIGHTS]
    return Shot(STEP, index, *grabs, read_back=dict.fromkeys(LIGHTS, SETTING))


def test_what_is_handed_over_is_on_the_disk_at_the_end(writer):
    orphan = Orphan(k=1, index=9, light="low", frame_id=None, reason="missing", host_time_ns=0)
    with Recorder(writer) as recorder:
        for index in range(8):
            recorder.pair(shot(index))
        recorder.orphan(orphan)
    take = read_take(writer.folder)
    assert [pair.index for pair in take.pairs] == list(range(8)) and take.orphans == (orphan,)
    assert recorder.written == 8
    assert all(int(take.raw(pair, light).max()) == pair.index for pair in take.pairs for light in LIGHTS)


def test_a_slow_disk_holds_up_the_pulses_within_the_budget(writer, monkeypatch):
    """A budget of three pairs, those being written included: the fourth one waits."""
    disk = threading.Event()
    frame = writer.frame
    monkeypatch.setattr(writer, "frame", lambda *a, **k: disk.wait(30) and frame(*a, **k))
    handed = []
    with Recorder(writer, budget_bytes=3 * PAIR_BYTES) as recorder:

        def pulses():
            for index in range(7):
                recorder.pair(shot(index))
                handed.append(index)

        thread = threading.Thread(target=pulses)
        thread.start()
        while len(handed) < 3:
            time.sleep(0.01)
        thread.join(0.2)  # time enough to hand over more, were there room
        assert thread.is_alive() and handed == [0, 1, 2]
        disk.set()
        thread.join(30)
    assert len(read_take(writer.folder).pairs) == 7


def test_pairs_are_listed_in_their_order_whichever_is_written_first(writer, monkeypatch):
    frame, second_is_written = writer.frame, threading.Event()

    def slow_first(raw, k, index, **facts):
        if index == 0:
            assert second_is_written.wait(30)
        written = frame(raw, k, index, **facts)
        if index == 1:
            second_is_written.set()
        return written

    monkeypatch.setattr(writer, "frame", slow_first)
    with Recorder(writer) as recorder:
        recorder.pair(shot(0))
        recorder.pair(shot(1))
    assert [pair.index for pair in read_take(writer.folder).pairs] == [0, 1]


def test_a_failing_disk_is_heard_and_blocks_nobody(writer, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "frame", full)
    with pytest.raises(OSError, match="No space"), Recorder(writer, budget_bytes=2 * PAIR_BYTES) as recorder:
        for index in range(100):
            recorder.pair(shot(index))
    assert read_take(writer.folder).pairs == ()
