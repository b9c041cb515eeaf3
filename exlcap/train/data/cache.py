"""Crops of a split, cached on disk so that the images of a data set are decoded once and not by every run.

``<workspace>/cache/crops/<data set>-<split>-<key>/`` holds the pixels of all people as one memory-mapped array, and the
colours around them. The key is a hash of the data set's checksum and of everything that determines the pixels, so an
outdated cache is never used. It is filled under another name and renamed at the end, so neither is one that a killed
run left incomplete. Runs that start together wait for the one that fills the cache. The folder ``cache`` may be deleted
at any time.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exlcap.core.console import progress, say
from exlcap.core.errors import ExlcapError
from exlcap.core.files import one_at_a_time, sha256_bytes
from exlcap.train.config import InputConfig
from exlcap.train.data.crops import MARGIN, Crop, as_crop, by_image, cut_pixels, kept_size, mean_colour
from exlcap.train.data.people import LabelledPerson, read_image

FORMAT = 1
"""Raise it when `crops` cuts different pixels than before."""
PIXELS, BORDERS = "pixels.npy", "borders.npy"
DAY_S = 86_400


def cached_crops(
    data: Path, split: str, checksum: str, people: Sequence[LabelledPerson], size: tuple[int, int], config: InputConfig
) -> list[Crop]:
    """Crops of the people of a split of the data set in `data`, in the order given, cut now if they are not cached yet.

    checksum: of the data set. size: (height, width) of the input.
    Raises ExlcapError when an image is missing or damaged, or when the disk has no room for the cache.
    """
    key = _key(checksum, people, size, config)
    folder = data.parent.parent / "cache" / "crops" / f"{data.name}-{split}-{key}"
    shape = (len(people), *kept_size(size), 3)
    if not _whole(folder, shape):
        with one_at_a_time(folder, f"cuts the people of {data.name}"):
            if not _whole(folder, shape):
                _fill(folder, data, people, shape, size, config)
    pixels = np.load(folder / PIXELS, mmap_mode="r")
    borders = np.load(folder / BORDERS)
    return [as_crop(person, pixels[i], tuple(borders[i].tolist()), size, config) for i, person in enumerate(people)]


def _key(checksum: str, people: Sequence[LabelledPerson], size: tuple[int, int], config: InputConfig) -> str:
    """A hash of everything that determines the pixels, 16 hexadecimal digits."""
    about = [FORMAT, checksum, size, MARGIN, config.box_scale, config.resampling]
    boxes = [(person.file, person.light, person.box) for person in people]
    return sha256_bytes(json.dumps([about, boxes]).encode())[:16]


def _whole(folder: Path, shape: tuple[int, ...]) -> bool:
    """Whether the cache exists and is complete; a damaged one is removed."""
    if not folder.exists():
        return False
    try:
        pixels, borders = np.load(folder / PIXELS, mmap_mode="r"), np.load(folder / BORDERS)
        if pixels.shape == shape and pixels.dtype == np.uint8 and borders.shape == (shape[0], 3):
            return True
    except (OSError, ValueError, EOFError):
        pass
    shutil.rmtree(folder)
    return False


def _fill(
    folder: Path,
    data: Path,
    people: Sequence[LabelledPerson],
    shape: tuple[int, ...],
    size: tuple[int, int],
    config: InputConfig,
) -> None:
    """Cut out all people, each image decoded once, on as many threads as there are cores."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _forget_remains(folder)
    need = int(np.prod(shape))
    if need > (free := shutil.disk_usage(folder.parent).free):
        raise ExlcapError(
            f"the crops of {len(people)} people need {_gb(need)} and {folder.parent} has {_gb(free)} free",
            "free some space, for instance by deleting crops of other data sets there, or train on smaller inputs",
        )
    say(f"cutting {len(people)} people out of their images, once: {_gb(need)} in {folder.parent}")
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    part.mkdir()
    try:
        pixels = np.lib.format.open_memmap(part / PIXELS, "w+", np.uint8, shape)
        borders = np.zeros((shape[0], 3), np.float64)
        _cut_all(data, people, pixels, borders, size, config)
        pixels.flush()
        np.save(part / BORDERS, borders)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _cut_all(
    data: Path, people: Sequence[LabelledPerson], pixels: npt.NDArray[np.uint8], borders: npt.NDArray[np.float64],
    size: tuple[int, int], config: InputConfig,
) -> None:  # fmt: skip
    files = by_image(people)

    def cut_image(file: str) -> None:
        image = read_image(data, file)
        for place in files[file]:
            pixels[place] = cut_pixels(image, people[place], size, config)
            borders[place] = mean_colour(pixels[place])

    with progress("crops", len(files)) as step, ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for _ in pool.map(cut_image, files):
                step("")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _forget_remains(folder: Path) -> None:
    """Remove what killed runs left of this cache; a recent one may belong to a run on another machine."""
    for path in folder.parent.glob(f".{folder.name}.*"):
        if time.time() - path.stat().st_mtime > DAY_S:
            shutil.rmtree(path, ignore_errors=True)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
