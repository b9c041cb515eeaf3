"""Numbers of a data set: every person and pair counted once, the same as Table 1 says."""

import json
import subprocess
import sys

import cv2
import pytest

from exlcap.dataset.checks.validate import annotation_files_of
from exlcap.dataset.manifest import read_manifest
from exlcap.dataset.plots import write_plots
from exlcap.dataset.stats import stats_json, stats_of, stats_text
from tests.dataset.small import write_small_dataset


@pytest.fixture
def small(tmp_path):
    write_small_dataset(tmp_path / "small")
    return tmp_path / "small"


def test_a_pair_and_its_people_count_once(small):
    stats = stats_of(annotation_files_of(small), read_manifest(small))
    assert len(stats.images) == 8
    assert {image.people for image in stats.images} == {2}
    assert len(stats.box_heights_px) == 16
    assert stats.visibility["left_knee"] == (0, 8, 8)  # of the two people of a pair, one's joints are all hidden
    assert set(stats.box_heights_px) == {42.0}
    assert sorted({round(image.exposure_us, 1) for image in stats.images}) == [83.3, 1000]
    assert max(image.well_gain_db for image in stats.images) == pytest.approx(35.58)
    assert all(image.well_mean_level > 5 * image.low_mean_level > 0 for image in stats.images)


def test_the_text_holds_table_1_and_the_levels(small):
    text = stats_text(stats_of(annotation_files_of(small), read_manifest(small)))
    assert "well mean" in text
    assert "LL-N 4, LL-H 1, LL-E 3" in text
    assert "people per image: 2 (8)" in text
    assert "right_ankle" in text


def test_the_published_set(shared_data):
    path = shared_data / "exlpose_annotations" / "ExLPose" / "ExLPose_test_LL-All.json"
    data = stats_json(stats_of(annotation_files_of(path), None))
    assert (len(data["images"]), data["people"]) == (491, 2810)
    assert sum(counts[2] for counts in data["visibility"].values()) == 32766
    gains = [image["well_gain_db"] for image in data["images"]]
    assert (min(gains), max(gains)) == (0.0, 38.78)


def test_plots_are_a_picture(small, tmp_path):
    write_plots(tmp_path / "p.png", stats_of(annotation_files_of(small), read_manifest(small)), "small")
    picture = cv2.imread(str(tmp_path / "p.png"))
    assert picture.shape == (800, 1500, 3)
    assert picture.std() > 20


def test_the_command_prints_json_and_writes_plots(small, tmp_path):
    command = [sys.executable, "-m", "exlcap", "stats", str(small), "--json", "--plots", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    data = json.loads(done.stdout)
    assert data["people"] == 16
    assert {row["split"] for row in data["table"]} == {"train", "val", "LL-N", "LL-H", "LL-E", "LL-A", "WL"}
    assert (tmp_path / "out" / "stats-small.png").exists()
    assert data["plots"].endswith("stats-small.png")
