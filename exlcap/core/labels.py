"""People in pictures: 14 joints each, for both frames of a pair; COCO keypoints in and out.

Coordinates are pixel centres of the raw frame (bright or dark) that the label belongs to. Flags as in COCO: 0 not
labelled, 1 labelled but hidden, 2 visible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, write_json
from exlcap.core.joints import JOINTS, N_JOINTS, OKS_AREA_FACTOR, SKELETON

FORMAT = 1
Keypoints = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]
Review = Literal["undecided", "accepted", "edited", "rejected"]
Decision = Literal["undecided", "accepted", "rejected"]
REVIEWS: tuple[Review, ...] = ("undecided", "accepted", "edited", "rejected")
RESTORE = "restore the file from a copy, or run `exlcap annotate` again"


@dataclass(frozen=True, eq=False)
class Person:
    """One person in one frame.

    keypoints: float64 (14, 3) of x, y, flag. scores: float64 (14,), 0..1, or None for hand labels. box: x, y, width,
    height. origin: where the label came from ("hand: labels.json", "carried from well"). before: keypoints before
    the first edit in review, None where nobody edited them. spread_px: float64 (14,), root mean square distance of the
    networks' opinions from each joint, in pixels of the bright frame; None for hand labels.
    """

    id: str
    keypoints: Keypoints
    box: Box
    origin: str
    scores: npt.NDArray[np.float64] | None = None
    review: Review = "undecided"
    iscrowd: bool = False
    before: Keypoints | None = None
    spread_px: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_keypoints(self.keypoints)
        if self.before is not None:
            check_keypoints(self.before)
        for name, values in (("scores", self.scores), ("spread_px", self.spread_px)):
            if values is not None and values.shape != (N_JOINTS,):
                raise ValueError(f"{name}: expected shape ({N_JOINTS},), got {values.shape}")
        if len(self.box) != 4 or not all(math.isfinite(v) for v in self.box) or self.box[2] < 0 or self.box[3] < 0:
            raise ValueError(f"box: expected finite x, y, width >= 0, height >= 0, got {self.box}")
        if self.review not in REVIEWS:
            raise ValueError(f"review: expected one of {', '.join(REVIEWS)}, got {self.review!r}")

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which joints are labelled: bool (14,)."""
        return np.asarray(self.keypoints[:, 2] > 0)

    def to_json(self) -> dict[str, Any]:
        """As JSON types; floats keep their full precision."""
        return {
            "id": self.id,
            "keypoints": self.keypoints.ravel().tolist(),
            "box": list(self.box),
            "origin": self.origin,
            "scores": None if self.scores is None else self.scores.tolist(),
            "review": self.review,
            "iscrowd": self.iscrowd,
            "before": None if self.before is None else self.before.ravel().tolist(),
            **({} if self.spread_px is None else {"spread_px": self.spread_px.tolist()}),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Person:
        """Inverse of `to_json`. Raises KeyError, TypeError or ValueError on bad content."""
        # labels older than the review have no "before", hand labels no "spread_px"
        scores, before, spread = data["scores"], data.get("before"), data.get("spread_px")
        return Person(
            id=str(data["id"]),
            keypoints=np.array(data["keypoints"], np.float64).reshape(-1, 3),
            box=as_box(data["box"]),
            origin=str(data["origin"]),
            scores=None if scores is None else np.array(scores, np.float64),
            review=data["review"],
            iscrowd=bool(data["iscrowd"]),
            before=None if before is None else np.array(before, np.float64).reshape(-1, 3),
            spread_px=None if spread is None else np.array(spread, np.float64),
        )


@dataclass(frozen=True)
class PairLabels:
    """The people of a pair, in the bright and in the dark frame; the same person has the same id in both."""

    well: tuple[Person, ...] = ()
    low: tuple[Person, ...] = ()


def decision(people: Sequence[Person]) -> Decision:
    """Decision on a pair: undecided while anyone in it is undecided or no one is in it; rejected when everyone is."""
    reviews = {person.review for person in people}
    if "undecided" in reviews or not reviews:
        return "undecided"
    return "rejected" if reviews == {"rejected"} else "accepted"


@dataclass(frozen=True)
class TakeLabels:
    """labels/<scene>/take-NNN.json: the labels of a take by pair id, and the alignment that carried them."""

    scene: str
    take: int
    alignment: str
    pairs: dict[str, PairLabels] = field(default_factory=dict)


def as_box(values: Sequence[float]) -> Box:
    """Four numbers as a box (x, y, width, height). Raises ValueError when there are not four."""
    x, y, width, height = (float(value) for value in values)
    return x, y, width, height


def check_keypoints(keypoints: Keypoints) -> None:
    """Raise ValueError unless these are 14 finite joints with flags 0, 1 or 2."""
    if keypoints.shape != (N_JOINTS, 3):
        raise ValueError(f"keypoints: expected shape ({N_JOINTS}, 3), got {keypoints.shape}")
    if not np.isfinite(keypoints).all():
        raise ValueError("keypoints: every coordinate must be a finite number")
    if not np.isin(keypoints[:, 2], (0, 1, 2)).all():
        raise ValueError(f"keypoints: flags must be 0, 1 or 2, got {sorted(set(keypoints[:, 2]))}")


def write_labels(path: Path, labels: TakeLabels) -> None:
    """Write the labels of a take, atomically."""
    pairs = {
        name: {"well": [p.to_json() for p in pair.well], "low": [p.to_json() for p in pair.low]}
        for name, pair in labels.pairs.items()
    }
    write_json(
        path,
        {
            "format": FORMAT,
            "scene": labels.scene,
            "take": labels.take,
            "alignment": labels.alignment,
            "joints": list(JOINTS),
            "pairs": pairs,
        },
    )


def read_labels(path: Path) -> TakeLabels:
    """Read the labels of a take. Raises ExlcapError naming the pair and person that is damaged."""
    data = read_json(path, "label file", (FORMAT,))
    if tuple(data.get("joints", ())) != JOINTS:
        raise ExlcapError(f"{path}: its joints are not the 14 of this project in their order", RESTORE)
    pairs: dict[str, PairLabels] = {}
    try:
        for name, pair in data["pairs"].items():
            pairs[name] = PairLabels(
                **{light: tuple(Person.from_json(p) for p in pair[light]) for light in ("well", "low")}
            )
        return TakeLabels(str(data["scene"]), int(data["take"]), str(data["alignment"]), pairs)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        where = (
            f"pair {list(data['pairs'])[len(pairs)]}"
            if isinstance(data.get("pairs"), dict) and len(pairs) < len(data["pairs"])
            else "header"
        )
        raise ExlcapError(f"{path}: {where}: {type(error).__name__}: {error}", RESTORE) from None


def inside(keypoints: Keypoints, width: int, height: int) -> Keypoints:
    """A copy in which joints outside a picture of `width` x `height` pixels become unlabelled (0, 0, 0)."""
    x, y = keypoints[:, 0], keypoints[:, 1]
    out = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    kept = keypoints.copy()
    kept[out] = 0
    return kept


COCO_CATEGORY: dict[str, Any] = {
    "id": 1,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(JOINTS),
    "skeleton": [[a + 1, b + 1] for a, b in SKELETON],
}
"""The one category of our COCO files; COCO counts skeleton joints from 1."""


def coco_annotation(person: Person, annotation_id: int, image_id: int, pair: str) -> dict[str, Any]:
    """A person as a COCO annotation. pycocotools takes id 0 for "no match", so ids start from 1."""
    if annotation_id < 1:
        raise ValueError(f"annotation ids start from 1, got {annotation_id}")
    x, y, width, height = person.box
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "person_id": person.id,
        "pair_id": pair,
        "keypoints": [round(float(v), 4) if i % 3 < 2 else int(v) for i, v in enumerate(person.keypoints.ravel())],
        "num_keypoints": int(person.labelled.sum()),
        "bbox": [round(v, 4) for v in (x, y, width, height)],
        "area": round(width * height * OKS_AREA_FACTOR, 4),
        "iscrowd": int(person.iscrowd),
    }


