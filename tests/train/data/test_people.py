"""Reading a data set: people as pairs, each image with its own coordinates; what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exlcap.core.errors import ExlcapError
from exlcap.train.data.people import check_dataset, data_checksum, one_light, read_split


@pytest.fixture
def folder(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> Path:
    return write_stick_figures(tmp_path, train=3, val=1, test=1)


def change(folder: Path, split: str, edit: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "annotations" / f"{split}.json"
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def test_every_person_of_a_pair_is_found_in_both_images(folder: Path) -> None:
    split = read_split(folder, "train")
    assert split is not None and split.unpaired == 0
    assert split.images == 6 and len(split.people) == 2 * len(split.pairs)
    for pair in split.pairs:
        assert (pair.low.light, pair.well.light) == ("low", "well")
        assert pair.low.file.replace("low/", "well/") == pair.well.file
        assert pair.low.person_id == pair.well.person_id


def test_each_image_keeps_its_own_coordinates(folder: Path) -> None:
    def shift_dark(data: dict[str, Any]) -> None:
        dark = {image["id"] for image in data["images"] if image["lighting"] == "low"}
        for annotation in data["annotations"]:
            if annotation["image_id"] in dark:
                annotation["keypoints"][0::3] = [x + 7 for x in annotation["keypoints"][0::3]]
                annotation["bbox"][0] += 7

    change(folder, "train", shift_dark)
    split = read_split(folder, "train")
    assert split is not None
    for pair in split.pairs:
        np.testing.assert_allclose(pair.low.keypoints - pair.well.keypoints, [[7, 0, 0]] * 14, atol=1e-9)
        assert pair.low.box[0] - pair.well.box[0] == pytest.approx(7)


def test_a_person_that_one_image_lacks_is_counted_but_not_paired(folder: Path) -> None:
    before = read_split(folder, "train")
    change(folder, "train", lambda data: data["annotations"].pop())
    after = read_split(folder, "train")
    assert before is not None and after is not None
    assert (len(after.pairs), after.unpaired) == (len(before.pairs) - 1, 1)


@pytest.mark.parametrize(
    "edit", [{"iscrowd": 1}, {"keypoints": [0] * 42, "num_keypoints": 0}], ids=["crowd", "no joints"]
)
def test_crowds_and_people_without_joints_take_no_part(folder: Path, edit: dict[str, Any]) -> None:
    before = read_split(folder, "test_WL")
    change(folder, "test_WL", lambda data: data["annotations"][0].update(edit))
    after = read_split(folder, "test_WL")
    assert before is not None and after is not None
    assert len(after.people) == len(before.people) - 1


def test_one_light_of_a_split_holds_its_images_and_people_only(folder: Path) -> None:
    split = read_split(folder, "val")
    assert split is not None
    dark = one_light(split, "low")
    assert dark.images == 1 and {person.light for person in dark.people} == {"low"}
    assert {a["image_id"] for a in dark.coco["annotations"]} == {image["id"] for image in dark.coco["images"]}


def test_a_split_without_a_file_is_none_and_an_empty_one_has_nobody(folder: Path) -> None:
    (folder / "annotations" / "test_LL-E.json").unlink()
    change(folder, "test_LL-H", lambda data: data.update(images=[], annotations=[]))
    assert read_split(folder, "test_LL-E") is None
    empty = read_split(folder, "test_LL-H")
    assert empty is not None and empty.images == 0 and empty.people == ()


@pytest.mark.parametrize(
    "edit, named",
    [
        ({"keypoints": [1.0, 2.0, 2.0]}, "annotation 1"),
        ({"bbox": [1.0, 2.0, 0.0, 5.0]}, "no area"),
        ({"image_id": 999}, "annotation 1"),
        ({"keypoints": [1.0, 2.0, 5.0] * 14}, "flags"),
    ],
)
def test_a_bad_annotation_is_named_with_its_file(folder: Path, edit: dict[str, Any], named: str) -> None:
    change(folder, "train", lambda data: data["annotations"][0].update(edit))
    with pytest.raises(ExlcapError) as error:
        read_split(folder, "train")
    assert named in error.value.message and "train.json" in error.value.message


def test_the_checksum_changes_with_what_a_run_learns_from_and_not_with_the_tests(folder: Path) -> None:
    before = data_checksum(folder)
    change(folder, "test_WL", lambda data: data["annotations"].pop())
    assert data_checksum(folder) == before
    change(folder, "val", lambda data: data["annotations"].pop())
    assert data_checksum(folder) != before


def test_16_bit_linear_images_are_refused(folder: Path) -> None:
    record = json.loads((folder / "dataset.json").read_text())
    record["parameters"]["depth"] = 16
    (folder / "dataset.json").write_text(json.dumps(record))
    with pytest.raises(ExlcapError, match="16-bit linear images; training reads 8-bit sRGB"):
        check_dataset(folder)


def test_an_unknown_format_of_data_set_is_refused(folder: Path) -> None:
    (folder / "dataset.json").write_text('{"format": 99}')
    with pytest.raises(ExlcapError, match="unknown format 99"):
        check_dataset(folder)
