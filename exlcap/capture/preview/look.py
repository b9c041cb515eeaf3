"""What pages see: pictures and numbers of the newest pair, made on request, at a bounded rate, on one thread.

The loop that grabs hands over nothing but a reference: a slow page misses pairs and delays nobody.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from exlcap.capture.preview.live import LiveRig, Newest
from exlcap.capture.preview.measure import Measured, Planes, measure, planes_of, sharpness
from exlcap.capture.preview.views import (
    LOUPE_QUALITY,
    Amplify,
    Developments,
    Mode,
    Small,
    brightened,
    developments,
    loupe,
    loupe_centres,
    make_small,
    marked,
    overlaid,
    to_jpeg,
    unmirrored,
)
from exlcap.core.alignment import Alignment, alignment_in_force
from exlcap.core.develop import Rgb8, develop, to_srgb
from exlcap.core.drift import Drift
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Light
from exlcap.core.take import Raw
from exlcap.core.workspace import Workspace, numbered

INTERVAL_S = 0.1
INTERVAL_RECORDING_S = 1.0
FRESH_S = 1.0
"""A result made for one page serves the others for this long."""
PATIENCE_S = 1.0
"""A page is answered after this long even when there is no new pair."""
NAP_S = 0.02
KINDS_OF_LOOK = 8
"""How many different looks have their last result kept."""
NICE = 10
"""The thread that makes pictures gives way to those that grab and write."""


Place = tuple[float, float]
"""In the bright view, as shares of width and height."""


@dataclass(frozen=True)
class Look:
    """How a page wants to see a pair. loupe: where it is held."""

    width: int = 960
    mode: Mode = "views"
    amplify: Amplify = "mean"
    marks: bool = True
    loupe: Place | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """A pair as a page sees it. pictures: JPEG by name: well, low, or both; loupe-well, loupe-low.

    focus: sharpness as a share of its peak, under the loupe or of the whole view; None without light.
    """

    number: int
    made_s: float
    newest: Newest
    measured: dict[Light, Measured]
    focus: dict[Light, float | None]
    pictures: dict[str, bytes]


class Looker:
    """Makes what pages ask for. To be used from one event loop."""

    def __init__(self, live: LiveRig) -> None:
        self.live = live
        self._peaks: dict[Place | None, dict[Light, float]] = {}
        self.drift: Drift | None = None
        self._pool = ThreadPoolExecutor(1, "exlcap-look", initializer=give_way)
        self._busy = False
        self._due = 0.0
        self._made: dict[Look, Seen] = {}
        self._measured: tuple[int, dict[Light, Planes], dict[Light, Measured]] | None = None
        self._aligned: tuple[str, Alignment] | None = None

    async def look(self, after: int, look: Look) -> Seen | None:
        """The newest pair whose number is above `after`; None when none came for a while."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not self.live.closing:
            newest, made = self.live.newest, self._made.get(look)
            if newest is not None and newest.number > after and self._take_turn():
                return await self._make(newest, look)
            if made is not None and made.number > after and time.monotonic() - made.made_s < FRESH_S:
                return made
            await asyncio.sleep(NAP_S)
        return None

    def _take_turn(self) -> bool:
        """Whether it is time to make another look."""
        now = time.monotonic()
        if self._busy or now < self._due:
            return False
        recording = self.live.status.phase == "recording"
        self._due = now + (INTERVAL_RECORDING_S if recording else INTERVAL_S)
        return True

    async def _make(self, newest: Newest, look: Look) -> Seen:
        self._busy = True
        try:
            seen = await asyncio.get_running_loop().run_in_executor(self._pool, self.see, newest, look)
        finally:
            self._busy = False
        self._made.pop(look, None)
        self._made[look] = seen
        while len(self._made) > KINDS_OF_LOOK:
            self._made.pop(next(iter(self._made)))
        return seen

    def alignment(self, workspace: Workspace) -> tuple[str, Alignment] | None:
        """Name and content of the alignment in force, read again when a newer one is there; None without one."""
        alignments = numbered(workspace.alignments, "align", ".json")
        if not alignments:
            self._aligned = None
        elif self._aligned is None or self._aligned[0] != alignments[-1][1].stem:
            self._aligned = alignment_in_force(workspace)
        return self._aligned

    def see(self, newest: Newest, look: Look) -> Seen:
        """Everything of one pair for one kind of look; on the thread that makes pictures."""
        workspace = self.live.workspace
        raws: dict[Light, Raw] = {light: _raw(newest, light) for light in LIGHTS}
        aligned = self.alignment(workspace)
        development = developments(workspace.rig, None if aligned is None else aligned[1])
        planes, measured = self._numbers(newest, raws, workspace)
        pictures = _pictures(planes, development, look)
        sharp: dict[Light, float] = {light: measured[light].sharpness for light in LIGHTS}
        if look.loupe is not None:
            pieces, sharp = _under_loupe(raws, development, look, look.loupe)
            pictures |= pieces
        focus = self._of_peak(look.loupe, sharp)
        return Seen(newest.number, time.monotonic(), newest, measured, focus, _encoded(pictures))

    def _of_peak(self, place: Place | None, sharp: dict[Light, float]) -> dict[Light, float | None]:
        """Sharpness as a share of its peak at this place, which is remembered."""
        before = self._peaks.pop(place, dict.fromkeys(LIGHTS, 0.0))
        peaks = self._peaks[place] = {light: max(before[light], sharp[light]) for light in LIGHTS}
        while len(self._peaks) > KINDS_OF_LOOK:
            self._peaks.pop(next(iter(self._peaks)))
        return {light: sharp[light] / peaks[light] if peaks[light] > 0 else None for light in LIGHTS}

    def forget_peaks(self) -> None:
        """Forget the peaks of sharpness; the next pair sets new ones."""
        self._peaks.clear()

    def _numbers(
        self, newest: Newest, raws: dict[Light, Raw], workspace: Workspace
    ) -> tuple[dict[Light, Planes], dict[Light, Measured]]:
        """Planes and numbers of a pair, made once for all looks."""
        if self._measured is None or self._measured[0] != newest.number:
            planes = {light: planes_of(raws[light]) for light in LIGHTS}
            measured = {light: measure(planes[light], workspace.rig.dark_level_dn(light)) for light in LIGHTS}
            self._measured = newest.number, planes, measured
        return self._measured[1], self._measured[2]

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown()


