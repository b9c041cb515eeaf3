"""Detected people in place of the true boxes: COCO's results format, one entry per box.

    [{"image_id": 7, "category_id": 1, "bbox": [x, y, width, height], "score": 0.93}, ...]

Image numbers belong to one annotation file, which has to be named: ``LL-A=FILE`` also serves LL-N, LL-H and LL-E,
whose images are among those of LL-A. An entry may name its image by ``file_name`` instead ("low/<pair>.png").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json
from exlcap.core.joints import N_JOINTS
from exlcap.core.labels import Box, as_box
from exlcap.train.data.people import LabelledPerson, Split

PERSON = 1
"""COCO's category of people; boxes of other categories are ignored."""
FORM = 'a detection is {"image_id": 7, "category_id": 1, "bbox": [x, y, width, height], "score": 0.93}'


@dataclass(frozen=True)
class Detection:
    """A box in which a detector saw a person. file: the image. score: its confidence."""

    file: str
    box: Box
    score: float


@dataclass(frozen=True)
class Detections:
    """The boxes that a detector found, and the images that it has seen."""

    boxes: tuple[Detection, ...]
    files: frozenset[str]


def read_given(given: Sequence[str], splits: Mapping[str, Split]) -> Detections:
    """Detections as given on the command line: FILE or SPLIT=FILE each. splits: the test splits by name.

    Raises ExlcapError naming what is wrong.
    """
    boxes: list[Detection] = []
    files: set[str] = set()
    for item in given:
        name, _, path = item.rpartition("=")
        if name and name not in splits:
            raise ExlcapError(f"no test split {name!r} with people in this data set", f"it has {', '.join(splits)}")
        chosen = {name: splits[name]} if name else splits
        some = read_detections(Path(path), {key: split.coco["images"] for key, split in chosen.items()})
        named = {detection.file for detection in some}
        if twice := named & {detection.file for detection in boxes}:
            raise ExlcapError(
                f"{path}: image {min(twice)} also has detections in an earlier file", "give each image once"
            )
        # a detector with boxes in one image of a split has seen them all
        looked = [_files(split) for split in chosen.values() if name or _files(split) & named]
        boxes += some
        files.update(*looked)
    return Detections(tuple(boxes), frozenset(files))


def _files(split: Split) -> set[str]:
    return {str(image["file_name"]) for image in split.coco["images"]}


def read_detections(path: Path, images: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Detection]:
    """Detections of people in a file. images: COCO's `images` of the annotation files that it may refer to, by name.

    Raises ExlcapError naming the file and the entry that is wrong.
    """
    entries = read_json(path, "file of detections")
    if not isinstance(entries, list):
        raise ExlcapError(
            f"{path} is not a file of detections: expected a list, found {type(entries).__name__}",
            f"it is COCO's results format, not annotations: {FORM}",
        )
    numbered = {image["id"]: image for part in images.values() for image in part} if len(images) == 1 else {}
    named = {str(image["file_name"]): image for part in images.values() for image in part}
    detections = []
    for place, entry in enumerate(entries):
        try:
            if entry.get("category_id", PERSON) == PERSON:
                detections.append(_detection(entry, numbered, named, list(images)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ExlcapError(f"{path}: detection {place + 1} of {len(entries)}: {problem}", FORM) from None
    if not detections:
        raise ExlcapError(f"{path} holds no detection of category {PERSON} (person)", FORM)
    return detections


def _detection(
    entry: Mapping[str, Any],
    numbered: Mapping[int, Mapping[str, Any]],
    named: Mapping[str, Mapping[str, Any]],
    splits: Sequence[str],
) -> Detection:
    """A checked entry. Raises KeyError, TypeError or ValueError."""
    if "file_name" in entry:
        image = named.get(entry["file_name"])
    elif not numbered:
        raise ValueError(
            f"the split of image_id is not given, and each split numbers its own images: write {splits[0]}=FILE"
        )
    else:
        image = numbered.get(entry["image_id"])
    if image is None:
        raise ValueError(f"no image {entry.get('file_name', entry.get('image_id'))!r} in {', '.join(splits)}")
    box, score = as_box(entry["bbox"]), float(entry["score"])
    if not all(math.isfinite(value) for value in (*box, score)) or score < 0:
        raise ValueError(f"bbox and score must be finite and the score not negative: {box}, {score}")
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError(f"the box has no area: {box}")
    if box[0] >= image["width"] or box[1] >= image["height"] or box[0] + box[2] <= 0 or box[1] + box[3] <= 0:
        raise ValueError(f"the box {box} lies outside its image of {image['width']}x{image['height']} pixels")
    return Detection(str(image["file_name"]), box, score)


def detected_people(split: Split, detections: Detections) -> tuple[list[LabelledPerson], list[float]] | None:
    """The detections in the images of a split as people without joints, and their scores.

    None unless the detections cover every image of the split.
    """
    images = {str(image["file_name"]): image for image in split.coco["images"]}
    if not images.keys() <= detections.files:
        return None
    shown = [detection for detection in detections.boxes if detection.file in images]
    people = [
        LabelledPerson(
            file=detection.file,
            light=images[detection.file]["lighting"],
            image_id=int(images[detection.file]["id"]),
            pair_id=str(images[detection.file]["pair_id"]),
            person_id=f"detection {number}",
            keypoints=np.zeros((N_JOINTS, 3)),
            box=detection.box,
        )
        for number, detection in enumerate(shown)
    ]
    return people, [detection.score for detection in shown]
