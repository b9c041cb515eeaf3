"""A finished data set for other tools: plain COCO keypoints, the official ExLPose layout, MMPose, FiftyOne."""

from __future__ import annotations

import shutil
from pathlib import Path

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json
from exlcap.dataset.manifest import Manifest, read_complete


def read_for_export(folder: Path, out: Path) -> Manifest:
    """The data set to export. Raises ExlcapError when it is not finished or not 8-bit sRGB, or `out` exists."""
    manifest = read_complete(folder)
    if manifest.parameters.depth != 8:
        raise ExlcapError(
            f"the data set at {folder} holds {manifest.parameters.depth}-bit linear images; other tools would take "
            "them for sRGB",
            "build one with `exlcap build --depth 8` under another --name, and export that",
        )
    if out.exists():
        raise ExlcapError(f"{out} exists already", "an export never overwrites anything; give a new folder")
    return manifest


def annotation_names(manifest: Manifest) -> list[str]:
    """Names of the annotation files that list images."""
    return [name for name, (images, _) in manifest.counts.items() if images]


def export_coco(folder: Path, out: Path) -> int:
    """Copy images and annotations as COCO keypoints: ``images/`` and ``annotations/``, the files as they are.

    Nothing is lost: our own fields (pair_id, person_id, exposure, gain) stay, and other tools ignore them.
    Returns the number of images.
    """
    manifest = read_for_export(folder, out)
    (out / "annotations").mkdir(parents=True)
    names: set[str] = set()
    for name in annotation_names(manifest):
        path = folder / "annotations" / f"{name}.json"
        names |= {image["file_name"] for image in read_json(path, "COCO keypoint file")["images"]}
        shutil.copyfile(path, out / "annotations" / path.name)
    for name in sorted(names):
        copy_image(folder / "images" / name, out / "images" / name)
    return len(names)


def copy_image(source: Path, target: Path) -> None:
    """Copy an image. Raises ExlcapError when it is missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise ExlcapError(f"image not found: {source}", "`exlcap validate` lists what is missing") from None


def export_fiftyone(folder: Path, out: Path) -> int:
    """Write the COCO files and a script that loads them into FiftyOne as groups of bright and dark images."""
    images = export_coco(folder, out)
    shutil.copyfile(Path(__file__).parent / "templates" / "load_in_fiftyone.py.txt", out / "load_in_fiftyone.py")
    return images
