"""Reading a data set: its people as pairs for training, and the people of one split for evaluation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, sha256_bytes, sha256_file
from exlcap.core.joints import N_JOINTS
from exlcap.core.labels import Box, Keypoints, as_box, check_keypoints
from exlcap.core.rig import Light
from exlcap.dataset.manifest import read_complete

TEST_SPLITS: tuple[str, ...] = ("LL-N", "LL-H", "LL-E", "LL-A", "WL")
"""Test splits in the order of the paper's Table 2."""
REBUILD = "rebuild the data set with `exlcap build`"
Rgb8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LabelledPerson:
    """A person in one image. file: below images/. keypoints: float64 (14, 3) of x, y, flag. box: x, y, w, h.

    A person keeps `pair_id` and `person_id` in both images of a pair. Of a detected person no joint is labelled: all
    flags are 0.
    """

    file: str
    light: Light
    image_id: int
    pair_id: str
    person_id: str
    keypoints: Keypoints
    box: Box


@dataclass(frozen=True)
class PersonPair:
    """The same person in both images of a pair."""

    low: LabelledPerson
    well: LabelledPerson


@dataclass(frozen=True)
class Split:
    """One annotation file. people: those with a box and a labelled joint; crowds are left out, as COCO ignores them.

    coco: the file itself, for pycocotools. unpaired: how many people appear in only one image of their pair.
    """

    name: str
    coco: dict[str, Any]
    people: tuple[LabelledPerson, ...]
    pairs: tuple[PersonPair, ...] = ()
    unpaired: int = 0

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.coco["images"])


def check_dataset(folder: Path) -> None:
    """Raise ExlcapError unless this is a complete data set of 8-bit sRGB in a known format."""
    if (depth := read_complete(folder).parameters.depth) != 8:
        raise ExlcapError(f"the data set at {folder} holds {depth}-bit linear images; training reads 8-bit sRGB",
                          "build one with `exlcap build --depth 8` under another --name")  # fmt: skip


def other_tests(folder: Path) -> list[str]:
    """Test splits beyond the paper's five, such as the cameras of ExLPose-OCN ("A7M3", "RICOH3")."""
    names = sorted(path.stem.removeprefix("test_") for path in (folder / "annotations").glob("test_*.json"))
    return [name for name in names if name not in TEST_SPLITS]


def data_checksum(folder: Path) -> str:
    """SHA-256 over the data set's record and the annotations a training run reads (train and val)."""
    paths = [folder / "dataset.json", *(folder / "annotations" / f"{name}.json" for name in ("train", "val"))]
    return sha256_bytes("\n".join(f"{p.name} {sha256_file(p)}" for p in paths if p.exists()).encode())


def read_split(folder: Path, name: str) -> Split | None:
    """One split of a data set: "train", "val" or "test_<one of TEST_SPLITS>"; None where there is no such file.

    Raises ExlcapError naming the file and the annotation that is wrong.
    """
    path = folder / "annotations" / f"{name}.json"
    if not path.exists():
        return None
    data = read_json(path, "COCO keypoint file")
    try:
        images = {int(image["id"]): image for image in data["images"]}
        annotations: list[dict[str, Any]] = data["annotations"]
    except (KeyError, TypeError, ValueError) as error:
        raise ExlcapError(f"{path} is not a COCO keypoint file: {type(error).__name__}: {error}", REBUILD) from None
    people: list[LabelledPerson] = []
    sides: dict[tuple[str, str], dict[Light, LabelledPerson]] = defaultdict(dict)
    for number, annotation in enumerate(annotations):
        try:
            person = _labelled_person(annotation, images)
            if person is None:
                continue
            people.append(person)
            sides[person.pair_id, person.person_id][person.light] = person
        except (KeyError, TypeError, ValueError) as error:
            where = annotation.get("id", f"number {number}")
            raise ExlcapError(f"{path}: annotation {where}: {type(error).__name__}: {error}", REBUILD) from None
    pairs = tuple(PersonPair(p["low"], p["well"]) for p in sides.values() if len(p) == 2)
    return Split(name, data, tuple(people), pairs, len(sides) - len(pairs))


def one_light(split: Split, light: Light) -> Split:
    """The images of a split in one light, and their people."""
    images = [image for image in split.coco["images"] if image["lighting"] == light]
    ids = {image["id"] for image in images}
    annotations = [a for a in split.coco["annotations"] if a["image_id"] in ids]
    return Split(
        name=f"{split.name} ({light})",
        coco={**split.coco, "images": images, "annotations": annotations},
        people=tuple(person for person in split.people if person.light == light),
    )


def _labelled_person(annotation: Mapping[str, Any], images: Mapping[int, Mapping[str, Any]]) -> LabelledPerson | None:
    """A checked annotation; None for crowds and for people without a labelled joint."""
    image = images[annotation["image_id"]]
    keypoints = np.array(annotation["keypoints"], np.float64).reshape(N_JOINTS, 3)
    check_keypoints(keypoints)
    box = as_box(annotation["bbox"])
    if annotation.get("iscrowd", 0) or not (keypoints[:, 2] > 0).any():
        return None
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError(f"the box has no area: {box}")
    light = image["lighting"]
    if light not in ("well", "low"):
        raise ValueError(f"image {image['id']}: lighting must be 'well' or 'low', found {light!r}")
    return LabelledPerson(
        file=str(image["file_name"]),
        light=light,
        image_id=int(image["id"]),
        pair_id=str(annotation["pair_id"]),
        person_id=str(annotation["person_id"]),
        keypoints=keypoints,
        box=box,
    )


def read_image(folder: Path, file: str) -> Rgb8:
    """An image of the data set: uint8 (H, W, 3), RGB. Raises ExlcapError when it is missing or damaged."""
    import cv2

    path = folder / "images" / file
    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise ExlcapError(f"image not found: {path}", REBUILD) from None
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if decoded is None:
        raise ExlcapError(f"{path} is damaged or cut off", REBUILD)
    image: Rgb8 = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return image
