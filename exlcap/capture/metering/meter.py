"""`exlcap meter`: the cameras of a rig driven through a few measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from exlcap.capture.cameras.contract import CameraLimits
from exlcap.capture.cameras.open import check_sync, looped_view_of, open_cameras
from exlcap.capture.metering.base_setting import Bounds, Metered, Seen, bounds_of, bounds_of_reference, find_base, look
from exlcap.capture.metering.outlook import Outlook, outlook_of_frame
from exlcap.capture.takes.recorder import Shot
from exlcap.capture.takes.schedule import check_limits, steps_for_reference, steps_for_scene
from exlcap.capture.takes.session import Session, StepWork, shoot_step
from exlcap.core.console import say
from exlcap.core.errors import Refused
from exlcap.core.rig import LIGHTS, Light, Setting
from exlcap.core.rig_file import store_base, store_reference
from exlcap.core.take import Orphan, Raw, Step
from exlcap.core.workspace import Workspace, check_name

FRAMES = 4
"""Frames of a measurement: enough to tell noise from light, and people who move from those who stand."""


@dataclass(frozen=True)
class MeteredScene:
    """The base of a scene. before: that of rig.toml. outlook: what the schedule will give."""

    scene: str
    before: Setting
    bounds: Bounds
    metered: Metered
    outlook: Outlook


@dataclass(frozen=True)
class MeteredReference:
    """The settings of both cameras for a static reference. before: those of rig.toml."""

    before: dict[Light, Setting]
    bounds: dict[Light, Bounds]
    metered: dict[Light, Metered]


Shoot = Callable[[Step, Light], list[Raw]]


def meter_scene(workspace: Workspace, scene: str, longest_us: float, why: str, percentile: float) -> MeteredScene:
    """Find the base of a scene with the rig's cameras; exposures up to `longest_us`, for the reason `why`.

    Raises ExlcapError when cameras or schedule cannot do it, Refused when the scene has no usable light.
    """
    rig = workspace.rig
    before = rig.scene_base(check_name(scene, "scene"))
    divisors = rig.divisors(scene)
    with _cameras(workspace, scene) as (shoot, limits):
        bounds = bounds_of(rig, divisors, limits, longest_us, why)

        def measure(setting: Setting) -> Seen:
            say(f"measuring at {setting.exposure_us:g} us, {setting.gain_db:.2f} dB")
            low = Setting(exposure_us=setting.exposure_us, gain_db=rig.low.gain_db)
            return look(shoot(Step(k=1, well=setting, low=low), "well"), rig.dark_level_dn("well"), percentile)

        metered = find_base(measure, bounds, before)
        steps = steps_for_scene(rig, metered.setting, divisors)
        check_limits(steps, rig, limits)
    outlook = outlook_of_frame(workspace, metered.seen.frame, metered.setting, steps)
    return MeteredScene(scene, before, bounds, metered, outlook)


def meter_reference(workspace: Workspace, percentile: float) -> MeteredReference:
    """Find for each camera the setting at which a static scene is well exposed, the longest exposure before any gain.

    Raises ExlcapError when the cameras cannot do it, Refused, naming the camera, when there is no usable light.
    """
    rig = workspace.rig
    step = steps_for_reference(rig)[0]
    before: dict[Light, Setting] = {light: step.setting(light) for light in LIGHTS}
    metered: dict[Light, Metered] = {}
    with _cameras(workspace, None) as (shoot, limits):
        bounds = {light: bounds_of_reference(rig, limits[light]) for light in LIGHTS}
        for light in LIGHTS:
            measure = partial(_look_alone, shoot, light, step, rig.dark_level_dn(light), percentile)
            try:
                metered[light] = find_base(measure, bounds[light], before[light])
            except Refused as refusal:
                raise Refused(f"{light} camera: {refusal.message}", refusal.hint) from None
    return MeteredReference(before, bounds, metered)


def store(workspace: Workspace, metered: MeteredScene | MeteredReference) -> str:
    """Write what was metered into rig.toml; return the name of its section. Raises ExlcapError when that cannot be."""
    path = workspace.root / "rig.toml"
    if isinstance(metered, MeteredReference):
        store_reference(path, metered.metered["well"].setting, metered.metered["low"].setting)
        return "reference"
    store_base(path, metered.scene, metered.metered.setting)
    return f"scenes.{metered.scene}"


def _look_alone(
    shoot: Shoot, light: Light, step: Step, dark_level_dn: float, percentile: float, setting: Setting
) -> Seen:
    """What one camera sees at a setting, the other as the step has it."""
    say(f"measuring the {light} camera at {setting.exposure_us:g} us, {setting.gain_db:.2f} dB")
    return look(shoot(step.model_copy(update={light: setting}), light), dark_level_dn, percentile)


class _Frames:
    """Keeps the frames of one camera."""

    def __init__(self, light: Light) -> None:
        self.light = light
        self.frames: list[Raw] = []

    def pair(self, shot: Shot) -> None:
        """A pair."""
        raw = shot.grab(self.light).raw
        if raw is not None:
            self.frames.append(raw)

    def orphan(self, orphan: Orphan) -> None:
        """Nothing: the pulse is repeated."""


@contextmanager
def _cameras(workspace: Workspace, scene: str | None) -> Iterator[tuple[Shoot, dict[Light, CameraLimits]]]:
    """What shoots a few frames as `exlcap shoot` does, and what the cameras can do. scene: None for a reference."""
    rig = workspace.rig
    check_sync(rig, allow_software=True)  # shutters that open a millisecond apart see the same light
    with ExitStack() as stack:
        cameras = open_cameras(rig)
        for camera in cameras.values():
            stack.enter_context(camera)
        view = stack.enter_context(looped_view_of(workspace, cameras, scene))

        def shoot(step: Step, light: Light) -> list[Raw]:
            kept = _Frames(light)
            session = Session(cameras, rig.sync, kept, view, stopping=lambda: False, recorded=lambda shot: None)
            shoot_step(session, StepWork(step, FRAMES))
            return kept.frames

        yield shoot, {light: cameras[light].limits for light in LIGHTS}
