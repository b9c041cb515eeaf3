"""Checks of the cameras for `exlcap doctor`: what they are, how they are connected, and whether pulses give pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from exlcap.capture.cameras.contract import NOT_HERE, Camera, Grab
from exlcap.capture.checking.host import Row
from exlcap.capture.takes.schedule import check_limits, frame_bytes, steps_for_scene
from exlcap.capture.takes.session import pulsing
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import LIGHTS, Light, Rig, Sync
from exlcap.core.take import Step

TEST_PULSES = 5
WIRING = {
    "external": "wire the pulse generator to Line1 of both cameras with one common ground, and let it run",
    "timer": "wire Line2 of the bright camera to Line1 of both, with one common ground",
    "exposure-active": "wire Line2 of the bright camera to Line1 of the dark one, with one common ground",
    "software": "check the USB cables",
}
"""What to do when pulses give no frames, by sync mode."""
SWAPPED_DN = 16.0
"""A dark camera that is brighter than the bright one by more than the dark levels of two sensors may differ."""
PAYLOAD_SHARE = 0.95
"""How much of its limit a camera's pictures can use: one gave 82.5 frames/s of 1.84 MB under a limit of 160 MB/s."""


def check_cameras(rig: Rig, cameras: Mapping[Light, Camera]) -> list[Row]:
    """Everything that can be checked on two open cameras."""
    rows = [_check_who(cameras), _check_usb_speed(cameras), _check_link(rig, cameras)]
    rows.append(_check_schedule(rig, cameras))
    rows.append(check_pulses(rig, cameras))
    return rows


def _check_who(cameras: Mapping[Light, Camera]) -> Row:
    infos = {light: cameras[light].info for light in LIGHTS}
    found = ", ".join(
        f"{light} {info.serial} ({info.model}, firmware {info.firmware or 'unknown'})" for light, info in infos.items()
    )
    models = {(info.model, info.firmware) for info in infos.values()}
    if len(models) > 1:
        return Row("cameras", "WARN", found, "use two cameras of one model and firmware")
    return Row("cameras", "OK", found)


def _check_usb_speed(cameras: Mapping[Light, Camera]) -> Row:
    speeds = {light: cameras[light].link.usb_speed for light in LIGHTS}
    if None in speeds.values():
        return Row("USB speed", "-", NOT_HERE)
    found = ", ".join(f"{light} {speed}" for light, speed in speeds.items())
    if any(not str(speed).startswith("SuperSpeed") for speed in speeds.values()):
        return Row("USB speed", "FAIL", found, "use USB 3 ports and cables, and push the plugs home")
    return Row("USB speed", "OK", found)


def _check_link(rig: Rig, cameras: Mapping[Light, Camera]) -> Row:
    """The rig's data rate against the share of the bus that each camera keeps to."""
    limits = {light: limit for light in LIGHTS if (limit := cameras[light].link.bytes_per_s) is not None}
    need = frame_bytes(rig) * rig.sync.pulse_hz / PAYLOAD_SHARE
    asked = f"{rig.sync.pulse_hz:g} frames/s need {need / 1e6:.0f} MB/s"
    if len(limits) < len(LIGHTS):
        return Row("link throughput", "-", f"{NOT_HERE}; {asked} of each camera")
    found = ", ".join(f"{light} is limited to {limit / 1e6:.0f} MB/s" for light, limit in limits.items())
    if min(limits.values()) < need:
        return Row("link throughput", "FAIL", f"{found}; {asked}", "lower sync.pulse_hz in rig.toml")
    return Row("link throughput", "OK", f"{found}; {asked}")


def _check_schedule(rig: Rig, cameras: Mapping[Light, Camera]) -> Row:
    """Every step of every scene: settings, and the pulse period against exposure and frame rate."""
    limits = {light: cameras[light].limits for light in LIGHTS}
    rates = ", ".join(
        f"{light} {limit.frame_rate_hz:.1f} frames/s"
        for light, limit in limits.items()
        if limit.frame_rate_hz is not None
    )
    for scene in ["", *rig.scenes]:
        try:
            check_limits(base_steps(rig, scene), rig, limits)
        except ExlcapError as error:
            where = f"scene {scene}: " if scene else ""
            return Row("schedule and pulse period", "FAIL", where + error.message, error.hint)
    scenes = f"base and {len(rig.scenes)} scenes at {rig.sync.pulse_hz:g} pulses/s"
    return Row("schedule and pulse period", "OK", f"{scenes}; cameras can do {rates or 'a rate they do not report'}")


