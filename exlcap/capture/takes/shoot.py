"""A run of `exlcap shoot`: plan, open, check, write the header, shoot the steps, and leave the take readable."""

from __future__ import annotations

import errno
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from exlcap import __version__
from exlcap.capture.cameras.contract import Camera, View
from exlcap.capture.cameras.open import check_state_files, check_sync, driver_versions, open_cameras, view_of_take
from exlcap.capture.checking.pulses import check_not_swapped
from exlcap.capture.takes.plan import Plan, Request, plan_take, unfinished_take
from exlcap.capture.takes.recorder import Recorder, Shot, Tally
from exlcap.capture.takes.reference import mark_motion
from exlcap.capture.takes.schedule import check_limits, pairs_bytes
from exlcap.capture.takes.session import Session, pairing_key, shoot_step
from exlcap.capture.takes.summary import Report
from exlcap.core.console import counted, progress, say
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import LIGHTS, Light, Rig
from exlcap.core.take import REFERENCE, TakeHeader, TakeWriter, read_take
from exlcap.core.workspace import Workspace

STOPPED = "stopped by the operator"
RATE_PAIRS = 20
"""The rate shown is that of the newest so many pairs."""


@dataclass(frozen=True)
class Operator:
    """Who follows a take. stopping: asked before every pulse; True ends the take.

    recorded: called with every pair and with how recording goes; it must return at once.
    """

    stopping: Callable[[], bool]
    recorded: Callable[[Shot, Tally], None]


Follow = Callable[[int], AbstractContextManager[Operator]]
"""Begins to follow a take of so many pairs."""


def run_take(workspace: Workspace, request: Request, follow: Follow | None = None) -> Report:
    """Shoot what is asked, as far as the operator lets it. follow: None for an operator at the terminal.

    Raises ExlcapError when it cannot begin, or when it had to end early: every listed pair is whole then, and the hint
    says how to finish the take.
    """
    rig = workspace.rig
    check_sync(rig, request.allow_software_sync)
    check_state_files(rig, request.load_state, request.save_state)
    left_over = unfinished_take(workspace, request)
    plan = plan_take(workspace, request)
    if left_over is not None and plan.unfinished is None:
        say(
            f"{left_over.name} was left unfinished ({_lacking(left_over.missing())}); finish it with: {request.command}"
        )
    with ExitStack() as stack:
        cameras = open_cameras(rig, request.load_state)
        for camera in cameras.values():
            stack.enter_context(camera)
        limits = {light: cameras[light].limits for light in LIGHTS}
        check_limits(plan.steps, rig, limits, fixed_rate=request.scene is not None or rig.sync.mode == "external")
        pairing_key(rig.sync, cameras)
        _check_space(workspace, plan)
        if rig.emulator is None and request.scene is not None:  # pictures always come before the right camera
            check_not_swapped(rig, cameras, plan.steps[0])
        view = view_of_take(workspace, cameras, request.scene, plan.number, request.at_scene)
        writer = open_writer(rig, request, plan, cameras)
        _save_states(cameras, request)
        new_pairs, seconds = shoot_plan(writer, plan, cameras, view, request.command, follow)
    mark_motion(writer)
    return Report(
        take=read_take(plan.folder),
        root=workspace.root,
        new_pairs=new_pairs,
        pairs_per_s=new_pairs / seconds if seconds else 0.0,
        go_on=request.command,
    )


def _save_states(cameras: Mapping[Light, Camera], request: Request) -> None:
    if request.save_state is None:
        return
    for camera in cameras.values():
        path = camera.save_state(request.save_state)
        say(f"wrote {path}; it belongs to this model and firmware ({camera.info.firmware or 'not reported'})")


def _lacking(missing: dict[int, int]) -> str:
    return "lacks " + ", ".join(f"{count} pairs of k = {k}" for k, count in missing.items()) if missing else "no end"


