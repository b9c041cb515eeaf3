"""The table and the gallery."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from exlcap.train.config import InputConfig
from exlcap.train.crops import Crop, cut
from exlcap.train.evaluate import Scores
from exlcap.train.gallery import PREDICTED, TILE_HEIGHT, Shown, write_gallery
from exlcap.train.pairs import TEST_SPLITS, Figure
from exlcap.train.predict import Predictions
from exlcap.train.table import PAPER, as_markdown, as_text, missing_splits, rows

SIZE = (128, 96)
INPUT = InputConfig(box_scale=(1.25, 1.25), resampling="area", low_mean=0.4, normalisation="equal")


def score(ap: float) -> Scores:
    return Scores(images=1, people=1, ap=ap, ap50=ap, ap75=ap, ar=ap)


def test_a_row_has_one_value_per_split_in_the_paper_s_order_and_none_where_nobody_is() -> None:
    own, *paper = rows("mine", {"WL": score(5.0), "LL-N": score(1.0), "LL-E": None})
    assert TEST_SPLITS == ("LL-N", "LL-H", "LL-E", "LL-A", "WL")
    assert own.values == (1.0, None, None, None, 5.0) and own.source == "this run"
    assert [row.name for row in paper] == [name for name, _ in PAPER]
    assert {row.source for row in paper} == {"paper"}


def test_missing_splits_are_those_without_a_score() -> None:
    assert missing_splits({"WL": score(0.0), "LL-N": None}) == ["LL-N", "LL-H", "LL-E", "LL-A"]


def test_text_lines_up_and_markdown_has_as_many_cells_everywhere() -> None:
    lines = rows("a-run-with-quite-a-long-name", {"WL": score(100.0)})
    text = as_text(lines, ["a note"]).splitlines()
    assert len({len(line) for line in text[:-1]}) == 1 and text[-1] == "a note"
    assert text[1].split()[-5:] == ["-", "-", "-", "-", "100.0"]
    markdown = as_markdown(lines, ["a note"]).splitlines()
    assert {line.count("|") for line in markdown[: len(lines) + 2]} == {8}


def person(light: str, pair: str) -> Crop:
    keypoints = np.column_stack([np.linspace(60, 90, 14), np.linspace(40, 120, 14), np.full(14, 2.0)])
    figure = Figure(f"{light}/{pair}.png", light, 1, pair, "a", keypoints, (50.0, 30.0, 50.0, 100.0))  # type: ignore[arg-type]
    return cut(np.full((160, 160, 3), 90, np.uint8), figure, SIZE, INPUT)


def shown(light: str, pairs: list[str]) -> Shown:
    crops = [person(light, pair) for pair in pairs]
    joints = np.stack([crop.figure.keypoints[:, :2] for crop in crops])
    return Shown(crops, Predictions(joints, np.ones(joints.shape[:2])))


def test_the_gallery_shows_the_people_that_both_lightings_have(tmp_path: Path) -> None:
    write_gallery(tmp_path / "g.png", shown("low", ["p", "q"]), shown("well", ["q", "r"]), SIZE)
    picture = cv2.imread(str(tmp_path / "g.png"))
    assert picture.shape[1] == 192 and picture.shape[0] > 2 * TILE_HEIGHT
    for row in (picture[:TILE_HEIGHT], picture[TILE_HEIGHT : 2 * TILE_HEIGHT]):
        assert (np.abs(row.astype(int) - PREDICTED[::-1]).max(2) < 40).any(), "no prediction is drawn"


def test_the_gallery_of_one_lighting_is_one_row_and_of_nobody_no_file(tmp_path: Path) -> None:
    write_gallery(tmp_path / "one.png", None, shown("well", ["p", "q"]), SIZE)
    picture = cv2.imread(str(tmp_path / "one.png"))
    assert TILE_HEIGHT < picture.shape[0] < 2 * TILE_HEIGHT and picture.shape[1] == 2 * 192
    write_gallery(tmp_path / "none.png", None, None, SIZE)
    assert not (tmp_path / "none.png").exists()