def _raw(newest: Newest, light: Light) -> Raw:
    raw = newest.shot.grab(light).raw
    if raw is None:
        raise ExlcapError(f"the {light} frame has no picture", "wait for the next pair")
    return raw


def _pictures(planes: dict[Light, Planes], development: Developments, look: Look) -> dict[str, Rgb8]:
    """Both views, or one picture of both where an overlay is asked for and there is an alignment."""
    small: dict[Light, Small] = {
        light: make_small(planes[light], development.of(light), look.width) for light in LIGHTS
    }
    if look.mode != "views" and development.alignment is not None:
        return {"both": overlaid(small["well"].linear, small["low"].linear, development.alignment, look.mode)}
    if development.mirror:
        small["low"] = unmirrored(small["low"])
    pictures = {"well": to_srgb(small["well"].linear), "low": to_srgb(brightened(small["low"].linear, look.amplify))}
    if look.marks:
        pictures = {light: marked(pictures[light], small[light]) for light in LIGHTS}
    return pictures


def _under_loupe(
    raws: dict[Light, Raw], development: Developments, look: Look, place: Place
) -> tuple[dict[str, Rgb8], dict[Light, float]]:
    """The same place of both frames at full resolution, and how sharp it is."""
    height, width = raws["well"].shape
    centres = loupe_centres(place, (width, height), development)
    raw_pieces: dict[Light, Raw] = {light: loupe(raws[light], centres[light]) for light in LIGHTS}
    pieces = {light: develop(raw_pieces[light], development.of(light)) for light in LIGHTS}
    pieces["low"] = brightened(pieces["low"], look.amplify)
    if development.mirror:
        pieces["low"] = np.ascontiguousarray(pieces["low"][:, ::-1])
    sharp: dict[Light, float] = {
        light: sharpness(planes_of(raw), float(raw.mean()) - development.of(light).black_level_dn)
        for light, raw in raw_pieces.items()
    }
    return {f"loupe-{light}": to_srgb(pieces[light]) for light in LIGHTS}, sharp


def _encoded(pictures: dict[str, Rgb8]) -> dict[str, bytes]:
    """As JPEG, what is under the loupe almost without loss."""
    return {
        name: to_jpeg(picture, LOUPE_QUALITY) if name.startswith("loupe") else to_jpeg(picture)
        for name, picture in pictures.items()
    }


def give_way() -> None:
    """Lower the priority of this thread alone, where the system can."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
