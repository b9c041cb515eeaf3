"""Read takes again and check everything that can be checked from the files."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exlcap.capture.cameras.contract import describe, same_setting
from exlcap.capture.takes.orphan_causes import orphan_remarks
from exlcap.capture.takes.skew import NOT_MEASURABLE, Skew, measure_skew, skew_text
from exlcap.capture.takes.summary import ignored_pulses
from exlcap.core.console import counted, progress
from exlcap.core.drift import Drift, describe_drift, read_drift
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_bytes
from exlcap.core.rig import LIGHTS, WHITE_DN
from exlcap.core.take import Frame, Pair, Take, read_raw, read_take
from exlcap.core.workspace import Workspace, numbered


@dataclass
class Verdict:
    """What is known of a take after all checks. problems: what is wrong; remarks: what is odd but harmless.

    skew_line: the skew for people, or why there is none.
    """

    take: str
    pairs: int = 0
    orphans: int = 0
    missing: int = 0
    skew: Skew | None = None
    skew_line: str = NOT_MEASURABLE
    drift: Drift | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def beyond(self) -> bool:
        """Whether the shutters were measured to disagree by more than the take's rig allows."""
        return self.skew is not None and not self.skew.ok

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "take": self.take,
            "ok": not self.problems and not self.beyond,
            "pairs": self.pairs,
            "orphans": self.orphans,
            "missing": self.missing,
            "skew": None if self.skew is None else self.skew.data(),
            **({"drift_px": None} if self.drift is None else self.drift.data()),
            "problems": self.problems,
            "remarks": self.remarks,
        }


def verify_takes(workspace: Workspace, scene: str | None) -> list[Verdict]:
    """Check all takes of a scene; with None, all references and all takes of the workspace.

    Raises ExlcapError when there are none.
    """
    folders = list(workspace.takes(scene))
    if scene is None:
        folders = [path for _, path in numbered(workspace.references, "ref")] + folders
    if not folders:
        raise ExlcapError(
            f"no takes of {scene}" if scene else "no takes in this workspace", "shoot one with `exlcap shoot`"
        )
    verdicts = []
    with progress("verify", len(folders)) as step:
        for folder in folders:
            verdicts.append(verify_take(folder, folder.relative_to(workspace.root).as_posix(), workspace))
            step(verdicts[-1].take)
    return verdicts


def verify_take(folder: Path, name: str, workspace: Workspace | None = None) -> Verdict:
    """Check a take: every frame's file, every pair's proof, every step's count, the skew, and the drift.

    workspace: to measure the drift where the take has no note of it; without one, only a noted drift is reported.
    """
    verdict = Verdict(name)
    try:
        take = read_take(folder)
    except ExlcapError as error:
        verdict.problems.append(error.message)
        return verdict
    verdict.pairs, verdict.orphans = len(take.pairs), len(take.orphans)
    verdict.missing = sum(take.missing().values())
    verdict.skew = measure_skew(take)
    verdict.skew_line = skew_text(verdict.skew, take)
    verdict.problems += _whole_problems(take)
    for pair in take.pairs:
        verdict.problems += [f"k = {pair.k} pulse {pair.index}: {problem}" for problem in _pair_problems(take, pair)]
    try:
        verdict.drift = _drift(take, workspace, measurable=not verdict.problems)
    except ExlcapError as error:  # the note, the labels or the alignment is damaged
        verdict.problems.append(error.message)
    if verdict.drift is not None:
        remarks = verdict.problems if verdict.drift.too_far else verdict.remarks
        remarks.append(describe_drift(verdict.drift))
    verdict.remarks += [*_remarks(take), *(verdict.skew.beyond if verdict.skew else ())]
    return verdict


def _drift(take: Take, workspace: Workspace | None, measurable: bool) -> Drift | None:
    """How far a take of a scene lies from its alignment: as noted, or measured on frames that are right."""
    if workspace is None or take.header.kind == "reference" or not measurable:
        return read_drift(take.folder)
    from exlcap.align.measure_drift import drift_of

    return drift_of(workspace, take)


def _whole_problems(take: Take) -> list[str]:
    """What is wrong with a take as a whole."""
    problems = [f"step k = {k} lacks {counted(count, 'pair')}" for k, count in take.missing().items()]
    if take.header.kind == "reference" and take.header.status == "complete" and take.header.reason:
        problems.append(take.header.reason)
    if take.header.status != "complete":
        problems.append(f"status is {take.header.status!r}: {take.header.reason or 'it was cut short'}")
    listed = Counter((pair.k, pair.index) for pair in take.pairs)
    problems += [f"k = {k} pulse {index} is listed {n} times" for (k, index), n in listed.items() if n > 1]
    return problems


