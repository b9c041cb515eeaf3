"""Checks of a data set beyond its labels (files, pairs, splits), each with a name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exlcap.core.files import sha256_file
from exlcap.core.light_levels import lighting_split
from exlcap.dataset.checks.card_checks import CARD_REMEDIES, card_damage
from exlcap.dataset.checks.image_files import ImageFile
from exlcap.dataset.checks.label_checks import Check, Defect
from exlcap.dataset.finish import card_files
from exlcap.dataset.formats.exlpose_names import well_gain_db
from exlcap.dataset.formats.keypoint_file import Json, KeypointFile
from exlcap.dataset.manifest import Manifest

BLACK = 1 / 255
"""An image without a value above this is black; sensor noise alone is brighter."""
SATURATED_SHARE = 0.5
LEVELS = {"LL-N": "LL-N", "LL-H": "LL-H", "LL-E": "LL-E", "Normal": "LL-N", "Hard": "LL-H", "Extreme": "LL-E"}
"""Lighting level by the end of an annotation file's name, in our data sets and in the published ones."""


@dataclass(frozen=True)
class Subject:
    """What is checked. pictures: by file name, None where there is no file; empty when the images were not found.

    folder, manifest: of a data set of ours, None for a foreign file.
    """

    files: tuple[KeypointFile, ...]
    folder: Path | None
    manifest: Manifest | None
    pictures: Mapping[str, ImageFile | None]

    def images(self) -> Iterator[tuple[KeypointFile, Json]]:
        """Every image of every file; one that several files list comes once."""
        seen: set[str] = set()
        for file in self.files:
            for image in file.images:
                if image["file_name"] not in seen:
                    seen.add(image["file_name"])
                    yield file, image

    def readable(self) -> Iterator[tuple[KeypointFile, Json, ImageFile]]:
        """The images whose file can be decoded."""
        for file, image in self.images():
            picture = self.pictures.get(image["file_name"])
            if picture is not None and picture.size is not None:
                yield file, image, picture


def _image_missing(subject: Subject) -> Iterator[Defect]:
    for file, image in subject.images():
        if subject.pictures and subject.pictures.get(image["file_name"]) is None:
            yield Defect("there is no such image file", file.path.name, image)


def _image_unreadable(subject: Subject) -> Iterator[Defect]:
    for file, image in subject.images():
        picture = subject.pictures.get(image["file_name"])
        if picture is not None and picture.size is None:
            yield Defect("the image file is damaged or cut off", file.path.name, image)


def _size_differs(subject: Subject) -> Iterator[Defect]:
    for file, image, picture in subject.readable():
        listed = (image.get("width"), image.get("height"))
        if picture.size is not None and listed != picture.size:
            actual = f"{picture.size[0]}x{picture.size[1]}"
            yield Defect(f"the image is {actual}, the file says {listed[0]}x{listed[1]}", file.path.name, image)
    own_low_size = {e.pair_id for e in subject.manifest.pairs if e.low_size} if subject.manifest else set()
    sizes: dict[str, tuple[Any, Any]] = {}
    for file, image in subject.images():
        pair, size = image.get("pair_id"), (image.get("width"), image.get("height"))
        if pair is not None and pair not in own_low_size and sizes.setdefault(pair, size) != size:
            other = f"{sizes[pair][0]}x{sizes[pair][1]}"
            yield Defect(f"{size[0]}x{size[1]}, but {other} in the other light", file.path.name, image)


def _unpaired_image(subject: Subject) -> Iterator[Defect]:
    lights: dict[str, dict[str, tuple[KeypointFile, Json]]] = defaultdict(dict)
    for file, image in subject.images():
        if "pair_id" in image and "lighting" in image:
            lights[image["pair_id"]][image["lighting"]] = file, image
    singles = {entry.name for entry in subject.manifest.singles} if subject.manifest else set()
    for pair, images in lights.items():
        if len(images) == 1 and pair not in singles:
            file, image = next(iter(images.values()))
            yield Defect("its pair has no image in the other light", file.path.name, image)
    for entry in subject.manifest.pairs if subject.manifest else ():
        if entry.pair_id not in lights:
            yield Defect(f"pair {entry.pair_id} of dataset.json is in no annotation file", "dataset.json")


def _unpaired_person(subject: Subject) -> Iterator[Defect]:
    for file in subject.files:
        lights: dict[Any, dict[str, Any]] = defaultdict(dict)
        both = {"well", "low"} <= {str(image.get("lighting")) for image in file.images}
        for one in file.people if both else ():
            key = one.annotation.get("pair_id"), one.annotation.get("person_id")
            lights[key][one.image.get("lighting", "")] = one
        for people in lights.values():
            if len(people) == 1:
                one = next(iter(people.values()))
                yield Defect("only one image of the pair lists this person", file.path.name, one.image, one.annotation)


