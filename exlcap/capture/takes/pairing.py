"""Which two frames belong to one pulse.

A frame is known by its pulse counter, or where the camera has none by its frame id since the start of grabbing; never
by when it arrived. Two situations:

- The host fires the pulses one by one (`pulse` is given). A frame is accepted only if its key equals the number of the
  pulse just fired. A camera exposes at most once per pulse, so after pulse n (from 0) it has made at most n + 1 frames,
  and a frame with id n proves that no pulse was missed and that this is the frame of pulse n. After one missed pulse
  ids lag for good: nothing is paired until grabbing is started anew. Whether a counter shows 0 or 1 for the first
  pulse is not documented: the first frame whose id proves its pulse shows which, and both cameras must agree.
- Pulses come from outside (`pulse` is None). Only counters will do, since ids shift with every missed pulse. Frames
  with equal counters pair. Between two frames of a camera at least as many pulses were counted as frames made; once
  that fails, the counter was reset and nothing of that camera is paired until grabbing is started anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from exlcap.capture.cameras.contract import Grab
from exlcap.core.rig import LIGHTS, Light

Key = Literal["counter", "frame_id"]
ALONE = "no frame of the other camera"
"""The reason of a good frame whose partner is an orphan for a reason of its own."""


@dataclass(frozen=True, eq=False)
class Match:
    """Both frames of one pulse. pulse: its number since the start of grabbing."""

    pulse: int
    well: Grab
    low: Grab


@dataclass(frozen=True)
class Unpaired:
    """A frame that belongs to no pair, or (frame_id None) one that never came, and why. pulse: None if not known."""

    light: Light
    pulse: int | None
    frame_id: int | None
    host_time_ns: int
    reason: str


Outcome = Match | Unpaired


class Pairer:
    """Pairs the frames of one stretch of grabbing, in whatever order they arrive.

    window: with pulses from outside, how many pulses a frame waits for its partner.
    """

    def __init__(self, key: Key, window: int = 16) -> None:
        self._key: Key = key
        self._window = window
        self._waiting: dict[Light, dict[int, Grab]] = {light: {} for light in LIGHTS}
        self._settled = -1  # every pulse up to this one has been decided
        self._done: set[int] = set()  # pulses above it that are decided, too
        self._newest: dict[Light, Grab] = {}  # by frame id
        self._reset: set[Light] = set()  # cameras whose counter was reset
        self._astray = False  # a camera saw more pulses than were fired
        self._first_count: int | None = None  # what counters show with the first pulse, where the host fires them

    @property
    def broken(self) -> bool:
        """Whether only a new start of grabbing can make pairs again."""
        return bool(self._reset) or self._astray

    def number(self, grab: Grab, pulse: int | None = None) -> int | None:
        """The pulse a frame claims to be of; None when it says nothing. pulse: as `add` has it."""
        if self._key == "frame_id":
            return grab.frame_id
        if grab.counter is None or pulse is None:
            return grab.counter
        return None if self._first_count is None else grab.counter - self._first_count

    def add(self, light: Light, grab: Grab, pulse: int | None = None) -> list[Outcome]:
        """Take in a frame; return what is decided by it.

        pulse: number of the last pulse fired, counted from 0 since the start of grabbing, where the host fires them.
        """
        self._learn(grab, pulse)
        number = self.number(grab, pulse)
        self._astray |= pulse is not None and grab.failure is None and (number is None or number > pulse)
        reason = self._refusal(light, grab, number, pulse)
        if reason is not None or number is None:
            claimed = number if grab.failure is None and light not in self._reset else pulse
            return [_unpaired(light, claimed, grab, reason or "no counter")]
        self._waiting[light][number] = grab
        well, low = (self._waiting[r].get(number) for r in LIGHTS)
        outcomes: list[Outcome] = []
        if well is not None and low is not None:
            for waiting in self._waiting.values():
                del waiting[number]
            self._done.add(number)
            outcomes.append(Match(number, well, low))
        if pulse is None:
            outcomes.extend(self.settle(number - self._window))
        return outcomes

    def _learn(self, grab: Grab, pulse: int | None) -> None:
        """Learn what counters show with the first pulse, from a frame that its id proves to be of `pulse`."""
        if self._first_count is None and pulse is not None and grab.counter is not None and grab.frame_id == pulse:
            self._first_count = grab.counter - pulse

    def _refusal(self, light: Light, grab: Grab, number: int | None, pulse: int | None) -> str | None:
        """Why this frame can never be part of a pair; None when it can."""
        if grab.failure is not None:
            return f"failed buffer: {grab.failure}"
        if grab.counter is None and self._key == "counter":
            return "the frame carries no pulse counter"
        if number is None:
            return f"not provably of pulse {pulse}: the counter's first value is not known"
        if not self._counts_on(light, grab):
            return "the pulse counter was reset"
        if number in self._waiting[light] or number in self._done:
            return f"duplicate of {self._key.replace('_', ' ')} {number}"
        if number <= self._settled:
            return f"late: {self._key.replace('_', ' ')} {number} after {self._settled}"
        if pulse is not None and number != pulse:
            return f"not provably of pulse {pulse}: {self._key.replace('_', ' ')} {number}"
        if pulse is None and self._key == "frame_id":
            return "pulses from outside cannot be paired by frame id"
        return None

    def _counts_on(self, light: Light, grab: Grab) -> bool:
        """Whether a camera's counter goes on as pulses came; False for good once it did not."""
        newest = self._newest.setdefault(light, grab)
        if grab.counter is not None and newest.counter is not None:
            frames, pulses = grab.frame_id - newest.frame_id, grab.counter - newest.counter
            if (frames > 0 and pulses < frames) or (frames < 0 and pulses > frames):
                self._reset.add(light)
        if grab.frame_id > newest.frame_id:
            self._newest[light] = grab
        return light not in self._reset

    def settle(self, pulse: int) -> list[Outcome]:
        """Give up on the partners of all frames up to `pulse`."""
        outcomes: list[Outcome] = []
        for light in LIGHTS:
            waiting = self._waiting[light]
            for number in sorted(n for n in waiting if n <= pulse):
                outcomes.append(_unpaired(light, number, waiting.pop(number), ALONE))
        self._settled = max(self._settled, pulse)
        self._done = {number for number in self._done if number > self._settled}
        return outcomes

    def close(self) -> list[Outcome]:
        """Give up on everything that waits: grabbing has ended."""
        return self.settle(max((n for waiting in self._waiting.values() for n in waiting), default=self._settled))


def _unpaired(light: Light, pulse: int | None, grab: Grab, reason: str) -> Unpaired:
    return Unpaired(light, pulse, grab.frame_id, grab.host_time_ns, reason)
