"""`exlcap meter`: the cameras of a rig driven through a few measurements, and what came of them in words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from exlcap.capture.metering import Bounds, Metered, Seen, bounds_of, find_base, look
from exlcap.capture.plan import Outlook, outlook_of_frame
from exlcap.capture.preview.emulated import LoopedScene
from exlcap.capture.pylon_camera import PylonCamera, open_pylon_cameras
from exlcap.capture.recorder import Shot
from exlcap.capture.schedule import check_limits, steps_for_scene
from exlcap.capture.session import check_sync
from exlcap.capture.shoot import Session, StepWork, shoot_step
from exlcap.console import say
from exlcap.errors import Refused
from exlcap.rig import ROLES, Role, Setting
from exlcap.take import Orphan, Raw, Step
from exlcap.workspace import Workspace, check_name

FRAMES = 4
"""Bright frames of a measurement: enough to tell noise from light, and people who move from those who stand."""


@dataclass(frozen=True)
class Metering:
    """A metered scene. before: its base in rig.toml. outlook: what its schedule will give."""

    scene: str
    percentile: float
    before: Setting
    bounds: Bounds
    metered: Metered
    outlook: Outlook

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        found = self.metered
        return {
            "scene": self.scene,
            "exposure_us": found.setting.exposure_us,
            "gain_db": found.setting.gain_db,
            "before": {"exposure_us": self.before.exposure_us, "gain_db": self.before.gain_db},
            "percentile": self.percentile,
            "highlights": round(found.seen.highlights, 4),
            "clipped_share": round(found.seen.clipped_share, 6),
            "exposure_us_max": round(self.bounds.exposure_us_max, 1),
            "exposure_limited_by": self.bounds.longest,
            "gain_db_max": round(self.bounds.gain_db_max, 2),
            "gives_way": found.gives_way,
            "measurements": found.measurements,
            "plan": self.outlook.data(),
        }

    def text(self) -> str:
        """As lines for people."""
        found, bounds = self.metered, self.bounds
        setting, seen = found.setting, found.seen
        shorter = setting.exposure_us < bounds.exposure_us_max - 0.1
        exposure = (
            f"shorter than the {bounds.exposure_us_max:.0f} us allowed: without gain the scene is bright enough"
            if shorter
            else f"as long as may be: {bounds.longest}"
        )
        lines = [
            f"{self.scene}: {setting.exposure_us:g} us, {setting.gain_db:.2f} dB "
            f"(rig.toml: {self.before.exposure_us:g} us, {self.before.gain_db:.2f} dB)",
            f"  exposure: {exposure}",
            f"  highlights: {self.percentile:g} % of the pixels are below {seen.highlights:.2f} of white in every "
            f"colour, {seen.clipped_share:.3%} are clipped; {found.measurements} measurements",
        ]
        if found.gives_way is not None:
            lines.append(f"  gives way: {found.gives_way}")
        return "\n".join([*lines, self.outlook.text()])


class _Frames:
    """Keeps the bright frames of a measurement."""

    def __init__(self) -> None:
        self.frames: list[Raw] = []

    def pair(self, shot: Shot) -> None:
        """A pair."""
        if shot.well.raw is not None:
            self.frames.append(shot.well.raw)

    def orphan(self, orphan: Orphan) -> None:
        """Nothing: the pulse is repeated."""


def meter_scene(workspace: Workspace, scene: str, longest_us: float, why: str, percentile: float) -> Metering:
    """Find the base of a scene with the rig's cameras; exposures up to `longest_us`, for the reason `why`.

    Raises ExlcapError when cameras or schedule cannot do it, Refused when the scene has no usable light.
    """
    rig = workspace.rig
    before = rig.scene_base(check_name(scene, "scene"))
    divisors = rig.divisors(scene)
    check_sync(rig, allow_software=True)  # shutters that open a millisecond apart see the same light
    with ExitStack() as stack:
        cameras = open_pylon_cameras(rig)
        for camera in cameras.values():
            stack.enter_context(camera)
        limits = {role: cameras[role].limits for role in ROLES}
        bounds = bounds_of(rig, divisors, limits, longest_us, why)
        view = None if rig.emulator is None else LoopedScene(workspace, cameras, scene)
        if view is not None:
            stack.callback(view.remove)

        def measure(setting: Setting) -> Seen:
            say(f"measuring at {setting.exposure_us:g} us, {setting.gain_db:.2f} dB")
            return look(_shoot(workspace, cameras, view, setting), rig.dark_level_dn("well"), percentile)

        metered = find_base(measure, bounds, before)
        steps = steps_for_scene(rig, metered.setting, divisors)
        check_limits(steps, rig, limits)
    outlook = outlook_of_frame(workspace, metered.seen.frame, metered.setting, steps)
    return Metering(scene, percentile, before, bounds, metered, outlook)


def _shoot(
    workspace: Workspace, cameras: Mapping[Role, PylonCamera], view: LoopedScene | None, setting: Setting
) -> list[Raw]:
    """Bright frames at a setting, taken as `exlcap shoot` takes them."""
    rig, kept = workspace.rig, _Frames()
    low = Setting(exposure_us=setting.exposure_us, gain_db=rig.low.gain_db)
    session = Session(cameras, rig.sync, kept, view, stopping=lambda: False, recorded=lambda shot: None)
    shoot_step(session, StepWork(Step(k=1, well=setting, low=low), FRAMES))
    if len(kept.frames) < FRAMES:
        raise Refused("the measurement was cut short", "meter again")
    return kept.frames
