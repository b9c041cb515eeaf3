"""A person in a form that the FiftyOne App can edit.

The open-source App (1.22) cannot edit keypoints, but it can drag the vertices of polylines. So a person is shown as one
polyline of five paths that hold each joint once, with check boxes for what a point cannot express: that a joint is
missing or hidden. Only this module knows about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from exlcap.core.alignment import Crop
from exlcap.core.files import sha256_bytes
from exlcap.core.joints import JOINTS, N_JOINTS
from exlcap.core.labels import Box, Keypoints, Person, inside

FIELD = "pose_edit"
"""Field of the bright samples that holds what can be edited."""
DRAWN = "review-"
"""Start of the ids of people who were added in the App."""
PATHS = ((12, 13), (0, 2, 4), (1, 3, 5), (6, 8, 10), (7, 9, 11))
"""Joints of each path: head and neck, two arms, two legs."""
ORDER = [joint for path in PATHS for joint in path]

STANDING = np.array(
    [[0.75, 0.22], [0.25, 0.22], [0.85, 0.38], [0.15, 0.38], [0.9, 0.52], [0.1, 0.52], [0.64, 0.52], [0.36, 0.52],
     [0.64, 0.74], [0.36, 0.74], [0.64, 0.96], [0.36, 0.96], [0.5, 0.04], [0.5, 0.17]]
)  # fmt: skip
"""Joints of a person who stands upright, as shares of the box: where a missing joint is placed to be dragged."""

SAME_PX = 1e-6
"""A vertex that was not dragged comes back with coordinates equal but for their last bits."""
MARGIN = 0.1
"""The box of a person drawn by hand exceeds the joints' extent by this share on every side."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Proxy:
    """What the App holds of a person.

    paths: vertices as [x, y] shares of the common area's width and height. missing, occluded: names of joints.
    """

    paths: Sequence[Sequence[Sequence[float]]]
    missing: Sequence[str] = ()
    occluded: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {"paths": self.paths, "missing": list(self.missing), "occluded": list(self.occluded)}


def to_proxy(person: Person, crop: Crop) -> Proxy:
    """A person of the bright frame, for the App. A missing joint is placed where someone standing in the box has it."""
    x, y, width, height = person.box
    waiting = STANDING * (width, height) + (x, y)
    placed = np.where(person.labelled[:, None], person.keypoints[:, :2], waiting)
    shares = (placed - (crop.x, crop.y) + 0.5) / (crop.width, crop.height)
    flags = person.keypoints[:, 2]
    return Proxy([[shares[joint].tolist() for joint in path] for path in PATHS], _names(flags == 0), _names(flags == 1))


def points_of(proxy: Proxy, crop: Crop) -> Points:
    """Places of all 14 vertices, (14, 2) in pixels of the bright frame, by joint.

    Raises ValueError unless the paths have 2, 3, 3, 3, 3 finite vertices.
    """
    lengths = [len(path) for path in proxy.paths]
    if lengths != [len(path) for path in PATHS]:
        raise ValueError(f"its paths have {lengths} points instead of {[len(path) for path in PATHS]}")
    points = np.empty((N_JOINTS, 2))
    points[ORDER] = np.array([point for path in proxy.paths for point in path], np.float64).reshape(N_JOINTS, 2)
    if not np.isfinite(points).all():
        raise ValueError("it has a point that is not a number")
    pixels: Points = points * (crop.width, crop.height) - 0.5 + (crop.x, crop.y)
    return pixels


def from_proxy(proxy: Proxy, crop: Crop) -> Keypoints:
    """Keypoints (14, 3) in pixels of the bright frame. Raises ValueError as `points_of`, or for an unknown joint."""
    keypoints = np.column_stack([points_of(proxy, crop), np.full(N_JOINTS, 2.0)])
    keypoints[_joints(proxy.occluded), 2] = 1
    keypoints[_joints(proxy.missing)] = 0
    return keypoints


def with_edits(person: Person, before: Proxy, after: Proxy, crop: Crop, size: tuple[int, int]) -> Person:
    """The person with what was changed in the App between `before` and `after`; the same object when nothing was.

    Untouched joints keep their exact values. A missing joint that was dragged becomes labelled. size: of the bright
    frame. Raises ValueError for a broken polyline.
    """
    old, new = points_of(before, crop), points_of(after, crop)
    moved = np.abs(new - old).max(1) > SAME_PX
    was_missing, is_missing = (_mask(proxy.missing) for proxy in (before, after))
    placed = replace(after, missing=_names(is_missing & ~(moved & was_missing)))
    edited = from_proxy(placed, crop)
    touched = moved | (edited[:, 2] != from_proxy(before, crop)[:, 2])
    keypoints = inside(np.where(touched[:, None], edited, person.keypoints), *size)
    if np.array_equal(keypoints, person.keypoints):
        return person
    return replace(
        person,
        keypoints=keypoints,
        box=_grown(person.box, keypoints),
        before=person.keypoints if person.before is None else person.before,
        review="rejected" if person.review == "rejected" else "edited",
    )


