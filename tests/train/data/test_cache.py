"""Crops on disk: cut once, found again by what they were made of, and never trusted when torn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from exlcap.core.errors import ExlcapError
from exlcap.train.config import InputConfig
from exlcap.train.data import cache
from exlcap.train.data.cache import cached_crops
from exlcap.train.data.crops import Crop, crop_people
from exlcap.train.data.people import LabelledPerson, read_split

SIZE = (64, 48)
AREA = InputConfig(box_scale=(1.25, 1.25), resampling="area", low_mean=0.4, normalisation="equal")


@pytest.fixture
def data(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> Path:
    return write_stick_figures(tmp_path, train=3, val=0, test=0)


@pytest.fixture
def people(data: Path) -> tuple[LabelledPerson, ...]:
    split = read_split(data, "train")
    assert split is not None
    return split.people


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Images that are decoded from now on."""
    seen: list[str] = []
    whole = cache.read_image

    def read_image(folder: Path, file: str) -> np.ndarray:
        seen.append(file)
        return whole(folder, file)

    monkeypatch.setattr(cache, "read_image", read_image)
    return seen


def caches(data: Path) -> list[Path]:
    return sorted(path for path in (data.parent.parent / "cache" / "crops").iterdir() if path.is_dir())


def crops_of(
    data: Path, people: tuple[LabelledPerson, ...], checksum: str = "abc", config: InputConfig = AREA
) -> list[Crop]:
    return cached_crops(data, "train", checksum, people, SIZE, config)


def test_cached_crops_are_those_cut_from_the_images(data: Path, people: tuple[LabelledPerson, ...]) -> None:
    for found, wanted in zip(crops_of(data, people), crop_people(data, people, SIZE, AREA), strict=True):
        assert np.array_equal(found.pixels, wanted.pixels)
        assert found.border == pytest.approx(wanted.border) and found.person is wanted.person
        assert np.array_equal(found.to_pixels, wanted.to_pixels) and np.array_equal(found.plain, wanted.plain)


def test_each_image_is_decoded_once_and_never_again(
    data: Path, people: tuple[LabelledPerson, ...], reads: list[str]
) -> None:
    crops_of(data, people)
    assert sorted(reads) == sorted({person.file for person in people})
    crops_of(data, people)
    assert len(reads) == len({person.file for person in people})


def test_the_size_of_the_cache_is_said_before_it_is_filled(
    data: Path, people: tuple[LabelledPerson, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    crops_of(data, people)
    assert f"cutting {len(people)} people out of their images, once" in capsys.readouterr().err
    crops_of(data, people)
    assert capsys.readouterr().err == ""


def test_pixels_are_mapped_not_read(data: Path, people: tuple[LabelledPerson, ...]) -> None:
    assert all(isinstance(crop.pixels.base, np.memmap) or isinstance(crop.pixels, np.memmap)
               for crop in crops_of(data, people))  # fmt: skip


@pytest.mark.parametrize("change", ["data", "box", "resampling", "size"])
def test_other_data_or_other_settings_have_another_cache(
    data: Path, people: tuple[LabelledPerson, ...], reads: list[str], change: str
) -> None:
    crops_of(data, people)
    before = len(reads)
    if change == "size":
        cached_crops(data, "train", "abc", people, (96, 64), AREA)
    else:
        config = AREA.model_copy(update={"box_scale": (1.5, 1.5)} if change == "box" else {"resampling": "bilinear"})
        crops_of(data, people, "abd" if change == "data" else "abc", AREA if change == "data" else config)
    assert len(reads) == 2 * before and len(caches(data)) == 2


def test_runs_that_begin_together_cut_once(
    data: Path, people: tuple[LabelledPerson, ...], reads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: crops_of(data, people), range(4)))
    assert len(reads) == len({person.file for person in people})
    assert all(np.array_equal(crops[0].pixels, found[0][0].pixels) for crops in found)
    assert f"waiting for another process that cuts the people of {data.name}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pixels.npy", "borders.npy"])
@pytest.mark.parametrize("left", [0, 100, 200])
def test_a_torn_cache_is_cut_again(
    data: Path, people: tuple[LabelledPerson, ...], reads: list[str], name: str, left: int
) -> None:
    crops_of(data, people)
    (folder,) = caches(data)
    os.truncate(folder / name, left)
    again = crops_of(data, people)
    assert len(reads) == 2 * len({person.file for person in people})
    assert np.array_equal(again[1].pixels, crop_people(data, people, SIZE, AREA)[1].pixels)


def test_a_fill_that_fails_leaves_nothing_that_looks_like_a_cache(
    data: Path, people: tuple[LabelledPerson, ...]
) -> None:
    (data / "images" / people[-1].file).write_bytes(b"")
    with pytest.raises(ExlcapError, match="damaged"):
        crops_of(data, people)
    assert caches(data) == []


def test_remains_of_a_killed_fill_are_passed_over_and_removed_when_old(
    data: Path, people: tuple[LabelledPerson, ...]
) -> None:
    crops_of(data, people)
    (folder,) = caches(data)
    old, young = (folder.with_name(f".{folder.name}.{name}") for name in ("old", "young"))
    shutil.move(folder, old)
    shutil.copytree(old, young)
    os.utime(old, (0, 0))
    crops_of(data, people)
    assert caches(data) == sorted([young, folder])


def test_a_full_disk_is_refused_with_both_sizes(
    data: Path, people: tuple[LabelledPerson, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=1000), rmtree=shutil.rmtree)
    monkeypatch.setattr(cache, "shutil", full)
    with pytest.raises(ExlcapError, match=r"need .* MB and .* has 0 MB free"):
        crops_of(data, people)
