"""How good and how fast automatic labels are. ``python benchmarks/annotate.py [--json] [--people N] [--card CARD]``

With the small networks of ../shared/data/models (which need be there): PCK on people/test.json with the annotated box
given, at 0.1 of its longer side, for MoveNet (12 joints) with CPM (head, neck), with and without the flip test, and for
MoveNet alone with head and neck derived; how often joints of each flag are right; OKS-AP (pycocotools, 14 sigmas, area
box area x 0.53) with detected boxes on crowd/annotations.json, whose unlabelled people count as false; people a second
on 2 threads, medians of interleaved runs. --card measures another network beside them, such as rtmpose-m.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from exlcap.annotate.automatic import as_person
from exlcap.annotate.networks.choose import Networks, choose_cards, load_networks
from exlcap.annotate.networks.people import PoseEstimate, people_in, people_in_boxes
from exlcap.core.alignment import make_alignment
from exlcap.core.develop import Rgb8
from exlcap.core.joints import JOINTS, OKS_AREA_FACTOR, OKS_SIGMAS
from exlcap.core.labels import LabelledImage, read_coco

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
CARDS = ROOT / "tests" / "annotate" / "cards"
THREADS = 2
PCK_AT = 0.1
PCK_AIM = 0.62
Photo = tuple[LabelledImage, Rgb8]


def photos(name: str, folder: str, count: int | None = None) -> list[Photo]:
    """Labelled pictures of a folder of ../shared/data."""
    found = []
    for image in read_coco(DATA / folder / f"{name}.json")[:count]:
        picture = cv2.imread(str(DATA / folder / "images" / image.file_name))
        if picture is None:
            raise SystemExit(f"{image.file_name} cannot be read")
        found.append((image, np.ascontiguousarray(picture[..., ::-1])))
    return found


def with_given_boxes(networks: Networks, images: Sequence[Photo]) -> list[PoseEstimate]:
    """The one labelled person of each picture."""
    return [people_in_boxes(networks, picture, [(image.people[0].box, 1.0)])[0] for image, picture in images]


def pck(found: Sequence[PoseEstimate], images: Sequence[Photo]) -> dict[str, float]:
    """Share of the labelled joints within 0.1 of the box's longer side: all, the 12 of the limbs, head and neck."""
    hits, labelled = [], []
    for person, (image, _) in zip(found, images, strict=True):
        true = image.people[0]
        distance = np.linalg.norm(person.joints[:, :2] - true.keypoints[:, :2], axis=1)
        hits.append((distance <= PCK_AT * max(true.box[2:])) & true.labelled)
        labelled.append(true.labelled)
    right, there = np.array(hits), np.array(labelled)
    parts = {"all": slice(None), "limbs": slice(12), "head": slice(12, 13), "neck": slice(13, 14)}
    return {name: round(float(right[:, part].sum() / there[:, part].sum()), 4) for name, part in parts.items()}


def right_by_flag(found: Sequence[PoseEstimate], images: Sequence[Photo]) -> dict[str, dict[str, float]]:
    """How many joints get each flag, and how often those are right."""
    flags, right = [], []
    for person, (image, picture) in zip(found, images, strict=True):
        true = image.people[0]
        flag = flags_of(person, picture)
        if flag is None:
            continue
        distance = np.linalg.norm(person.joints[:, :2] - true.keypoints[:, :2], axis=1)
        flags += flag[true.labelled].tolist()
        right += (distance <= PCK_AT * max(true.box[2:]))[true.labelled].tolist()
    at, hit = np.array(flags), np.array(right)
    return {
        f"v = {flag}": {"share": round(float((at == flag).mean()), 3), "right": round(float(hit[at == flag].mean()), 3)}
        for flag in (0, 1, 2)
        if (at == flag).any()
    }


def flags_of(person: PoseEstimate, picture: Rgb8) -> npt.NDArray[np.float64] | None:
    """Flags (14,) that a person found gets as a label; None for one who is left out."""
    size = (picture.shape[1], picture.shape[0])
    label = as_person(person, make_alignment(np.eye(3), False, size, size, "none", "none"), "benchmark")
    return None if label is None else label.keypoints[:, 2]


