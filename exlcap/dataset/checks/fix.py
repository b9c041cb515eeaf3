"""A corrected copy of a data set or an annotation file; every change is listed, nothing is dropped."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file, write_json
from exlcap.core.joints import JOINTS, N_JOINTS, OKS_AREA_FACTOR
from exlcap.dataset.checks.card_checks import broken_card_files, refuse_unwritable, write_card_file
from exlcap.dataset.formats.keypoint_file import Json, KeypointFile, Listed
from exlcap.dataset.manifest import read_manifest, write_manifest

CARD_FILE = "card file"


@dataclass(frozen=True)
class Change:
    """One change. annotation_id: as before the change; None for a file of the data card."""

    what: str
    file: str
    annotation_id: Any
    text: str

    def place(self) -> str:
        """Where, for people."""
        return self.file if self.what == CARD_FILE else f"{self.file} annotation {self.annotation_id}"


def fix_file(file: KeypointFile, out: Path) -> list[Change]:
    """Write a corrected copy of one annotation file to `out`. Raises ExlcapError when `out` exists."""
    _refuse_existing(out)
    content, changes = corrected(file)
    write_json(out, content)
    return changes


def fix_dataset(folder: Path, files: tuple[KeypointFile, ...], out: Path) -> list[Change]:
    """Copy a data set of ours to `out` with corrected annotation files and, where it lacks files of its card, new ones.

    Raises ExlcapError when `out` exists, or the card can only be written by the build that the data set is of.
    """
    _refuse_existing(out)
    manifest = read_manifest(folder)
    refuse_unwritable(folder, manifest)
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("dataset.json"))  # it says "complete": written last
    changes: list[Change] = []
    sums = {}
    for file in files:
        content, made = corrected(file)
        path = out / "annotations" / file.path.name
        if made:
            write_json(path, content)
        sums[file.name] = sha256_file(path)
        changes += made
    for name in broken_card_files(folder, manifest):
        write_card_file(out, name, manifest)
        changes.append(Change(CARD_FILE, name, None, "written anew"))
    write_manifest(out, manifest.model_copy(update={"annotations_sha256": sums}))
    return changes


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise ExlcapError(f"{out} exists already", "a corrected copy never overwrites anything; give a new name")


def corrected(file: KeypointFile) -> tuple[dict[str, Any], list[Change]]:
    """Content of a corrected copy and what was changed.

    Joints outside the image lose their label (0, 0, 0), as does a joint with a visibility other than 0, 1, 2;
    num_keypoints is recounted; a missing area becomes 0.53 w h; ids count from 1 if one is 0, missing or duplicate.
    """
    content = copy.deepcopy(dict(file.content))
    changes: list[Change] = []
    read = {id(one.annotation): one for one in file.people}
    pairs = zip(file.content["annotations"], content["annotations"], strict=True)
    for before, annotation in pairs:
        if (one := read.get(id(before))) is not None:
            for what, text in _correct(one, annotation):
                changes.append(Change(what, file.path.name, before.get("id"), text))
    annotations = [annotation for annotation in content["annotations"] if isinstance(annotation, dict)]
    ids = [annotation.get("id") for annotation in annotations]
    if 0 in ids or None in ids or len(set(ids)) < len(ids):
        for number, annotation in enumerate(annotations, start=1):
            if (old := annotation.get("id")) != number:
                changes.append(Change("new id", file.path.name, old, f"id {old} -> {number}"))
                annotation["id"] = number
    return content, changes


def _correct(one: Listed, annotation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Correct one annotation; yields what was done and how."""
    for joint in range(N_JOINTS):
        x, y, flag = one.keypoints[joint]
        why = "outside the image" if _outside(x, y, one.image) else "visibility not 0, 1 or 2"
        if flag != 0 and (flag not in (1, 2) or _outside(x, y, one.image)):
            annotation["keypoints"][3 * joint : 3 * joint + 3] = [0, 0, 0]
            yield "joint unlabelled", f"{JOINTS[joint]} ({x:g}, {y:g}, {flag:g}) -> (0, 0, 0): {why}"
    count = int(np.count_nonzero(np.array(annotation["keypoints"][2::3], np.float64) > 0))
    if annotation.get("num_keypoints") != count:
        yield "num_keypoints", f"num_keypoints {annotation.get('num_keypoints')} -> {count}"
        annotation["num_keypoints"] = count
    if not annotation.get("area"):
        annotation["area"] = round(one.box[2] * one.box[3] * OKS_AREA_FACTOR, 4)
        yield "area", f"area {annotation['area']:g}"
    if count == 0:
        yield "kept without joints", "no joint is labelled: kept, with num_keypoints 0"


def _outside(x: float, y: float, image: Json) -> bool:
    """Whether a place is outside an image whose size is listed (pixel centres, so the edge is at -0.5)."""
    if "width" not in image or "height" not in image:
        return False
    return not (-0.5 <= x <= image["width"] - 0.5 and -0.5 <= y <= image["height"] - 0.5)
