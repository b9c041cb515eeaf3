"""docs/faults.md is made from what really happens: every fault is provoked in a take with two simulated cameras.

`python -m tests.capture.takes.test_fault_table` writes the page anew.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from exlcap.capture.cameras.simulated import Fault, Line, SimulatedCamera
from exlcap.capture.takes.plan import Request, plan_take
from exlcap.capture.takes.shoot import open_writer, shoot_plan
from exlcap.core.errors import ExlcapError
from exlcap.core.take import Take, read_take
from exlcap.core.workspace import Workspace
from exlcap.init import rig_toml

PAGE = Path(__file__).parents[3] / "docs" / "faults.md"
PAIRS = 5
AT = 3
"""The pulse at which it goes wrong, from 0; pulse 0 is the guard frame, so two pairs are safe before."""
KINDS = {
    "missed trigger": "miss",
    "dropped frame (exposed, lost on the way)": "drop",
    "double frame": "double",
    "incomplete buffer": "failed",
    "late frame (after that of the next pulse)": "late",
    "pulse counter reset": "counter reset",
    "noise on its line (taken for a pulse)": "noise",
    "stall (nothing more until grabbing starts anew)": "stall",
    "unplugged": "unplug",
}
STALE, DEAD, FULL, CTRL_C, KILL = (
    "stale settings (3 frames still at the former one)",
    "dead camera (no frame from there on)",
    "full disk",
    "Ctrl-C",
    "kill -9",
)
INTRODUCTION = f"""\
# Faults: what the operator sees, what is kept

Made by `python -m tests.capture.takes.test_fault_table`, which provokes every fault in a take; a
test keeps it true. The take has {PAIRS} pairs after one guard frame; at pulse {AT} the fault hits the
dark camera. Both cameras are wired to one trigger line and have chunks and counters (sync mode
`timer`); `tests/capture/` does the same for the other modes.

To see the faults of one camera yourself, make a rig with `exlcap init --simulated`, choose faults
in the `[simulated]` table of its rig.toml, and run `exlcap shoot`.

Whatever happens, a pair is both frames of one pulse, and every pair that `pairs.jsonl` lists is
whole on the disk. A pulse that gave no pair is fired again, so a take with orphans still ends with
all its pairs; `exlcap shoot` and `exlcap verify` sum up in one line why there are orphans. After
an early end the message gives the command that finishes the take,
`exlcap shoot --scene NAME --resume`.

A pair in flight is one that is not listed yet: being exposed, fetched or written. On a disk that
keeps up there is one; on a slower disk pairs wait in memory, up to 512 MB of them, before pulses
pause. The line of progress shows how many wait. Ctrl-C, an unplugged camera and a take that is
given up write them all; `kill -9` and a power cut lose them.

| fault | exit code | message | pairs kept | `orphans.jsonl` | after `--resume` |
|---|---|---|---|---|---|
"""


class Interrupting(SimulatedCamera):
    """Sends its own process a signal while a pulse is exposed, when the pairs before it are listed."""

    interrupt = signal.SIGINT
    folder = Path()
    fired = 0

    def pulse(self):
        super().pulse()
        self.fired += 1

    def grab(self, timeout_ms):
        if self.fired == AT + 1:
            self.fired += 1
            while len(read_take(self.folder).pairs) < AT - 1:
                time.sleep(0.01)
            os.kill(os.getpid(), self.interrupt)
        return super().grab(timeout_ms)


def workspace_at(root: Path) -> Workspace:
    """A rig of 64 x 64 pixels with one guard frame and the sync mode `timer`."""
    text = rig_toml(emulated=True)
    for old, new in (
        ("width = 960", "width = 64"),
        ("height = 600", "height = 64"),
        ("pulse_hz = 20.0", "pulse_hz = 160.0"),
        ("guard_frames = 2", "guard_frames = 1"),
        ('mode = "software"', 'mode = "timer"'),
    ):
        assert old in text
        text = text.replace(old, new)
    root.mkdir(parents=True, exist_ok=True)
    (root / "rig.toml").write_text(text, encoding="utf-8")
    return Workspace(root)


def cameras(fault):
    line, faults = Line(), ()
    if fault in KINDS:
        faults = [Fault(AT, KINDS[fault])]
    elif fault == DEAD:
        faults = [Fault(pulse, "miss") for pulse in range(AT, 100)]
    kind = Interrupting if fault in (CTRL_C, KILL) else SimulatedCamera
    stale = 3 if fault == STALE else 0
    return {
        "well": kind("0815-0000", line=line, stale_frames=stale),
        "low": SimulatedCamera("0815-0001", line=line, faults=faults, stale_frames=stale),
    }


def shoot(workspace, fault, resume=False) -> tuple[int, str]:
    """Exit code and message of `exlcap shoot` on simulated cameras."""
    request = Request("plaza", schedule=None if resume else "1" if fault != STALE else "4", pairs=PAIRS, resume=resume)
    plan, devices = plan_take(workspace, request), cameras(None if resume else fault)
    writer = open_writer(workspace.rig, request, plan, devices)
    if isinstance(devices["well"], Interrupting):
        devices["well"].folder = plan.folder
        devices["well"].interrupt = signal.SIGKILL if fault == KILL else signal.SIGINT
    if fault == FULL and not resume:
        write = writer.frame

        def frame(raw, k, index, **facts):
            if index >= AT:
                raise OSError(28, "No space left on device")
            return write(raw, k, index, **facts)

        writer.frame = frame
    try:
        shoot_plan(writer, plan, devices, None, request.command)
    except ExlcapError as error:
        return error.exit_code, error.message
    header = read_take(plan.folder).header
    return (0, "none") if header.status == "complete" else (130, header.reason)


def provoke(root: Path, fault: str) -> tuple[int, str, Take, Take | None]:
    """Exit code, message, the take, and the take after --resume (None where it was whole)."""
    workspace = workspace_at(root)
    if fault == KILL:  # somebody else has to die of it
        code = subprocess.run([sys.executable, __file__, str(root)], check=False, capture_output=True).returncode
        message = "none; the next `exlcap shoot` says that the take is unfinished"
    else:
        code, message = shoot(workspace, fault)
    take = read_take(workspace.scene("plaza") / "take-001")
    if not take.missing():
        return code, message, take, None
    shoot(workspace, fault, resume=True)
    return code, message, take, read_take(take.folder)


def row(root: Path, fault: str) -> str:
    code, message, take, resumed = provoke(root, fault)
    orphans = Counter(f"{orphan.light}: {orphan.reason}" for orphan in take.orphans)
    told = "<br>".join(f"{count} x {reason}" for reason, count in orphans.items()) or "nothing"
    left = "not needed" if resumed is None else f"{len(resumed.pairs)} of {PAIRS}"
    shown = f"killed by signal {-code}" if code < 0 else code
    return f"| {fault} | {shown} | {message} | {len(take.pairs)} of {PAIRS} | {told} | {left} |"


def page(root: Path) -> str:
    faults = (*KINDS, STALE, DEAD, FULL, CTRL_C, KILL)
    return INTRODUCTION + "".join(f"{row(root / str(n), fault)}\n" for n, fault in enumerate(faults))


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself these signals on Windows")
def test_the_table_of_faults_says_what_happens(tmp_path):
    assert page(tmp_path) == PAGE.read_text(encoding="utf-8"), (
        "write it anew: python -m tests.capture.takes.test_fault_table"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        shoot(workspace_at(Path(sys.argv[1])), KILL)
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(Path(folder)), encoding="utf-8")