def average_precision(networks: Networks, images: Sequence[Photo]) -> dict[str, float]:
    """OKS-AP over people found in whole pictures, and how many there were."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    data = json.loads((DATA / "crowd" / "annotations.json").read_text())
    for annotation in data["annotations"]:
        annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3] * OKS_AREA_FACTOR
    ids = {image["file_name"]: image["id"] for image in data["images"]}
    wanted = {ids[image.file_name] for image, _ in images}
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] in wanted]
    data["images"] = [image for image in data["images"] if image["id"] in wanted]
    truth.dataset = data
    results = [
        {"image_id": ids[image.file_name], "category_id": 1, "score": person.score,
         "keypoints": [float(v) for v in person.joints.ravel()]}
        for image, picture in images for person in people_in(networks, picture)
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "keypoints")
        judge.params.kpt_oks_sigmas = np.array(OKS_SIGMAS)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    names = ("AP", "AP50", "AP75", "AR")
    scores = dict(zip(names, (round(100 * float(judge.stats[i]), 1) for i in (0, 1, 2, 5)), strict=True))
    return {**scores, "people": len(data["annotations"]), "found": len(results)}


def speed(routes: dict[str, Networks], images: Sequence[Photo], rounds: int = 5) -> dict[str, dict[str, float]]:
    """Medians over interleaved rounds, with given boxes, the picture read already.

    People per second on this machine as loaded as it is, and CPU seconds per person, which other work disturbs less.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in routes}
    for _ in range(rounds):
        for name, networks in routes.items():
            start, cpu = time.perf_counter(), time.process_time()
            with_given_boxes(networks, images)
            seconds[name].append((time.perf_counter() - start, time.process_time() - cpu))
    return {
        name: {
            "people_per_s": round(len(images) / statistics.median(wall for wall, _ in times), 1),
            "cpu_s_per_person": round(statistics.median(cpu for _, cpu in times) / len(images), 4),
        }
        for name, times in seconds.items()
    }


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line")
    parser.add_argument("--people", type=int, default=250, help="test photographs with a given box (default all 250)")
    parser.add_argument("--card", action="append", default=[], help="measure this network, too")
    asked = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("no ../shared/data beside the checkout")
    cv2.setNumThreads(1)
    routes = {
        "MoveNet + CPM": CARDS / "movenet-with-cpm.toml",
        "MoveNet, head and neck derived": CARDS / "movenet.toml",
        "CPM": CARDS / "cpm.toml",
        **{name: name for name in asked.card},
    }
    loaded = {name: load_networks(choose_cards(card), threads=THREADS) for name, card in routes.items()}
    people, crowd = photos("test", "people", asked.people), photos("annotations", "crowd")
    lit = [photo for photo in crowd if not photo[0].file_name.startswith("exlpose")]
    quality: dict[str, object] = {}
    for name, networks in loaded.items():
        found = with_given_boxes(networks, people)
        quality[name] = {
            "pck": pck(found, people),
            "pck_without_flip_test": pck(with_given_boxes(replace(networks, flip=False), people), people),
            "right_by_flag": right_by_flag(found, people),
            "crowd": average_precision(networks, crowd),
            "crowd_without_dark_photos": average_precision(networks, lit),
        }
        print(f"{name} done", file=sys.stderr, flush=True)
    speeds = speed(
        {f"{name}{flip}": replace(networks, flip=not flip) for name, networks in loaded.items()
         for flip in ("", ", no flip test")},
        people[:20],
    )  # fmt: skip
    value = quality["MoveNet + CPM"]["pck"]["all"]  # type: ignore[index]
    print(
        json.dumps(
            {
                "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
                f"load {os.getloadavg()[0]:.1f}",
                "versions": {name: version(name) for name in ("exlcap", "numpy", "onnxruntime", "pycocotools")},
                "figures": {
                    "people": len(people),
                    "joints": len(JOINTS),
                    "quality": quality,
                    "speed_2_threads": speeds,
                },
                "bars": {"pck_movenet_cpm": {"value": value, "aim": PCK_AIM, "ok": value >= PCK_AIM}},
                "not_measured": "the networks of the shipped cards unless named with --card; GPUs; emulated people",
            },
            indent=None if asked.json else 1,
        )
    )


if __name__ == "__main__":
    main()
