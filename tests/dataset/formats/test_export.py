"""What other tools get: everything, where they look for it, under the names they know."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file
from exlcap.core.joints import FLIP_INDICES, JOINTS, OKS_SIGMAS
from exlcap.core.labels import read_coco
from exlcap.dataset.formats.export import export_coco, export_fiftyone
from exlcap.dataset.formats.export_exlpose import export_exlpose
from exlcap.dataset.formats.export_mmpose import export_mmpose
from exlcap.dataset.formats.import_exlpose import import_exlpose
from exlcap.dataset.manifest import read_manifest
from tests.dataset.formats.test_import import path_in_the_official_loader
from tests.dataset.small import write_small_dataset


@pytest.fixture
def small(tmp_path):
    write_small_dataset(tmp_path / "small")
    return tmp_path / "small"


def test_coco_loses_nothing(small, tmp_path):
    assert export_coco(small, tmp_path / "out") == 16
    for path in sorted((small / "annotations").glob("*.json")):
        ours, theirs = read_coco(path), read_coco(tmp_path / "out" / "annotations" / path.name)
        assert [i.file_name for i in ours] == [i.file_name for i in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert [p.to_json() for p in a.people] == [p.to_json() for p in b.people]
        coco = COCO(tmp_path / "out" / "annotations" / path.name)
        for image in coco.dataset["images"]:
            copy = tmp_path / "out" / "images" / image["file_name"]
            assert sha256_file(copy) == sha256_file(small / "images" / image["file_name"])


def test_the_official_loader_finds_every_image(small, tmp_path):
    assert export_exlpose(small, tmp_path / "out") == 16
    lists = sorted((tmp_path / "out" / "Annotations" / "ExLPose").glob("*_trans.json"))
    assert {p.name for p in lists} == {
        f"ExLPose_{name}_trans.json"
        for name in ("train", "val", "test_LL-All", "test_LL-Normal", "test_LL-Hard", "test_LL-Extreme")
    }
    shown = set()
    for path in lists:
        for person in json.loads(path.read_text()):
            short = path_in_the_official_loader(person["imgInfo"]["img_paths"])
            shown.add(short)
            assert (tmp_path / "out" / "bright" / short).is_file()
            assert (tmp_path / "out" / "dark" / short).is_file()
            assert person["imgInfo"]["img_paths"].startswith("bright/")
            assert all(isinstance(v, int) for v in person["unit"]["GT_bbox"])
    assert len(shown) == 8
    trans = tmp_path / "out" / "Annotations" / "ExLPose" / "ExLPose_train_trans.json"
    assert len(json.loads(trans.read_text())) == 4  # two people in each of two pairs, not once for each light


def test_an_export_in_the_official_layout_can_be_imported_again(small, tmp_path):
    export_exlpose(small, tmp_path / "out")
    again = import_exlpose(tmp_path / "out", tmp_path / "again")
    before = read_manifest(small)
    assert again.counts == before.counts
    for old, new in zip(
        sorted(before.pairs, key=lambda e: e.well_sha256), sorted(again.pairs, key=lambda e: e.well_sha256), strict=True
    ):
        assert (old.well_sha256, old.low_sha256, old.k, old.index) == (
            new.well_sha256,
            new.low_sha256,
            new.k,
            new.index,
        )
        assert new.well_gain_db == pytest.approx(old.well_gain_db, abs=0.005)
    people = json.loads((tmp_path / "again" / "annotations" / "test_LL-A.json").read_text())["annotations"]
    ours = json.loads((small / "annotations" / "test_LL-A.json").read_text())["annotations"]
    assert sorted(str(a["keypoints"]) for a in people) == sorted(str(a["keypoints"]) for a in ours)
    export_exlpose(tmp_path / "again", tmp_path / "out2")
    names = [sorted(p.name for p in (tmp_path / out / "dark").iterdir()) for out in ("out", "out2")]
    assert names[0] == names[1]


def test_the_mmpose_config_names_joints_sigmas_and_files_that_are_there(small, tmp_path):
    export_mmpose(small, tmp_path / "out")
    config: dict = {}
    exec(compile((tmp_path / "out" / "mmpose_config.py").read_text(), "mmpose_config.py", "exec"), config)
    joints = config["metainfo"]["keypoint_info"]
    assert [joints[i]["name"] for i in range(14)] == list(JOINTS)
    swaps = [JOINTS.index(joints[i]["swap"] or joints[i]["name"]) for i in range(14)]
    assert swaps == list(FLIP_INDICES)
    assert np.allclose(config["metainfo"]["sigmas"], OKS_SIGMAS)
    for name, split in (("train", "train"), ("val", "val"), ("test", "test_LL-A")):
        data = config[f"{name}_dataloader"]["dataset"]
        assert data["ann_file"] == f"annotations/{split}.json"
        listed = json.loads((tmp_path / "out" / data["ann_file"]).read_text())["images"]
        assert all((tmp_path / "out" / data["data_prefix"]["img"] / i["file_name"]).is_file() for i in listed)
    assert config["model"]["head"]["out_channels"] == 14


def test_the_fiftyone_script_is_beside_its_files(small, tmp_path):
    export_fiftyone(small, tmp_path / "out")
    compile((tmp_path / "out" / "load_in_fiftyone.py").read_text(), "load_in_fiftyone.py", "exec")
    assert (tmp_path / "out" / "annotations" / "train.json").exists()


def test_nothing_is_written_over(small, tmp_path):
    (tmp_path / "out").mkdir()
    for export in (export_coco, export_exlpose, export_mmpose, export_fiftyone):
        with pytest.raises(ExlcapError, match="exists already"):
            export(small, tmp_path / "out")


def test_the_commands(small, tmp_path):
    (tmp_path / "rig.toml").write_text("format = 1")
    Path(tmp_path / "datasets").mkdir()
    small.rename(tmp_path / "datasets" / "small")

    def exlcap(*arguments):
        command = [sys.executable, "-m", "exlcap", "-C", str(tmp_path), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = exlcap("export-dataset", "small", "--to", "exlpose", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["images"] == 16
    done = exlcap("import", "exlpose", tmp_path / "out", "--name", "again")
    assert done.returncode == 0, done.stderr
    assert "test_LL-A" in done.stdout
    assert exlcap("validate", "again").returncode == 0
    assert exlcap("export-dataset", "nobody", "--to", "coco", tmp_path / "x").returncode == 2