def looks_swapped(well_dn: float, low_dn: float) -> bool:
    """Whether mean levels of a pair of a scene say that the two cameras are swapped."""
    return low_dn > well_dn + SWAPPED_DN


def check_not_swapped(rig: Rig, cameras: Mapping[Light, Camera], step: Step) -> None:
    """Take a pair that is not kept, and raise Refused when the dark camera is the brighter one in it."""
    for light in LIGHTS:
        cameras[light].set(step.setting(light))
    frames = take_frames(cameras, rig.sync, rig.sync.guard_frames + 1)
    raws = {light: frames[light][-1].raw if frames[light] else None for light in LIGHTS}
    if raws["well"] is None or raws["low"] is None:
        return  # the take itself will show what is wrong
    levels = {light: float(raw.mean()) - rig.dark_level_dn(light) for light, raw in raws.items() if raw is not None}
    if looks_swapped(levels["well"], levels["low"]):
        raise Refused(
            f"the dark camera sees {levels['low']:.0f} DN, the bright one {levels['well']:.0f}: they look swapped",
            "swap well.serial and low.serial in rig.toml, or put the ND filter before the dark camera",
        )


def base_steps(rig: Rig, scene: str = "") -> tuple[Step, ...]:
    """The steps of a scene by rig.toml; "" for one without a table of its own."""
    return steps_for_scene(rig, rig.scene_base(scene), rig.divisors(scene))


def check_pulses(rig: Rig, cameras: Mapping[Light, Camera]) -> Row:
    """Fire a few pulses (or wait for those from outside): both cameras must see each, and count it."""
    name = "pulse self-test"
    try:
        for light in LIGHTS:
            cameras[light].set(base_steps(rig)[0].setting(light))
        frames = take_frames(cameras, rig.sync, TEST_PULSES)
    except ExlcapError as error:
        return Row(name, "FAIL", error.message, error.hint)
    good = {light: sum(grab.failure is None for grab in frames[light]) for light in LIGHTS}
    found = ", ".join(f"{light} gave {good[light]} frames" for light in LIGHTS) + f" for {TEST_PULSES} pulses"
    if min(good.values()) < TEST_PULSES:
        silent = [light for light in LIGHTS if not good[light]]
        todo = f"{WIRING[rig.sync.mode]} (sync.mode of rig.toml is {rig.sync.mode!r})"
        return Row(name, "FAIL", found, f"{' and '.join(silent)}: {todo}" if silent else todo)
    counted = {light: [grab.counter for grab in frames[light]] for light in LIGHTS}
    if any(counter is None for counters in counted.values() for counter in counters):
        return Row(name, "OK", f"{found}; lines and counters: {NOT_HERE}")
    steps = {light: [int(b or 0) - int(a or 0) for a, b in pairwise(c)] for light, c in counted.items()}
    if any(step != 1 for moved in steps.values() for step in moved):
        todo = (
            "a counter that runs ahead is noise on Line1 or pulses that came too soon: lower the rate, mend the wiring"
        )
        return Row(name, "FAIL", f"{found}; counters moved by {steps}", todo)
    return Row(name, "OK", f"{found}; counters on Line1 moved by one each")


def take_frames(
    cameras: Mapping[Light, Camera], sync: Sync, count: int, before: Callable[[int], None] = lambda _: None
) -> dict[Light, list[Grab]]:
    """Start both cameras, fire (or wait for) `count` pulses, and stop. A frame that does not come ends it.

    before: called with the number of each pulse, while the cameras grab.
    """
    frames: dict[Light, list[Grab]] = {light: [] for light in LIGHTS}
    try:
        for light in LIGHTS:
            cameras[light].zero_counter()
        for light in LIGHTS:
            cameras[light].start()
        for number in range(count):
            before(number)
            if sync.mode != "external" and not all(cameras[light].wait_ready(sync.timeout_ms) for light in LIGHTS):
                return frames
            for light in pulsing(sync):
                cameras[light].pulse()
            grabs = {light: cameras[light].grab(sync.timeout_ms) for light in LIGHTS}
            for light, grab in grabs.items():
                if grab is not None:
                    frames[light].append(grab)
            if None in grabs.values():
                return frames
    finally:
        for light in LIGHTS:
            cameras[light].stop()
    return frames
