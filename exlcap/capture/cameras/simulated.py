"""A camera without hardware that has what pylon's emulator lacks: chunks, counters, drifting clocks, faults on demand.

Its frames bear their origin: the first two pixels hold the number of the pulse that made them, so a test can see
whether two frames really belong together (`true_pulse`). Cameras that see scenes are in `simulated_rig`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from exlcap.capture.cameras.contract import BUFFERS, CameraLimits, CameraLost, Grab, Link, check_read_back
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import FaultKind, Setting
from exlcap.core.take import CameraInfo, Raw

NOISE = 1 << 23
"""Frames that noise made bear the number of a pulse above this."""
EPOCH_NS = 1_700_000_000_000_000_000
"""When all simulated clocks stood at their origins."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at a pulse, counted from 0 since the camera was opened.

    miss: the trigger is ignored, which the camera reports. drop: exposed, but lost on the way. double: delivered twice.
    failed: an incomplete buffer. late: delivered after the frame of the next pulse. stall: no more frames until
    grabbing starts anew. unplug: the camera is gone. counter reset: the pulse counter starts again from 0 just before
    this pulse. noise: just before this pulse, an edge on this camera's line alone, which it takes for a pulse.
    """

    pulse: int
    kind: FaultKind


@dataclass(frozen=True)
class Clock:
    """A camera's own clock: its origin, how fast it runs against true time, and the jitter of what it notes."""

    origin_ns: int = 0
    drift_ppm: float = 0.0
    jitter_ns: float = 0.0


class Line:
    """The trigger line that simulated cameras are wired to; a pulse reaches all of them.

    pulse_hz: how fast pulses from outside come; None for as fast as they are waited for.
    """

    def __init__(self, pulse_hz: float | None = None) -> None:
        self._cameras: list[SimulatedCamera] = []
        self._period_s = 0.0 if pulse_hz is None else 1 / pulse_hz
        self._due = 0.0

    def connect(self, camera: SimulatedCamera) -> None:
        """Wire a camera to the line."""
        self._cameras.append(camera)

    def fire_from_outside(self) -> None:
        """The next pulse of a pulse generator, when it is due."""
        now = time.monotonic()
        if now < self._due:
            time.sleep(self._due - now)
        self._due = max(self._due, now) + self._period_s
        self.fire()

    def fire(self) -> None:
        """One pulse."""
        for camera in self._cameras:
            camera.see_pulse()


