"""What `import exlcap` promises: the names, and that they show what the commands use."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import exlcap
from exlcap.api.datasets import DatasetImage
from exlcap.cli import main
from exlcap.core.alignment import write_alignment
from exlcap.core.take import read_take
from exlcap.dataset.images import encoded, write_png
from exlcap.simulate.optics import true_alignment
from tests.conftest import make_take

HEAVY = ("torch", "cv2", "pypylon", "numpy", "pydantic", "matplotlib", "click")


def test_importing_exlcap_loads_nothing_heavy():
    code = f"import sys, exlcap; dir(exlcap); print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_takes_needs_no_torch(lab_folder):
    code = (
        f"import sys, exlcap; lab = exlcap.open_workspace({str(lab_folder)!r})\n"
        "print([pair.well.srgb().shape for take in lab.takes() for pair in take.pairs][0], 'torch' in sys.modules)\n"
        "print(len(list(lab.dataset('main').pairs())), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["(200, 320, 3) False", "6 False"]


def test_every_public_name_is_there_and_type_checkers_see_the_same():
    tree = ast.parse(Path(exlcap.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {node.module: tuple(alias.name for alias in node.names) for node in block.body}  # type: ignore[attr-defined]
    assert seen == exlcap._MODULES
    public = {name for names in seen.values() for name in names} | {"__version__"}
    assert set(exlcap.__all__) == public
    for name in public:
        assert getattr(exlcap, name) is not None


def test_type_checkers_do_not_see_getattr_and_so_see_misspelt_names():
    tree = ast.parse(Path(exlcap.__file__).read_text(encoding="utf-8"))
    hidden = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "not TYPE_CHECKING"]
    inside = [node for block in hidden for node in block.body if isinstance(node, ast.FunctionDef)]
    everywhere = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__getattr__"]
    assert len(everywhere) == 1 and everywhere[0] in inside


def test_dir_shows_the_public_names_only():
    assert dir(exlcap) == sorted(exlcap.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'open_workshop'"):
        exlcap.open_workshop  # noqa: B018


@pytest.fixture(scope="module")
def lab(lab_folder):
    return exlcap.open_workspace(lab_folder)


def test_a_workspace_opens_from_any_folder_in_it(lab_folder):
    assert exlcap.open_workspace(str(lab_folder / "scenes" / "plaza")).folder == lab_folder.resolve()
    with pytest.raises(exlcap.ExlcapError, match="no folder"):
        exlcap.open_workspace(lab_folder / "nowhere")


def test_takes_come_in_order_as_the_commands_read_them(lab):
    assert [take.name for take in lab.takes()] == [f"{scene} take-001" for scene in ("alley", "arcade", "plaza")]
    (take,) = lab.takes("plaza")
    stored = read_take(lab.folder / "scenes" / "plaza" / "take-001")
    assert take.header == stored.header
    assert [pair.id for pair in take.pairs] == [stored.pair_id(pair) for pair in stored.pairs]
    for light in exlcap.LIGHTS:
        assert np.array_equal(getattr(take.pairs[0], light).raw(), stored.raw(stored.pairs[0], light))


def test_a_scene_or_take_that_is_not_there_names_those_that_are(lab):
    with pytest.raises(exlcap.ExlcapError) as caught:
        lab.takes("piazza")
    assert caught.value.hint == "scenes with takes: alley, arcade, plaza"
    with pytest.raises(exlcap.ExlcapError) as caught:
        lab.take("plaza", 2)
    assert (caught.value.message, caught.value.hint) == ("no take-002 of scene 'plaza'", "it has take-001")
    with pytest.raises(exlcap.ExlcapError, match="cannot name a scene"):
        lab.take("../plaza", 1)
    with pytest.raises(exlcap.ExlcapError, match=r"alignment not found: .*align-009"):
        lab.alignment("align-009")


@pytest.mark.parametrize("number", ["1", -1, 0, 1.0, True, None])
def test_what_cannot_number_a_take_is_named(lab, number):
    with pytest.raises(ValueError, match=f"^number must be a whole number from 1, got {number!r}$"):
        lab.take("plaza", number)


def test_a_take_may_be_numbered_by_numpy(lab):
    assert lab.take("plaza", np.int64(1)).number == 1


def test_everything_shows_itself_in_one_line(trained_lab):
    lab = exlcap.open_workspace(trained_lab)
    take, dataset = lab.take("plaza", 1), lab.dataset("main")
    pair, other = take.pairs[1], next(dataset.pairs("train"))
    assert repr(lab) == f"Lab({str(lab.folder)!r}, takes=3, datasets=1, runs=1)"
    assert repr(take) == "LabTake('plaza', 1, pairs=2, status='complete')"
    assert repr(pair) == "LabPair('plaza-t001-k12-000000', k=12)"
    assert repr(pair.low) == "LabFrame('plaza-t001-k12-000000', 'low', exposure_us=83.3333, gain_db=3.4)"
    assert repr(dataset) == "Dataset('main', pairs=6)"
    assert repr(other) == "DatasetPair('arcade-t001-k01-000000', 'train')"
    assert repr(other.low) == "DatasetImage('low/arcade-t001-k01-000000.png', people=2)"
    assert repr(lab.run("main-ours")) == "Run('main-ours', method='ours', data='main', epoch=1)"


def test_aligned_images_are_those_of_the_data_set(lab):
    dataset = lab.dataset("main")
    built = {pair.id: pair for pair in dataset.pairs()}
    assert len(built) == 6
    for take in lab.takes():
        for pair in take.pairs:
            well, low = pair.aligned()
            assert np.array_equal(encoded(well, 8), built[pair.id].well.srgb())
            assert np.array_equal(exlcap.to_srgb(low), built[pair.id].low.read())


def test_labels_lie_on_the_people_of_each_frame(lab):
    for take in lab.takes():
        for pair in take.pairs:
            well, low = {p.id: p for p in pair.labels.well}, {p.id: p for p in pair.labels.low}
            assert well and set(low) <= set(well)
            for name, person in low.items():
                seen = person.labelled
                there = lab.alignment().map_low_to_well(person.keypoints[seen, :2])
                assert np.allclose(there, well[name].keypoints[seen, :2], atol=1e-6)


def test_a_take_keeps_the_alignment_of_its_labels(workspace):
    make_take(workspace, "plaza", (1,), 1)
    first = true_alignment(workspace.rig)
    (take,) = exlcap.open_workspace(workspace.root).takes()
    assert take.alignment is None and take.pairs[0].labels is None
    with pytest.raises(exlcap.ExlcapError, match="no alignment"):
        take.pairs[0].aligned()
    assert take.pairs[0].well.srgb().shape == (200, 320, 3)
    write_alignment(workspace.alignments / "align-001.json", first)
    truth = workspace.simulated / "plaza" / "take-001.json"
    with pytest.raises(SystemExit):
        main(["-C", str(workspace.root), "annotate", "--from", str(truth)])
    moved = first.model_copy(update={"reference": "later"})
    write_alignment(workspace.alignments / "align-002.json", moved)
    lab = exlcap.open_workspace(workspace.root)
    assert lab.alignment() == moved
    assert lab.take("plaza", 1).alignment == first == lab.alignment("align-001")


def test_images_of_a_split_are_those_of_its_annotation_file(lab):
    dataset = lab.dataset("main")
    for split in dataset.splits:
        listed = json.loads((dataset.folder / "annotations" / f"{split}.json").read_text())
        images = list(dataset.images(split))
        assert [image.file for image in images] == [image["file_name"] for image in listed["images"]]
        assert sum(len(image.people) for image in images) == len(listed["annotations"])
        for image in images:
            assert np.array_equal(image.srgb(), cv2.imread(str(image.path))[..., ::-1])
    assert {pair.split: pair.entry.scene for pair in dataset.pairs()} == {
        "train": "arcade", "val": "alley", "test": "plaza"}  # fmt: skip


def test_a_split_that_is_not_there_names_those_that_are(lab):
    dataset = lab.dataset("main")
    with pytest.raises(exlcap.ExlcapError, match="no split 'dev'"):
        dataset.images("dev")
    with pytest.raises(exlcap.ExlcapError) as caught:
        dataset.pairs("test_LL-N")
    assert caught.value.hint == "its splits are train, val, test"


@pytest.fixture
def copied(lab, tmp_path):
    return exlcap.open_dataset(shutil.copytree(lab.folder / "datasets" / "main", tmp_path / "main"))


def test_damaged_annotations_are_named(copied):
    path = copied.folder / "annotations" / "train.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "images": whole["images"][:-1], "annotations": []}))
    with pytest.raises(exlcap.ExlcapError, match="train do not list both images of arcade-t001-k12-000000"):
        list(copied.pairs("train"))
    whole["annotations"][0]["bbox"] = [1, 2, 3]
    path.write_text(json.dumps(whole))
    with pytest.raises(exlcap.ExlcapError, match=r"train\.json: annotation 1: ") as caught:
        copied.images("train")
    assert "exlcap validate" in caught.value.hint
    del whole["annotations"][0], whole["images"][1]["lighting"]
    path.write_text(json.dumps(whole))
    with pytest.raises(exlcap.ExlcapError, match=r"train\.json: image 2: KeyError: 'lighting'"):
        copied.images("train")


def test_a_missing_or_cut_off_image_is_named(copied):
    image = next(copied.images("train"))
    image.path.write_bytes(image.path.read_bytes()[:20])
    with pytest.raises(exlcap.ExlcapError, match="is damaged or cut off"):
        image.read()
    image.path.unlink()
    with pytest.raises(exlcap.ExlcapError, match="image not found"):
        image.srgb()


def test_an_unfinished_data_set_is_refused(copied):
    path = copied.folder / "dataset.json"
    path.write_text(path.read_text().replace('"status": "complete"', '"status": "building"'))
    with pytest.raises(exlcap.ExlcapError, match="is not finished"):
        exlcap.open_dataset(copied.folder)


def test_linear_images_of_16_bits_are_read_as_stored_and_as_srgb(tmp_path):
    linear = np.random.default_rng(0).random((20, 30, 3), np.float32)
    write_png(tmp_path / "a.png", encoded(linear, 16))
    image = DatasetImage(tmp_path / "a.png", "low/a.png", "low", "a", ())
    assert np.array_equal(image.read(), encoded(linear, 16))
    assert np.array_equal(image.srgb(), exlcap.to_srgb(encoded(linear, 16).astype(np.float32) / 65535))


def test_a_run_predicts_what_the_command_predicts(trained_lab, tmp_path):
    lab = exlcap.open_workspace(trained_lab)
    run, dataset = lab.run("main-ours"), lab.dataset("main")
    coco = dataset.folder / "annotations" / "test_LL-A.json"
    options = ("--run", "main-ours", "--light", "low", "--coco", coco, "--out", tmp_path / "out")
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(trained_lab), "predict", *map(str, options), str(dataset.folder / "images" / "low")])
    assert ended.value.code == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results
    for image in dataset.images("test_LL-A"):
        expected = [result for result in results if result["file_name"] == image.file]
        predicted = run.predict(image.srgb(), np.array([person.box for person in image.people]), "low")
        keypoints = np.array([result["keypoints"] for result in expected]).reshape(-1, 14, 3)
        assert np.allclose(predicted.joints, keypoints[..., :2], atol=1e-3)
        assert np.allclose(predicted.scores.mean(1), [result["score"] for result in expected], atol=1e-3)


def test_what_cannot_be_predicted_is_named(trained_lab):
    run = exlcap.load_run(trained_lab / "runs" / "main-ours")
    image = np.zeros((40, 60, 3), np.uint8)
    assert run.predict(image, [], "low").joints.shape == (0, 14, 2)
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\), got float32 \(40, 60, 3\)"):
        run.predict(image.astype(np.float32), [(0, 0, 9, 9)], "low")
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\), got list"):
        run.predict(image.tolist(), [(0, 0, 9, 9)], "low")
    with pytest.raises(ValueError, match=r"boxes \(N, 4\) of x, y, width, height, got shape \(4,\)"):
        run.predict(image, np.array([0.0, 0, 9, 9]), "low")
    with pytest.raises(ValueError, match=r"boxes \(N, 4\) of x, y, width, height: "):
        run.predict(image, [(0, 0, 9, 9), (0, 0, 9)], "low")
    for box in ((0.0, 0.0, -9.0, 9.0), (0.0, 0.0, 9.0, 0.0), (float("nan"), 0.0, 9.0, 9.0), (0, 0, float("inf"), 9.0)):
        with pytest.raises(ValueError, match=r"^box 2 of 3 is ") as refused:
            run.predict(image, [(0, 0, 9, 9), box, (0, 0, -1, -1)], "low")
        assert str(tuple(map(float, box))) in str(refused.value)
    with pytest.raises(ValueError, match="light must be one of well, low, got 'dark'"):
        run.predict(image, [(0, 0, 9, 9)], "dark")
    with pytest.raises(exlcap.ExlcapError, match=r"box of person 1 \(200, 200, 9, 9\) .* image of 60x40") as caught:
        run.predict(image, [(200.0, 200.0, 9.0, 9.0)], "low")
    assert "box" in caught.value.hint and "picture" in caught.value.hint and "data set" not in caught.value.hint


def test_runs_without_weights_are_not_listed(trained_lab, tmp_path):
    lab = exlcap.open_workspace(trained_lab)
    assert lab.runs == ("main-ours",)
    with pytest.raises(exlcap.ExlcapError, match="no checkpoint"):
        lab.run("other")
