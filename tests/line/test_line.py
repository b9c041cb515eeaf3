"""The whole line through the command line, as the demo runs it, on a small emulated rig."""

import csv
import json
import math
import os
import subprocess
import sys

import cv2
import pytest

from exlcap.core.alignment import alignment_in_force, read_alignment
from exlcap.core.light_levels import lighting_split
from exlcap.core.rig import read_rig
from exlcap.dataset.manifest import read_complete
from exlcap.dataset.split import split_scenes
from exlcap.demo import new_folder
from exlcap.init import rig_toml
from tests.conftest import make_workspace

SIZE = {"width = 320": "width = 640", "height = 200": "height = 400"}


def exlcap(folder, *arguments, env=None):
    command = [sys.executable, "-m", "exlcap", "-C", str(folder), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})


def shoot_to_model(workspace, scenes):
    """Run every stage; each must succeed."""
    root = workspace.root
    stages = [("shoot", "--reference")]
    stages += [("shoot", "--scene", scene, "--schedule", "1,12", "--pairs", 2) for scene in scenes]
    stages += [("align",)]
    for stage in stages:
        done = exlcap(root, *stage)
        assert done.returncode == 0, (stage, done.stderr)
    truth = [part for path in sorted(workspace.simulated.glob("*/take-*.json")) for part in ("--from", path)]
    last = [("annotate", *truth), ("build", "--test", scenes[0], "--val", scenes[1])]
    last += [
        ("train", "--data", "main", "--run", "r", "--preset", "small", "--epochs", 1),
        ("eval", "--run", "r", "--json"),
    ]
    for stage in last:
        done = exlcap(root, *stage)
        assert done.returncode == 0, (stage, done.stderr)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_from_shutter_to_table(tmp_path):
    workspace = make_workspace(tmp_path / "lab", SIZE)
    table = shoot_to_model(workspace, ("arcade", "alley", "plaza"))
    _, alignment = alignment_in_force(workspace)
    assert alignment.corner_error_px(read_alignment(workspace.simulated / "alignment.json")) < 0.3
    manifest = read_complete(workspace.dataset("main"))
    assert len(manifest.pairs) == 12
    assert manifest.counts["test_LL-N"][0] == manifest.counts["test_LL-E"][0] == 2  # arcade: 4.5 and 26.1 dB
    run = workspace.run("r")
    for picture in (workspace.dataset("main") / "contact_sheet.png", run / "loss.png", run / "predictions.png"):
        assert cv2.imread(str(picture)).std() > 5
    with (run / "log.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["loss"]) > 0
    assert "LL-E" in (run / "table.txt").read_text()
    assert table


@pytest.mark.slow
def test_photographs_as_scenes(tmp_path, shared_data):
    crowd = shared_data / "crowd"
    own = f'photos = "{crowd / "images"}"\nlabels = "{crowd / "annotations.json"}"\n'
    workspace = make_workspace(tmp_path / "lab", {**SIZE, "[emulator.scenes.plaza]": own + "[emulator.scenes.plaza]"})
    shoot_to_model(workspace, ("arcade", "alley", "plaza"))
    assert sum(people for _, people in read_complete(workspace.dataset("main")).counts.values()) > 0


def test_the_demo_stops_at_the_stage_that_fails(tmp_path):
    """With one emulated camera the reference cannot be shot."""
    done = exlcap(tmp_path, "demo", tmp_path / "demo", env={"PYLON_CAMEMU": "1"})
    assert done.returncode == 2
    assert "0815-0001, is not connected" in done.stderr
    assert "the demo stopped: `exlcap shoot` ended with exit code 2" in done.stderr


def test_the_demo_starts_in_a_folder_of_its_own(tmp_path):
    assert new_folder(tmp_path / "demo").name == "lab-001"
    (tmp_path / "demo" / "lab-001").mkdir(parents=True)
    (tmp_path / "demo" / "lab-007").mkdir()
    assert new_folder(tmp_path / "demo").name == "lab-008"


def test_the_scenes_of_the_demo_span_every_level_of_low_light(tmp_path):
    (tmp_path / "rig.toml").write_text(rig_toml(emulated=True))
    rig = read_rig(tmp_path / "rig.toml")
    steps = {
        scene: [base.gain_db + 20 * math.log10(k) for k in rig.divisors(scene)] for scene, base in rig.scenes.items()
    }
    for seed in range(5):
        test = split_scenes({scene: gains[0] for scene, gains in steps.items()}, seed)["test"]
        assert {lighting_split(gain) for scene in test for gain in steps[scene]} == {"LL-N", "LL-H", "LL-E"}
    assert max(max(gains) for gains in steps.values()) == pytest.approx(38.6, abs=0.3)  # published: up to 38.78 dB


@pytest.mark.parametrize("name", ["a/b", "..", "two words", "bell\a", ""])
def test_a_scene_name_that_is_no_folder_name_is_refused(tmp_path, name):
    workspace = make_workspace(tmp_path / "lab")
    done = exlcap(workspace.root, "shoot", "--scene", name)
    assert done.returncode == 2
    assert "cannot name a scene" in done.stderr
    assert "letters, digits" in done.stderr
    assert not (workspace.root / "scenes").exists()
