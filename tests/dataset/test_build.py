"""A data set from takes, alignment and labels: right pixels, right labels, right numbers, and no harm from a crash."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from exlcap.core.develop import Development, develop, low_on_well, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file
from exlcap.core.labels import Person, read_labels, write_labels
from exlcap.dataset.annotations import crowd_index, in_crop
from exlcap.dataset.build import build
from exlcap.dataset.data_card.built_card import built_card
from exlcap.dataset.data_card.built_sheet import choose
from exlcap.dataset.images import write_png
from exlcap.dataset.labelled_pairs import collect_labelled_pairs
from exlcap.dataset.manifest import Parameters, read_complete, read_manifest, write_manifest
from exlcap.dataset.table1 import table1, table1_text
from tests.conftest import make_take
from tests.dataset.building import BRIGHT, exlcap, label_from_truth, prepare

NAMES = ("train", "val", "test_LL-N", "test_LL-H", "test_LL-E", "test_LL-A", "test_WL")


def test_every_pair_has_two_images_of_the_common_size(built):
    workspace, items, manifest = built
    assert len(manifest.pairs) == len(items) == 12
    for entry in manifest.pairs:
        for light, digest in (("well", entry.well_sha256), ("low", entry.low_sha256)):
            path = workspace.dataset("main") / "images" / light / f"{entry.pair_id}.png"
            assert sha256_file(path) == digest
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (entry.height, entry.width, 3)
            assert (entry.height, entry.width) == (items[0].alignment.crop.height, items[0].alignment.crop.width)


def test_images_are_the_developed_frames(built):
    workspace, items, _ = built
    item = items[0]
    x, y, width, height = item.alignment.crop
    well = to_srgb(develop(item.take.raw(item.pair, "well"), BRIGHT))[y : y + height, x : x + width]
    path = workspace.dataset("main") / "images" / "well" / f"{item.pair_id}.png"
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], well)


def test_both_images_of_a_pair_show_the_same_place(built):
    """The dark image of a bright scene, brightened, agrees with the bright one where it should and not when shifted."""
    _, items, _ = built
    item = next(i for i in items if i.pair.k == 1 and i.take.header.scene == "plaza")
    x, y, width, height = item.alignment.crop
    well = develop(item.take.raw(item.pair, "well"), Development(60))[y : y + height, x : x + width].mean(2)
    low = low_on_well(develop(item.take.raw(item.pair, "low"), Development(60)), item.alignment).mean(2)
    blur = [cv2.GaussianBlur(picture, (0, 0), 2.0)[20:-20, 20:-20] for picture in (well, low)]
    agree = np.corrcoef(blur[0].ravel(), blur[1].ravel())[0, 1]
    mirrored = np.corrcoef(blur[0].ravel(), blur[1][:, ::-1].ravel())[0, 1]
    moved = np.corrcoef(blur[0][:, 8:].ravel(), blur[1][:, :-8].ravel())[0, 1]
    assert agree > 0.9
    assert agree > mirrored + 0.2
    assert agree > moved + 0.05


@pytest.mark.parametrize("name", NAMES)
def test_annotation_files_load_in_pycocotools(built, name):
    workspace, _, manifest = built
    coco = COCO(workspace.dataset("main") / "annotations" / f"{name}.json")
    assert (len(coco.imgs), len(coco.anns)) == manifest.counts[name]
    assert all(annotation["id"] > 0 for annotation in coco.dataset["annotations"])
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        keypoints = np.array(annotation["keypoints"]).reshape(14, 3)
        labelled = keypoints[keypoints[:, 2] > 0, :2]
        assert annotation["num_keypoints"] == len(labelled)
        assert (labelled >= -0.5).all()
        assert (labelled <= (image["width"] - 0.5, image["height"] - 0.5)).all()
        assert annotation["area"] == pytest.approx(0.53 * annotation["bbox"][2] * annotation["bbox"][3], abs=1e-3)


def test_splits_share_no_scene_and_follow_the_gain(built):
    workspace, _, manifest = built
    assert manifest.splits == {"train": ("cellar",), "val": ("arcade",), "test": ("alley", "plaza")}
    read = {n: json.loads((workspace.dataset("main") / "annotations" / f"{n}.json").read_text()) for n in NAMES}
    assert {image["scene"] for image in read["train"]["images"]} == {"cellar"}
    assert [image["lighting"] for image in read["train"]["images"]] == ["well", "low"] * 3
    gains = {
        name: [image["well_gain_db"] for image in read[f"test_{name}"]["images"]] for name in ("LL-N", "LL-H", "LL-E")
    }
    assert sorted(round(g, 2) for g in gains["LL-N"]) == [0, 12, 12.04]
    assert [round(g, 2) for g in gains["LL-H"]] == [21.58]
    assert sorted(round(g, 2) for g in gains["LL-E"]) == [24.04, 33.58]
    assert len(read["test_LL-A"]["images"]) == len(read["test_WL"]["images"]) == 6
    assert {image["lighting"] for image in read["test_WL"]["images"]} == {"well"}


def test_people_of_a_pair_are_joined_by_id(built):
    workspace, _, _ = built
    train = json.loads((workspace.dataset("main") / "annotations" / "train.json").read_text())
    light = {image["id"]: image["lighting"] for image in train["images"]}
    found = {(a["pair_id"], a["person_id"], light[a["image_id"]]) for a in train["annotations"]}
    assert len(found) == len(train["annotations"]) > 0
    assert {(p, i) for p, i, r in found if r == "well"} == {(p, i) for p, i, r in found if r == "low"}


def test_table_1_counts_and_levels(built):
    _, items, manifest = built
    rows = {row.split: row for row in table1(manifest)}
    assert list(rows) == ["train", "val", "LL-N", "LL-H", "LL-E", "LL-A", "WL"]
    assert (rows["LL-A"].scenes, rows["LL-A"].pairs) == (2, 6)
    assert rows["WL"].people == rows["LL-A"].people == sum(rows[s].people for s in ("LL-N", "LL-H", "LL-E"))
    assert rows["train"].people == sum(len(i.labels.well) for i in items if i.take.header.scene == "cellar")
    assert 60 < rows["WL"].well_mean_level < 160
    assert rows["WL"].low_mean_level is None
    assert rows["LL-N"].low_mean_level > rows["LL-H"].low_mean_level > rows["LL-E"].low_mean_level > 0
    assert "LL-E" in table1_text(list(rows.values()))


def test_the_same_inputs_give_the_same_bytes(built, tmp_path):
    workspace, items, manifest = built
    again = build(workspace, "again", Parameters(test=("plaza", "alley"), val=("arcade",)), items)
    assert again.pairs == manifest.pairs
    assert again.annotations_sha256 == manifest.annotations_sha256


def test_a_second_build_makes_nothing_anew(built):
    workspace, items, manifest = built
    paths = sorted((workspace.dataset("main") / "images").rglob("*.png"))
    before = [path.stat().st_mtime_ns for path in paths]
    assert build(workspace, "main", manifest.parameters, items) == manifest
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_only_what_changed_is_built_again(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1, 4))
    parameters = Parameters(test=("alley",))
    build(workspace, "main", parameters, collect_labelled_pairs(workspace, 1))
    lost = workspace.dataset("main") / "images" / "low" / "alley-t001-k04-000000.png"
    lost.unlink()
    before = {p: p.stat().st_mtime_ns for p in (workspace.dataset("main") / "images").rglob("*.png")}
    label_from_truth(workspace, make_take(workspace, "hall", (1,), 1))
    manifest = build(workspace, "main", parameters, collect_labelled_pairs(workspace, 1))
    assert lost.exists()
    assert len(manifest.pairs) == 5
    changed = {p.name for p, then in before.items() if p.stat().st_mtime_ns != then}
    assert changed == {"alley-t001-k04-000000.png"}


def test_other_parameters_under_the_same_name_are_refused(built):
    workspace, items, _ = built
    with pytest.raises(ExlcapError, match="built with seed = 0, not 3"):
        build(workspace, "main", Parameters(seed=3, test=("plaza", "alley"), val=("arcade",)), items)


def test_rejected_people_and_unlabelled_takes_stay_out(tmp_path, capsys):
    workspace = prepare(tmp_path / "lab", ("plaza",), (1,))
    make_take(workspace, "hall", (1,), 1)
    path = workspace.labels("plaza", 1)
    path.write_text(path.read_text().replace('"undecided"', '"rejected"', 1))
    labels = read_labels(path)
    (pair,) = labels.pairs.values()
    items = collect_labelled_pairs(workspace, 1)
    assert "hall take-001 has no labels" in capsys.readouterr().err
    manifest = build(workspace, "main", Parameters(), items)
    assert manifest.counts["train"] == (2, 2 * (len(pair.well) - 1))


def test_a_person_in_the_crop(built):
    _, items, _ = built
    item = next(i for i in items if i.labels.well)
    person = item.labels.well[0]
    moved = in_crop(person, item.alignment)
    both = moved.labelled
    assert np.allclose(person.keypoints[both, :2] - moved.keypoints[both, :2], item.alignment.crop[:2])


def test_a_damaged_frame_stops_the_build_by_name_and_leaves_it_unfinished(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1, 4))
    frame = workspace.scene("alley") / "take-001" / "raw" / "k04" / "000000.low.tif"
    data = frame.read_bytes()
    frame.write_bytes(data[: len(data) // 2])
    done = exlcap(workspace, "build", "--test", "alley")
    assert done.returncode == 2
    assert "000000.low.tif is damaged or cut off" in done.stderr
    with pytest.raises(ExlcapError, match="not finished"):
        read_complete(workspace.dataset("main"))
    frame.write_bytes(data)
    assert exlcap(workspace, "build", "--test", "alley").returncode == 0
    assert read_complete(workspace.dataset("main")).status == "complete"


def square(x, y, side, joints_at=None, name="p"):
    keypoints = np.zeros((14, 3))
    for joint, point in enumerate([(x + side / 2, y + side / 2)] * 14 if joints_at is None else joints_at):
        keypoints[joint] = (*point, 2)
    return Person(id=name, keypoints=keypoints, box=(float(x), float(y), float(side), float(side)), origin="test")


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ((), 0.0),
        ((square(0, 0, 10),), 0.0),
        ((square(0, 0, 10), square(100, 0, 10)), 0.0),
        ((square(0, 0, 10), square(0, 0, 10)), 1.0),
        # seven of the second person's joints lie in the first one's box, none the other way
        ((square(0, 0, 10), square(20, 0, 10, [(5, 5)] * 7 + [(25, 5)] * 7)), 0.25),
        ((square(0, 0, 10), square(0, 0, 10, [])), 0.0),
    ],
)
def test_the_crowd_index_is_crowdposes(people, expected):
    assert crowd_index(people) == pytest.approx(expected)


def test_the_data_card_says_what_is_in_it(built):
    _, items, manifest = built
    card = built_card(manifest.model_copy(update={"licence": "CC BY 4.0"}), items)
    for text in (
        "| LL-E | 1 | 2 |",
        "- development, low: dark level 60 DN, white balance 1.000 1.000 1.000 (4 takes)",
        "cellar",
        "shot on an emulated rig",
        "CC BY 4.0",
        "ND filter 1 %",
        "known limits",
    ):
        assert text.lower() in card.lower(), text
    assert "Not chosen yet" in built_card(manifest, items)


def test_a_licence_stays_until_another_is_given(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1,))
    for arguments, expected in (((), "Not chosen yet"), (("--licence", "CC0"), "CC0"), ((), "CC0")):
        assert exlcap(workspace, "build", *arguments).returncode == 0
        card = (workspace.dataset("main") / "README.md").read_text()
        assert expected in card.split("## Licence")[1]


def test_people_outside_the_common_area_are_counted_and_said(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1,))
    path = workspace.labels("plaza", 1)
    labels = read_labels(path)
    ((name, pair),) = labels.pairs.items()
    outside = replace(pair.well[0], id="far", box=(-30.0, 5.0, 20.0, 40.0), keypoints=np.zeros((14, 3)))
    unlabelled = replace(pair.well[0], id="unlabelled", keypoints=np.zeros((14, 3)))
    crowd = replace(pair.well[0], id="crowd", iscrowd=True)
    others = (outside, unlabelled, crowd)
    both = replace(pair, well=(*pair.well, *others), low=(*pair.low, *others))
    write_labels(path, replace(labels, pairs={name: both}))
    done = exlcap(workspace, "build", "--test", "alley", "--json")
    assert "note: 1 labels of people are left out: wholly outside" in done.stderr
    assert list(json.loads(done.stdout)["left_out"].values()) == [1]
    assert "1 labels of people are left out" in (workspace.dataset("main") / "README.md").read_text()
    train = json.loads((workspace.dataset("main") / "annotations" / "train.json").read_text())
    found = {a["person_id"]: (a["num_keypoints"], a["iscrowd"]) for a in train["annotations"]}
    assert len(found) == len(pair.well) + 2
    assert found["unlabelled"] == (0, 0)
    assert found["crowd"][1] == 1


def test_every_nth_pair_of_each_step_is_taken(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1, 4), pairs=5)
    items = collect_labelled_pairs(workspace, 2)
    chosen = [(i.take.header.scene, i.pair.k, i.pair.index) for i in items]
    assert chosen == [(scene, k, n) for scene in ("alley", "plaza") for k in (1, 4) for n in (0, 2, 4)]
    assert len(collect_labelled_pairs(workspace, 50)) == 4


def test_every_split_has_every_exposure_of_the_schedule(built):
    _, items, manifest = built
    for scenes in manifest.splits.values():
        assert {entry.k for entry in manifest.pairs if entry.scene in scenes} == {1, 4, 12}
    assert len(items) == 12


def test_a_data_set_that_was_imported_is_not_built_over(built):
    workspace, items, manifest = built
    folder = workspace.dataset("foreign")
    write_manifest(folder, manifest.model_copy(update={"name": "foreign", "origin": "imported", "pairs": ()}))
    with pytest.raises(ExlcapError, match="was imported, not built from takes"):
        build(workspace, "foreign", manifest.parameters, items)


@pytest.mark.slow
def test_kill_9_in_the_middle_and_build_again(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1, 4, 12), pairs=4)
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), "build"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log = workspace.dataset("main") / "build.jsonl"
    while not (log.exists() and log.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert read_manifest(workspace.dataset("main")).status == "building"
    done = exlcap(workspace, "train", "--data", "main", "--epochs", "1")
    assert done.returncode == 2
    assert "not finished" in done.stderr
    done = exlcap(workspace, "build", "--json")
    assert done.returncode == 0, done.stderr
    assert "of 24 pairs are built already" in done.stderr
    manifest = read_complete(workspace.dataset("main"))
    assert len(manifest.pairs) == 24
    other = build(workspace, "whole", manifest.parameters, collect_labelled_pairs(workspace, 1))
    assert other.pairs == manifest.pairs


def test_the_command_prints_table_1_and_writes_a_contact_sheet(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza", "alley"), (1, 12))
    done = exlcap(workspace, "build", "--name", "night", "--test", "alley")
    assert done.returncode == 0, done.stderr
    assert "LL-E" in done.stdout
    assert "split val is empty" in done.stderr
    assert read_complete(workspace.dataset("night")).parameters.warp == "well"  # dark pixels are the scarce ones
    sheet = cv2.imread(str(workspace.dataset("night") / "contact_sheet.png"))
    assert sheet.shape[1] > 3 * 600
    assert sheet.std() > 20


def test_the_sheet_spans_the_gains(built):
    _, items, _ = built
    gains = [item.pair.well.read_back.gain_db for item in choose(items)]
    assert gains == sorted(gains)
    assert gains[0] == min(i.pair.well.read_back.gain_db for i in items)
    assert gains[-1] == max(i.pair.well.read_back.gain_db for i in items)


def test_a_png_is_read_back_as_written(tmp_path):
    picture = np.random.default_rng([0]).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    image = write_png(tmp_path / "x.png", picture)
    assert np.array_equal(cv2.imread(str(tmp_path / "x.png"))[..., ::-1], picture)
    assert image.mean_level == pytest.approx(picture.mean())
    assert image.sha256 == sha256_file(tmp_path / "x.png")
