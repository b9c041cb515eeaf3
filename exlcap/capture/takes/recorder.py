"""Writes pairs to disk while the cameras go on: a bounded queue, threads that write frames, one that owns the lists.

Frames are held in memory up to a budget. When the disk cannot keep up, `pair` waits, so pulses pause; nothing is
dropped. A pair's line is written after both of its frames are on the disk; a crash loses the pairs still in memory.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from exlcap.capture.cameras.contract import Grab
from exlcap.core.rig import LIGHTS, Light, Setting
from exlcap.core.take import Frame, Orphan, Pair, Step, TakeWriter

BUDGET_BYTES = 512 * 1024 * 1024
PAIRS_AT_ONCE = 2
"""Pairs written at once: a disk is idle while a thread waits for it to confirm that a frame is safe."""


@dataclass(frozen=True, eq=False)
class Shot:
    """A pair in memory: both grabs of one pulse, and the settings as both cameras reported them."""

    step: Step
    index: int
    well: Grab
    low: Grab
    read_back: dict[Light, Setting]

    def grab(self, light: Light) -> Grab:
        """The grab of one camera."""
        return self.well if light == "well" else self.low


@dataclass(frozen=True)
class Tally:
    """How recording goes. waiting: pairs that wait for the disk. clipped_share: of the newest bright frame written."""

    waiting: int = 0
    orphans: int = 0
    clipped_share: float = 0.0


class Recorder:
    """Writes pairs and orphans in the order given, on threads of its own. Use as a context manager.

    budget_bytes: how much memory frames may take, including those being written. What goes wrong while writing (a full
    disk) is raised by the next call, or at the end of the `with` block.
    """

    def __init__(self, writer: TakeWriter, budget_bytes: int = BUDGET_BYTES) -> None:
        sensor = writer.header.rig.sensor
        self._writer = writer
        self._room = threading.Semaphore(max(2, budget_bytes // (2 * 2 * sensor.width * sensor.height)))
        self._handed: queue.Queue[Future[Pair] | Orphan | None] = queue.Queue()
        self._error: BaseException | None = None
        self._pool = ThreadPoolExecutor(PAIRS_AT_ONCE, "exlcap-frames")
        self._thread = threading.Thread(target=self._run, name="exlcap-recorder", daemon=True)
        self._orphans = 0
        self._clipped_share = 0.0
        self.written = 0

    @property
    def tally(self) -> Tally:
        """How recording goes."""
        return Tally(self._handed.qsize(), self._orphans, self._clipped_share)

    def pair(self, shot: Shot) -> None:
        """Hand over a pair; waits while the budget is used up. Raises what went wrong with an earlier one."""
        self._room.acquire()
        if self._error is not None:
            self._room.release()
            raise self._error
        self._handed.put(self._pool.submit(self._write, shot))

    def orphan(self, orphan: Orphan) -> None:
        """Hand over the record of a frame without a partner. Raises what went wrong with an earlier pair."""
        if self._error is not None:
            raise self._error
        self._orphans += 1
        self._handed.put(orphan)

    def _run(self) -> None:
        """List what was handed over, in that order, each pair when both of its frames are on the disk."""
        while (item := self._handed.get()) is not None:
            try:
                self._list(item)
            except BaseException as error:
                self._error = self._error or error
            if not isinstance(item, Orphan):
                del item  # or the pair stays in memory beside the budget
                self._room.release()

    def _list(self, item: Future[Pair] | Orphan) -> None:
        """After an error nothing more is listed, and nobody waits for room."""
        pair = item if isinstance(item, Orphan) else item.result()
        if self._error is not None:
            return
        if isinstance(pair, Orphan):
            self._writer.orphan(pair)
        else:
            self._writer.pair(pair)
            self._clipped_share = pair.well.clipped_share
            self.written += 1

    def _write(self, shot: Shot) -> Pair:
        if self._error is not None:
            raise self._error
        well, low = (self._frame(shot, light) for light in LIGHTS)
        return Pair(k=shot.step.k, index=shot.index, well=well, low=low)

    def _frame(self, shot: Shot, light: Light) -> Frame:
        grab = shot.grab(light)
        if grab.raw is None:
            raise ValueError(f"the {light} frame of pair {shot.index} has no picture")
        return self._writer.frame(
            grab.raw,
            shot.step.k,
            shot.index,
            light=light,
            asked=shot.step.setting(light),
            read_back=shot.read_back[light],
            chunk=grab.chunk,
            frame_id=grab.frame_id,
            counter=grab.counter,
            device_time_ns=grab.device_time_ns,
            device_time_source=grab.device_time_source,
            host_time_ns=grab.host_time_ns,
            temperature_c=grab.temperature_c,
        )

    def __enter__(self) -> Recorder:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was handed over, then raise what went wrong, unless another error is being raised already."""
        self._handed.put(None)
        self._thread.join()
        self._pool.shutdown()
        if self._error is not None and error is None:
            raise self._error