def _pair_problems(take: Take, pair: Pair) -> list[str]:
    """What is wrong with a pair: not of one pulse, or with one of its frames."""
    problems = []
    if pair.well.counter is not None and pair.low.counter is not None:
        if pair.well.counter != pair.low.counter:
            problems.append(f"pulse counters differ: well {pair.well.counter}, low {pair.low.counter}")
    elif pair.well.frame_id != pair.low.frame_id:
        problems.append(f"frame ids differ: well {pair.well.frame_id}, low {pair.low.frame_id}")
    for light in LIGHTS:
        frame = pair.frame(light)
        frame_problems = [*_setting_problems(take, pair.k, frame), *_file_problems(take, pair, frame)]
        problems += [f"{light}: {problem}" for problem in frame_problems]
    return problems


def _setting_problems(take: Take, k: int, frame: Frame) -> list[str]:
    """Whether the setting asked is that of the step, and the camera confirmed it."""
    asked = next(step for step in take.header.steps if step.k == k).setting(frame.light)
    problems = []
    if frame.asked != asked:
        problems.append(f"asked {describe(frame.asked)}, but the step is {describe(asked)}")
    if not same_setting(asked, frame.read_back):
        problems.append(f"read back {describe(frame.read_back)}, asked {describe(asked)}")
    if take.header.settings_proof == "chunk" and frame.chunk is None:
        problems.append("carries no chunk data, though the take says that settings are proved by it")
    if frame.chunk is not None and not same_setting(asked, frame.chunk):
        problems.append(f"its chunk says {describe(frame.chunk)}, asked {describe(asked)}")
    return problems


def _file_problems(take: Take, pair: Pair, frame: Frame) -> list[str]:
    """Whether the file is the frame that was recorded."""
    path = take.folder / frame.file
    try:
        data = path.read_bytes()
    except OSError as error:
        return [f"{frame.file}: {error.strerror}"]
    if sha256_bytes(data) != frame.sha256:
        return [f"{frame.file}: checksum differs, the file is damaged"]
    try:
        raw = read_raw(path)
    except ExlcapError as error:
        return [error.message]
    sensor = take.header.rig.sensor
    problems = []
    if raw.shape != (sensor.height, sensor.width):
        problems.append(f"{frame.file}: {raw.shape[1]}x{raw.shape[0]}, expected {sensor.width}x{sensor.height}")
    if raw.size and int(raw.max()) > WHITE_DN:
        problems.append(f"{frame.file}: level {int(raw.max())} is beyond 12 bits")
    about = _about(path)
    written = {key: about.get(key) for key in ("k", "index", "role", "serial")}
    listed = {"k": pair.k, "index": pair.index, "role": frame.light, "serial": take.header.rig.serial(frame.light)}
    if written != listed:
        problems.append(f"{frame.file} says that it is {written}, but is listed as {listed}")
    return problems


def _about(path: Path) -> dict[str, Any]:
    """A frame's own metadata; empty when it has none."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        about = json.loads(file.pages.first.description or "{}")
    return about if isinstance(about, dict) else {}


def _remarks(take: Take) -> list[str]:
    """What does no harm: causes of orphans, pulses that came too soon, traces of a crash."""
    listed = {frame.file for pair in take.pairs for frame in (pair.well, pair.low)}
    on_disk = {path.relative_to(take.folder).as_posix() for path in take.folder.glob("raw/*/*.tif")}
    remarks = [*orphan_remarks(take), *ignored_pulses(take.header)]
    if take.torn:
        remarks.append("the last line of a list was cut off by a crash and is ignored")
    if on_disk - listed:
        remarks.append(f"{counted(len(on_disk - listed), 'frame')} on the disk in no pair: left by a crash in mid-pair")
    return remarks


def verdict_table(verdicts: list[Verdict]) -> str:
    """As lines for people: one per take, then what is wrong."""
    lines = [f"{'take':<32} {'pairs':>6} {'lack':>5} {'orphans':>7}  result  skew"]
    for verdict in verdicts:
        lines.append(
            f"{verdict.take:<32} {verdict.pairs:>6} {verdict.missing:>5} {verdict.orphans:>7}  "
            f"{'WRONG ' if verdict.problems else 'SKEW  ' if verdict.beyond else 'ok    '}  {verdict.skew_line}"
        )
        lines += [f"    wrong: {problem}" for problem in verdict.problems]
        lines += [f"    note: {remark}" for remark in verdict.remarks]
    return "\n".join(lines)
