"""Hand labels in COCO form, matched to the pairs of a workspace by file name and merged with existing labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from exlcap.core.alignment import Alignment
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import LabelledImage, PairLabels, Person, inside, read_coco

SAME_PERSON_IOU = 0.7
"""A new label whose box overlaps that of a decided one this much is the same person."""


def read_hand_labels(files: Iterable[Path]) -> dict[str, LabelledImage]:
    """Images of COCO files by the pair they name: ``plaza-t001-k04-000052.png`` labels that pair's bright frame.

    Raises ExlcapError when two files label the same pair.
    """
    images: dict[str, LabelledImage] = {}
    for file in files:
        for image in read_coco(file):
            name = PurePosixPath(image.file_name.replace("\\", "/")).stem
            if name in images:
                raise ExlcapError(f"{file}: {image.file_name} is labelled twice", "give each image in one file only")
            images[name] = image
    return images


def on_bright_frame(image: LabelledImage, alignment: Alignment) -> tuple[Person, ...]:
    """People of a labelled image in pixels of the whole bright frame.

    An image of the common crop's size (as a built data set has) is moved to its place. Joints outside the frame get
    flag 0. Raises ExlcapError for an image of another size.
    """
    x, y, width, height = alignment.crop
    if image.size is None or image.size == alignment.well_size:
        offset = (0, 0)
    elif image.size == (width, height):
        offset = (x, y)
    else:
        raise ExlcapError(
            f"{image.file_name} is labelled at {image.size[0]}x{image.size[1]}, the bright frame has "
            f"{alignment.well_size[0]}x{alignment.well_size[1]} and the common area {width}x{height}",
            "label the bright frame itself or the aligned image of a data set",
        )
    return tuple(_moved(person, offset, alignment.well_size) for person in image.people)


def _moved(person: Person, offset: tuple[int, int], size: tuple[int, int]) -> Person:
    keypoints = person.keypoints.copy()
    keypoints[person.labelled, :2] += offset
    x, y, width, height = person.box
    return replace(person, keypoints=inside(keypoints, *size), box=(x + offset[0], y + offset[1], width, height))


def merge(old: PairLabels, new: Sequence[Person]) -> tuple[Person, ...]:
    """Bright-frame people after new labels arrive: labels decided on by hand stay, the others are replaced.

    A new label of someone already decided on (same id, or nearly the same box) is ignored.
    """
    decided = [person for person in old.well if person.review != "undecided"]
    ids = {person.id for person in decided}
    added = [p for p in new if p.id not in ids and all(iou(p.box, kept.box) < SAME_PERSON_IOU for kept in decided)]
    return (*decided, *added)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (x, y, width, height); 0 when both are empty.

    >>> iou((0, 0, 2, 2), (1, 0, 2, 2))
    0.3333333333333333
    """
    overlap = np.minimum(np.add(a[:2], a[2:]), np.add(b[:2], b[2:])) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(overlap, 0)))
    union = a[2] * a[3] + b[2] * b[3] - shared
    return shared / union if union > 0 else 0.0
