"""Labelled pairs as samples of the review data set, brought up to date with the labels.

Samples are written as the documents that FiftyOne keeps in its database; making them with its own classes takes six
times as long. A test compares the documents with FiftyOne's own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from exlcap.annotate.review.previews import SLICES, ReviewPair
from exlcap.annotate.review.proxy import FIELD, Proxy, label_id, to_document, to_proxy
from exlcap.annotate.review.schema import FORMAT
from exlcap.core.alignment import Crop
from exlcap.core.files import sha256_bytes
from exlcap.core.labels import Decision, Person, decision
from exlcap.core.light_levels import lighting_split

BATCH_PAIRS = 500
Document = dict[str, Any]


def update_samples(
    samples: Any, dataset_id: Any, items: Sequence[ReviewPair], media: Path, keep: Collection[str] = ()
) -> int:
    """Bring the samples up to date with the labels, and return how many pairs were new or had changed.

    samples: the collection of the samples of the review data set, see `mongo.stored`. keep: pairs with edits that
    could not be pulled, which stay as they are.
    """
    from pymongo import UpdateOne

    known = {sample["pair_id"]: sample["key"] for sample in samples.find({"group.name": "well"}, ["pair_id", "key"])}
    todo = [item for item in items if item.pair_id not in keep and known.get(item.pair_id) != _key(item, media)]
    for first in range(0, len(todo), BATCH_PAIRS):
        writes = [
            UpdateOne({"pair_id": item.pair_id, "group.name": part}, change, upsert=True)
            for item in todo[first : first + BATCH_PAIRS]
            for part, change in _changes(item, media, dataset_id)
        ]
        samples.bulk_write(writes, ordered=False)
    return len(todo)


def _key(item: ReviewPair, media: Path) -> str:
    """Hash of everything that the samples of a pair are made from."""
    people = [person.to_json() for person in item.labels.well]
    return sha256_bytes(json.dumps([FORMAT, str(item.picture(media, "well").resolve()), people]).encode())


def _changes(item: ReviewPair, media: Path, dataset_id: Any) -> Iterator[tuple[str, Document]]:
    """For each slice of a pair, the update of its document, with the fields that only a new one gets."""
    fields = _fields(item)
    editable = _editable(item, media)
    people = [_keypoint(*numbered, item.alignment.crop) for numbered in enumerate(shown(item.labels.well), 1)]
    now = datetime.now(timezone.utc)
    for part in SLICES:
        born = {
            "_id": label_id(item.pair_id, part),
            "_dataset_id": dataset_id,
            "_media_type": "image",
            "_rand": 0.999 + 0.001 * int(sha256_bytes(item.pair_id.encode())[:8], 16) / 2**32,  # as FiftyOne's
            "created_at": now,
            "group._cls": "Group",
            "group._id": label_id(item.pair_id),
            "tags": [],
        }
        fields_of_slice = {
            **fields,
            "filepath": str(item.picture(media, part).resolve()),
            "last_modified_at": now,
            "pose": {
                "_cls": "Keypoints",
                "keypoints": [
                    {**person, "_id": label_id(item.pair_id, part, person["person_id"])} for person in people
                ],
            },
            **(editable if part == "well" else {}),
        }
        yield part, {"$set": fields_of_slice, "$setOnInsert": born}


def _fields(item: ReviewPair) -> Document:
    """Fields that every slice of a pair has."""
    crop, people = item.alignment.crop, shown(item.labels.well)
    step = next(step for step in item.take.header.steps if step.k == item.pair.k)
    residual = item.alignment.residual
    return {
        "metadata": {"_cls": "ImageMetadata", "width": crop.width, "height": crop.height, "num_channels": 3},
        "scene": item.take.header.scene,
        "take": item.take.header.number,
        "k": item.pair.k,
        "exposure_us": item.pair.well.read_back.exposure_us,
        "well_gain_db": step.well.gain_db,
        "low_gain_db": step.low.gain_db,
        "split": lighting_split(step.well.gain_db),
        "alignment_residual_px": residual.held_out_median_px if residual else None,
        "lowest_score": lowest_score(people),
        "widest_spread_px": widest_spread_px(people),
        "people": len(people),
        "review": decision(item.labels.well),
    }


def _editable(item: ReviewPair, media: Path) -> Document:
    """Fields that only the bright sample has: its labels can be edited, and a pull carries them to the dark image."""
    review = decision(item.labels.well)
    proxies = {person.id: to_proxy(person, item.alignment.crop) for person in shown(item.labels.well)}
    return {
        FIELD: to_document(proxies, item.pair_id),
        "imported": json.dumps(Imported(review, dict.fromkeys(SLICES, review), proxies).to_json()),
        "key": _key(item, media),
    }


@dataclass(frozen=True)
class Imported:
    """What a pair held when it was last imported or pulled; the difference to it is what a person has changed since.

    review: the decision on the pair. slices: the decision stored with each slice; the App changes one at a time.
    """

    review: Decision
    slices: dict[str, str]
    people: dict[str, Proxy]

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        people = {name: proxy.to_json() for name, proxy in self.people.items()}
        return {"review": self.review, "slices": self.slices, "people": people}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Imported:
        """Inverse of `to_json`."""
        people = {name: Proxy(**proxy) for name, proxy in data["people"].items()}
        return Imported(data["review"], data["slices"], people)


def shown(people: Sequence[Person]) -> list[Person]:
    """The people to show: without rejected (deleted) ones, unless the whole pair was rejected."""
    return [p for p in people if p.review != "rejected"] if decision(people) != "rejected" else list(people)


def lowest_score(people: Sequence[Person]) -> float:
    """Lowest score of a labelled joint of the undecided people, or of all if there are none; hand labels count as 1.

    Scores already reflect how far the opinions of networks lie apart.
    """
    asked = [p for p in people if p.review == "undecided"] or people
    return min((float(p.scores[p.labelled].min(initial=1)) for p in asked if p.scores is not None), default=1.0)


def widest_spread_px(people: Sequence[Person]) -> float | None:
    """How far the opinions of networks lie apart on the joint where they do most; None for hand labels."""
    spreads = [float(p.spread_px[p.labelled].max(initial=0)) for p in people if p.spread_px is not None]
    return max(spreads, default=None)


def _keypoint(number: int, person: Person, crop: Crop) -> Document:
    """A person as FiftyOne's keypoints, whose joints the skeleton connects."""
    points = (person.keypoints[:, :2] - (crop.x, crop.y) + 0.5) / (crop.width, crop.height)
    points[~person.labelled] = np.nan
    return {
        "_cls": "Keypoint",
        "attributes": {},
        "tags": [],
        "label": str(number),
        "points": points.tolist(),
        "confidence": None if person.scores is None else person.scores.tolist(),
        "person_id": person.id,
        "flags": person.keypoints[:, 2].astype(int).tolist(),
    }
