"""Checks of labels, each with a name, on any COCO keypoint file in CrowdPose order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from exlcap.core.joints import JOINTS, joint_index
from exlcap.core.labels import inside
from exlcap.dataset.formats.keypoint_file import Json, KeypointFile, Listed

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
BOX_TOLERANCE_PX = 1e-3
"""A joint on the edge of its box is inside, also after both were rounded to four decimals."""
TORSO_SHARE = 0.25
"""Shoulders or hips closer together than this share of the torso's length do not tell which way it faces."""


@dataclass(frozen=True)
class Finding:
    """A defect and the check that found it. Ids are None where it does not belong to one image or person."""

    check: str
    severity: Severity
    file: str
    text: str
    image: str | None = None
    image_id: Any = None
    annotation_id: Any = None

    def place(self) -> str:
        """Where, for people."""
        image = "" if self.image is None else f" image {self.image_id} ({self.image})"
        return self.file + image + ("" if self.annotation_id is None else f" annotation {self.annotation_id}")

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


@dataclass(frozen=True)
class Defect:
    """What is wrong, and where; `Check.run` adds the check's name and severity."""

    text: str
    file: str = ""
    image: Json | None = None
    annotation: Json | None = None


S = TypeVar("S")


@dataclass(frozen=True)
class Check(Generic[S]):
    """A named check of a subject. what: its meaning in a few words."""

    name: str
    severity: Severity
    what: str
    find: Callable[[S], Iterator[Defect]]

    def run(self, subject: S, file: str = "") -> Iterator[Finding]:
        """Findings in `subject`; `file` names it where the check does not."""
        for defect in self.find(subject):
            image, annotation = defect.image or {}, defect.annotation or {}
            yield Finding(
                self.name, self.severity, defect.file or file, defect.text, image.get("file_name"), image.get("id"),
                annotation.get("id"),
            )  # fmt: skip


def defect_of(one: Listed, text: str) -> Defect:
    """A defect of one person."""
    return Defect(text, image=one.image, annotation=one.annotation)


def _malformed(file: KeypointFile) -> Iterator[Defect]:
    for annotation, why in file.broken:
        yield Defect(why, annotation=annotation)


