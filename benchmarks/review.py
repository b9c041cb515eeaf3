"""How long `exlcap review` and `exlcap review pull` take. ``python benchmarks/review.py [--json] [--pairs 2000]``

The commands themselves run, as a user would run them, on a workspace of made-up labels with 5.6 people a pair. Import:
from the start of `exlcap review` until it prints the App's address, on an empty review database. Pull: the whole of
`exlcap review pull` after edits in every tenth pair, a joint dragged and the pair accepted. Again: the second
`exlcap review`, with nothing new. The pictures are there already; what they cost is measured beside it, on pairs of the
camera's full size. The bars hold for 2,000 pairs on 2 idle cores; the default is smaller so that it ends in a minute.
Beside the seconds of the clock stand those of the processors, of the command and all it started: they tell what a busy
machine makes of it.
Not measured: the browser, slow disks, real frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from exlcap.annotate.carry import carry
from exlcap.annotate.review import mongo
from exlcap.annotate.review.previews import SLICES, ReviewPair, pairs_to_review, write_previews
from exlcap.annotate.review.schema import NAME
from exlcap.core.alignment import Alignment, write_alignment
from exlcap.core.joints import JOINTS
from exlcap.core.labels import PairLabels, Person, TakeLabels, write_labels
from exlcap.core.rig import LIGHTS, Light, Setting
from exlcap.core.take import CameraInfo, Frame, Pair, Step, TakeHeader, TakeWriter, read_take
from exlcap.core.workspace import Workspace
from exlcap.init import rig_toml
from exlcap.simulate.optics import true_alignment
from exlcap.simulate.rendering import render_step

AIMS = {"import_s": 75.0, "pull_s": 15.0}
BAR_PAIRS = 2000
DIVISORS = (1, 2, 4, 8, 12)
PAIRS_PER_TAKE = 500
PEOPLE = (5, 6, 5, 6, 6)
PICTURE_PAIRS = 6
EXLCAP = [sys.executable, "-m", "exlcap"]


def make_workspace(root: Path) -> Workspace:
    """An emulated workspace at the camera's full size."""
    text = rig_toml(emulated=True).replace("width = 960", "width = 1920").replace("height = 600", "height = 1200")
    root.mkdir()
    (root / "rig.toml").write_text(text, encoding="utf-8")
    workspace = Workspace(root)
    write_alignment(workspace.alignments / "align-001.json", true_alignment(workspace.rig))
    return workspace


