"""`exlcap doctor --probe`: what real cameras say about everything that documents leave open (docs/hardware.md).

A feature that a camera lacks reads "not available here". The cameras are left in their Default user set.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import numpy as np

from exlcap import __version__
from exlcap.capture.cameras.contract import Grab, same_setting
from exlcap.capture.cameras.pylon import FRAME_RATES, PylonCamera
from exlcap.capture.cameras.pylon_nodes import Nodes
from exlcap.capture.cameras.pylon_settings import CHUNKS, LINEAR
from exlcap.capture.checking.host import NOT_HERE
from exlcap.capture.checking.pulses import base_steps, take_frames
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Light, Rig, Setting
from exlcap.core.take import Raw

RANGES = ("ExposureTime", "Gain", "BlackLevel", "Gamma", "DeviceLinkThroughputLimit", "BslSensorBitDepth")
SAID = ("DeviceFirmwareVersion", "BslUSBSpeedMode", "BslSensorBitDepthMode", "LineStatusAll", "SensorReadoutTime",
        "BslTemperatureStatus", "BslTemperatureMax", "BslAcquisitionStopMode", *FRAME_RATES)  # fmt: skip
CHOICES = ("PixelFormat", "ExposureMode", "TriggerSource", "LineSource", "ChunkSelector", "BslChunkTimestampSelector",
           "CounterEventSource", "EventSelector", "DeviceTemperatureSelector", "UserSetSelector")  # fmt: skip
AT_EXPOSURE = ("BslExposureStartDelay", "BslEffectiveExposureTime", "SensorReadoutTime", *FRAME_RATES)
EXPOSURES_US = (83.0, 250.0, 1000.0, 10_000.0)
FORMATS = ("BayerRG8", "BayerRG12")
LINES = ("Line1", "Line2", "Line3", "Line4")
LINE_FEATURES = ("LineMode", "LineFormat", "LineInverter", "LineStatus", "LineSource")
DEFAULTS = ("ExposureAuto", "GainAuto", "BalanceWhiteAuto", "PixelFormat", "ExposureTime", "Gain", "BlackLevel",
            "TriggerMode", "DeviceLinkThroughputLimitMode", "DeviceLinkThroughputLimit",
            *(name for name, _ in LINEAR))  # fmt: skip
LINEAR_US = (250.0, 500.0, 1000.0, 2000.0)
WRITTEN_BEFORE = 2
"""The pulse before which exposure and gain are written while the cameras grab."""
PULSES = 10


def probe_cameras(rig: Rig, cameras: Mapping[Light, PylonCamera]) -> dict[str, Any]:
    """What both cameras say, as JSON types. Frames are taken, so pulses must reach the cameras."""
    frames = _probe_frames(rig, cameras)
    linear = _probe_linearity(rig, cameras)
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "exlcap": __version__,
        "emulated": rig.emulator is not None,
        "sync_mode": rig.sync.mode,
        "cameras": {
            light: cameras[light].info.model_dump(mode="json")
            | {"frames": frames[light], "linearity": linear[light]}
            | _probe_features(cameras[light].nodes)
            | {"default_user_set": NOT_HERE if rig.emulator is not None else _probe_defaults(cameras[light].nodes)}
            for light in LIGHTS
        },
    }


def _probe_features(nodes: Nodes) -> dict[str, Any]:
    """What one camera says without taking a frame."""
    return {
        "says": {name: _said(nodes, name) for name in SAID},
        "ranges": {name: nodes.span(name) or NOT_HERE for name in RANGES},
        "choices": {name: list(nodes.choices(name)) or NOT_HERE for name in CHOICES},
        "lines": {line: _at(nodes, "LineSelector", line, LINE_FEATURES) for line in LINES},
        "at_exposure_us": {
            format: {f"{us:g}": _at(nodes, "ExposureTime", us, AT_EXPOSURE) for us in EXPOSURES_US}
            if _try(nodes, "PixelFormat", format)
            else NOT_HERE
            for format in FORMATS
        },
        "trigger_width_can_be_set": _try(nodes, "ExposureMode", "TriggerWidth"),
    }


def _said(nodes: Nodes, name: str) -> Any:
    found = nodes.get(name)
    return NOT_HERE if found is None else found


def _at(nodes: Nodes, name: str, value: str | float, features: tuple[str, ...]) -> dict[str, Any] | str:
    """What features say while another has a value."""
    return {feature: _said(nodes, feature) for feature in features} if _try(nodes, name, value) else NOT_HERE


def _try(nodes: Nodes, name: str, value: str | float) -> bool:
    """Whether a camera takes a value."""
    try:
        return nodes.put(name, value)
    except ExlcapError:
        return False


def _probe_defaults(nodes: Nodes) -> dict[str, Any] | str:
    """What the Default user set holds; it is loaded. The emulator's loading changes nothing, so it is not asked."""
    if not (_try(nodes, "UserSetSelector", "Default") and nodes.run("UserSetLoad")):
        return NOT_HERE
    return {name: _said(nodes, name) for name in DEFAULTS}


