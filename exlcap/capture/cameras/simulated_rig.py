"""The driver "simulated": two cameras without hardware that see drawn scenes, behave like daA1920-160uc units, and fail
where rig.toml says so.

They have what pylon's emulator lacks: a trigger line for every sync mode, a pulse counter, chunk data that prove every
frame's setting, and clocks of their own that drift.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from exlcap.capture.cameras.contract import Grab
from exlcap.capture.cameras.pictures import read_picture
from exlcap.capture.cameras.simulated import EPOCH_NS, NOISE, Clock, Fault, Line, SimulatedCamera
from exlcap.core.rig import LIGHTS, Light, Rig, Simulated

ORIGINS_NS = {"well": 7_000_000_000_000, "low": 5_000_000_000}
"""Device clocks start when a camera gets power: their origins have nothing to do with each other."""


class PictureSimulatedCamera(SimulatedCamera):
    """A simulated camera that sees pictures. Fulfils Camera and PictureCamera.

    Its frames show the picture of the pulse that made them, whatever other pulses it missed. Without pictures they are
    those of any simulated camera. Their host time is the computer's, as on a real camera.
    """

    def __init__(self, serial: str, size: tuple[int, int], **about: Any) -> None:
        super().__init__(serial, size, **about)
        self._folder: Path | None = None
        self._pictures: list[Path] = []
        self._first_pulse = 0

    def show(self, folder: Path) -> None:
        """From the next `start` on, expose the pictures of a folder in the order of their names, over and over."""
        self._folder = folder

    def start(self) -> None:
        """Begin grabbing; frame ids start from 0, and pictures from the first."""
        super().start()
        folder = self._folder
        self._pictures = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
        self._first_pulse = self._pulses

    def expose(self, number: int, counter: int, failed: bool) -> Grab:
        """The frame of a pulse, which shows the picture of that pulse since `start`."""
        grab = replace(super().expose(number, counter, failed), host_time_ns=time.time_ns())
        if grab.raw is None or not self._pictures:
            return grab
        since_start = number % NOISE - self._first_pulse
        return replace(grab, raw=read_picture(self._pictures[since_start % len(self._pictures)]))


def open_simulated_cameras(rig: Rig) -> dict[Light, PictureSimulatedCamera]:
    """Both cameras of a rig, wired for its sync mode."""
    sync, behaviour = rig.sync, rig.simulated or Simulated()
    line = None if sync.mode == "software" else Line(sync.pulse_hz)
    opened_ns = time.time_ns() - EPOCH_NS
    cameras = {}
    for light, drift_ppm in zip(LIGHTS, behaviour.clock_drift_ppm, strict=True):
        cameras[light] = PictureSimulatedCamera(
            rig.serial(light),
            (rig.sensor.width, rig.sensor.height),
            line=line,
            outside=sync.mode == "external",
            counts=line is not None and not (sync.mode == "exposure-active" and light == "well"),
            first_count=0,
            clock=Clock(ORIGINS_NS[light], drift_ppm, 1000 * behaviour.clock_jitter_us),
            faults=[Fault(fault.pulse, fault.kind) for fault in behaviour.faults if fault.light == light],
            stale_frames=behaviour.stale_frames,
            period_us=1e6 / sync.pulse_hz,
            opened_ns=opened_ns,
        )
    return cameras