@dataclass(frozen=True)
class LabelledImage:
    """An image of a COCO file: its name, its (width, height) or None where the file gives none, and its people."""

    file_name: str
    size: tuple[int, int] | None
    people: tuple[Person, ...]


def read_coco(path: Path) -> list[LabelledImage]:
    """Images of a COCO keypoint file with their people, as hand labels.

    Joints are taken by NAME from the category (CrowdPose-14 order where it has none); joints it lacks get flag 0,
    like head and neck of COCO-17. Raises ExlcapError naming the file and the annotation that is wrong.
    """
    data = read_json(path, "COCO keypoint file")
    try:
        images = {image["id"]: image for image in data["images"]}
        names = {key: str(image["file_name"]) for key, image in images.items()}
        order = _joint_order(data.get("categories") or [], path)
        annotations: Iterable[Mapping[str, Any]] = data["annotations"]
    except (KeyError, TypeError) as error:
        raise ExlcapError(
            f"{path} is not a COCO keypoint file: {type(error).__name__}: {error}",
            "it needs `images`, `annotations` and `categories`",
        ) from None
    people: dict[Any, list[Person]] = {key: [] for key in images}
    for number, annotation in enumerate(annotations):
        try:
            given = np.array(annotation["keypoints"], np.float64).reshape(len(order), 3)
            keypoints = np.zeros((N_JOINTS, 3))
            for source, name in enumerate(order):
                if name in JOINTS:
                    keypoints[JOINTS.index(name)] = given[source]
            person = Person(
                id=str(annotation.get("person_id", annotation.get("id", number))),
                keypoints=keypoints,
                box=as_box(annotation["bbox"]),
                origin=f"hand: {path.name}",
                iscrowd=bool(annotation.get("iscrowd", 0)),
            )
            people[annotation["image_id"]].append(person)
        except (KeyError, TypeError, ValueError) as error:
            raise ExlcapError(
                f"{path}: annotation {annotation.get('id', f'number {number}')!r}: {type(error).__name__}: {error}",
                "correct this annotation and run again",
            ) from None
    sizes = {key: (image["width"], image["height"]) if "width" in image else None for key, image in images.items()}
    return [LabelledImage(names[key], sizes[key], tuple(people[key])) for key in images]


def _joint_order(categories: list[Mapping[str, Any]], path: Path) -> tuple[str, ...]:
    """Joint names of a COCO file's person category."""
    named = [c["keypoints"] for c in categories if c.get("keypoints")]
    order = tuple(str(name) for name in named[0]) if named else JOINTS
    order = tuple({"top_head": "head", "head_top": "head"}.get(name, name) for name in order)
    if not set(order) & set(JOINTS):
        raise ExlcapError(
            f"{path}: none of its joints is one of ours: {', '.join(order)}", f"name the joints {', '.join(JOINTS)}"
        )
    return order


__all__ = [
    "COCO_CATEGORY",
    "Decision",
    "Keypoints",
    "LabelledImage",
    "PairLabels",
    "Person",
    "Review",
    "TakeLabels",
    "as_box",
    "check_keypoints",
    "coco_annotation",
    "decision",
    "inside",
    "read_coco",
    "read_labels",
    "write_labels",
]
