"""A data set that was killed while it was made is not complete; the same command, run again, makes the same bytes."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exlcap.core.files import write_json
from exlcap.core.labels import coco_annotation
from exlcap.train.data.people import read_split
from tests.conftest import make_workspace
from tests.dataset.building import exlcap, prepare
from tests.dataset.formats.test_import import LONG, write_images, write_ocn
from tests.dataset.simulated.test_simulate import write_photos
from tests.dataset.small import SIZE, standing

SCRIPT = Path(__file__).with_name("killed_at_a_write.py")


def to_build(tmp_path):
    return prepare(tmp_path / "lab", ("plaza", "alley"), (1,)), ["build", "--name", "main"]


def to_simulate(tmp_path):
    images, labels = write_photos(tmp_path / "photos", 2)
    arguments = ["simulate", "--name", "main", "--photos", str(images), "--labels", str(labels)]
    return make_workspace(tmp_path / "lab"), arguments


def to_import_exlpose(tmp_path):
    name = LONG.replace("dark", "bright")
    annotations = [coco_annotation(standing(), 1, 1, "")]
    images = [{"id": 1, "file_name": name, "width": SIZE[0], "height": SIZE[1]}]
    write_json(tmp_path / "published" / "ExLPose_test_LL-All.json", {"images": images, "annotations": annotations})
    write_images(tmp_path / "published", [(name, SIZE)], short=False)
    return make_workspace(tmp_path / "lab"), ["import", "--name", "main", "exlpose", str(tmp_path / "published")]


def to_import_ocn(tmp_path):
    write_ocn(tmp_path / "published")
    return make_workspace(tmp_path / "lab"), ["import", "--name", "main", "exlpose-ocn", str(tmp_path / "published")]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows cannot fork, and kills otherwise")
@pytest.mark.parametrize(
    ("prepared", "writes", "kills"),
    [(to_build, 12, 12), (to_simulate, 12, 4), (to_import_exlpose, 12, 4), (to_import_ocn, 6, 4)],
)  # writes: dataset.json twice, annotation files, README.md; for pairs table1.json and the contact sheet as well
def test_kill_9_at_any_write_leaves_no_complete_set_and_the_command_finishes_it(tmp_path, prepared, writes, kills):
    workspace, arguments = prepared(tmp_path)
    seed = random.SystemRandom().randrange(1000)
    command = [sys.executable, str(SCRIPT), str(workspace.dataset("main")), str(2 * writes), str(kills), str(seed)]
    command += ["-C", str(workspace.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for record in json.loads(done.stdout):
        assert record["killed"] == -signal.SIGKILL, record
        assert record["status"] in ("none", "building"), record
        assert (record["code"], record["differ"]) == (0, []), record


def test_a_set_that_version_0_1_called_complete_without_its_card_still_serves_and_is_mended_by_build(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1,))
    assert exlcap(workspace, "build").returncode == 0
    folder = workspace.dataset("main")
    for name in ("README.md", "table1.json", "contact_sheet.png"):
        (folder / name).unlink()
    assert read_split(folder, "train").pairs
    done = exlcap(workspace, "validate", "main", "--json")
    assert (done.returncode, json.loads(done.stdout)["counts"]["card_missing"]) == (1, 3)
    assert exlcap(workspace, "build").returncode == 0
    assert exlcap(workspace, "validate", "main").returncode == 0
