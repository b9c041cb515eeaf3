"""Annotation files of the published ExLPose: COCO keypoints, or the flat list of people called ``*_trans.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exlcap.core.console import say
from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json
from exlcap.core.labels import Person, as_box
from exlcap.dataset.formats.keypoint_file import read_keypoint_file

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class PublishedImage:
    """An image of a published annotation file with its people. size: (width, height), None where the file lacks it."""

    name: str
    size: tuple[int, int] | None
    people: tuple[Person, ...]


def split_of(path: Path) -> str | None:
    """The split in the name of an annotation file; None when there is none."""
    return next((split for split in SPLITS if f"_{split}_" in f"_{path.stem}_".lower()), None)


def read_published(path: Path) -> list[PublishedImage]:
    """Images of a published annotation file of either form, people in its order.

    Raises ExlcapError naming the file and the faulty person.
    """
    if path.stem.endswith("_trans"):
        return _read_flat(path)
    file = read_keypoint_file(path)
    if file.broken:
        raise ExlcapError(f"{path}: annotation {file.broken[0][0].get('id')}: {file.broken[0][1]}",
                          "correct it; `exlcap validate` lists every defect")  # fmt: skip
    people: dict[Any, list[Person]] = {image["id"]: [] for image in file.images}
    for one in file.people:
        in_image = people[one.image["id"]]
        in_image.append(_person(path, one.annotation, one.keypoints, one.box, len(in_image) + 1))
    sizes = [(i["width"], i["height"]) if "width" in i and "height" in i else None for i in file.images]
    return [PublishedImage(str(image["file_name"]), size, tuple(people[image["id"]]))
            for image, size in zip(file.images, sizes, strict=True)]  # fmt: skip


def _read_flat(path: Path) -> list[PublishedImage]:
    """A ``*_trans.json``: {unit: {keypoints, GT_bbox: [x1, y1, x2, y2]}, imgInfo: {img_paths}} for each person."""
    people: dict[str, list[Person]] = {}
    for number, record in enumerate(read_json(path, "list of people")):
        try:
            unit, name = record["unit"], str(record["imgInfo"]["img_paths"])
            left, top, right, bottom = (float(value) for value in unit["GT_bbox"])
            keypoints = np.array(unit["keypoints"], np.float64).reshape(-1, 3)
        except (KeyError, TypeError, ValueError) as error:
            raise ExlcapError(f"{path}: record {number}: {type(error).__name__}: {error}",
                              "it does not have the published form; restore it from a copy") from None  # fmt: skip
        in_image = people.setdefault(name, [])
        in_image.append(
            _person(path, {"id": number}, keypoints, (left, top, right - left, bottom - top), len(in_image) + 1)
        )
    return [PublishedImage(name, None, tuple(in_image)) for name, in_image in people.items()]


def _person(path: Path, record: Mapping[str, Any], keypoints: Any, box: Any, number: int) -> Person:
    """A published person; ids count from 1 within the image."""
    try:
        return Person(str(number), keypoints, as_box(box), f"published: {path.name}",
                      iscrowd=bool(record.get("iscrowd", 0)))  # fmt: skip
    except ValueError as error:
        raise ExlcapError(f"{path}: annotation {record.get('id')}: {error}",
                          "correct it; `exlcap validate` lists every defect") from None  # fmt: skip


def published_files(source: Path, ocn: bool) -> list[Path]:
    """Annotation files below a folder, of ExLPose or of ExLPose-OCN: COCO files first, those with more images first.

    Raises ExlcapError when there is none.
    """
    paths = [path for path in sorted(source.rglob("*.json")) if split_of(path) and ("-OC" in path.stem) == ocn]
    if not paths:
        what = "ExLPose-OC_test_*.json" if ocn else "ExLPose_train*.json or ExLPose_test*.json"
        raise ExlcapError(
            f"no {what} below {source}", "give the folder that holds the published annotations and images"
        )
    say(f"annotations: {', '.join(path.name for path in paths)}")
    return sorted(paths, key=lambda path: (path.stem.endswith("_trans"), -path.stat().st_size))