def _scene_in_two_splits(subject: Subject) -> Iterator[Defect]:
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for split, scenes in subject.manifest.splits.items() if subject.manifest else ():
        for scene in scenes:
            splits[scene].setdefault(split, "dataset.json")
    for file in subject.files:
        split = file.name.split("_")[0]
        for image in file.images if split in ("train", "val", "test") else ():
            if "scene" in image:
                splits[image["scene"]].setdefault(split, file.path.name)
    for scene, files in splits.items():
        if len(files) > 1:
            yield Defect(f"scene {scene} is in {' and '.join(sorted(files))}", ", ".join(sorted(set(files.values()))))


def _wrong_lighting_split(subject: Subject) -> Iterator[Defect]:
    for file in subject.files:
        levels = [level for word, level in LEVELS.items() if file.name.endswith(word)]
        for image in file.images if levels else ():
            gain_db = image.get("well_gain_db", well_gain_db(image["file_name"]))
            if gain_db is not None and lighting_split(gain_db) != levels[0]:
                yield Defect(f"a gain of {gain_db:g} dB belongs to {lighting_split(gain_db)}", file.path.name, image)


def _checksum_mismatch(subject: Subject) -> Iterator[Defect]:
    if subject.manifest is None:
        return
    by_name = {file.name: file for file in subject.files}
    for name, digest in subject.manifest.annotations_sha256.items():
        if name not in by_name:
            yield Defect("the annotation file is missing", f"{name}.json")
        elif sha256_file(by_name[name].path) != digest:
            yield Defect("the annotation file is not the one that was built", f"{name}.json")
    expected = {f"{light}/{entry.pair_id}.png": digest for entry in subject.manifest.pairs
                for light, digest in (("well", entry.well_sha256), ("low", entry.low_sha256))}  # fmt: skip
    expected |= {single.file: single.sha256 for single in subject.manifest.singles}
    for file, image in subject.images():
        picture = subject.pictures.get(image["file_name"])
        if picture is not None and picture.sha256 != expected.get(image["file_name"], picture.sha256):
            yield Defect("the image file is not the one that was built", file.path.name, image)


def _card_missing(subject: Subject) -> Iterator[Defect]:
    if subject.manifest is None or subject.folder is None:
        return
    for name in card_files(subject.manifest):
        if not (subject.folder / name).is_file():
            yield Defect(f"it is part of the data card; {CARD_REMEDIES[subject.manifest.origin]}", name)


def _card_damaged(subject: Subject) -> Iterator[Defect]:
    if subject.manifest is None or subject.folder is None:
        return
    for name in card_files(subject.manifest):
        if (subject.folder / name).is_file() and (damage := card_damage(subject.folder, name, subject.manifest)):
            yield Defect(f"it {damage}; {CARD_REMEDIES[subject.manifest.origin]}", name)


def _black_image(subject: Subject) -> Iterator[Defect]:
    for file, image, picture in subject.readable():
        if picture.brightest <= BLACK:
            yield Defect("the image is black", file.path.name, image)


def _saturated_image(subject: Subject) -> Iterator[Defect]:
    for file, image, picture in subject.readable():
        if picture.saturated_share > SATURATED_SHARE:
            yield Defect(f"{100 * picture.saturated_share:.0f} % of the image is white", file.path.name, image)


SET_CHECKS: tuple[Check[Subject], ...] = (
    Check("image_missing", "error", "missing images", _image_missing),
    Check("image_unreadable", "error", "images that cannot be decoded", _image_unreadable),
    Check(
        "size_differs",
        "error",
        "sizes that differ: image and file, or both lights of a pair",
        _size_differs,
    ),
    Check("unpaired_image", "error", "images without a partner", _unpaired_image),
    Check("scene_in_two_splits", "error", "scenes that leak between splits", _scene_in_two_splits),
    Check("wrong_lighting_split", "error", "images in the wrong lighting split for their gain", _wrong_lighting_split),
    Check("checksum_mismatch", "error", "files that changed since the data set was made", _checksum_mismatch),
    Check("card_missing", "error", "missing parts of the data card", _card_missing),
    Check("card_damaged", "error", "parts of the data card that are empty, damaged or wrong", _card_damaged),
    Check("unpaired_person", "warning", "people that only one image of a pair lists", _unpaired_person),
    Check("black_image", "warning", "black images", _black_image),
    Check("saturated_image", "warning", "saturated images", _saturated_image),
)
"""Checks of a data set, or of a foreign file as far as they apply, worst first."""


def image_folder(path: Path, names: list[str]) -> Path | None:
    """Folder of a foreign file's images: beside it, one or two levels up, or `images` there; None if not found."""
    above = [path.parent, *path.parents[1:3]]
    folders = [folder for up in above for folder in (up, up / "images")]
    return next((folder for folder in folders if any((folder / name).is_file() for name in names)), None)
