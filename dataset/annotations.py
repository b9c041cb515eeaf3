"""COCO keypoint files of a data set.

train.json and val.json hold two images of each pair, bright and dark, joined by `pair_id` and their people by
`person_id`; the test files hold the dark images of one lighting level, or the bright ones (test_WL).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from exlcap.alignment import Alignment
from exlcap.dataset.manifest import TEST_SPLITS, PairEntry
from exlcap.labels import COCO_CATEGORY, PairLabels, Person, coco_annotation, inside
from exlcap.lighting import lighting_split
from exlcap.rig import ROLES, Role


def annotation_files(
    entries: Iterable[PairEntry],
    labels: Mapping[str, PairLabels],
    alignments: Mapping[str, Alignment],
    splits: Mapping[str, tuple[str, ...]],
) -> dict[str, dict[str, Any]]:
    """Content of every annotation file by name ("train", "val", "test_LL-N", ...). labels, alignments: by pair id."""
    entries = list(entries)
    scenes = {split: [e for e in entries if e.scene in splits[split]] for split in ("train", "val", "test")}
    chosen: dict[str, tuple[list[PairEntry], tuple[Role, ...]]] = {
        name: (scenes[name], ROLES) for name in ("train", "val")
    }
    for name in TEST_SPLITS:
        pairs = [e for e in scenes["test"] if name in ("WL", "LL-A") or lighting_split(e.well_gain_db) == name]
        chosen[f"test_{name}"] = (pairs, ("well",) if name == "WL" else ("low",))
    people = {
        entry.pair_id: tuple(
            moved for person in labels[entry.pair_id].well if (moved := in_crop(person, alignments[entry.pair_id]))
        )
        for entry in entries
    }
    return {name: coco_file(pairs, roles, people) for name, (pairs, roles) in chosen.items()}


def coco_file(
    entries: Iterable[PairEntry], roles: tuple[Role, ...], people: Mapping[str, tuple[Person, ...]]
) -> dict[str, Any]:
    """A COCO keypoint file of the images of `roles`. people: in pixels of the aligned image, by pair id."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for entry in entries:
        for role in roles:
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": f"{role}/{entry.pair_id}.png",
                    "width": entry.width,
                    "height": entry.height,
                    "lighting": role,
                    "pair_id": entry.pair_id,
                    "scene": entry.scene,
                    "take": entry.take,
                    "k": entry.k,
                    "index": entry.index,
                    "exposure_us": entry.exposure_us,
                    "well_gain_db": entry.well_gain_db,
                    "low_gain_db": entry.low_gain_db,
                }
            )
            for person in people[entry.pair_id]:
                annotations.append(coco_annotation(person, len(annotations) + 1, len(images), entry.pair_id))
    return {"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]}


def in_crop(person: Person, alignment: Alignment) -> Person | None:
    """A person of the whole bright frame in pixels of the common area; None when rejected or wholly outside it."""
    x, y, width, height = alignment.crop
    left, top = max(person.box[0] - x, -0.5), max(person.box[1] - y, -0.5)
    right = min(person.box[0] + person.box[2] - x, width - 0.5)
    bottom = min(person.box[1] + person.box[3] - y, height - 0.5)
    if person.review == "rejected" or right <= left or bottom <= top:
        return None
    keypoints = person.keypoints.copy()
    keypoints[person.labelled, :2] -= (x, y)
    return replace(person, keypoints=inside(keypoints, width, height), box=(left, top, right - left, bottom - top))