def header(workspace: Workspace, scene: str, pairs: int) -> TakeHeader:
    """Header of a take with the whole schedule."""
    rig = workspace.rig
    steps = tuple(
        Step(
            k=k,
            well=Setting(exposure_us=1000 / k, gain_db=float(20 * np.log10(k))),
            low=Setting(exposure_us=1000 / k, gain_db=rig.low.gain_db),
        )
        for k in DIVISORS
    )
    cameras = {light: CameraInfo(serial=rig.serial(light), model="simulated", driver="none") for light in LIGHTS}
    return TakeHeader(
        kind="scene", scene=scene, number=1, created="2026-11-20T00:00:00+00:00", status="complete", rig=rig,
        steps=steps, pairs_per_step=max(1, pairs // len(DIVISORS)), sync_mode="software", settings_proof="assumed",
        cameras=cameras, versions={},
    )  # fmt: skip


def listed_pairs(take: TakeHeader, count: int) -> list[Pair]:
    """Pairs as a take lists them, without frames on the disk."""

    def frame(step: Step, light: Light, number: int) -> Frame:
        setting = step.setting(light)
        return Frame(light=light, file=f"raw/{number}.{light}.tif", sha256=f"{take.scene}-{number}-{light}",
                     asked=setting, read_back=setting, frame_id=number, host_time_ns=number, clipped_share=0,
                     mean_dn=500)  # fmt: skip

    rows = [(take.steps[number % len(take.steps)], number) for number in range(count)]
    return [Pair(k=step.k, index=number, well=frame(step, "well", number), low=frame(step, "low", number))
            for step, number in rows]  # fmt: skip


def people(rng: np.random.Generator, count: int, size: tuple[int, int]) -> tuple[Person, ...]:
    """People as a network labels them: all over the picture, some joints missing or hidden."""
    found = []
    for number in range(count):
        width, height = rng.uniform(100, 400), rng.uniform(200, 800)
        left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
        xy = rng.uniform((left, top), (left + width, top + height), (len(JOINTS), 2))
        flags = rng.choice([0, 1, 2], len(JOINTS), p=[0.1, 0.1, 0.8])
        keypoints = np.column_stack([xy * (flags[:, None] > 0), flags])
        scores = rng.uniform(0.2, 1, len(JOINTS))
        found.append(Person(f"p{number}", keypoints, (left, top, width, height), "network", scores))
    return tuple(found)


def fill(workspace: Workspace, count: int) -> None:
    """Takes with `count` labelled pairs in all, and a stand-in for each of their pictures."""
    alignment, rng = true_alignment(workspace.rig), np.random.default_rng([5])
    for number, first in enumerate(range(0, count, PAIRS_PER_TAKE)):
        here = min(PAIRS_PER_TAKE, count - first)
        head = header(workspace, f"scene{number}", here)
        folder = workspace.scene(head.scene) / "take-001"
        TakeWriter(folder, head)
        pairs = listed_pairs(head, here)
        lines = "".join(json.dumps(pair.model_dump(mode="json")) + "\n" for pair in pairs)
        (folder / "pairs.jsonl").write_text(lines, encoding="utf-8")
        take = read_take(folder)
        labels: dict[str, PairLabels] = {
            take.pair_id(pair): carry(people(rng, PEOPLE[n % len(PEOPLE)], alignment.well_size), alignment)
            for n, pair in enumerate(pairs)
        }
        write_labels(workspace.labels(head.scene, 1), TakeLabels(head.scene, 1, "align-001", labels))
    media = workspace.root / "review" / "media"
    for item in pairs_to_review(workspace, None):
        for part in SLICES:
            path = item.picture(media, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def timed_review(workspace: Workspace, edit: bool) -> tuple[float, float]:
    """Start `exlcap review`, edit every tenth pair when asked, and stop it.

    Returns seconds by the clock until it printed the App's address, and seconds of processors until it had ended.
    """
    log = workspace.root / "review.log"
    began, cpu = time.perf_counter(), cpu_of_children()
    with log.open("w") as stream:
        process = subprocess.Popen([*EXLCAP, "-C", str(workspace.root), "review"], stdout=stream, stderr=stream)
    try:
        while not re.search(r"http://\S+", log.read_text()):
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        seconds = time.perf_counter() - began
        if edit:
            edit_pairs(workspace.root / "review")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    return seconds, cpu_of_children() - cpu


def edit_pairs(folder: Path) -> None:
    """What the App's server writes for a person who drags a joint and accepts the pair."""
    uri = mongo.running(folder)
    if uri is None:
        raise RuntimeError("the review runs no database")
    _, samples = mongo.stored(uri, NAME)
    mine = {"pair_id": {"$in": sorted(samples.distinct("pair_id"))[::10]}}
    dragged = {"pose_edit.polylines.0.points.0.0": [0.5, 0.5]}
    samples.update_many({**mine, "group.name": "well"}, {"$set": dragged})
    samples.update_many(mine, {"$set": {"review": "accepted"}})


def cpu_of_children() -> float:
    """Seconds of processor time of all processes that were started here and have ended, and of theirs; 0 on Windows."""
    return os.times().children_user + os.times().children_system


def timed_pull(workspace: Workspace) -> tuple[float, float, int]:
    """Seconds of `exlcap review pull` by the clock and of processors, and how many people it changed."""
    began, cpu = time.perf_counter(), cpu_of_children()
    command = [*EXLCAP, "-C", str(workspace.root), "review", "pull", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout)
    if told["problems"]:
        raise RuntimeError(f"the pull met problems: {told['problems'][:3]}")
    return time.perf_counter() - began, cpu_of_children() - cpu, len(told["changes"])


def picture_seconds(workspace: Workspace, folder: Path) -> float:
    """Seconds a pair, by the clock on the wall and on all cores, to make the pictures of full-size pairs."""
    rig = workspace.rig
    head = header(workspace, "pictures", 1)
    writer = TakeWriter(folder / "take-001", head)
    step = head.steps[2]
    for pulse in render_step(rig, "plaza", 1, step, 0, PICTURE_PAIRS):
        frames = {
            light: writer.frame(getattr(pulse, light), step.k, pulse.index, light=light, asked=step.setting(light),
                               read_back=step.setting(light), frame_id=pulse.index, host_time_ns=0)
            for light in LIGHTS
        }  # fmt: skip
        writer.pair(Pair(k=step.k, index=pulse.index, **frames))
    take = read_take(folder / "take-001")
    alignment: Alignment = true_alignment(rig)
    items = [ReviewPair(take, pair, PairLabels(), alignment) for pair in take.pairs]
    began = time.perf_counter()
    write_previews(folder / "media", items)
    return (time.perf_counter() - began) / len(items)


def measure(count: int, folder: Path) -> dict[str, float]:
    """All figures for `count` pairs, in a new workspace below `folder`."""
    workspace = make_workspace(folder / "lab")
    fill(workspace, count)
    import_s, import_cpu_s = timed_review(workspace, edit=True)
    pull_s, pull_cpu_s, changed = timed_pull(workspace)
    idle_pull_s, _, unchanged = timed_pull(workspace)
    if not changed or unchanged:
        raise RuntimeError(f"the pulls changed {changed} and {unchanged} people")
    again_s, _ = timed_review(workspace, edit=False)
    picture_s = picture_seconds(workspace, folder / "pictures")
    figures = {"import_s": import_s, "import_cpu_s": import_cpu_s, "pull_s": pull_s, "pull_cpu_s": pull_cpu_s,
               "pull_of_nothing_s": idle_pull_s, "review_again_s": again_s, "pictures_s_per_pair": picture_s,
               "pictures_s_of_all": picture_s * count}  # fmt: skip
    return {name: round(value, 3) for name, value in figures.items()} | {"people_changed": changed}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--pairs", type=int, default=200, help="how many; the bars are for 2000")
    arguments = parser.parse_args()
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, Any] = measure(arguments.pairs, Path(folder))
    bars = {name: {"value": figures[name], "aim": aim, "ok": figures[name] <= aim} for name, aim in AIMS.items()}
    print(
        json.dumps(
            {
                "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
                "versions": {name: version(name) for name in ("exlcap", "fiftyone", "pymongo", "numpy")},
                "figures": {"pairs": arguments.pairs, "people_per_pair": 5.6, "load_before": load, **figures},
                "bars": bars if arguments.pairs >= BAR_PAIRS else {},
                "not_measured": "the browser; slow disks; real frames"
                + ("" if arguments.pairs >= BAR_PAIRS else f"; the bars, which are for --pairs {BAR_PAIRS}"),
            },
            indent=None if arguments.json else 1,
        )
    )


if __name__ == "__main__":
    main()
