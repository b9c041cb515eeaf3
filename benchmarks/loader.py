"""People per second and core that the trainer is fed with. ``python benchmarks/loader.py [--json]``

A person is both images of a pair at 256x192, augmented as by the preset `modern`, with joints, normalised, as one batch
of 32. `cache`: the trainer's way, from the crops on disk (in the system's memory after the first epoch). `memory`: the
way before: crops in memory, each person warped and normalised alone. `decode`: the plain way: both 1920x1200 PNGs
decoded for every person, cut, warped. Rounds are interleaved and the medians of process CPU time compared, on one
thread. `fill` is what the cache costs once: each image decoded once, everybody in it cut out.
Not measured: disks slower than this machine's, a cache larger than memory, GPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from exlcap.core.alignment import apply_homography
from exlcap.core.joints import FLIP_INDICES
from exlcap.core.rig import LIGHTS, Light
from exlcap.train.config import Config
from exlcap.train.data.augment import draw
from exlcap.train.data.batches import LOW_FIRST, PairCrop, epoch_batches
from exlcap.train.data.cache import cached_crops
from exlcap.train.data.crops import cut, place
from exlcap.train.data.inputs import IMAGENET, brightened
from exlcap.train.data.people import LabelledPerson, PersonPair, read_image
from exlcap.train.machine.device import keep_memory
from exlcap.train.prepare import new_config

AIM = 1000.0
WIDTH, HEIGHT = 1920, 1200
PAIRS, PEOPLE = 16, 6
ROUNDS = 7


def write_pairs(folder: Path) -> list[PersonPair]:
    """Pairs of images with noise as dark and as bright cameras have it, and people somewhere in them."""
    rng = np.random.default_rng(0)
    people = []
    for light in LIGHTS:
        (folder / "images" / light).mkdir(parents=True)
    for number in range(PAIRS):
        smooth = cv2.resize(rng.uniform(40, 200, (12, 19, 3)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        bright = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
        dark = rng.poisson(smooth / 60).astype(np.uint8)
        for light, image in (("well", bright), ("low", dark)):
            assert cv2.imwrite(str(folder / "images" / light / f"{number}.png"), image)
        for person in range(PEOPLE):
            height = rng.uniform(250, 900)
            x, y = rng.uniform(0, WIDTH - 0.45 * height), rng.uniform(0, HEIGHT - height)
            box = (x, y, 0.4 * height, height)
            joints = np.column_stack([rng.uniform(x, x + box[2], 14), rng.uniform(y, y + height, 14), np.full(14, 2.0)])
            low, well = (
                LabelledPerson(f"{light}/{number}.png", light, number, str(number), str(person), joints, box)
                for light in LOW_FIRST
            )
            people.append(PersonPair(low, well))
    return people


def from_cache(crops: Sequence[PairCrop], config: Config, epoch: int) -> int:
    """An epoch of the trainer's batches. Returns the number of people."""
    return sum(len(batch.people) for batch in epoch_batches(crops, config, epoch))


def one_by_one(pair: PairCrop, index: int, config: Config, epoch: int) -> list[Tensor]:
    """Both inputs of a person and the joints in them, as the trainer made them before it had batches on the device."""
    rng = np.random.default_rng([config.seed, epoch, index])
    change = draw(rng, config.augment, pair.well.person.keypoints, pair.well.plain, config.size)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    made = []
    for crop in (pair.low, pair.well):
        pixels, matrix = place(crop, change, config.size)
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        if crop.person.light == "low":
            image = brightened(image[None], config.input.low_mean)[0]
        keypoints = crop.person.keypoints[list(FLIP_INDICES)] if change.flip else crop.person.keypoints
        made.append((image * torch.tensor(change.gains).view(3, 1, 1) - mean) / deviation)
        made.append(torch.from_numpy(apply_homography(matrix, keypoints[:, :2])))
    return made


def in_batches(make: Callable[[int], list[Tensor]], people: Sequence[int], size: int) -> int:
    """Stack what `make` gives for each person, batch by batch. Returns the number of people."""
    for start in range(0, len(people), size):
        made = [make(i) for i in people[start : start + size]]
        images = torch.stack([part[0] for part in made] + [part[2] for part in made])
        images.contiguous(memory_format=torch.channels_last)
    return len(people)


def decoded(data: Path, pair: PersonPair, config: Config) -> PairCrop:
    """A person's crops from two PNGs that are decoded for it alone."""
    parts: dict[Light, LabelledPerson] = {"low": pair.low, "well": pair.well}
    crops = {light: cut(read_image(data, f.file), f, config.size, config.input) for light, f in parts.items()}
    return PairCrop(crops["low"], crops["well"])


def main() -> None:
    """Fill the cache, time the three ways, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    keep_memory()
    config = new_config("modern", None, {"data": "none"})
    seconds: dict[str, list[float]] = {"cache": [], "memory": [], "decode": []}
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "datasets" / "noise"
        pairs = write_pairs(data)
        people = [person for pair in pairs for person in (pair.low, pair.well)]
        began, cpu = time.monotonic(), time.process_time()
        crops = cached_crops(data, "train", "none", people, config.size, config.input)
        fill = {"wall_s": time.monotonic() - began, "cpu_s": time.process_time() - cpu}
        size = sum(path.stat().st_size for path in data.parent.parent.rglob("*.npy"))
        cached = [PairCrop(low, well) for low, well in zip(crops[::2], crops[1::2], strict=True)]
        few = range(0, len(pairs), len(pairs) // 8)
        for epoch in range(ROUNDS + 1):
            ways: dict[str, Callable[[], int]] = {
                "cache": lambda e=epoch: from_cache(cached, config, e),  # type: ignore[misc]
                "memory": lambda e=epoch: in_batches(  # type: ignore[misc]
                    lambda i: one_by_one(cached[i], i, config, e), range(len(cached)), config.optim.batch
                ),
                "decode": lambda e=epoch: in_batches(  # type: ignore[misc]
                    lambda i: one_by_one(decoded(data, pairs[i], config), i, config, e), few, config.optim.batch
                ),
            }
            for way, run in ways.items():
                cpu = time.process_time()
                people = run()
                if epoch:  # the first warms up
                    seconds[way].append((time.process_time() - cpu) / people)
    rates = {way: round(1 / statistics.median(values), 1) for way, values in seconds.items()}
    print(
        json.dumps(
            {
                "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
                "versions": {name: version(name) for name in ("exlcap", "torch", "numpy", "opencv-python-headless")},
                "figures": {
                    "people_per_s_per_core": rates,
                    "fill": {
                        "cpu_ms_per_person": round(1000 * fill["cpu_s"] / len(pairs), 1),
                        "people_per_s_wall": round(len(pairs) / fill["wall_s"], 1),
                        "people_per_pair": PEOPLE,
                        "kb_per_person": round(size / len(pairs) / 1000),
                    },
                    "image": [WIDTH, HEIGHT],
                    "input": list(config.size),
                    "clock": "process CPU time, one thread",
                    "load_before": load,
                },
                "bars": {
                    "people_per_s_per_core": {"value": rates["cache"], "aim": AIM, "ok": rates["cache"] >= AIM},
                },
                "not_measured": "slow disks; caches larger than memory; GPUs",
            },
            indent=None if as_json else 1,
        )
    )


if __name__ == "__main__":
    main()
