"""From the operator's request to what is to be shot: a new take, or what an unfinished one lacks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from exlcap.capture.takes.schedule import steps_for_reference, steps_for_scene
from exlcap.capture.takes.session import StepWork
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import Rig, Setting
from exlcap.core.take import Step, Take, read_take
from exlcap.core.workspace import Workspace, check_name, numbered

DARK_REFERENCE_FRAMES = 64
"""A reference at a scene's settings is dark in one camera: averaging this many frames leaves an eighth of the noise."""


@dataclass(frozen=True)
class Request:
    """`exlcap shoot` as asked. scene: None for a reference. None elsewhere: as rig.toml says.

    load_state, save_state: NAME of files with the state of both cameras. at_scene: the scene whose base a reference is
    shot at, instead of settings of its own.
    """

    scene: str | None
    exposure_us: float | None = None
    gain_db: float | None = None
    schedule: str | None = None
    pairs: int | None = None
    resume: bool = False
    allow_software_sync: bool = False
    load_state: Path | None = None
    save_state: Path | None = None
    at_scene: str | None = None

    @property
    def kind(self) -> Literal["scene", "reference"]:
        """What kind of take it is."""
        return "reference" if self.scene is None else "scene"

    @property
    def command(self) -> str:
        """The command that finishes an unfinished take of this scene."""
        what = "--reference" if self.scene is None else f"--scene {self.scene}"
        what += f" --at-scene {self.at_scene}" if self.at_scene else ""
        return f"exlcap shoot {what} --resume"


@dataclass(frozen=True)
class Plan:
    """What is to be shot. unfinished: the take to go on with; None for a new one."""

    folder: Path
    number: int
    steps: tuple[Step, ...]
    pairs_per_step: int
    unfinished: Take | None

    def work(self) -> list[StepWork]:
        """What is left to do, step by step. Pulse numbers continue above everything that is listed or on the disk."""
        if self.unfinished is None:
            return [StepWork(step, self.pairs_per_step) for step in self.steps]
        missing = self.unfinished.missing()
        return [
            StepWork(step, missing[step.k], _next_index(self.unfinished, step.k))
            for step in self.steps
            if step.k in missing
        ]


def plan_take(workspace: Workspace, request: Request) -> Plan:
    """What a request means in a workspace.

    Raises ExlcapError for a bad scene name, schedule or setting, or when there is nothing to resume; Refused when the
    unfinished take was shot with another rig or schedule.
    """
    takes = _takes(workspace, request)
    if request.resume:
        return _plan_resume(workspace, request, takes)
    number = takes[-1][0] + 1 if takes else 1
    folder, prefix = _home(workspace, request)
    return Plan(
        folder=folder / f"{prefix}-{number:03d}",
        number=number,
        steps=planned_steps(workspace.rig, request),
        pairs_per_step=request.pairs or _usual_pairs(workspace.rig, request),
        unfinished=None,
    )


def _usual_pairs(rig: Rig, request: Request) -> int:
    """Pairs of a step where the operator asks for no number."""
    if request.scene is not None:
        return rig.schedule.pairs_per_step
    return rig.reference.frames if request.at_scene is None else DARK_REFERENCE_FRAMES


def unfinished_take(workspace: Workspace, request: Request) -> Take | None:
    """The newest take of the scene, if it was cut short."""
    takes = _takes(workspace, request)
    take = read_take(takes[-1][1]) if takes else None
    return take if take is not None and (take.missing() or take.header.status != "complete") else None


def _home(workspace: Workspace, request: Request) -> tuple[Path, str]:
    """Folder of the takes, and what their names begin with."""
    if request.scene is None:
        return workspace.references, "ref"
    return workspace.scene(check_name(request.scene, "scene")), "take"


def _takes(workspace: Workspace, request: Request) -> list[tuple[int, Path]]:
    return numbered(*_home(workspace, request))


