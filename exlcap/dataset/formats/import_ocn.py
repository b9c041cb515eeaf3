"""ExLPose-OCN as a data set of ours: dark photographs by two other cameras, without partners, for testing only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from exlcap import __version__
from exlcap.core.console import progress
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import COCO_CATEGORY, coco_annotation
from exlcap.dataset.checks.image_files import read_image_file
from exlcap.dataset.finish import begin_adopted, finish_adopted
from exlcap.dataset.formats.exlpose_files import PublishedImage, published_files, read_published
from exlcap.dataset.images import write_png
from exlcap.dataset.manifest import Manifest, SingleEntry

Photo = tuple[str, PublishedImage, Path]
"""Camera, annotated image, and its file."""


def import_ocn(source: Path, folder: Path, licence: str = "") -> Manifest:
    """Import ExLPose-OCN below `source` into the data set `folder`.

    Writes test_<camera>.json for each camera, and test_LL-A.json with both, which `exlcap eval` reads.
    Raises ExlcapError when annotations or images are missing or of the wrong size.
    """
    files = {"/".join(path.parts[-2:]): path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".png")}
    photos: list[Photo] = []
    for path in published_files(source, ocn=True):
        if path.stem.endswith("_trans"):  # holds the same people without their exact boxes
            continue
        for image in read_published(path):
            name = "/".join(Path(image.name).parts[-2:])
            if name not in files:
                raise ExlcapError(
                    f"{path}: image {image.name} is not below {source}", "download the images of this camera"
                )
            photos.append((path.stem.split("_")[-1], image, files[name]))
    building = Manifest(name=folder.name, status="building", exlcap=__version__, origin="imported",
                        source="ExLPose-OCN (Lee et al., CVPR 2023)", licence=licence,
                        splits={"train": (), "val": (), "test": tuple(_name(photo) for photo in photos)})  # fmt: skip
    begin_adopted(folder, building)
    with progress("import", len(photos)) as step, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        singles = []
        for single in pool.map(partial(_import_photo, folder), photos):
            singles.append(single)
            step(single.name)
    both = list(zip(photos, singles, strict=True))
    cameras = sorted({photo[0] for photo in photos})
    content = {f"test_{camera}": _coco_file([one for one in both if one[0][0] == camera]) for camera in cameras}
    whole = building.model_copy(update={"singles": tuple(singles)})
    return finish_adopted(folder, whole, {**content, "test_LL-A": _coco_file(both)})


def _name(photo: Photo) -> str:
    return f"{photo[0]}-{photo[2].stem}"


def _import_photo(folder: Path, photo: Photo) -> SingleEntry:
    """Copy a photograph. One that EXIF would rotate is stored as PNG without rotation, as it was labelled."""
    import cv2

    _, image, path = photo
    file = f"low/{_name(photo)}{path.suffix.lower()}"
    data = np.fromfile(path, np.uint8)
    stored = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if stored is None:
        raise ExlcapError(f"{path} is damaged or cut off", "download the file again")
    size = (stored.shape[1], stored.shape[0])
    if image.size not in (None, size):
        raise ExlcapError(f"{path} is {size}, its annotation says {image.size} (width, height)",
                          "image and annotation are from different releases")  # fmt: skip
    (folder / "images" / "low").mkdir(parents=True, exist_ok=True)
    if np.array_equal(stored, cv2.imdecode(data, cv2.IMREAD_COLOR)):
        shutil.copyfile(path, folder / "images" / file)
    else:
        file = f"low/{_name(photo)}.png"
        write_png(folder / "images" / file, stored[..., ::-1])
    picture = read_image_file(folder / "images" / file)
    assert picture is not None
    return SingleEntry(name=_name(photo), file=file, width=size[0], height=size[1], sha256=picture.sha256,
                       mean_level=picture.mean_level)  # fmt: skip


def _coco_file(photos: Sequence[tuple[Photo, SingleEntry]]) -> dict[str, Any]:
    """A COCO keypoint file of dark images without partner."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for (camera, image, _), single in photos:
        images.append({"id": len(images) + 1, "file_name": single.file, "width": single.width, "height": single.height,
                       "lighting": "low", "pair_id": single.name, "scene": single.name, "camera": camera})  # fmt: skip
        for person in image.people:
            annotations.append(coco_annotation(person, len(annotations) + 1, len(images), single.name))
    return {"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]}
