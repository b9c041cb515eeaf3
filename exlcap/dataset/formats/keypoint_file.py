"""A COCO keypoint file, ours or foreign: the annotations that can be read, and those that cannot, with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json
from exlcap.core.joints import JOINTS, N_JOINTS
from exlcap.core.labels import Box, Keypoints, as_box

Json = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Listed:
    """A readable annotation with its image. keypoints: float64 (14, 3), flags not checked."""

    annotation: Json
    image: Json
    keypoints: Keypoints
    box: Box


@dataclass(frozen=True)
class KeypointFile:
    """A COCO keypoint file. broken: annotations that cannot be read, and why."""

    path: Path
    content: Json
    images: tuple[Json, ...]
    people: tuple[Listed, ...]
    broken: tuple[tuple[Json, str], ...]

    @property
    def name(self) -> str:
        """Name of the file without its suffix ("train", "test_LL-N")."""
        return self.path.stem


def read_keypoint_file(path: Path) -> KeypointFile:
    """Read a COCO keypoint file in CrowdPose order.

    Raises ExlcapError when it is something else, or has other joints.
    """
    content = read_json(path, "COCO keypoint file")
    try:
        images = tuple(content["images"])
        annotations = tuple(content["annotations"])
        by_id = {image["id"]: image for image in images if str(image["file_name"])}
        orders = [tuple(c["keypoints"]) for c in content.get("categories") or () if c.get("keypoints")]
    except (KeyError, TypeError, AttributeError) as error:
        raise ExlcapError(f"{path} is not a COCO keypoint file: {type(error).__name__}: {error}",
                          "it needs `images` with `id` and `file_name`, and `annotations`") from None  # fmt: skip
    if orders and orders[0] != JOINTS:
        raise ExlcapError(f"{path}: its {len(orders[0])} joints are not the 14 of CrowdPose in their order",
                          f"bring the joints into the order {', '.join(JOINTS)}")  # fmt: skip
    people: list[Listed] = []
    broken: list[tuple[Json, str]] = []
    for annotation in annotations:
        try:
            people.append(_listed(annotation, by_id))
        except (KeyError, TypeError, ValueError) as error:
            known = annotation if isinstance(annotation, dict) else {}
            broken.append((known, f"{type(error).__name__}: {error}"))
    return KeypointFile(path, content, images, tuple(people), tuple(broken))


def _listed(annotation: Json, images: Mapping[Any, Json]) -> Listed:
    """An annotation with its parts. Raises KeyError, TypeError or ValueError when one is missing or malformed."""
    if annotation["image_id"] not in images:
        raise ValueError(f"there is no image {annotation['image_id']!r}")
    keypoints = np.array(annotation["keypoints"], np.float64)
    if keypoints.shape != (3 * N_JOINTS,) or not np.isfinite(keypoints).all():
        raise ValueError(f"keypoints must be {3 * N_JOINTS} finite numbers")
    box = as_box(annotation["bbox"])
    if not all(math.isfinite(value) for value in box) or box[2] <= 0 or box[3] <= 0:
        raise ValueError(f"the box must be finite with a width and a height above 0, found {list(box)}")
    return Listed(annotation, images[annotation["image_id"]], keypoints.reshape(N_JOINTS, 3), box)