def _annotation_id_zero(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        if one.annotation.get("id", 0) == 0:
            yield defect_of(one, 'no id, or id 0, which pycocotools takes for "not matched"')


def _duplicate_ids(file: KeypointFile) -> Iterator[Defect]:
    images = Counter(image["id"] for image in file.images)
    for image in file.images:
        if images[image["id"]] > 1:
            yield Defect(f"{images[image['id']]} images have this id", image=image)
    people = Counter(one.annotation.get("id") for one in file.people)
    for one in file.people:
        if people[one.annotation.get("id")] > 1:
            yield defect_of(one, f"{people[one.annotation.get('id')]} annotations have this id")


def _missing_area(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        if not one.annotation.get("area"):
            yield defect_of(one, "no area, which OKS needs")


def _wrong_num_keypoints(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        count = int((one.keypoints[:, 2] > 0).sum())
        if one.annotation.get("num_keypoints") != count:
            yield defect_of(
                one, f"num_keypoints is {one.annotation.get('num_keypoints')}, but {count} joints are labelled"
            )


def _no_joints(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        if not (one.keypoints[:, 2] > 0).any():
            yield defect_of(one, "no joint is labelled")


def _joint_outside_image(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        if "width" in one.image and "height" in one.image:
            kept = inside(one.keypoints, one.image["width"], one.image["height"])
            for joint in np.flatnonzero((one.keypoints[:, 2] > 0) & (kept[:, 2] == 0)):
                x, y = one.keypoints[joint, :2]
                size = f"{one.image['width']}x{one.image['height']}"
                yield defect_of(one, f"{JOINTS[joint]} at ({x:g}, {y:g}) is outside the image of {size}")


def _joint_outside_box(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        left, top, width, height = one.box
        at = one.keypoints[:, :2]
        low, high = (left - BOX_TOLERANCE_PX, top - BOX_TOLERANCE_PX), (left + width, top + height)
        out = (at < low).any(1) | (at > np.add(high, BOX_TOLERANCE_PX)).any(1)
        for joint in np.flatnonzero(out & (one.keypoints[:, 2] > 0)):
            yield defect_of(one, f"{JOINTS[joint]} at ({at[joint][0]:g}, {at[joint][1]:g}) is outside its box")


def _bad_visibility(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        for joint in np.flatnonzero(~np.isin(one.keypoints[:, 2], (0, 1, 2))):
            yield defect_of(one, f"{JOINTS[joint]} has visibility {one.keypoints[joint, 2]:g}, not 0, 1 or 2")


def _one_visibility(file: KeypointFile) -> Iterator[Defect]:
    flags = {float(flag) for one in file.people for flag in one.keypoints[:, 2]}
    if len(flags - {0.0}) == 1:
        names = " and ".join(f"{flag:g}" for flag in sorted(flags))
        yield Defect(f"visibility is only {names}: hidden joints are not distinguished from visible ones")


def _swapped_sides(file: KeypointFile) -> Iterator[Defect]:
    for one in file.people:
        if sides_cross(one):
            yield defect_of(
                one, "shoulders and hips face opposite ways: left and right may be swapped, or the body twisted"
            )


def sides_cross(one: Listed) -> bool:
    """Whether a person's shoulders face us and the hips do not, or the other way round.

    From right to left, shoulders and hips point the same way on any body that is not twisted by more than a right
    angle, in whatever pose and from whatever side; narrow ones (a profile) tell nothing and are skipped. Whether a
    whole person is swapped cannot be told from joints alone.
    """
    corners = [joint_index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
    if not (one.keypoints[corners, 2] > 0).all():
        return False
    left_shoulder, right_shoulder, left_hip, right_hip = one.keypoints[corners, :2]
    shoulders, hips = left_shoulder - right_shoulder, left_hip - right_hip
    torso = np.linalg.norm((left_shoulder + right_shoulder - left_hip - right_hip) / 2)
    widths = np.linalg.norm(shoulders), np.linalg.norm(hips)
    return bool(min(widths) > TORSO_SHARE * torso and shoulders @ hips < -0.5 * widths[0] * widths[1])


def _mixed_image_sizes(file: KeypointFile) -> Iterator[Defect]:
    sizes = Counter((image.get("width"), image.get("height")) for image in file.images)
    if len(sizes) > 1:
        shown = ", ".join(f"{w}x{h} ({n})" for (w, h), n in sizes.most_common(8))
        yield Defect(f"{len(sizes)} image sizes: {shown}{', ...' if len(sizes) > 8 else ''}")


LABEL_CHECKS: tuple[Check[KeypointFile], ...] = (
    Check("malformed", "error", "annotations that cannot be read", _malformed),
    Check("annotation_id_zero", "error", "annotations with id 0 or none", _annotation_id_zero),
    Check("duplicate_id", "error", "images or annotations that share an id", _duplicate_ids),
    Check("missing_area", "error", "annotations without area", _missing_area),
    Check("wrong_num_keypoints", "error", "num_keypoints other than the labelled joints", _wrong_num_keypoints),
    Check("bad_visibility", "error", "visibility other than 0, 1, 2", _bad_visibility),
    Check("joint_outside_image", "error", "joints outside the image", _joint_outside_image),
    Check("no_joints", "warning", "people without any joint", _no_joints),
    Check("joint_outside_box", "warning", "joints outside the person's box", _joint_outside_box),
    Check("swapped_sides", "warning", "left and right possibly swapped", _swapped_sides),
    Check("one_visibility", "note", "hidden joints not distinguished from visible ones", _one_visibility),
    Check("mixed_image_sizes", "note", "more than one image size", _mixed_image_sizes),
)  # fmt: skip
"""Checks of one COCO keypoint file, worst first."""
