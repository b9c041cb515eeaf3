"""Pairs per second of `exlcap shoot` writing raw, next to a bare pypylon loop that saves nothing.

``python benchmarks/capture.py [--json] [--pairs 2000] [--size 960x600]``

Both drive two emulated cameras (pylon's moving test image) by software triggers, interleaved in one run; the medians of
their rounds are compared. Bare is the least that gives pairs: wait until both are ready, trigger both, retrieve both.
A round of `shoot` is its own code from the start of grabbing until the last pair is listed on the disk. Every pair is
read again: both frames must hold the same test image, the one after that of the pair before. At last the disk is
stalled until the queue is full, and memory is looked at. Not measured: real cameras, USB, other disks.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from host import machine, rss_bytes

from exlcap.capture.cameras.contract import BUFFERS
from exlcap.capture.cameras.pylon import PylonCamera, load_pylon, open_pylon_cameras
from exlcap.capture.takes.plan import Request, plan_take
from exlcap.capture.takes.recorder import BUDGET_BYTES, Recorder
from exlcap.capture.takes.session import Session, shoot_step
from exlcap.capture.takes.shoot import open_writer
from exlcap.core.rig import LIGHTS, Light, Rig
from exlcap.core.take import Frame, Raw, Take, TakeWriter, read_take
from exlcap.core.workspace import Workspace
from exlcap.init import rig_toml

AIM = 0.9
ROUND = 100
SPARE_BYTES = 300 * 1024 * 1024
"""What the process may take beside the budget of the queue."""
WATCHED_SECONDS = 3.0
"""Memory that has not grown for so long grows no more."""
LEVEL_STEP = 16
LEVELS = 4096
"""The test image moves by one level of 8 bits (16 of 12) a frame."""


def bare(pylon: Any, rig: Rig, pairs: int) -> float:
    """Pairs per second of a loop that keeps nothing."""
    devices = [_bare_device(pylon, rig, light) for light in LIGHTS]
    began = time.perf_counter()
    for device in devices:
        device.StartGrabbing(pylon.GrabStrategy_OneByOne)
    for _ in range(pairs):
        for device in devices:
            device.WaitForFrameTriggerReady(1000, pylon.TimeoutHandling_ThrowException)
        for device in devices:
            device.TriggerSoftware.Execute()
        for device in devices:
            with device.RetrieveResult(1000) as result:
                if not result.GrabSucceeded():
                    raise RuntimeError("the bare loop lost a frame")
    for device in devices:
        device.StopGrabbing()
    seconds = time.perf_counter() - began
    for device in devices:
        device.Close()
        device.DestroyDevice()
    return pairs / seconds


def _bare_device(pylon: Any, rig: Rig, light: Light) -> Any:
    factory = pylon.TlFactory.GetInstance()
    info = next(info for info in factory.EnumerateDevices() if info.GetSerialNumber() == rig.serial(light))
    device = pylon.InstantCamera(factory.CreateDevice(info))
    device.RegisterConfiguration(
        pylon.ConfigurationEventHandler(), pylon.RegistrationMode_ReplaceAll, pylon.Cleanup_Delete
    )
    device.Open()
    for name, value in (
        ("PixelFormat", "BayerRG12"),
        ("Width", rig.sensor.width),
        ("Height", rig.sensor.height),
        ("TestImageSelector", "Testimage2"),
        ("AcquisitionMode", "Continuous"),
        ("AcquisitionFrameRateEnable", False),
        ("TriggerSelector", "FrameStart"),
        ("TriggerSource", "Software"),
        ("TriggerMode", "On"),
    ):
        getattr(device, name).Value = value
    device.MaxNumBuffer.Value = BUFFERS
    return device


@dataclass
class Shooting:
    """A take of one step that is being shot: cameras, writer, work."""

    workspace: Workspace
    pairs: int

    def __post_init__(self) -> None:
        """Open the cameras and begin the take."""
        request = Request("plaza", schedule="1", pairs=self.pairs)
        self.plan = plan_take(self.workspace, request)
        self.cameras: dict[Light, PylonCamera] = open_pylon_cameras(self.workspace.rig)
        for camera in self.cameras.values():
            camera.device.TestImageSelector.Value = "Testimage2"
        self.writer = open_writer(self.workspace.rig, request, self.plan, self.cameras)

    def run(self, writer: TakeWriter) -> float:
        """Seconds from the first pulse until everything is on the disk."""
        # pulses as fast as the cameras go, without the guard frames that the bare loop has not
        sync = self.workspace.rig.sync.model_copy(update={"pulse_hz": 1e6, "guard_frames": 0})
        (work,) = self.plan.work()
        began = time.perf_counter()
        with Recorder(writer) as recorder:
            shoot_step(Session(self.cameras, sync, recorder, None, lambda: False, lambda _: None), work)
        seconds = time.perf_counter() - began
        for camera in self.cameras.values():
            camera.close()
        return seconds


def faults(take: Take, pairs: int) -> tuple[int, int]:
    """Pairs lost, and pairs whose frames are not of one pulse or not the next pulse's."""
    wrong, before = 0, None
    for pair in take.pairs:
        well, low = (take.raw(pair, light) for light in LIGHTS)
        level = int(well[0, 0])
        follows = before is None or level == (before + LEVEL_STEP) % LEVELS
        wrong += not (follows and np.array_equal(well, low))
        before = level
    return pairs - len(take.pairs) + len(take.orphans), wrong


