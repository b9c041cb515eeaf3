"""`exlcap doctor --probe`: what cameras report about everything that documents leave open (docs/hardware.md).

What a camera does not report reads "not available here". Settings are lost: open the cameras anew afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import numpy as np

from exlcap import __version__
from exlcap.capture.cameras.contract import NOT_HERE, Camera, Grab, same_setting
from exlcap.capture.checking.pulses import base_steps, take_frames
from exlcap.core.rig import LIGHTS, Light, Rig, Setting
from exlcap.core.take import Raw

LINEAR_US = (250.0, 500.0, 1000.0, 2000.0)
WRITTEN_BEFORE = 2
"""The pulse before which exposure and gain are written while the cameras grab."""
PULSES = 10


def probe_cameras(rig: Rig, cameras: Mapping[Light, Camera]) -> dict[str, Any]:
    """What both cameras report, as JSON types. Frames are taken, so pulses must reach the cameras."""
    frames = _probe_frames(rig, cameras)
    linear = _probe_linearity(rig, cameras)
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "exlcap": __version__,
        "emulated": rig.emulator is not None,
        "driver": rig.driver,
        "sync_mode": rig.sync.mode,
        "cameras": {light: _probe_camera(cameras[light], frames[light], linear[light]) for light in LIGHTS},
    }


def _probe_camera(camera: Camera, frames: dict[str, Any], linearity: Any) -> dict[str, Any]:
    """What is known of one camera."""
    info = camera.info.model_dump(mode="json")  # first: a probe tries what the camera may refuse
    features = camera.probe()
    frames = {**frames, "chunks_enabled": features.pop("chunks_enabled", NOT_HERE)}
    return {**info, "frames": frames, "linearity": linearity, **features}


def _probe_frames(rig: Rig, cameras: Mapping[Light, Camera]) -> dict[Light, Any]:
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
    times = [grab.device_time_ns for grab in grabs if grab.device_time_ns is not None]
    return {
        "frames": len(grabs),
        "first_counter": first.counter if first is not None and first.counter is not None else NOT_HERE,
        "frames_until_setting": NOT_HERE if reached is None else reached - WRITTEN_BEFORE,
        "device_time_source": (first.device_time_source if first is not None else None) or NOT_HERE,
        "device_time_steps_ns": [b - a for a, b in pairwise(times)] or NOT_HERE,
        "host_time_steps_ns": [b.host_time_ns - a.host_time_ns for a, b in pairwise(grabs)],
    }


def _probe_linearity(rig: Rig, cameras: Mapping[Light, Camera]) -> dict[Light, Any]:
    """Mean of each Bayer channel above black at doubling exposures, of whatever is before the cameras."""
    if rig.emulator is not None:  # its pictures do not know the exposure
        return dict.fromkeys(LIGHTS, NOT_HERE)
    means: dict[Light, dict[str, Any]] = {light: {} for light in LIGHTS}
    for exposure_us in LINEAR_US:
        for light in LIGHTS:
            gain_db = base_steps(rig)[0].setting(light).gain_db
            cameras[light].set(Setting(exposure_us=exposure_us, gain_db=gain_db))
        for light, grabs in take_frames(cameras, rig.sync, rig.sync.guard_frames + 1).items():
            raw = grabs[-1].raw if grabs else None
            means[light][f"{exposure_us:g}"] = (
                NOT_HERE if raw is None else _channel_means(raw, rig.dark_level_dn(light))
            )
    return dict(means)


def _channel_means(raw: Raw, dark_dn: float) -> dict[str, float]:
    """Means of an RGGB frame above black, in DN."""
    sites = {"red": (0, 0), "green1": (0, 1), "green2": (1, 0), "blue": (1, 1)}
    return {name: round(float(np.mean(raw[y::2, x::2])) - dark_dn, 2) for name, (y, x) in sites.items()}
