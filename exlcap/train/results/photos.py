"""The input of `exlcap predict`: pictures, and the boxes of the people in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json
from exlcap.core.labels import Box, as_box
from exlcap.train.data.people import Rgb8
from exlcap.train.results.detections import read_detections

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Photo:
    """A picture. name: in the results, as the COCO file has it, else below the folder that was given.

    boxes: of people, each with the detector's confidence; None takes the whole picture as one person.
    """

    path: Path
    name: str
    image_id: int
    boxes: tuple[tuple[Box, float], ...] | None = None


def find_photos(given: Sequence[Path]) -> list[Photo]:
    """The pictures that were given, and those in the folders that were given, numbered from 1.

    Raises ExlcapError when there is none, or when two have the same name.
    """
    paths: dict[str, Path] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            named = {p.relative_to(path).as_posix(): p for p in inside}
        else:
            named = {path.name: path}
        for name, file in named.items():
            if paths.setdefault(name, file) != file:
                raise ExlcapError(f"{paths[name]} and {file} have the same name", "predict them one after the other")
    if not paths:
        raise ExlcapError(f"no picture in {', '.join(map(str, given))}", f"pictures end in {', '.join(SUFFIXES)}")
    return [Photo(path, name, number) for number, (name, path) in enumerate(paths.items(), start=1)]


def with_boxes(photos: Sequence[Photo], coco: Path | None, detections: Path | None) -> list[Photo]:
    """The pictures that have boxes of people, with these boxes.

    coco: a COCO file, whose `file_name` and `id` the pictures take, and whose annotations are the people unless
    detections, in COCO's results format, take their place. Without either, each picture is one person.
    Raises ExlcapError naming what is wrong.
    """
    if coco is None and detections is None:
        return list(photos)
    if coco is None:
        images: list[dict[str, Any]] = [{"id": p.image_id, "file_name": p.name, **_size(p.path)} for p in photos]
        named = list(photos)
    else:
        data = read_json(coco, "COCO file")
        images, annotations = _lists(data, coco)
        named = _named(photos, images, coco)
    boxes_of: dict[str, list[tuple[Box, float]]] = {photo.name: [] for photo in named}
    if detections is not None:
        for detection in read_detections(detections, {(coco or detections).name: images}):
            boxes_of.get(detection.file, []).append((detection.box, detection.score))
    else:
        files = {image["id"]: image["file_name"] for image in images}
        for image_id, box in _boxes(annotations, coco):
            boxes_of.get(files.get(image_id, ""), []).append((box, 1.0))
    return [Photo(p.path, p.name, p.image_id, tuple(boxes_of[p.name])) for p in named if boxes_of[p.name]]


def _lists(data: Any, path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    try:
        images = [
            {"id": int(i["id"]), "file_name": str(i["file_name"]), "width": int(i["width"]), "height": int(i["height"])}
            for i in data["images"]
        ]
        return images, list(data.get("annotations", []))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExlcapError(
            f"{path} is not a COCO file: {type(error).__name__}: {error}",
            "it needs `images` with `id`, `file_name`, `width` and `height`, and `annotations` with `bbox`",
        ) from None


def _boxes(annotations: Iterable[Mapping[str, Any]], path: Path | None) -> Iterator[tuple[int, Box]]:
    """The images and the checked boxes of a COCO file's people; crowds are left out."""
    for number, annotation in enumerate(annotations, start=1):
        try:
            image_id, box = int(annotation["image_id"]), as_box(annotation["bbox"])
            if not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
                raise ValueError(f"the box has no area: {box}")
            crowd = annotation.get("iscrowd", 0)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ExlcapError(
                f"{path}: annotation {number}: {type(error).__name__}: {error}", "correct this annotation and run again"
            ) from None
        if not crowd:
            yield image_id, box


def _named(photos: Sequence[Photo], images: Sequence[Mapping[str, Any]], path: Path) -> list[Photo]:
    """The pictures that a COCO file lists, by the end of their paths, or by file name alone if it is unique."""
    whole = {tuple(Path(image["file_name"]).parts): image for image in images}
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for image in images:
        by_name.setdefault(Path(image["file_name"]).name, []).append(image)
    listed = []
    for photo in photos:
        parts = photo.path.resolve().parts
        alike = by_name.get(photo.path.name, [])
        fitting = [whole[parts[-n:]] for n in range(len(parts), 0, -1) if parts[-n:] in whole]
        for image in fitting[:1] or (alike if len(alike) == 1 else []):
            listed.append(Photo(photo.path, image["file_name"], image["id"]))
    if not listed:
        raise ExlcapError(f"{path} lists none of the {len(photos)} pictures, as {photos[0].path}",
                          "its `file_name` must be the end of a picture's path, or its name")  # fmt: skip
    return listed


def read_photo(path: Path, turned: bool) -> Rgb8:
    """A picture of 8-bit sRGB: uint8 (H, W, 3), RGB. turned: as its EXIF says, else as its pixels lie.

    Raises ExlcapError when it is missing, damaged, or of more than 8 bits.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise ExlcapError(f"picture not found: {path}", "check the path") from None
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR | (0 if turned else cv2.IMREAD_IGNORE_ORIENTATION)
    decoded = cv2.imdecode(data, flags) if data.size else None
    if decoded is None:
        raise ExlcapError(f"{path} is not a picture or is damaged", "leave it out, or restore it from a copy")
    if decoded.dtype != np.uint8:
        raise ExlcapError(f"{path} has {decoded.dtype} values; networks of exlcap read 8-bit sRGB",
                          "develop raw frames with `exlcap build`")  # fmt: skip
    picture: Rgb8 = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return picture


def _size(path: Path) -> dict[str, int]:
    height, width = read_photo(path, turned=False).shape[:2]
    return {"width": width, "height": height}