class StallingDisk(TakeWriter):
    """A disk that stops writing after a round, until it is let go."""

    go: threading.Event

    def frame(self, raw: Raw, k: int, index: int, **facts: Any) -> Frame:
        """Write, or wait."""
        if index >= ROUND:
            self.go.wait()
        return super().frame(raw, k, index, **facts)


def stalled_rss(workspace: Workspace, budget_pairs: int) -> int:
    """Bytes of memory in use when the disk stalls in the midst of a take and the pulses have come to wait for it."""
    load_pylon(emulated=True)
    shooting = Shooting(workspace, ROUND + budget_pairs + 20)
    writer = StallingDisk.resume(read_take(shooting.plan.folder))
    assert isinstance(writer, StallingDisk)
    writer.go = threading.Event()
    most = [0]

    def watch() -> None:
        grown = time.monotonic()
        while time.monotonic() - grown < WATCHED_SECONDS:
            rss = rss_bytes()
            if rss > most[0]:
                most[0], grown = rss, time.monotonic()
            time.sleep(0.05)
        writer.go.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    shooting.run(writer)
    watcher.join()
    if faults(read_take(shooting.plan.folder), shooting.pairs) != (0, 0):
        raise RuntimeError("pairs were lost when the disk stalled")
    return most[0]


def main() -> None:
    """Run both in turn, print rates, faults and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    parser.add_argument("--pairs", type=int, default=2000, help="pairs that `shoot` records in all")
    parser.add_argument("--size", default="960x600", help="width x height of the frames")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    pylon = load_pylon(emulated=True)
    began_on = machine()
    rates: dict[str, list[float]] = {"bare": [], "shoot": []}
    cpu_s, lost, wrong = 0.0, 0, 0
    rounds = max(1, options.pairs // ROUND)
    with tempfile.TemporaryDirectory() as folder:
        text = rig_toml(emulated=True).replace("width = 960", f"width = {width}")
        (Path(folder) / "rig.toml").write_text(text.replace("height = 600", f"height = {height}"), encoding="utf-8")
        workspace = Workspace(Path(folder))
        for _ in range(rounds):
            rates["bare"].append(bare(pylon, workspace.rig, ROUND))
            shooting = Shooting(workspace, ROUND)
            cpu_s -= time.process_time()
            rates["shoot"].append(ROUND / shooting.run(shooting.writer))
            cpu_s += time.process_time()
            found = faults(read_take(shooting.plan.folder), ROUND)
            lost, wrong = lost + found[0], wrong + found[1]
            shutil.rmtree(shooting.plan.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        with multiprocessing.get_context("spawn").Pool(1) as fresh:  # as a take is a process of its own
            stalled = fresh.apply(stalled_rss, (workspace, BUDGET_BYTES // (4 * width * height)))
    ratio = statistics.median(rates["shoot"]) / statistics.median(rates["bare"])
    limit = BUDGET_BYTES + SPARE_BYTES
    print(
        json.dumps(
            {
                "machine": began_on,
                "versions": {name: version(name) for name in ("exlcap", "numpy", "pypylon", "tifffile")},
                "figures": {
                    "size": [width, height],
                    "pairs": rounds * ROUND,
                    "pairs_per_s": {name: round(statistics.median(values), 2) for name, values in rates.items()},
                    "shoot_cpu_ms_per_pair": round(1000 * cpu_s / (rounds * ROUND), 2),
                    "peak_rss_mb": round(peak / 1e6),
                    "budget_mb": round(BUDGET_BYTES / 1e6),
                },
                "bars": {
                    "shoot_against_bare": {"value": round(ratio, 3), "aim": AIM, "ok": ratio >= AIM},
                    "pairs_lost": {"value": lost, "aim": 0, "ok": lost == 0},
                    "pairs_wrong": {"value": wrong, "aim": 0, "ok": wrong == 0},
                    "stalled_disk_rss_mb": {
                        "value": round(stalled / 1e6),
                        "aim": round(limit / 1e6),
                        "ok": stalled <= limit,
                    },
                },
                "not_measured": "real cameras; USB; other disks",
            },
            indent=None if options.json else 1,
        )
    )


if __name__ == "__main__":
    main()
