"""COCO keypoint files of a data set.

train.json and val.json hold both images of each pair, joined by `pair_id`, and their people, joined by `person_id`. A
test file holds the dark images of one lighting level, or the bright images (test_WL).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from exlcap.core.alignment import Alignment, Crop
from exlcap.core.develop import low_crop
from exlcap.core.labels import COCO_CATEGORY, PairLabels, Person, coco_annotation, inside
from exlcap.core.light_levels import lighting_split
from exlcap.core.rig import LIGHTS, Light
from exlcap.dataset.images import Warp
from exlcap.dataset.manifest import TEST_SPLITS, PairEntry

OUTSIDE = "wholly outside the area that both cameras see"
REJECTED = "rejected in review"
People = Mapping[str, Mapping[Light, tuple[Person, ...]]]
"""The people of both images of every pair, in pixels of those images."""


def annotation_files(
    entries: Iterable[PairEntry], people: People, splits: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, Any]]:
    """Content of every annotation file by name ("train", "val", "test_LL-N", ...). people: by pair id."""
    entries = list(entries)
    scenes_of = {split: set(splits[split]) for split in ("train", "val", "test")}
    entries_of = {split: [e for e in entries if e.scene in members] for split, members in scenes_of.items()}
    chosen: dict[str, tuple[list[PairEntry], tuple[Light, ...]]] = {
        name: (entries_of[name], LIGHTS) for name in ("train", "val")
    }
    for name in TEST_SPLITS:
        pairs = [e for e in entries_of["test"] if name in ("WL", "LL-A") or lighting_split(e.well_gain_db) == name]
        chosen[f"test_{name}"] = (pairs, ("well",) if name == "WL" else ("low",))
    return {name: coco_file(pairs, lights, people) for name, (pairs, lights) in chosen.items()}


def coco_file(entries: Iterable[PairEntry], lights: tuple[Light, ...], people: People) -> dict[str, Any]:
    """A COCO keypoint file of the images of `lights`."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for entry in entries:
        for light in lights:
            in_image = people[entry.pair_id][light]
            images.append(_image(entry, light, len(images) + 1, in_image))
            for person in in_image:
                annotations.append(coco_annotation(person, len(annotations) + 1, len(images), entry.pair_id))
    return {"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]}


def _image(entry: PairEntry, light: Light, image_id: int, people: tuple[Person, ...]) -> dict[str, Any]:
    """An image of a COCO file, with where it came from. crowdIndex is written as in CrowdPose's own files."""
    width, height = entry.low_size if light == "low" and entry.low_size else (entry.width, entry.height)
    return {
        "id": image_id,
        "file_name": f"{light}/{entry.pair_id}.png",
        "width": width,
        "height": height,
        "lighting": light,
        "pair_id": entry.pair_id,
        "scene": entry.scene,
        "take": entry.take,
        "k": entry.k,
        "index": entry.index,
        "exposure_us": entry.exposure_us,
        "well_gain_db": entry.well_gain_db,
        "low_gain_db": entry.low_gain_db,
        "crowdIndex": round(crowd_index(people), 4),
    }


def crowd_index(people: Sequence[Person]) -> float:
    """Crowd index of an image: mean over people of (joints of others in their box) / (their own joints).

    Li et al., "CrowdPose", CVPR 2019, eq. 5. People without a labelled joint do not count; 0 without people.
    """
    joints = [person.keypoints[person.labelled, :2] for person in people]
    ratios = []
    for index, person in enumerate(people):
        if not len(joints[index]):
            continue
        corner, size = np.array(person.box[:2]), np.array(person.box[2:])
        others = np.concatenate([np.empty((0, 2)), *(j for i, j in enumerate(joints) if i != index)])
        inside_box = ((others >= corner) & (others <= corner + size)).all(axis=1)
        ratios.append(float(inside_box.sum()) / len(joints[index]))
    return sum(ratios) / len(ratios) if ratios else 0.0


def people_left_out(labels: PairLabels, alignment: Alignment, warp: Warp) -> dict[str, int]:
    """How many labelled people of a pair its images do not show, by reason. warp "none": its bright image."""
    rejected = sum(person.review == "rejected" for person in labels.well)
    kept = len(people_of(labels, alignment, warp)["well"])
    return {REJECTED: rejected, OUTSIDE: len(labels.well) - rejected - kept}


def people_of(labels: PairLabels, alignment: Alignment, warp: Warp) -> dict[Light, tuple[Person, ...]]:
    """People of a pair in pixels of its two images, without rejected ones and those wholly outside.

    People who are small, cut off, hidden or without a joint are kept, as in COCO; `people_left_out` counts the others.
    """
    kept = {person.id for person in labels.well if person.review != "rejected"}
    low = tuple(unmirrored(person, alignment) for person in labels.low if person.id in kept)
    if warp == "well":
        area = low_crop(alignment)
        both = tuple(moved for person in low if (moved := in_area(person, area)))
        return {"well": both, "low": both}
    well = tuple(moved for person in labels.well if (moved := in_crop(person, alignment)))
    return {"well": well, "low": well if warp == "low" else low}


def unmirrored(person: Person, alignment: Alignment) -> Person:
    """A person of the raw dark frame in the dark image, which is un-mirrored if the camera sees mirrored."""
    if not alignment.mirror:
        return person
    last = alignment.low_size[0] - 1
    keypoints = person.keypoints.copy()
    keypoints[person.labelled, 0] = last - keypoints[person.labelled, 0]
    x, y, width, height = person.box
    return replace(person, keypoints=keypoints, box=(last - x - width, y, width, height))


def in_crop(person: Person, alignment: Alignment) -> Person | None:
    """A person of the whole bright frame in pixels of the common area; None when rejected or wholly outside it."""
    return in_area(person, alignment.crop)


def in_area(person: Person, area: Crop) -> Person | None:
    """A person of a whole frame in pixels of a part of it; None when rejected or wholly outside it."""
    x, y, width, height = area
    left, top = max(person.box[0] - x, -0.5), max(person.box[1] - y, -0.5)
    right = min(person.box[0] + person.box[2] - x, width - 0.5)
    bottom = min(person.box[1] + person.box[3] - y, height - 0.5)
    if person.review == "rejected" or right <= left or bottom <= top:
        return None
    keypoints = person.keypoints.copy()
    keypoints[person.labelled, :2] -= (x, y)
    return replace(person, keypoints=inside(keypoints, width, height), box=(left, top, right - left, bottom - top))
