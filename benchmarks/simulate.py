"""Seconds for 100 photographs of `exlcap simulate`. ``python benchmarks/simulate.py [--json]``

Generated photographs of 640 x 480 with one person each, one pair a photograph, all cores, into a temporary folder.
Not measured: disks slower than this machine's, larger photographs, the contact sheet.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from exlcap.core.files import write_json
from exlcap.core.labels import COCO_CATEGORY, Person, coco_annotation
from exlcap.core.rig import read_rig
from exlcap.dataset.simulated.photo_pairs import Cameras
from exlcap.dataset.simulated.photo_set import find_photos, simulate_photos
from exlcap.init import rig_toml
from exlcap.simulate.optics import true_alignment

COUNT = 100
SIZE = (640, 480)


def write_photos(folder: Path) -> Path:
    """Smooth colourful JPEG photographs and their labels, whose path is returned."""
    images, annotations = [], []
    for number in range(1, COUNT + 1):
        rng = np.random.default_rng([number])
        small = rng.integers(20, 235, (SIZE[1] // 16, SIZE[0] // 16, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC))
        images.append({"id": number, "file_name": f"{number}.jpg", "width": SIZE[0], "height": SIZE[1]})
        joints = np.column_stack([rng.uniform((250, 100), (390, 380), (14, 2)), np.full(14, 2.0)])
        person = Person("1", joints, (240.0, 90.0, 160.0, 300.0), "made")
        annotations.append(coco_annotation(person, number, number, ""))
    write_json(folder / "labels.json", {"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]})
    return folder / "labels.json"


def main() -> None:
    """Make the data set once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rig.toml").write_text(rig_toml(emulated=True), encoding="utf-8")
        rig = read_rig(folder / "rig.toml")
        photos, test = find_photos(folder, write_photos(folder), None)
        wall, cpu = time.perf_counter(), time.process_time()
        simulate_photos(folder / "out", Cameras(rig, true_alignment(rig), seed=0, pairs_per_photo=1), photos, test)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        json.dumps(
            {
                "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
                "versions": {name: version(name) for name in ("exlcap", "numpy", "opencv-python-headless")},
                "figures": {
                    "photos": COUNT,
                    "size": list(SIZE),
                    "seconds": round(wall, 2),
                    "cpu_seconds": round(cpu, 2),
                    "photos_per_s_per_core": round(COUNT / cpu, 2),
                },
                "bars": {},
                "not_measured": "slow disks; larger photographs",
            },
            indent=None if as_json else 1,
        )
    )


if __name__ == "__main__":
    main()
