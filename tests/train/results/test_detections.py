"""People that a detector found: whose they are, what they score, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exlcap.core.errors import ExlcapError
from exlcap.train.data.people import Split
from exlcap.train.results.detections import detected_people, read_given
from exlcap.train.results.evaluate import read_tests
from exlcap.train.results.inference import Predictions
from exlcap.train.results.precision import score_people


@pytest.fixture
def splits(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> dict[str, Split]:
    return read_tests(write_stick_figures(tmp_path, train=1, val=0, test=2))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Any], str]:
    def write(entries: Any) -> str:
        path = tmp_path / f"detections-{len(list(tmp_path.glob('detections-*')))}.json"
        path.write_text(json.dumps(entries))
        return str(path)

    return write


def boxes(split: Split, score: float = 0.9) -> list[dict[str, Any]]:
    return [{"image_id": person.image_id, "category_id": 1, "bbox": list(person.box), "score": score}
            for person in split.people]  # fmt: skip


def by_name(split: Split) -> list[dict[str, Any]]:
    return [{"file_name": f.file, "category_id": 1, "bbox": list(f.box), "score": 0.5} for f in split.people]


def test_numbers_are_those_of_the_split_that_is_named_and_serve_every_split_of_its_images(
    splits: dict[str, Split], written: Callable[[Any], str]
) -> None:
    found = read_given([f"LL-A={written(boxes(splits['LL-A']))}"], splits)
    for name in ("LL-N", "LL-H", "LL-E", "LL-A"):
        some = detected_people(splits[name], found)
        assert some is not None
        people, scores = some
        assert sorted((f.image_id, f.file, f.box) for f in people) == sorted(
            (f.image_id, f.file, f.box) for f in splits[name].people
        )
        assert scores == [0.9] * len(people)
    assert detected_people(splits["WL"], found) is None


def test_names_of_images_need_no_split(splits: dict[str, Split], written: Callable[[Any], str]) -> None:
    found = read_given([written(by_name(splits["WL"]))], splits)
    assert detected_people(splits["LL-A"], found) is None
    some = detected_people(splits["WL"], found)
    assert some is not None and len(some[0]) == len(splits["WL"].people)


def test_other_categories_are_passed_over(splits: dict[str, Split], written: Callable[[Any], str]) -> None:
    entries = boxes(splits["WL"])
    found = read_given([f"WL={written([*entries, {**entries[0], 'category_id': 3}])}"], splits)
    assert len(found.boxes) == len(entries)


@pytest.mark.parametrize(
    "change, named",
    [
        ({"bbox": [0, 0, 10]}, "not enough values"),
        ({"bbox": [0, 0, 0, 10]}, "no area"),
        ({"bbox": [0, 0, float("nan"), 10]}, "finite"),
        ({"bbox": [900, 0, 10, 10]}, "outside its image of 320x256"),
        ({"score": "high"}, "could not convert"),
        ({"score": -1}, "not negative"),
        ({"image_id": 99}, "no image 99 in WL"),
        ({"file_name": "well/none.png"}, "no image 'well/none.png' in WL"),
    ],
)
def test_a_bad_entry_is_named_with_its_place(
    splits: dict[str, Split], written: Callable[[Any], str], change: dict[str, Any], named: str
) -> None:
    first, *rest = boxes(splits["WL"])
    path = written([first, {**first, **change}, *rest])
    with pytest.raises(ExlcapError, match=named) as wrong:
        read_given([f"WL={path}"], splits)
    assert f"{path}: detection 2 of {len(rest) + 2}" in wrong.value.message


def test_what_is_not_a_list_of_detections_is_told(splits: dict[str, Split], written: Callable[[Any], str]) -> None:
    for content, named in (
        ({"images": [], "annotations": []}, "expected a list, found dict"),
        ([], "no detection of category 1"),
        ([{"category_id": 1, "bbox": [0, 0, 9, 9], "score": 1}], "'image_id' is missing"),
        ([3], "detection 1 of 1"),
    ):
        with pytest.raises(ExlcapError, match=named):
            read_given([f"WL={written(content)}"], splits)


def test_numbers_without_a_split_and_images_given_twice_are_refused(
    splits: dict[str, Split], written: Callable[[Any], str]
) -> None:
    path = written(boxes(splits["LL-A"]))
    with pytest.raises(ExlcapError, match="write LL-N=FILE"):
        read_given([path], splits)
    with pytest.raises(ExlcapError, match="no test split 'XX'"):
        read_given([f"XX={path}"], splits)
    with pytest.raises(ExlcapError, match="in an earlier file"):
        read_given([f"LL-A={path}", f"LL-N={written(boxes(splits['LL-N']))}"], splits)


def scored(split: Split, places: list[int], shifts: list[float], box_scores: list[float]) -> tuple[float, float]:
    """AP and AR of perfect predictions for some people, each moved and scored."""
    people = [split.people[i] for i in places]
    joints = np.stack([f.keypoints[:, :2] + s for f, s in zip(people, shifts, strict=True)])
    found = score_people(split, people, Predictions(joints, np.ones(joints.shape[:2])), box_scores)
    assert found is not None
    return found.ap, found.ar


def test_a_false_positive_above_the_right_ones_costs_ap_and_one_below_them_does_not(splits: dict[str, Split]) -> None:
    split = splits["WL"]
    everybody = list(range(len(split.people)))
    perfect, none = [0.9] * len(everybody), [0.0] * len(everybody)
    assert scored(split, everybody, none, perfect) == (100, 100)
    assert scored(split, [*everybody, 0], [*none, 500.0], [*perfect, 0.1]) == (100, 100)
    assert scored(split, [*everybody, 0], [*none, 500.0], [*perfect, 1.0])[0] < 95


def test_a_person_who_was_not_detected_is_a_miss(splits: dict[str, Split]) -> None:
    split = splits["WL"]
    some = list(range(1, len(split.people)))
    _, ar = scored(split, some, [0.0] * len(some), [0.9] * len(some))
    assert ar == pytest.approx(100 * len(some) / len(split.people))


def test_without_any_detection_a_split_scores_0(splits: dict[str, Split]) -> None:
    found = score_people(splits["WL"], [], Predictions(np.zeros((0, 14, 2)), np.zeros((0, 14))), [])
    assert found is not None and (found.ap, found.ar) == (0, 0)


def test_whoever_is_found_where_a_person_without_labelled_joints_is_does_not_count(splits: dict[str, Split]) -> None:
    split = splits["WL"]
    joints = np.stack([person.keypoints[:, :2] for person in split.people])
    unlabelled = next(a for a in split.coco["annotations"] if a["person_id"] == split.people[0].person_id)
    unlabelled["keypoints"] = [value * (i % 3 < 2) for i, value in enumerate(unlabelled["keypoints"])]
    rest = Split(split.name, split.coco, split.people[1:])
    everybody = Predictions(joints, np.ones(joints.shape[:2]))
    found = score_people(rest, split.people, everybody, [1.0, *[0.5] * len(rest.people)])
    assert found is not None and (found.ap, found.people) == (100, len(rest.people))
