"""The tables and the pictures of an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from exlcap.core.drawing import SIDE_COLOURS
from exlcap.train.config import Config
from exlcap.train.data.people import TEST_SPLITS, LabelledPerson, Split, read_split
from exlcap.train.networks.pose_net import build_model
from exlcap.train.prepare import new_config
from exlcap.train.results import evaluate
from exlcap.train.results.evaluate import EvalProtocol, judge, read_tests
from exlcap.train.results.gallery import STRIP, TILE_HEIGHT, write_gallery
from exlcap.train.results.inference import Predictions
from exlcap.train.results.precision import Judged, Scores
from exlcap.train.results.table import DETECTED_BOXES, MEAN, OCN, TRUE_BOXES, as_json, as_markdown, as_text, tables
from exlcap.train.results.trained import Trained

TILE = TILE_HEIGHT + STRIP


def score(ap: float) -> Scores:
    return Scores(images=1, people=1, ap=ap, ap50=ap + 1, ap75=ap + 2, ar=ap + 3)


def test_a_run_has_four_rows_with_a_value_per_split_in_the_paper_s_order_and_none_where_nobody_is() -> None:
    (table,) = tables("mine", {"WL": score(5.0), "LL-N": score(1.0), "LL-E": None}, detected=False)
    assert table.columns == ("LL-N", "LL-H", "LL-E", "LL-A", "WL") == TEST_SPLITS
    ap, ap50, ap75, ar, *paper = table.rows
    assert (ap.name, ap.source, ap.values) == ("mine", "AP", (1.0, None, None, None, 5.0))
    assert [row.source for row in (ap50, ap75, ar)] == ["AP50", "AP75", "AR"]
    assert [row.values[0] for row in (ap50, ap75, ar)] == [2.0, 3.0, 4.0]
    assert [(row.name, row.source, row.values) for row in paper] == list(TRUE_BOXES)


def test_detected_boxes_stand_beside_table_6_and_the_cameras_of_ocn_beside_table_5() -> None:
    (detected,) = tables("mine", {"WL": score(5.0)}, detected=True)
    assert [(row.name, row.source, row.values) for row in detected.rows[4:]] == list(DETECTED_BOXES)
    (ocn,) = tables("mine", {"A7M3": score(2.0), "RICOH3": score(4.0), "LL-A": score(9.0), "WL": None}, detected=False)
    assert ocn.columns == ("A7M3", "RICOH3", MEAN)
    assert ocn.rows[0].values == (2.0, 4.0, 3.0)
    assert [(row.name, row.source, row.values) for row in ocn.rows[4:]] == list(OCN)


def test_other_test_splits_get_a_table_of_their_own() -> None:
    _, other = tables("mine", {"WL": score(5.0), "fog": score(1.0)}, detected=False)
    assert other.columns == ("fog",) and len(other.rows) == 4


def test_text_lines_up_and_markdown_has_as_many_cells_everywhere() -> None:
    (table,) = tables("a-run-with-quite-a-long-name", {"WL": score(97.0)}, detected=False)
    text = as_text(table).splitlines()
    assert len({len(line) for line in text}) == 1
    assert text[1].split() == ["a-run-with-quite-a-long-name", "AP", "-", "-", "-", "-", "97.0"]
    markdown = as_markdown(table).splitlines()
    assert {line.count("|") for line in markdown} == {8} and len(markdown) == len(table.rows) + 2
    assert as_json(table)[0]["values"] == {"LL-N": None, "LL-H": None, "LL-E": None, "LL-A": None, "WL": 97.0}


@pytest.fixture
def folder(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> Path:
    return write_stick_figures(tmp_path, train=1, val=0, test=3)


@pytest.fixture
def config() -> Config:
    model = {"height": 128, "width": 96, "base_channels": 8, "head_channels": 8, "backbone_weights": "none"}
    return new_config("small", None, {"data": "sticks", "model": model})


def judged(split: Split, shift: float = 0.0) -> Judged:
    joints = np.stack([person.keypoints[:, :2] + shift for person in split.people])
    return Judged(split, split.people, Predictions(joints, np.ones(joints.shape[:2])), score(0.0))


def named(folder: Path, name: str) -> Judged:
    split = read_split(folder, f"test_{name}")
    assert split is not None
    return judged(split)


def test_the_gallery_shows_dark_amplified_predicted_and_true_and_the_same_people_in_the_light(
    folder: Path, config: Config, tmp_path: Path
) -> None:
    dark = [(name, named(folder, name)) for name in ("LL-N", "LL-H", "LL-E")]
    write_gallery(tmp_path / "g.png", folder, config, dark, named(folder, "WL"))
    picture = cv2.imread(str(tmp_path / "g.png"))[..., ::-1].astype(int)
    people = sum(len(part.people) for _, part in dark)
    assert picture.shape == (6 * TILE, 192 * min(8, people), 3)
    dark_row, amplified, predicted, true, _, _ = (picture[i * TILE + STRIP : (i + 1) * TILE] for i in range(6))
    assert dark_row.mean() < 12 < 70 < amplified.mean()
    for row in (predicted, true):  # dimmed, so that such colours are of skeletons only
        assert (np.abs(row - np.array(SIDE_COLOURS["left"])).max(2) < 12).any()


def test_the_gallery_of_bright_people_is_two_rows_and_of_nobody_no_file(
    folder: Path, config: Config, tmp_path: Path
) -> None:
    write_gallery(tmp_path / "one.png", folder, config, [], named(folder, "WL"))
    assert cv2.imread(str(tmp_path / "one.png")).shape[0] == 2 * TILE
    write_gallery(tmp_path / "none.png", folder, config, [], None)
    assert not (tmp_path / "none.png").exists()


def test_of_detections_the_gallery_shows_the_one_that_fits_best(folder: Path, config: Config, tmp_path: Path) -> None:
    whole = named(folder, "WL")
    near, far = whole.people, [replaced(person) for person in whole.people]
    joints = np.concatenate([whole.predictions.joints + 40, whole.predictions.joints])
    found = Judged(whole.split, (*far, *map(replaced, near)), Predictions(joints, np.ones(joints.shape[:2])), score(0))
    write_gallery(tmp_path / "detected.png", folder, config, [], found)
    write_gallery(tmp_path / "exact.png", folder, config, [], whole)
    assert (tmp_path / "detected.png").read_bytes() == (tmp_path / "exact.png").read_bytes()


def replaced(person: LabelledPerson) -> LabelledPerson:
    return replace(person, person_id="detection 0", keypoints=person.keypoints * 0)


def test_who_is_in_several_splits_is_looked_at_once(
    folder: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[LabelledPerson] = []

    def perfect(trained: Trained, images: Path, people: list[LabelledPerson], flip: str) -> Predictions:
        asked.extend(people)
        return Predictions(np.stack([f.keypoints[:, :2] for f in people]), np.ones((len(people), 14)))

    monkeypatch.setattr(evaluate, "predict_in_images", perfect)
    splits = read_tests(folder)
    trained = Trained(build_model(config.model, True, 0), config, 1, "")
    found = judge(trained, folder, splits, EvalProtocol())
    assert len(asked) == len(splits["LL-A"].people) + len(splits["WL"].people)
    assert {name: part.scores.ap for name, part in found.items()} == dict.fromkeys(TEST_SPLITS, 100.0)
