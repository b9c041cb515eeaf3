"""What a camera must do for a take. One contract; a test-suite runs over everything that fulfils it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from exlcap.core.errors import ExlcapError
from exlcap.core.take import CameraInfo, Raw, Setting, Step, Take

BUFFERS = 16
"""Frames that a driver holds until they are fetched."""
USB_BYTES_PER_S = 378_000_000
"""What one camera alone can move over a USB 3 controller: 164 frames/s of 2.3 MB."""
NOT_HERE = "not available here"
"""What is reported where a camera or a computer cannot tell."""

EXPOSURE_TOLERANCE_US = 1.0
EXPOSURE_TOLERANCE = 0.005
"""An exposure may come back rounded to the sensor's clock: by 1 us or 0.5 %, whichever is more."""
GAIN_TOLERANCE_DB = 0.1
"""Gain registers of this class of sensor step by 0.1 dB."""


class CameraLost(ExlcapError):
    """The device is gone: unplugged, or its driver gave up. The take ends; every listed pair is whole."""


@dataclass(frozen=True, eq=False)
class Grab:
    """One frame as a camera delivered it. What the camera does not report is None.

    raw: uint16 (H, W), a copy of its own; None when the buffer failed. frame_id: counts exposures from 0 since `start`.
    counter: the camera's pulse counter, as the frame itself carries it; 0 or 1 for the first pulse, as a camera may
    read its counter before or after it counts the edge. chunk: the setting that the frame itself reports.
    device_time_ns: start of the exposure on the camera's own clock. failure: why there is no picture, None for a good
    frame.
    """

    raw: Raw | None
    frame_id: int
    host_time_ns: int
    counter: int | None = None
    device_time_ns: int | None = None
    device_time_source: str | None = None
    chunk: Setting | None = None
    temperature_c: float | None = None
    failure: str | None = None


@dataclass(frozen=True)
class CameraLimits:
    """What a camera can do at its current size and format. frame_rate_hz: None where it does not report it."""

    exposure_us_min: float
    exposure_us_max: float
    gain_db_max: float
    frame_rate_hz: float | None = None


@dataclass(frozen=True)
class Link:
    """How a camera is connected; None where it does not report it.

    usb_speed: as the device names it, such as "SuperSpeed". bytes_per_s: what it may send at the most.
    """

    usb_speed: str | None = None
    bytes_per_s: float | None = None


class Camera(Protocol):
    """A camera that waits for pulses.

    Every call raises CameraLost once the device is gone, except `close`. Use it as a context manager, which closes it.
    """

    @property
    def info(self) -> CameraInfo:
        """What the camera reports of itself, its settings as read back, and the features it lacks."""
        ...

    @property
    def limits(self) -> CameraLimits:
        """What it can do."""
        ...

    @property
    def link(self) -> Link:
        """How it is connected."""
        ...

    @property
    def has_chunks(self) -> bool:
        """Whether each frame reports its own exposure and gain."""
        ...

    def set(self, setting: Setting) -> Setting:
        """Write exposure time and gain; return them as read back. Raises ExlcapError when they differ."""
        ...

    def start(self) -> None:
        """Begin grabbing; frame ids start from 0."""
        ...

    def stop(self) -> None:
        """End grabbing; frames not yet fetched are dropped. Harmless when not grabbing."""
        ...

    def wait_ready(self, timeout_ms: int) -> bool:
        """Wait until a pulse would open the shutter; False when that did not come in time."""
        ...

    def pulse(self) -> None:
        """Open the shutter by software (or fire the line that does). Only after `wait_ready`."""
        ...

    def zero_counter(self) -> None:
        """Set the pulse counter to 0. Does nothing where there is none."""
        ...

    def pulses_counted(self) -> int | None:
        """Pulses on the line since `zero_counter`; None where the camera has no counter."""
        ...

    @property
    def missed_triggers(self) -> int | None:
        """Pulses that it reported as ignored, because they came too soon, since it was opened; None: not reported."""
        ...

    def grab(self, timeout_ms: int) -> Grab | None:
        """The next frame in the order of arrival, good or failed; None when none came in time."""
        ...

    def save_state(self, name: Path) -> Path:
        """Write its state to a file in its driver's own format, named after `name`; return the file.

        Raises ExlcapError where the driver has no such files.
        """
        ...

    def probe(self) -> dict[str, Any]:
        """What else it reports of itself, as JSON types, for `exlcap doctor --probe`; settings may be lost by it."""
        ...

    def close(self) -> None:
        """Let go of the device. May be called twice, and after the device is gone."""
        ...

    def __enter__(self) -> Camera:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        ...


@runtime_checkable
class PictureCamera(Protocol):
    """A camera without light before it: it must be given pictures to see."""

    def show(self, folder: Path) -> None:
        """From the next `start` on, expose the pictures of a folder in the order of their names, over and over."""
        ...


class View(Protocol):
    """What is put before cameras without light, for one stretch of grabbing; real cameras need none."""

    def show(self, step: Step, first: int, count: int) -> None:
        """Make the next `count` frames those of pulses `first`, `first` + 1, ... of a step, then from `first` again."""
        ...

    def clear(self) -> None:
        """Take it away, after grabbing has stopped."""
        ...

    def finish(self, take: Take) -> None:
        """Leave what is worth keeping about a take that has ended."""
        ...


def check_read_back(who: str, asked: Setting, read_back: Setting) -> Setting:
    """`read_back`, if it is what was asked within the camera's rounding.

    Raises ExlcapError with both values when it is not.
    """
    if not same_setting(asked, read_back):
        raise ExlcapError(
            f"{who} was set to {describe(asked)} but reports {describe(read_back)}",
            "choose values the camera can take, or power-cycle the camera if they should be possible",
        )
    return read_back


def same_setting(asked: Setting, reported: Setting) -> bool:
    """Whether a reported setting is the one asked for, within the camera's rounding."""
    slack_us = max(EXPOSURE_TOLERANCE_US, EXPOSURE_TOLERANCE * asked.exposure_us)
    return (
        abs(asked.exposure_us - reported.exposure_us) <= slack_us
        and abs(asked.gain_db - reported.gain_db) <= GAIN_TOLERANCE_DB
    )


def describe(setting: Setting) -> str:
    """A setting for messages: ``83.33 us, 21.58 dB``."""
    return f"{setting.exposure_us:.2f} us, {setting.gain_db:.2f} dB"
