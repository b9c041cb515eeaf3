"""``exlcap simulate``: a data set of pairs from any labelled photographs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from exlcap import __version__
from exlcap.core.alignment import alignment_in_force
from exlcap.core.console import progress, say
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import Person, read_coco
from exlcap.core.rig import Light
from exlcap.core.workspace import Workspace, numbered
from exlcap.dataset.annotations import OUTSIDE
from exlcap.dataset.finish import begin_adopted, finish_adopted_pairs
from exlcap.dataset.manifest import Manifest, PairEntry, Parameters
from exlcap.dataset.simulated.photo_pairs import Cameras, Made, Photo, base_gain_db, developments, make_pairs
from exlcap.dataset.split import split_scenes
from exlcap.dataset.table1 import Row
from exlcap.simulate.optics import true_alignment

PUBLISHED_LEVELS = {"LL-N": 3.2, "LL-H": 1.4, "LL-E": 0.9, "LL-A": 2.0, "WL": 90.5}
"""Mean levels of ExLPose: its test splits (measured), and all of it (Lee et al., section 3)."""


def cameras_of(workspace: Workspace, seed: int, pairs_per_photo: int) -> Cameras:
    """The rig of a workspace, as measured by its alignment; an emulated rig does not need one."""
    rig = workspace.rig
    if rig.emulator and not numbered(workspace.alignments, "align", ".json"):
        return Cameras(rig, true_alignment(rig), seed, pairs_per_photo)
    name, measured = alignment_in_force(workspace)
    alignment = true_alignment(rig) if rig.emulator else measured
    return Cameras(rig, alignment, seed, pairs_per_photo, measured.photometry, name)


def find_photos(folder: Path, labels: Path, test_labels: Path | None) -> tuple[list[Photo], tuple[str, ...]]:
    """The labelled photographs whose file exists, by file name, those of the test last; and the scenes of the test.

    Photographs without people or without a file are left out with a note.
    Raises ExlcapError when none is left, for training or for the test, or one is labelled for both.
    """
    photos: list[Photo] = []
    scenes: dict[str, str] = {}
    test: list[str] = []
    for path in filter(None, (labels, test_labels)):
        images = read_coco(path)
        with_people = [image for image in images if any(person.labelled.any() for person in image.people)]
        there = [image for image in with_people if (folder / image.file_name).is_file()]
        if len(there) < len(images):
            say(f"note: {path.name}: {len(images) - len(with_people)} photographs without labelled people and "
                f"{len(with_people) - len(there)} that are not in {folder} are left out")  # fmt: skip
        for image in sorted(there, key=lambda image: image.file_name):
            scene = scene_name(image.file_name)
            if scene in scenes:
                raise ExlcapError(f"{image.file_name} and {scenes[scene]} would be the same scene {scene!r}",
                                  "a photograph is labelled once, for training or for the test")  # fmt: skip
            scenes[scene] = image.file_name
            photos.append(Photo(folder / image.file_name, image, scene, len(photos)))
            if path is test_labels:
                test.append(scene)
    if not photos:
        raise ExlcapError(f"no photograph of {labels} with people is in {folder}",
                          "`file_name` in the labels must be the name of a file in that folder")  # fmt: skip
    if test_labels is not None and not test:
        raise ExlcapError(f"no photograph of {test_labels} with people is in {folder}", "check its file names")
    return photos, tuple(test)


def scene_name(file_name: str) -> str:
    """A photograph's name as a scene: its path without suffix, with ``-`` for all but letters, digits, ``_`` and ``-``.

    >>> scene_name("val2017/000000000785.jpg")
    'val2017-000000000785'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", str(Path(file_name).with_suffix("")))


def simulate_photos(
    folder: Path, cameras: Cameras, photos: Sequence[Photo], test: tuple[str, ...], licence: str = ""
) -> Manifest:
    """Make the data set `folder` of photographs, on every core; test: scenes of the test split, drawn when empty.

    Raises ExlcapError when a finished data set is there, a photograph is damaged, or nothing is left.
    """
    gains = {photo.scene: base_gain_db(cameras.seed, photo.index) for photo in photos}
    splits = split_scenes(gains, cameras.seed, test)
    source = f"{len(photos)} photographs, {cameras.pairs_per_photo} pairs each, rig {cameras.rig.name!r}"
    building = Manifest(
        name=folder.name, status="building", exlcap=__version__, origin="simulated",
        source=f"{source}, {cameras.light}",
        parameters=Parameters(seed=cameras.seed), splits=splits, licence=licence, developments=developments(cameras),
    )  # fmt: skip
    begin_adopted(folder, building)
    entries: list[PairEntry] = []
    people: dict[str, dict[Light, tuple[Person, ...]]] = {}
    left_out: Counter[str] = Counter()
    outside = 0
    with progress("simulate", len(photos)) as step:
        for photo, made in zip(photos, _in_parallel(folder, cameras, photos), strict=True):
            step(photo.scene)
            if isinstance(made, str):
                left_out[made] += 1
                continue
            outside += len(made) * (len(photo.labelled.people) - len(made[0][1]))
            for entry, visible in made:
                entries.append(entry)
                people[entry.pair_id] = {"well": visible, "low": visible}
    for why, count in left_out.items():
        say(f"note: {count} photographs are left out: {why}")
    if not entries:
        raise ExlcapError("no photograph is usable", "use photographs taken in good light, with people in them")
    used = {entry.scene for entry in entries}
    splits = {split: tuple(scene for scene in scenes if scene in used) for split, scenes in splits.items()}
    update = {"splits": splits, "left_out": {OUTSIDE: outside} if outside else {}}
    return finish_adopted_pairs(folder, building.model_copy(update=update), entries, people)


def _in_parallel(folder: Path, cameras: Cameras, photos: Sequence[Photo]) -> Iterator[list[Made] | str]:
    """Pairs of every photograph in order. Threads suffice: OpenCV and NumPy release the interpreter lock."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield from pool.map(partial(make_pairs, folder, cameras), photos)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def beside_published(rows: Sequence[Row]) -> str:
    """Mean levels of the test splits beside those of the published set."""
    lines = ["mean level (of 255)   here  published"]
    for row in rows:
        level = row.well_mean_level if row.split == "WL" else row.low_mean_level
        if row.split in PUBLISHED_LEVELS:
            here = "-" if level is None else f"{level:.2f}"
            lines.append(f"{row.split:<19} {here:>6} {PUBLISHED_LEVELS[row.split]:>10}")
    return "\n".join(lines)