def planned_steps(rig: Rig, request: Request) -> tuple[Step, ...]:
    """The steps a request asks for; what it leaves open is as rig.toml says.

    Raises ExlcapError for a setting or schedule that no camera can do.
    """
    if request.scene is None:
        return steps_for_reference(rig, request.at_scene and check_name(request.at_scene, "scene"))
    base = rig.scene_base(request.scene)
    asked = {"exposure_us": request.exposure_us, "gain_db": request.gain_db}
    for name, value, least, most in (("exposure-us", request.exposure_us, 1, 1e7), ("gain-db", request.gain_db, 0, 48)):
        if value is not None and not least <= value <= most:
            raise ExlcapError(
                f"--{name} {value:g} is not between {least:g} and {most:g}",
                "exposures are in microseconds (1 ms = 1000), gains in dB",
            )
    usual = {"exposure_us": base.exposure_us, "gain_db": base.gain_db}
    setting = Setting(**usual | {name: value for name, value in asked.items() if value is not None})
    return steps_for_scene(rig, setting, _divisors(rig, request.scene, request.schedule))


def _divisors(rig: Rig, scene: str, schedule: str | None) -> tuple[int, ...]:
    if schedule is None:
        return rig.divisors(scene)
    if schedule in rig.schedule.presets:
        return rig.schedule.presets[schedule]
    try:
        return tuple(int(part) for part in schedule.split(","))
    except ValueError:
        raise ExlcapError(
            f"--schedule {schedule!r} is neither a preset nor a list of whole numbers",
            f"presets of rig.toml: {', '.join(rig.schedule.presets)}; or give divisors such as 1,2,4",
        ) from None


def _plan_resume(workspace: Workspace, request: Request, takes: list[tuple[int, Path]]) -> Plan:
    take = unfinished_take(workspace, request)
    if take is None:
        raise ExlcapError(
            f"no unfinished {'reference' if request.scene is None else f'take of {request.scene}'} to resume",
            "leave out --resume to shoot a new one",
        )
    differences = _rig_differences(take.header.rig, workspace.rig, take.header.scene)
    differences += _option_differences(take, workspace.rig, request)
    if not differences and request.scene is None and planned_steps(workspace.rig, request) != take.header.steps:
        differences.append("it was shot with --at-scene, or at the base of another scene")
    if differences:
        raise Refused(
            f"{take.name} was shot with another rig or schedule: {'; '.join(differences)}",
            "restore those values to finish it, or leave out --resume to shoot a new take",
        )
    return Plan(take.folder, takes[-1][0], take.header.steps, take.header.pairs_per_step, take)


def _rig_differences(then: Rig, now: Rig, scene: str) -> list[str]:
    """Where two rigs differ for a scene, as ``low.gain_db was 3.4, is 6.0``.

    Other scenes do not matter, nor do faults: an operator in training mends them before the take goes on.
    """
    flat_then, flat_now = _flat(then.model_dump(mode="json")), _flat(now.model_dump(mode="json"))
    return [
        f"{key} was {flat_then.get(key)}, is {flat_now.get(key)}"
        for key in sorted(flat_then.keys() | flat_now.keys())
        if flat_then.get(key) != flat_now.get(key) and key != "simulated.faults" and not _of_another_scene(key, scene)
    ]


def _of_another_scene(key: str, scene: str) -> bool:
    """Whether a dotted key belongs to another scene's own table."""
    return any(
        key.startswith(table) and not key.startswith(f"{table}{scene}.") for table in ("scenes.", "emulator.scenes.")
    )


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested table as {dotted key: value}."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _option_differences(take: Take, rig: Rig, request: Request) -> list[str]:
    """Where the options given differ from how the take was shot."""
    step = take.header.steps[0]
    shot = ",".join(str(step.k) for step in take.header.steps)
    asked = shot if request.schedule is None else ",".join(map(str, _divisors(rig, shot, request.schedule)))
    compared = (
        ("schedule", shot, asked),
        ("pairs per step", take.header.pairs_per_step, request.pairs),
        ("base exposure (us)", round(step.well.exposure_us * step.k, 3), request.exposure_us),
        ("base gain (dB)", round(step.well.gain_db - 20 * math.log10(step.k), 3), request.gain_db),
    )
    return [f"{what} was {was}, asked {now}" for what, was, now in compared if now is not None and now != was]


def _next_index(take: Take, k: int) -> int:
    """First pulse number of a step that nothing on the disk has."""
    listed = [pair.index for pair in take.pairs if pair.k == k] + [o.index for o in take.orphans if o.k == k]
    written = [int(path.name.split(".")[0]) for path in (take.folder / "raw" / f"k{k:02d}").glob("*.tif")]
    return max([-1, *listed, *written]) + 1