def _probe_frames(rig: Rig, cameras: Mapping[Light, PylonCamera]) -> dict[Light, Any]:
    """What frames carry, and from which frame on a setting written while grabbing holds."""
    before, after = Setting(exposure_us=1000.0, gain_db=0.0), Setting(exposure_us=400.0, gain_db=6.0)
    for light in LIGHTS:
        cameras[light].set(before)

    def write(pulse: int) -> None:
        if pulse == WRITTEN_BEFORE:
            for light in LIGHTS:
                cameras[light].set(after)

    frames = take_frames(cameras, rig.sync, PULSES, before=write)
    return {light: _frames_data(frames[light], after) for light in LIGHTS}


def _frames_data(grabs: list[Grab], written: Setting) -> dict[str, Any]:
    first = grabs[0] if grabs else None
    reached = next((n for n, grab in enumerate(grabs) if grab.chunk and same_setting(written, grab.chunk)), None)
    chunks = first is not None and first.chunk is not None
    times = [grab.device_time_ns for grab in grabs if grab.device_time_ns is not None]
    return {
        "frames": len(grabs),
        "chunks_enabled": list(CHUNKS) if chunks else NOT_HERE,
        "first_counter": first.counter if first is not None and first.counter is not None else NOT_HERE,
        "frames_until_setting": NOT_HERE if reached is None else reached - WRITTEN_BEFORE,
        "device_time_source": (first.device_time_source if first is not None else None) or NOT_HERE,
        "device_time_steps_ns": [b - a for a, b in pairwise(times)] or NOT_HERE,
        "host_time_steps_ns": [b.host_time_ns - a.host_time_ns for a, b in pairwise(grabs)],
    }


def _probe_linearity(rig: Rig, cameras: Mapping[Light, PylonCamera]) -> dict[Light, Any]:
    """Mean of each Bayer channel above black at doubling exposures, of whatever is before the cameras."""
    if rig.emulator is not None:  # its pictures do not know the exposure
        return dict.fromkeys(LIGHTS, NOT_HERE)
    found: dict[Light, dict[str, Any]] = {light: {} for light in LIGHTS}
    for exposure_us in LINEAR_US:
        for light in LIGHTS:
            gain_db = base_steps(rig)[0].setting(light).gain_db
            cameras[light].set(Setting(exposure_us=exposure_us, gain_db=gain_db))
        for light, grabs in take_frames(cameras, rig.sync, rig.sync.guard_frames + 1).items():
            raw = grabs[-1].raw if grabs else None
            found[light][f"{exposure_us:g}"] = (
                NOT_HERE if raw is None else _channel_means(raw, rig.dark_level_dn(light))
            )
    return dict(found)


def _channel_means(raw: Raw, dark_dn: float) -> dict[str, float]:
    """Means of an RGGB frame above black, in DN."""
    sites = {"red": (0, 0), "green1": (0, 1), "green2": (1, 0), "blue": (1, 1)}
    return {name: round(float(np.mean(raw[y::2, x::2])) - dark_dn, 2) for name, (y, x) in sites.items()}
