"""What a camera must do for a take. One contract; a test-suite runs over everything that fulfils it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from exlcap.core.errors import ExlcapError
from exlcap.core.take import CameraInfo, Raw, Setting

EXPOSURE_TOLERANCE_US = 1.0
EXPOSURE_TOLERANCE = 0.005
"""An exposure may come back rounded to the sensor's clock: by 1 us or 0.5 %, whichever is more."""
GAIN_TOLERANCE_DB = 0.1
"""Gain registers of this class of sensor step by 0.1 dB."""


class CameraLost(ExlcapError):
    """The device is gone: unplugged, or its driver gave up. The take ends; what is listed is whole."""


@dataclass(frozen=True, eq=False)
class Grab:
    """One frame as a camera delivered it. What the camera does not tell is None.

    raw: uint16 (H, W), a copy of its own; None when the buffer failed. frame_id: counts exposures from 0 since `start`.
    counter: what the camera's counter of pulses showed, in the frame itself; with the first pulse 0 or 1, as the camera
    counts an edge before or after it looks. chunk: the setting the frame itself reports. device_time_ns: start of
    the exposure on the camera's own clock. failure: why there is no picture, None for a good frame.
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
    """What a camera can do at its current size and format. frame_rate_hz: None where it does not tell."""

    exposure_us_min: float
    exposure_us_max: float
    gain_db_max: float
    frame_rate_hz: float | None = None


class Camera(Protocol):
    """A camera that waits for pulses.

    Every call raises CameraLost once the device is gone, except `close`. Use as a context manager, which closes it.
    """

    @property
    def info(self) -> CameraInfo:
        """What the camera said of itself, its settings as read back, and the features it lacks."""
        ...

    @property
    def limits(self) -> CameraLimits:
        """What it can do."""
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
        """Pulses it told to have ignored since it was opened, as they came too soon; None where it does not tell."""
        ...

    def grab(self, timeout_ms: int) -> Grab | None:
        """The next frame in the order of arrival, good or failed; None when none came in time."""
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


def check_read_back(who: str, asked: Setting, read_back: Setting) -> Setting:
    """`read_back`, if it is what was asked within the camera's rounding.

    Raises ExlcapError with both values when it is not.
    """
    if not same_setting(asked, read_back):
        raise ExlcapError(
            f"{who} was set to {describe(asked)} but says {describe(read_back)}",
            "choose values the camera can take, or power-cycle the camera if they should be possible",
        )
    return read_back


def same_setting(asked: Setting, found: Setting) -> bool:
    """Whether two settings agree within the camera's rounding."""
    slack_us = max(EXPOSURE_TOLERANCE_US, EXPOSURE_TOLERANCE * asked.exposure_us)
    return (
        abs(asked.exposure_us - found.exposure_us) <= slack_us
        and abs(asked.gain_db - found.gain_db) <= GAIN_TOLERANCE_DB
    )


def describe(setting: Setting) -> str:
    """A setting for messages: ``83.33 us, 21.58 dB``."""
    return f"{setting.exposure_us:.2f} us, {setting.gain_db:.2f} dB"
