"""A data set in the layout that the official ExLPose code reads.

    bright/<short name>.png  dark/<short name>.png
    Annotations/ExLPose/ExLPose_train.json, ExLPose_train_trans.json, ExLPose_test_LL-All.json, ... (long names)

The official loader makes the short name from the long one of the annotations (`exlpose_names`). Its lists of people
leave out those without joints, as the published ones do; boxes are whole pixels there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, write_json
from exlcap.dataset.formats.exlpose_names import ExlposeName, parse_name
from exlcap.dataset.formats.export import copy_image, read_for_export
from exlcap.dataset.manifest import Manifest

FILES = {
    "train": "train", "val": "val", "test_LL-A": "test_LL-All", "test_LL-N": "test_LL-Normal",
    "test_LL-H": "test_LL-Hard", "test_LL-E": "test_LL-Extreme",
}  # fmt: skip
"""Annotation file of ours -> of theirs; they judge WL on the bright images of LL-All."""


def export_exlpose(folder: Path, out: Path) -> int:
    """Write the layout and return the number of images.

    Raises ExlcapError when the data set has no pairs, or its bright and dark images do not have the same pixels.
    """
    manifest = read_for_export(folder, out)
    if not manifest.pairs or any(entry.low_size for entry in manifest.pairs):
        raise ExlcapError(f"{folder} does not fit the ExLPose layout: its dark images have other pixels",
                          "build it with `--warp well` or `--warp low`")  # fmt: skip
    names = official_names(manifest)
    for entry in manifest.pairs:
        for light, place in (("well", "bright"), ("low", "dark")):
            target = out / place / names[entry.pair_id].short()
            copy_image(folder / "images" / light / f"{entry.pair_id}.png", target)
    annotations = out / "Annotations" / "ExLPose"
    for ours, theirs in FILES.items():
        if manifest.counts.get(ours, (0, 0))[0]:
            content = _coco(read_json(folder / "annotations" / f"{ours}.json", "COCO keypoint file"), names)
            write_json(annotations / f"ExLPose_{theirs}.json", content)
            write_json(annotations / f"ExLPose_{theirs}_trans.json", flat_list(content))
    return 2 * len(manifest.pairs)


def official_names(manifest: Manifest) -> dict[str, ExlposeName]:
    """A name of ExLPose's grammar for every pair: its own where the data set was imported.

    For others the number of the take stands for the date (from 9000 on) and that of the scene for the video. They have
    no place: the official loader knows only its own three, and a lone 3.
    """
    numbers = {scene: number for number, scene in enumerate(sorted({entry.scene for entry in manifest.pairs}))}
    names = {}
    for entry in manifest.pairs:
        name = parse_name(entry.key) or ExlposeName(
            date=f"{9000 + entry.take % 1000:04d}",
            place="",
            video=f"{numbers[entry.scene]:06d}",
            divisor=str(100 * entry.k),
            light="bright",
            frame=f"{entry.index:06d}",
            gain_db=None,
            exposure_us=f"{entry.exposure_us:.0f}",
        )
        names[entry.pair_id] = replace(name, light="bright", gain_db=f"{entry.well_gain_db:.2f}")
    return names


def _coco(content: dict[str, Any], names: dict[str, ExlposeName]) -> dict[str, Any]:
    """The bright names for every pair once, with ids, boxes and joints as they are."""
    dark_only = all(image["lighting"] == "low" for image in content["images"])
    images = [image for image in content["images"] if dark_only or image["lighting"] == "well"]
    kept = {image["id"] for image in images}
    listed = [
        {
            "file_name": f"bright/{names[image['pair_id']].long()}",
            "id": image["id"],
            "height": image["height"],
            "width": image["width"],
            "crowdIndex": image.get("crowdIndex", 0),
        }
        for image in images
    ]
    annotations = [annotation for annotation in content["annotations"] if annotation["image_id"] in kept]
    return {"images": listed, "annotations": annotations, "categories": content["categories"]}


def flat_list(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The ``*_trans.json`` of a COCO file. `operation` is read, and unused, by the official training loader."""
    names = {image["id"]: image["file_name"] for image in content["images"]}
    people = []
    for annotation in content["annotations"]:
        if annotation["num_keypoints"] == 0:
            continue
        x, y, width, height = annotation["bbox"]
        unit = {
            "num_keypoints": annotation["num_keypoints"],
            "keypoints": annotation["keypoints"],
            "GT_bbox": [int(x), int(y), int(x + width), int(y + height)],
        }
        info = {"imgID": annotation["image_id"], "img_paths": names[annotation["image_id"]]}
        people.append({"unit": unit, "imgInfo": info, "score": 1, "operation": 0})
    return people