class SimulatedCamera:
    """Fulfils the Camera contract, and never waits for a frame: one that has not come will not come.

    size: (width, height). line: None for software triggers of its own; else its `pulse` fires the line. outside: pulses
    come on the line by themselves while a frame is waited for. chunks, counts: whether it has chunk data and a counter.
    first_count: what the counter shows in the frame of the first pulse. stale_frames: this many frames after a change
    are still exposed at the former setting. period_us: between two pulses, by its clock. opened_ns: when it was opened,
    in nanoseconds since `EPOCH_NS`; its clock has run since then.
    """

    def __init__(
        self,
        serial: str,
        size: tuple[int, int] = (64, 64),
        *,
        line: Line | None = None,
        outside: bool = False,
        chunks: bool = True,
        counts: bool = True,
        first_count: int = 1,
        clock: Clock | None = None,
        faults: Sequence[Fault] = (),
        stale_frames: int = 0,
        period_us: float = 50_000.0,
        opened_ns: int = 0,
    ) -> None:
        self._serial = serial
        self._size = size
        self._line = line
        self._outside = outside
        self._chunks = chunks
        self._counts = counts
        self._first_count = first_count
        self._clock = clock
        self._faults = {fault.pulse: fault.kind for fault in faults}
        self._stale_frames = stale_frames
        self._period_ns = round(1000 * period_us)
        self._opened_ns = opened_ns
        self._rng = np.random.default_rng([len(serial), *serial.encode()])
        self._setting = Setting(exposure_us=1000.0, gain_db=0.0)
        self._exposes = [self._setting] * stale_frames
        self._pulses = 0
        self._counter = 0
        self._missed = 0
        self._frame_id = 0
        self._queue: deque[Grab] = deque()
        self._held: Grab | None = None
        self._state: Literal["idle", "grabbing", "stalled", "gone", "closed"] = "idle"
        if line is not None:
            line.connect(self)

    @property
    def info(self) -> CameraInfo:
        """What it is."""
        return CameraInfo(serial=self._serial, model="simulated", driver="exlcap")

    @property
    def limits(self) -> CameraLimits:
        """What a daA1920-160uc can do, as far as documents tell."""
        return CameraLimits(1.0, 1e7, 48.0, 164.0)

    @property
    def link(self) -> Link:
        """Nothing: it is not connected to anything."""
        return Link()

    @property
    def has_chunks(self) -> bool:
        """Whether each frame reports its own exposure and gain."""
        return self._chunks

    def set(self, setting: Setting) -> Setting:
        """Write exposure time, rounded to whole microseconds as a sensor's clock does, and gain."""
        self._check()
        for name, value, unit, least, most in (
            ("exposure", setting.exposure_us, "us", self.limits.exposure_us_min, self.limits.exposure_us_max),
            ("gain", setting.gain_db, "dB", 0.0, self.limits.gain_db_max),
        ):
            if not least <= value <= most:
                raise ExlcapError(
                    f"camera {self._serial}: {name} {value:g} {unit} is out of range",
                    f"choose a value from {least:g} to {most:g} {unit}",
                )
        read_back = Setting(exposure_us=max(1.0, float(round(setting.exposure_us))), gain_db=setting.gain_db)
        self._exposes = [self._setting] * self._stale_frames
        self._setting = read_back
        return check_read_back(f"camera {self._serial}", setting, read_back)

    def start(self) -> None:
        """Begin grabbing; frame ids start from 0."""
        self._check()
        self._frame_id = 0
        self._queue.clear()
        self._held = None
        self._state = "grabbing"

    def stop(self) -> None:
        """End grabbing."""
        if self._state in ("grabbing", "stalled"):
            self._state = "idle"
            self._queue.clear()

    def wait_ready(self, timeout_ms: int) -> bool:
        """Ready whenever it grabs."""
        self._check()
        return self._state in ("grabbing", "stalled")

    def pulse(self) -> None:
        """A software trigger, or a pulse for everything on the line."""
        self._check()
        if self._line is None:
            self.see_pulse()
        else:
            self._line.fire()

    def see_pulse(self) -> None:
        """What a pulse does to the camera."""
        number, self._pulses = self._pulses, self._pulses + 1
        fault = self._faults.get(number)
        if self._state in ("gone", "closed"):
            return
        if fault == "counter reset":
            self._counter = 0
        elif fault == "noise" and self._state == "grabbing":
            self._queue.append(self.expose(NOISE + number, self._counter, failed=False))
            self._counter += 1
        counter, self._counter = self._counter, self._counter + 1
        if fault == "unplug":
            self._state = "gone"
        elif fault == "stall":
            self._state = "stalled"
        if self._state != "grabbing" or fault == "miss":
            self._missed += fault == "miss"
            return
        grab = self.expose(number, counter, failed=fault == "failed")
        held, self._held = self._held, None
        if fault == "late":
            self._held = grab
        elif fault != "drop":
            self._queue.extend([grab, grab] if fault == "double" else [grab])
        if held is not None:
            self._queue.append(held)
        while len(self._queue) > BUFFERS:
            self._queue.pop()

    def expose(self, number: int, counter: int, failed: bool) -> Grab:
        """The frame of a pulse. number: of the pulse since it was opened; above `NOISE` for one that noise made."""
        frame_id, self._frame_id = self._frame_id, self._frame_id + 1
        setting = self._exposes.pop(0) if self._exposes else self._setting
        true_ns = self._opened_ns + number % NOISE * self._period_ns
        return Grab(
            raw=None if failed else _picture(number, self._size),
            frame_id=frame_id,
            host_time_ns=EPOCH_NS + true_ns,
            counter=counter + self._first_count if self._counts else None,
            device_time_ns=self._device_time(true_ns),
            device_time_source=None if self._clock is None else "simulated, exposure start",
            chunk=setting if self._chunks else None,
            failure="incomplete buffer" if failed else None,
        )

    def _device_time(self, true_ns: int) -> int | None:
        if self._clock is None:
            return None
        jitter_ns = self._rng.normal(0, self._clock.jitter_ns) if self._clock.jitter_ns else 0.0
        return self._clock.origin_ns + true_ns + round(true_ns * self._clock.drift_ppm * 1e-6 + jitter_ns)

    def zero_counter(self) -> None:
        """Set the pulse counter to 0."""
        self._check()
        self._counter = 0

    def pulses_counted(self) -> int | None:
        """Pulses since `zero_counter`; None without a counter."""
        self._check()
        return self._counter if self._counts else None

    @property
    def missed_triggers(self) -> int | None:
        """Pulses ignored since it was opened."""
        return self._missed

    def grab(self, timeout_ms: int) -> Grab | None:
        """The next frame in the order of arrival; None when there is none."""
        if self._outside and self._line is not None:
            for _ in range(max(1, timeout_ms * 1_000_000 // self._period_ns)):
                if self._queue or self._state != "grabbing":
                    break
                self._line.fire_from_outside()
        if not self._queue:
            self._check()
            return None
        return self._queue.popleft()

    def save_state(self, name: Path) -> Path:
        """Refused: there is no device whose state could be saved."""
        raise ExlcapError(
            "simulated cameras have no state to save or load", "leave out --pfs-save and --pfs-load on this rig"
        )

    def probe(self) -> dict[str, Any]:
        """Nothing: no document leaves anything open."""
        return {}

    def close(self) -> None:
        """Let go of it."""
        self._state = "closed"
        self._queue.clear()

    def _check(self) -> None:
        if self._state == "gone":
            raise CameraLost(f"camera {self._serial} was unplugged", "plug it in again")
        if self._state == "closed":
            raise ExlcapError(f"camera {self._serial} is closed", "open it again")

    def __enter__(self) -> SimulatedCamera:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def _picture(pulse: int, size: tuple[int, int]) -> Raw:
    """A frame uint16 (H, W) that holds the number of the pulse that made it in its first two pixels of 12 bits."""
    raw = np.full((size[1], size[0]), 64 + pulse % 256, np.uint16)
    raw[0, 0], raw[0, 1] = pulse & 0xFFF, (pulse >> 12) & 0xFFF
    return raw


def true_pulse(raw: Raw) -> int:
    """The pulse that made a simulated frame, counted since its camera was opened."""
    return int(raw[0, 0]) | int(raw[0, 1]) << 12