def _check_space(workspace: Workspace, plan: Plan) -> None:
    """Raise ExlcapError when the disk has no room for the take and for the pictures shown meanwhile."""
    rig = workspace.rig
    pairs = [work.missing for work in plan.work()]
    shown = max((missing + rig.sync.guard_frames for missing in pairs), default=0) if rig.emulator else 0
    needed = pairs_bytes(rig, sum(pairs) + shown)
    place = next(folder for folder in (plan.folder, *plan.folder.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise ExlcapError(
            f"the disk of {place} has {free / 1e9:.2f} GB free, this take needs {needed / 1e9:.2f} GB",
            "free some space, or shoot fewer pairs with --pairs",
        )


def open_writer(rig: Rig, request: Request, plan: Plan, cameras: Mapping[Light, Camera]) -> TakeWriter:
    """Begin a take by writing its header, or go on with the unfinished one of the plan."""
    chunks = all(camera.has_chunks for camera in cameras.values())
    proof: Literal["chunk", "assumed"] = "chunk" if chunks else "assumed"
    if plan.unfinished is not None:
        if plan.unfinished.header.settings_proof != proof:
            raise Refused(
                f"{plan.unfinished.name} says that settings are proved by {plan.unfinished.header.settings_proof!r}, "
                f"with these cameras it would be {proof!r}",
                "finish it with the cameras it was begun with, or leave out --resume to shoot a new take",
            )
        for leftover in (plan.folder / "raw").glob("*/.*.tmp"):  # of the pair that was in flight
            leftover.unlink()
        return TakeWriter.resume(plan.unfinished)
    header = TakeHeader(
        kind=request.kind,
        scene=request.scene or REFERENCE,
        number=plan.number,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        status="recording",
        rig=rig,
        steps=plan.steps,
        pairs_per_step=plan.pairs_per_step,
        sync_mode=rig.sync.mode,
        settings_proof=proof,
        cameras={light: cameras[light].info for light in LIGHTS},
        versions={"exlcap": __version__, **driver_versions(rig)},
    )
    return TakeWriter(plan.folder, header)


def shoot_plan(
    writer: TakeWriter,
    plan: Plan,
    cameras: Mapping[Light, Camera],
    view: View | None,
    go_on: str,
    follow: Follow | None = None,
) -> tuple[int, float]:
    """Shoot what is left of a plan and close the take, however it ends.

    go_on: the command that finishes a take that ended early. Returns pairs recorded and seconds spent grabbing. Raises
    ExlcapError with the reason when it ended early, except by Ctrl-C.
    """
    works, seconds, sync = plan.work(), 0.0, writer.header.rig.sync
    before = 0 if plan.unfinished is None else len(plan.unfinished.pairs)
    status: Literal["complete", "stopped"] = "stopped"
    reason: str | None = STOPPED
    recorder = Recorder(writer)
    try:
        with recorder, (follow or at_terminal)(sum(work.missing for work in works)) as operator:

            def recorded(shot: Shot) -> None:
                operator.recorded(shot, recorder.tally)

            session = Session(cameras, sync, recorder, view, operator.stopping, recorded)
            for work in works:
                seconds += shoot_step(session, work)
        if not any(work.missing for work in works):
            status, reason = "complete", None
    except (ExlcapError, OSError) as error:
        problem = error if isinstance(error, ExlcapError) else _from_system(error)
        reason, whole = problem.message, before + recorder.written
        raise ExlcapError(
            f"{plan.folder.name} ended early: {reason}",
            f"{problem.hint}; then finish the take ({whole} pairs are safe) with `{go_on}`",
        ) from error
    finally:
        missed = {light: camera.missed_triggers for light, camera in cameras.items()}
        with suppress(OSError):  # on a full disk the header may stay "recording", which reads as unfinished, too
            writer.finish(status, reason, {light: count for light, count in missed.items() if count is not None})
            if view is not None:
                view.finish(read_take(plan.folder))
    return recorder.written, seconds


def _from_system(error: OSError) -> ExlcapError:
    """What the operating system refused while frames were written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ExlcapError("the disk is full", "free some space")
    return ExlcapError(f"{error.strerror or error}: {error.filename or 'while writing'}", "check the disk")


@contextmanager
def at_terminal(pairs: int) -> Iterator[Operator]:
    """An operator who sees a line of progress and may press Ctrl-C."""
    newest: deque[tuple[int, int]] = deque(maxlen=RATE_PAIRS)

    def remark(shot: Shot, tally: Tally) -> str:
        if newest and newest[-1][0] != shot.step.k:  # between two steps the cameras are set anew
            newest.clear()
        newest.append((shot.step.k, shot.well.host_time_ns))
        seconds = (newest[-1][1] - newest[0][1]) / 1e9
        rate = f"{(len(newest) - 1) / seconds:.1f} pairs/s, " if seconds else ""
        return (
            f"k = {shot.step.k}, {rate}{tally.waiting} wait for the disk, {counted(tally.orphans, 'orphan')}, "
            f"{tally.clipped_share:.2%} clipped"
        )

    with stop_on_interrupt() as stopping, progress("shoot", pairs) as step:
        yield Operator(stopping, lambda shot, tally: step(remark(shot, tally)))


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed. The first press only sets it; a second one interrupts."""
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
