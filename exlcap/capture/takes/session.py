"""The take itself: for each step set both cameras, start both, then grab, pair and record pulse by pulse.

Order per step, so that no frame of an earlier setting and no half pair slips in: pulses off, write both settings, read
them back, start grabbing on both, pulses on, drop the guard frames, record; pulses stop before grabbing stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from exlcap.capture.cameras.contract import Camera, View, describe, same_setting
from exlcap.capture.takes.pairing import ALONE, Key, Match, Outcome, Pairer, Unpaired
from exlcap.capture.takes.recorder import Shot
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Light, Setting, Sync
from exlcap.core.take import Orphan, Step

FAILURES_IN_A_ROW = 10
"""A step is given up after this many pulses in a row without a pair."""
ATTEMPTS = 20


class Sink(Protocol):
    """Takes in what came of the pulses."""

    def pair(self, shot: Shot) -> None:
        """A pair."""
        ...

    def orphan(self, orphan: Orphan) -> None:
        """The record of a frame without a partner."""
        ...


@dataclass(frozen=True)
class Session:
    """What shooting needs. stopping: asked before every pulse; True ends the take. recorded: called with every pair."""

    cameras: Mapping[Light, Camera]
    sync: Sync
    recorder: Sink
    view: View | None
    stopping: Callable[[], bool]
    recorded: Callable[[Shot], None]


@dataclass
class StepWork:
    """What is left to do in a step.

    next_index: the next pulse, counting all pulses of the step from 0. failures: pulses in a row without a pair.
    """

    step: Step
    missing: int
    next_index: int = 0
    failures: int = 0

    def failed(self, reason: str) -> None:
        """Note a pulse without a pair. Raises ExlcapError when too many came in a row."""
        self.failures += 1
        if self.failures >= FAILURES_IN_A_ROW:
            raise ExlcapError(
                f"step k = {self.step.k}: {self.failures} pulses in a row gave no pair; the last one: {reason}",
                "check cables, trigger wiring and USB",
            )


def pairing_key(sync: Sync, cameras: Mapping[Light, Camera]) -> Key:
    """What frames are paired by. Raises ExlcapError when nothing would prove which frames belong together."""
    counting = all(camera.pulses_counted() is not None for camera in cameras.values())
    if sync.mode == "external":
        _check_counters(counting, cameras)
    return "counter" if counting else "frame_id"


def _check_counters(counting: bool, cameras: Mapping[Light, Camera]) -> None:
    """Raise ExlcapError when counters cannot prove which frames of pulses from outside belong together.

    Whether a camera counts an edge before or after it reads its counter is not documented: two of one kind do the same.
    """
    if not counting:
        raise ExlcapError(
            "sync mode 'external' needs a pulse counter in both cameras, and one of them has none",
            'use daA1920-160uc cameras, or another sync.mode in rig.toml ("software" on an emulated rig)',
        )
    kinds = {f"{camera.info.model}, firmware {camera.info.firmware or 'unknown'}" for camera in cameras.values()}
    if len(kinds) > 1:
        raise ExlcapError(
            "sync mode 'external' compares the counters of two cameras of one kind; these are "
            f"{' and '.join(sorted(kinds))}",
            'bring both to one firmware, or set sync.mode = "timer" in rig.toml',
        )


def shoot_step(session: Session, work: StepWork) -> float:
    """Record the pairs a step lacks, or until the operator stops. Returns the seconds spent grabbing.

    Raises CameraLost, ExlcapError when pulses give no pairs, or what went wrong while writing.
    """
    seconds = 0.0
    while work.missing and not session.stopping():
        if session.view is not None:
            session.view.show(work.step, work.next_index, session.sync.guard_frames + work.missing)
        try:
            seconds += _Stretch(session, work).run()
        finally:
            if session.view is not None:
                session.view.clear()
    return seconds


class _Stretch:
    """From start to stop of grabbing: ends when the step is done or frames can no longer be told apart."""

    def __init__(self, session: Session, work: StepWork) -> None:
        self._session = session
        self._cameras = session.cameras
        self._timeout_ms = session.sync.timeout_ms
        self._work = work
        self._first_index = work.next_index
        self._guard_until = session.sync.guard_frames
        self._key = pairing_key(session.sync, session.cameras)
        self._pairer = Pairer(self._key)
        self._read_back: dict[Light, Setting] = {}
        self._came: list[Outcome] = []  # of the newest pulse, not yet recorded
        self._lost = False  # which frame is of which pulse

    def run(self) -> float:
        """Seconds spent grabbing."""
        self._read_back = {light: self._cameras[light].set(self._work.step.setting(light)) for light in LIGHTS}
        _zero_counters(self._cameras)
        started = time.monotonic()
        try:
            for light in LIGHTS:
                self._cameras[light].start()
            if self._session.sync.mode == "external":
                self._collect()
            else:
                self._fire_all()
        finally:
            for light in LIGHTS:
                self._cameras[light].stop()
        return time.monotonic() - started

    def _wanted(self) -> bool:
        return self._work.missing > 0 and not self._session.stopping()

    def _fire_all(self) -> None:
        """Fire pulse after pulse, no faster than the rig's rate, each after the frames of the one before have come.

        Where there is no time between two pulses, what came is recorded while the next one is being exposed, so that
        the cameras never wait for it.
        """
        pulse, due, period_s = 0, time.monotonic(), 1 / self._session.sync.pulse_hz
        try:
            while self._wanted() and not self._lost:
                now = time.monotonic()
                if now < due:  # even an empty sleep costs half a millisecond
                    time.sleep(due - now)
                due = max(due, now - period_s) + period_s
                if not self._fire(pulse):
                    break
                self._take_in_what_came()
                self._came = self._frames_of(pulse)
                pulse += 1
                if time.monotonic() < due or self._work.missing == 1:  # time enough, or another may not be needed
                    self._take_in_what_came()
        finally:  # also when a camera was unplugged meanwhile
            self._take_in_what_came()

    def _take_in_what_came(self) -> None:
        came, self._came = self._came, []
        self._take_in(came)

    def _fire(self, pulse: int) -> bool:
        """One pulse; False when a camera does not get ready for it. Raises ExlcapError after too many failures."""
        for light in LIGHTS:
            if not self._cameras[light].wait_ready(self._timeout_ms):
                self._work.failed(f"the {light} camera was not ready for a pulse within {self._timeout_ms} ms")
                return False
        for light in pulsing(self._session.sync):
            self._cameras[light].pulse()
        self._work.next_index = self._first_index + pulse + 1
        return True

    def _frames_of(self, pulse: int) -> list[Outcome]:
        """What came of the pulse just fired.

        After a frame that never came grabbing must start anew: then ids prove pulses again, and a stalled camera may
        wake up.
        """
        outcomes = [outcome for light in LIGHTS for outcome in self._frame_of(light, pulse)]
        outcomes = self._counted(outcomes, pulse)
        missed = any(isinstance(outcome, Unpaired) and outcome.frame_id is None for outcome in outcomes)
        self._lost |= missed or self._pairer.broken
        return outcomes + self._pairer.settle(pulse)

    def _frame_of(self, light: Light, pulse: int) -> list[Outcome]:
        """Fetch frames until that of `pulse` has come; late ones of earlier pulses become orphans on the way."""
        outcomes: list[Outcome] = []
        deadline = time.monotonic() + self._timeout_ms / 1000
        while (left_ms := round(1000 * (deadline - time.monotonic()))) > 0:
            grab = self._cameras[light].grab(left_ms)
            if grab is None:
                break
            outcomes += self._pairer.add(light, grab, pulse)
            number = self._pairer.number(grab, pulse)
            if grab.failure is not None or number is None or number >= pulse or self._pairer.broken:
                return outcomes
        missing = Unpaired(light, pulse, None, time.time_ns(), f"no frame came within {self._timeout_ms} ms")
        return [*outcomes, missing]

    def _collect(self) -> None:
        """Take frames as pulses from outside make them, always from the camera that is behind."""
        newest: dict[Light, int] = dict.fromkeys(LIGHTS, -1)
        while self._wanted() and not self._pairer.broken and not self._lost:
            light = min(LIGHTS, key=lambda light: newest[light])
            grab = self._cameras[light].grab(self._timeout_ms)
            if grab is None:
                reason = f"no frame came within {self._timeout_ms} ms"
                self._take_in([*self._pairer.close(), Unpaired(light, None, None, time.time_ns(), reason)])
                return
            if newest[light] < 0 and grab.counter is not None:
                self._guard_until = grab.counter + self._session.sync.guard_frames
            newest[light] = newest[light] + 1 if grab.counter is None else grab.counter
            self._work.next_index = max(self._work.next_index, self._first_index + newest[light] + 1)
            self._take_in(self._counted(self._pairer.add(light, grab)))
        self._take_in(self._pairer.close())

    def _counted(self, outcomes: list[Outcome], pulse: int | None = None) -> list[Outcome]:
        """Take matches apart, and begin anew, unless the cameras have counted the same pulses up to now.

        Noise on the line of one camera makes a frame of its own and shifts all later ones against those of the other.
        pulse: the last one fired, where the host fires them: there is no other then.
        """
        if not any(isinstance(outcome, Match) for outcome in outcomes):
            return outcomes
        if pulse is None:
            alike = _counted_alike(self._cameras)
        else:
            alike = all(camera.pulses_counted() in (None, pulse + 1) for camera in self._cameras.values())
        if alike:
            return outcomes
        self._lost = True
        return [part for outcome in outcomes for part in _apart(outcome, "the cameras counted different pulses")]

    def _take_in(self, outcomes: list[Outcome]) -> None:
        """Record what came of a pulse, unless it came right after a change of settings.

        Raises ExlcapError after too many pulses without a pair.
        """
        proven = [part for outcome in outcomes for part in self._proven(outcome)]
        for outcome in proven:
            if outcome.pulse is not None and outcome.pulse < self._guard_until:
                continue
            if isinstance(outcome, Unpaired):
                self._session.recorder.orphan(self._orphan(outcome))
            elif self._work.missing:
                self._record(outcome)
        orphans = [outcome for outcome in proven if isinstance(outcome, Unpaired)]
        if orphans and len(orphans) == len(proven):
            cause = next((orphan for orphan in orphans if orphan.reason != ALONE), orphans[0])
            self._work.failed(f"{cause.light} camera: {cause.reason}")

    def _proven(self, outcome: Outcome) -> list[Outcome]:
        """A match whose frames report another setting than asked is taken apart."""
        if isinstance(outcome, Unpaired):
            return [outcome]
        for light, grab in zip(LIGHTS, (outcome.well, outcome.low), strict=True):
            asked = self._work.step.setting(light)
            if self._cameras[light].has_chunks and (grab.chunk is None or not same_setting(asked, grab.chunk)):
                reported = "nothing" if grab.chunk is None else describe(grab.chunk)
                return _apart(outcome, f"wrong settings: the {light} frame reports {reported}, asked {describe(asked)}")
        return [outcome]

    def _record(self, match: Match) -> None:
        index = self._first_index + match.pulse
        shot = Shot(self._work.step, index, match.well, match.low, self._read_back)
        self._session.recorder.pair(shot)
        self._work.missing -= 1
        self._work.failures = 0
        self._session.recorded(shot)

    def _orphan(self, unpaired: Unpaired) -> Orphan:
        pulse = self._work.next_index - 1 - self._first_index if unpaired.pulse is None else unpaired.pulse
        return Orphan(
            k=self._work.step.k,
            index=max(0, self._first_index + pulse),
            light=unpaired.light,
            frame_id=unpaired.frame_id,
            reason=unpaired.reason,
            host_time_ns=unpaired.host_time_ns,
        )


def pulsing(sync: Sync) -> tuple[Light, ...]:
    """The cameras whose `pulse` opens the shutters: none where pulses come from outside."""
    if sync.mode == "software":
        return LIGHTS
    return () if sync.mode == "external" else ("well",)


def _apart(outcome: Outcome, reason: str) -> list[Outcome]:
    """A match as two frames that belong to no pair."""
    if isinstance(outcome, Unpaired):
        return [outcome]
    frames = zip(LIGHTS, (outcome.well, outcome.low), strict=True)
    return [Unpaired(light, outcome.pulse, grab.frame_id, grab.host_time_ns, reason) for light, grab in frames]


def _counted_alike(cameras: Mapping[Light, Camera]) -> bool:
    """Whether both counters show the same, read with no pulse between."""
    first, second = (cameras[light] for light in LIGHTS)
    for _ in range(ATTEMPTS):
        before, other = first.pulses_counted(), second.pulses_counted()
        if first.pulses_counted() == before:
            return before == other
    return False


def _zero_counters(cameras: Mapping[Light, Camera]) -> None:
    """Zero the counters with no pulse between: the first still at 0 after the second was zeroed proves it."""
    first, second = (cameras[light] for light in LIGHTS)
    for _ in range(ATTEMPTS):
        first.zero_counter()
        second.zero_counter()
        if first.pulses_counted() in (None, 0):
            return
    raise ExlcapError(
        f"pulses come too fast to zero both counters between two of them ({ATTEMPTS} attempts)",
        "lower the rate of the pulse generator, or look for noise on Line1",
    )