def new_person(name: str, proxy: Proxy, crop: Crop, size: tuple[int, int]) -> Person:
    """A person drawn in the App. Raises ValueError for a broken polyline, or one without a joint inside the picture."""
    keypoints = inside(from_proxy(proxy, crop), *size)
    labelled = keypoints[keypoints[:, 2] > 0, :2]
    if not len(labelled):
        raise ValueError("it has no joint inside the picture")
    extent = np.ptp(labelled, axis=0)
    x, y = labelled.min(0) - MARGIN * extent
    width, height = extent * (1 + 2 * MARGIN)
    box = (float(x), float(y), float(width), float(height))
    return Person(id=name, keypoints=keypoints, box=box, origin="hand: review", review="edited")


def standing_proxy() -> Proxy:
    """A person upright in the middle of the picture, to be dragged into place."""
    shares = STANDING * (0.12, 0.6) + (0.44, 0.2)
    return Proxy([[shares[joint].tolist() for joint in path] for path in PATHS])


@dataclass(frozen=True)
class Line:
    """A person in the App. person: their id, a new one if they were drawn there (`drawn`)."""

    person: str
    drawn: bool
    proxy: Proxy


def declare(fo: ModuleType, dataset: Any) -> None:
    """Add the field that can be edited to a FiftyOne data set."""
    dataset.add_sample_field(FIELD, fo.EmbeddedDocumentField, embedded_doc_type=fo.Polylines)
    dataset.add_sample_field(f"{FIELD}.polylines.person_id", fo.StringField)
    for name in ("missing", "occluded"):
        dataset.add_sample_field(f"{FIELD}.polylines.{name}", fo.ListField, subfield=fo.StringField)


def label_schema() -> dict[str, Any]:
    """What the App lets a person change of a polyline."""
    boxes = [{"name": name, "type": "list<str>", "component": "checkboxes", "values": list(JOINTS)}
             for name in ("missing", "occluded")]  # fmt: skip
    person_id = {"name": "person_id", "type": "str", "component": "text", "read_only": True}
    return {"type": "polylines", "component": "text", "attributes": [person_id, *boxes]}


def to_document(people: Mapping[str, Proxy], pair_id: str) -> dict[str, Any]:
    """People by id as FiftyOne stores them in the field. Ids of labels follow from those of pair and person."""
    lines = [
        {"_id": label_id(pair_id, FIELD, name), "_cls": "Polyline", "attributes": {}, "tags": [],
         **polyline(proxy, str(number), name)}
        for number, (name, proxy) in enumerate(people.items(), 1)
    ]  # fmt: skip
    return {"_cls": "Polylines", "polylines": lines}


def polyline(proxy: Proxy, label: str, person_id: str | None) -> dict[str, Any]:
    """Fields of FiftyOne's Polyline. label: shown beside it in the App, short because it covers the picture."""
    return {"label": label, "points": proxy.paths, "closed": False, "filled": False, "missing": list(proxy.missing),
            "occluded": list(proxy.occluded), "person_id": person_id}  # fmt: skip


def lines_in(document: Mapping[str, Any] | None) -> list[Line]:
    """The people in a field as FiftyOne stores it."""
    lines = []
    for line in (document or {}).get("polylines") or ():
        person = line.get("person_id")
        shape = Proxy(line.get("points") or (), line.get("missing") or (), line.get("occluded") or ())
        lines.append(Line(person or f"{DRAWN}{line['_id']}", not person, shape))
    return lines


def label_id(*parts: str) -> Any:
    """Id of a document in the database, derived from what it shows, so that importing again changes no id."""
    from bson import ObjectId

    return ObjectId(sha256_bytes("/".join(parts).encode())[:24])


def _grown(box: Box, keypoints: Keypoints) -> Box:
    """The box, grown to hold every labelled joint."""
    labelled = keypoints[keypoints[:, 2] > 0, :2]
    left, top = np.minimum(box[:2], labelled.min(0, initial=np.inf))
    right, bottom = np.maximum(np.add(box[:2], box[2:]), labelled.max(0, initial=-np.inf))
    return float(left), float(top), float(right - left), float(bottom - top)


def _joints(names: Sequence[str]) -> list[int]:
    unknown = [name for name in names if name not in JOINTS]
    if unknown:
        raise ValueError(f"it names an unknown joint {unknown[0]!r}")
    return [JOINTS.index(name) for name in names]


def _mask(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(N_JOINTS, bool)
    mask[_joints(names)] = True
    return mask


def _names(mask: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(JOINTS[joint] for joint in np.flatnonzero(mask))
