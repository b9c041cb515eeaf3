"""The one owner of the cameras while the page is open: a thread that shows pairs, and shoots when it is asked to.

It runs the loop of `exlcap shoot`, so what is seen is what would be recorded, and keeps nothing but the newest pair.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from exlcap.capture.cameras.contract import Camera, CameraLimits
from exlcap.capture.cameras.open import check_sync, looped_view_of, open_cameras
from exlcap.capture.preview.rhythm import Rhythm
from exlcap.capture.takes.plan import Request, plan_take, unfinished_take
from exlcap.capture.takes.recorder import Shot, Tally
from exlcap.capture.takes.schedule import check_limits, steps_for_reference, steps_for_scene
from exlcap.capture.takes.session import Session, StepWork, shoot_step
from exlcap.capture.takes.shoot import Operator, run_take
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import LIGHTS, Light, Rig, Setting
from exlcap.core.take import Step
from exlcap.core.workspace import Workspace

Phase = Literal["opening", "live", "recording", "trouble"]
OpenCameras = Callable[[Rig], Mapping[Light, Camera]]
RETRY_S = 1.0
"""How often a lost camera is looked for."""
WITHOUT_END = 10**9


@dataclass(frozen=True)
class Wanted:
    """What the operator wants to see. exposure_us, gain_db: of the bright camera at k = 1.

    k: exposure divisor; None for the settings of a static reference.
    """

    scene: str
    exposure_us: float
    gain_db: float
    k: int | None = 1

    def step(self, rig: Rig) -> Step:
        """What both cameras are set to. Raises ExlcapError when no camera can do that."""
        if self.k is None:
            return steps_for_reference(rig)[0]
        base = Setting(exposure_us=self.exposure_us, gain_db=self.gain_db)
        return steps_for_scene(rig, base, (self.k,))[0]


@dataclass(frozen=True)
class Shooting:
    """Progress of a take."""

    what: str
    total: int
    done: int = 0
    k: int = 0
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Ended:
    """How a take ended. number: counts takes since the preview began. ok: complete, and its shutters agree.

    rest: the request that would finish it; None where it is complete.
    """

    number: int
    ok: bool
    message: str
    hint: str = ""
    rest: Request | None = None


@dataclass(frozen=True)
class Status:
    """What the cameras are doing. message, hint: what is wrong, in trouble."""

    phase: Phase = "opening"
    message: str = ""
    hint: str = ""
    shooting: Shooting | None = None
    ended: Ended | None = None


@dataclass(frozen=True, eq=False)
class Newest:
    """The newest pair. number: counts pairs since the preview began, from 1."""

    number: int
    shot: Shot


class LiveRig:
    """Opens the cameras of a workspace, shows pairs and shoots, on a thread of its own, until it is closed.

    The attributes are replaced as a whole and may be read from any thread. A camera that is lost is opened again as
    soon as it is back. Raises ExlcapError when the rig cannot be used at all.
    """

    def __init__(self, root: Path, open_cameras: OpenCameras = open_cameras, allow_software_sync: bool = False) -> None:
        self.workspace = Workspace(root)
        check_sync(self.workspace.rig, allow_software_sync)
        base = self.workspace.rig.base
        self.wanted = Wanted("scene", base.exposure_us, base.gain_db)
        self.status = Status()
        self.newest: Newest | None = None
        self.rhythm = Rhythm()
        self.cameras: Mapping[Light, Camera] = {}
        self.limits: Mapping[Light, CameraLimits] = {}
        self._open_cameras = open_cameras
        self._allow_software_sync = allow_software_sync
        self._request: Request | None = None
        self._cancelled = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exlcap-live")

    def __enter__(self) -> LiveRig:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End after the pair in flight; the cameras are released then."""
        self._closing.set()
        self._thread.join()

    @property
    def closing(self) -> bool:
        """Whether it is about to end."""
        return self._closing.is_set()

    def reread(self) -> Workspace:
        """The workspace with rig.toml as it is now. Raises ExlcapError when that is broken; the old one stays then."""
        workspace = Workspace(self.workspace.root)
        check_sync(workspace.rig, self._allow_software_sync)
        self.workspace = workspace
        return workspace

    def want(self, wanted: Wanted) -> None:
        """Show something else from now on. Raises ExlcapError when rig or cameras cannot do it, or while recording."""
        self._check_free()
        self._check([wanted.step(self.workspace.rig)], fixed_rate=wanted.k is not None)
        self.wanted = wanted

    def shoot(self, request: Request) -> None:
        """Shoot a take as soon as the pair in flight is there.

        Raises ExlcapError when it cannot be shot, or while another one is.
        """
        self._check_free()
        if self.status.phase != "live":
            raise Refused("the cameras show nothing", "wait until both views are live")
        self.reread()
        plan = plan_take(self.workspace, request)
        self._check(plan.steps, fixed_rate=request.scene is not None)
        self._cancelled.clear()
        self._request = replace(request, allow_software_sync=self._allow_software_sync)

    def cancel(self) -> None:
        """End the take that is being shot after the pair in flight."""
        self._cancelled.set()

    def _check_free(self) -> None:
        if self._request is not None:
            raise Refused("a take is being shot", "wait for its end, or cancel it")

    def _check(self, steps: list[Step] | tuple[Step, ...], fixed_rate: bool) -> None:
        if self.limits:
            check_limits(steps, self.workspace.rig, self.limits, fixed_rate)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._show()
                if self._request is not None and not self._closing.is_set():
                    self._shoot(self._request)
            except (ExlcapError, OSError) as error:
                self._in_trouble(str(error), getattr(error, "hint", "check the disk and the cables"))
            except Exception as error:  # the thread must live on: nobody else has the cameras
                self._in_trouble(*_fault(error))

    def _in_trouble(self, message: str, hint: str) -> None:
        self.status = replace(self.status, phase="trouble", message=message, hint=hint)
        self._closing.wait(RETRY_S)

    def _show(self) -> None:
        """Open the cameras and show pairs until a take is requested."""
        workspace = self.reread()
        with ExitStack() as stack:
            cameras = self._open_cameras(workspace.rig)
            for camera in cameras.values():
                stack.enter_context(camera)
            self.cameras = cameras
            stack.callback(setattr, self, "cameras", {})
            self.limits = {light: cameras[light].limits for light in LIGHTS}
            while not self._leaving():
                self._show_wanted(workspace, cameras, self.wanted)

    def _leaving(self) -> bool:
        return self._closing.is_set() or self._request is not None

    def _show_wanted(self, workspace: Workspace, cameras: Mapping[Light, Camera], wanted: Wanted) -> None:
        """Show one setting until the operator wants another."""
        self.rhythm = Rhythm()  # with pulses from outside, each change leaves one frame alone
        with looped_view_of(workspace, cameras, None if wanted.k is None else wanted.scene) as view:
            session = Session(
                cameras,
                workspace.rig.sync,
                self.rhythm,
                view,
                stopping=lambda: self._leaving() or self.wanted != wanted,
                recorded=self._seen,
            )
            shoot_step(session, StepWork(wanted.step(workspace.rig), WITHOUT_END))

    def _seen(self, shot: Shot) -> None:
        """Take note of a pair; this is inside the loop that grabs."""
        self.newest = Newest(1 if self.newest is None else self.newest.number + 1, shot)
        self.rhythm.seen(shot)
        if self.status.phase in ("opening", "trouble"):
            self.status = replace(self.status, phase="live", message="", hint="")

    def _shoot(self, request: Request) -> None:
        """Shoot a take as `exlcap shoot` does, with cameras opened anew."""
        self.begin("reference" if request.scene is None else request.scene)
        number = 1 if self.status.ended is None else self.status.ended.number + 1
        try:
            report = run_take(self.workspace, request, self.follow)
            ended = Ended(number, not (report.stopped or report.beyond), report.text())
        except ExlcapError as error:
            ended = Ended(number, False, error.message, error.hint)
        except Exception as error:
            ended = Ended(number, False, *_fault(error))
        if not ended.ok:
            ended = replace(ended, rest=self._rest(request))
        self.status = Status("opening", ended=ended)
        self._request = None

    def _rest(self, request: Request) -> Request | None:
        """The request that finishes the newest take of the same scene; None where it is complete or unreadable."""
        with suppress(ExlcapError, OSError):
            if unfinished_take(self.workspace, request) is not None:
                return Request(request.scene, resume=True)
        return None

    def begin(self, what: str) -> None:
        """A take of a scene is about to be shot."""
        self.status = Status("recording", shooting=Shooting(what, total=0), ended=self.status.ended)

    @contextmanager
    def follow(self, pairs: int) -> Iterator[Operator]:
        """Show the pairs of a take while it is shot."""
        shooting = self.status.shooting or Shooting("", 0)
        self.status = replace(self.status, shooting=replace(shooting, total=pairs))
        self.rhythm = Rhythm()
        yield Operator(lambda: self._closing.is_set() or self._cancelled.is_set(), self._recorded)

    def _recorded(self, shot: Shot, tally: Tally) -> None:
        """Take note of a pair of a take; this is inside the loop that grabs."""
        self._seen(shot)
        shooting = self.status.shooting
        if shooting is not None:
            now = replace(shooting, done=shooting.done + 1, k=shot.step.k, tally=tally)
            self.status = replace(self.status, shooting=now)


def _fault(error: Exception) -> tuple[str, str]:
    """Message and hint for an unexpected error; its traceback goes to the terminal."""
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}", "this is a bug in exlcap; the terminal shows where"
