"""A data set as `exlcap build` writes it, of stick figures: coloured limbs on a textured wall, in light and dark.

Written by hand, not by the build stage, so that these tests stand alone and the format is checked from both sides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from exlcap.core.develop import to_srgb
from exlcap.core.joints import JOINTS, SKELETON
from exlcap.core.labels import COCO_CATEGORY, Person, coco_annotation
from exlcap.core.take import pair_id
from exlcap.dataset.manifest import Manifest, Parameters, write_manifest

WIDTH, HEIGHT = 320, 256
GAINS_DB = {"LL-N": 6.0, "LL-H": 18.0, "LL-E": 26.0}
WHITE_ELECTRONS = 10_700


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Each test draws the same random numbers from torch, whichever ran before it, and computes on one thread."""
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def write_stick_figures() -> Callable[..., Path]:
    return stick_figures


def stick_figures(
    workspace: Path, name: str = "sticks", train: int = 6, val: int = 2, test: int = 3, seed: int = 0
) -> Path:
    """Write datasets/<name> with this many pairs per split (`test`: per low-light split); returns its folder."""
    workspace.mkdir(exist_ok=True)
    (workspace / "rig.toml").touch()
    folder = workspace / "datasets" / name
    for light in ("well", "low"):
        (folder / "images" / light).mkdir(parents=True)
    rng = np.random.default_rng([seed, 14])
    pairs = {"train": train, "val": val, **{f"test_{split}": test for split in GAINS_DB}}
    files = {split: _coco() for split in (*pairs, "test_LL-A", "test_WL")}
    for scene, (split, count) in enumerate(pairs.items()):
        gain_db = GAINS_DB.get(split.removeprefix("test_"))
        for index in range(count):
            shown = gain_db if gain_db is not None else float(rng.choice(list(GAINS_DB.values())))
            pair = pair_id(f"scene{scene}", 1, 1, index)
            picture, people = _draw(rng)
            _write(folder / "images" / "well" / f"{pair}.png", to_srgb(picture))
            _write(folder / "images" / "low" / f"{pair}.png", to_srgb(_darkened(picture, shown, rng)))
            about = {"pair_id": pair, "scene": f"scene{scene}", "take": 1, "k": 1, "index": index,
                     "exposure_us": 1000.0, "well_gain_db": shown, "low_gain_db": 3.4}  # fmt: skip
            for target in (split, "test_LL-A") if split.startswith("test") else (split,):
                _add(files[target], "low", about, people)
            _add(files["test_WL" if split.startswith("test") else split], "well", about, people)
    (folder / "annotations").mkdir()
    for split, coco in files.items():
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(coco))
    manifest = Manifest(name=name, status="complete", exlcap="test", parameters=Parameters(seed=seed))
    write_manifest(folder, manifest)
    return folder


def _coco() -> dict[str, Any]:
    return {"images": [], "annotations": [], "categories": [COCO_CATEGORY]}


def _add(coco: dict[str, Any], light: str, about: dict[str, Any], people: list[Person]) -> None:
    image_id = len(coco["images"]) + 1
    image = {"id": image_id, "file_name": f"{light}/{about['pair_id']}.png", "width": WIDTH, "height": HEIGHT}
    coco["images"].append({**image, "lighting": light, **about})
    for person in people:
        number = len(coco["annotations"]) + 1
        coco["annotations"].append(coco_annotation(person, number, image_id, about["pair_id"]))


def _write(path: Path, rgb: np.ndarray) -> None:
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def _darkened(linear: np.ndarray, gain_db: float, rng: np.random.Generator) -> np.ndarray:
    """What a camera behind a 1 % filter makes of it: shot noise, read noise, clipped at black."""
    electrons = linear * WHITE_ELECTRONS / 10 ** (gain_db / 20) / 100
    read = rng.poisson(electrons) + rng.normal(0, 2.4, linear.shape)
    return (read / WHITE_ELECTRONS * 10 ** (3.4 / 20)).astype(np.float32)


def _draw(rng: np.random.Generator) -> tuple[np.ndarray, list[Person]]:
    """Linear light float32 (H, W, 3), 0..1, and the one or two people in it."""
    coarse = rng.uniform(0.15, 0.5, (8, 10, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    places = rng.permutation([90, 230])[: rng.integers(1, 3)]
    people = [_person(picture, float(x), str(i), rng) for i, x in enumerate(places)]
    return np.clip(picture, 0, 1), people


def _person(picture: np.ndarray, x: float, name: str, rng: np.random.Generator) -> Person:
    joints = _pose(rng)
    joints = joints * rng.uniform(0.85, 1.15) + (x, HEIGHT / 2) + rng.uniform(-12, 12, 2)
    for a, b in SKELETON:
        side = Counter(JOINTS[i].split("_")[0] for i in (a, b))
        colour = (0.9, 0.15, 0.1) if side["left"] == 2 else (0.1, 0.2, 0.9) if side["right"] == 2 else (0.8, 0.75, 0.3)
        ends = [tuple(int(v) for v in np.rint(joints[i] * 16)) for i in (a, b)]
        cv2.line(picture, ends[0], ends[1], colour, 9, cv2.LINE_AA, 4)
    head = tuple(int(v) for v in np.rint(joints[JOINTS.index("head")] * 16))
    cv2.circle(picture, head, 10 * 16, (0.9, 0.8, 0.7), -1, cv2.LINE_AA, 4)
    low, high = joints.min(0) - 10, joints.max(0) + 10
    keypoints = np.concatenate([joints, np.full((14, 1), 2.0)], 1)
    return Person(name, keypoints, (*low, *(high - low)), "hand: sticks")


def _pose(rng: np.random.Generator) -> np.ndarray:
    """Joints (14, 2) of a person about 180 px tall around (0, 0), limbs at random angles."""
    place = {"neck": (0.0, -60.0), "head": (rng.uniform(-5, 5), -84.0)}
    for side, sign in (("left", 1), ("right", -1)):  # a person that faces us has its left on our right
        place[f"{side}_shoulder"], place[f"{side}_hip"] = (sign * 18.0, -54.0), (sign * 12.0, 4.0)
        chains = (("shoulder", "elbow", "wrist", 30, 1.2), ("hip", "knee", "ankle", 42, 0.5))
        for root, middle, end, length, spread in chains:
            angle = sign * rng.uniform(-0.1, spread)
            place[f"{side}_{middle}"] = _step(place[f"{side}_{root}"], angle, length)
            bend = angle + rng.uniform(-0.7, 0.7)
            place[f"{side}_{end}"] = _step(place[f"{side}_{middle}"], bend, length)
    return np.array([place[joint] for joint in JOINTS])


def _step(start: tuple[float, float], angle: float, length: float) -> tuple[float, float]:
    return start[0] + length * np.sin(angle), start[1] + length * np.cos(angle)


TINY = """
[model]
height = 64
width = 64
base_channels = 8
head_channels = 8
[optim]
batch = 4
epochs = 2
validate_every = 1
"""


@pytest.fixture
def tiny_toml(tmp_path: Path) -> Path:
    """A config file that makes the small preset train in a second or two."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path
