"""Every defect is named where it is, on data sets of ours and on anybody's COCO keypoint file; nothing else is."""

import errno
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_json
from exlcap.core.joints import FLIP_INDICES
from exlcap.core.labels import COCO_CATEGORY, coco_annotation
from exlcap.dataset.checks import fix
from exlcap.dataset.checks.fix import corrected, fix_dataset, fix_file
from exlcap.dataset.checks.label_checks import LABEL_CHECKS, sides_cross
from exlcap.dataset.checks.set_checks import SET_CHECKS
from exlcap.dataset.checks.validate import counts, find_all, findings_text, read_subject
from exlcap.dataset.formats.keypoint_file import read_keypoint_file
from exlcap.dataset.manifest import read_manifest, write_manifest
from tests.dataset.small import SIZE, standing


def coco(flag=2):
    images = [{"id": i, "file_name": f"{i}.png", "width": SIZE[0], "height": SIZE[1]} for i in (1, 2)]
    people = [standing("1", 0, flag), standing("2", -20, 1)]
    annotations = [coco_annotation(p, i, i, "") for i, p in enumerate(people, start=1)]
    annotations[1]["keypoints"][:6] = [0, 0, 0, 6, 12, 2]
    annotations[1]["num_keypoints"] = 13
    return {"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]}


def found_in(path):
    return [f for f in find_all(read_subject(path)) if f.check != "images_not_found"]


def test_a_sound_file_has_no_findings(tmp_path):
    write_json(tmp_path / "x.json", coco())
    assert found_in(tmp_path / "x.json") == []


def set_joint(annotation, joint, x, y, flag=2):
    annotation["keypoints"][3 * joint : 3 * joint + 3] = [x, y, flag]


def nobody(annotation):
    annotation.update(keypoints=[0] * 42, num_keypoints=0)


def swap_shoulders(data):
    points = data["annotations"][0]["keypoints"]
    points[0:3], points[3:6] = points[3:6], points[0:3]


def show_all(data):
    for annotation in data["annotations"]:
        flags = annotation["keypoints"][2::3]
        annotation["keypoints"][2::3] = [2 * (flag > 0) for flag in flags]


DEFECTS = {
    "annotation_id_zero": lambda d: d["annotations"][0].update(id=0),
    "duplicate_id": lambda d: d["annotations"][0].update(id=2),
    "missing_area": lambda d: d["annotations"][0].pop("area"),
    "wrong_num_keypoints": lambda d: d["annotations"][0].update(num_keypoints=15),
    "no_joints": lambda d: nobody(d["annotations"][0]),
    "joint_outside_box": lambda d: set_joint(d["annotations"][0], 4, 60, 27),
    "bad_visibility": lambda d: set_joint(d["annotations"][0], 12, 32, 4, 3),
    "swapped_sides": swap_shoulders,
    "mixed_image_sizes": lambda d: d["images"][0].update(width=SIZE[0] + 1),
    "one_visibility": show_all,
}


@pytest.mark.parametrize("check", DEFECTS)
def test_each_defect_is_named_and_nothing_else(tmp_path, check):
    data = coco()
    DEFECTS[check](data)
    write_json(tmp_path / "x.json", data)
    findings = found_in(tmp_path / "x.json")
    assert {f.check for f in findings} == {check}
    assert len(findings) == (2 if check == "duplicate_id" else 1)
    assert findings[0].file == "x.json"
    if check not in ("mixed_image_sizes", "one_visibility"):
        assert (findings[0].image_id, findings[0].image) == (1, "1.png")
        assert findings[0].annotation_id == data["annotations"][0]["id"]


@pytest.mark.parametrize(("x", "out"), [(-0.5, False), (-0.6, True), (SIZE[0] - 0.5, False), (SIZE[0] - 0.4, True)])
def test_the_image_ends_half_a_pixel_beyond_the_last_centre(tmp_path, x, out):
    data = coco()
    set_joint(data["annotations"][0], 4, x, 27)
    write_json(tmp_path / "x.json", data)
    assert ("joint_outside_image" in counts(found_in(tmp_path / "x.json"))) == out


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"keypoints": [1, 2, 2]}, "42 finite numbers"),
        ({"bbox": [1, 2, 0, 4]}, "width and a height above 0"),
        ({"image_id": 77}, "no image 77"),
        ({"bbox": None}, "TypeError"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, change, why):
    data = coco()
    data["annotations"][1].update(change)
    write_json(tmp_path / "x.json", data)
    (finding,) = (f for f in found_in(tmp_path / "x.json") if f.check == "malformed")
    assert finding.annotation_id == 2
    assert why in finding.text


def person_of(keypoints, tmp_path):
    data = coco()
    data["annotations"][0]["keypoints"] = [float(v) for v in keypoints.ravel()]
    write_json(tmp_path / "x.json", data)
    return read_keypoint_file(tmp_path / "x.json").people[0]


@pytest.mark.parametrize("turn_deg", [0, 60, 180, 290])
def test_turned_or_mirrored_people_are_no_suspects_but_half_swapped_ones_are(tmp_path, turn_deg):
    whole = standing().keypoints
    angle = np.deg2rad(turn_deg)
    turned = whole.copy()
    turned[:, :2] = (whole[:, :2] - 30) @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]] + 30
    back = turned[list(FLIP_INDICES)]
    half = turned.copy()
    half[:6] = back[:6]  # arms of one side, legs of the other
    assert [sides_cross(person_of(k, tmp_path)) for k in (turned, back, half)] == [False, False, True]


def test_a_profile_is_no_suspect(tmp_path):
    profile = standing().keypoints
    profile[[0, 1, 6, 7], 0] = [31, 32, 32, 31]
    assert not sides_cross(person_of(profile, tmp_path))


def test_other_joints_are_refused(tmp_path):
    data = coco()
    data["categories"] = [{"id": 1, "keypoints": ["nose", "left_eye"]}]
    write_json(tmp_path / "x.json", data)
    with pytest.raises(ExlcapError, match="not the 14 of CrowdPose"):
        read_keypoint_file(tmp_path / "x.json")


def test_check_names_are_unique():
    names = [check.name for check in (*SET_CHECKS, *LABEL_CHECKS)]
    assert len(names) == len(set(names))


# ---- the published annotations: what shared/facts/exlpose.md lists was counted on LL-All ----


def test_the_published_annotations_have_exactly_the_known_defects(shared_data):
    path = shared_data / "exlpose_annotations" / "ExLPose" / "ExLPose_test_LL-All.json"
    findings = found_in(path)
    assert counts(findings) == {
        "annotation_id_zero": 1, "missing_area": 2810, "wrong_num_keypoints": 38, "joint_outside_image": 10,
        "no_joints": 21, "joint_outside_box": 752, "swapped_sides": 6, "one_visibility": 1, "mixed_image_sizes": 1,
    }  # fmt: skip
    assert any("num_keypoints is 15" in f.text for f in findings)
    assert any("6 image sizes" in f.text for f in findings)


@pytest.mark.parametrize(("name", "people", "no_joints"), [("Normal", 1028, 8), ("Hard", 945, 6), ("Extreme", 837, 7)])
def test_the_published_levels_hold_the_gains_they_should(shared_data, name, people, no_joints):
    path = shared_data / "exlpose_annotations" / "ExLPose" / f"ExLPose_test_LL-{name}.json"
    found = counts(found_in(path))
    assert (found["missing_area"], found["no_joints"]) == (people, no_joints)
    assert "wrong_lighting_split" not in found


def test_the_published_annotations_can_be_mended(shared_data, tmp_path):
    path = shared_data / "exlpose_annotations" / "ExLPose" / "ExLPose_test_LL-All.json"
    changes = fix_file(read_keypoint_file(path), tmp_path / "mended.json")
    left = counts(found_in(tmp_path / "mended.json"))
    assert set(left) == {"no_joints", "joint_outside_box", "swapped_sides", "one_visibility", "mixed_image_sizes"}
    before, after = json.loads(path.read_text()), json.loads((tmp_path / "mended.json").read_text())
    assert [a["id"] for a in after["annotations"]] == list(range(1, 2811))
    assert len(changes) == 2810 + 2810 + 10 + len([c for c in changes if c.what == "num_keypoints"]) + 21
    lost = sum(
        a["keypoints"] != b["keypoints"] for a, b in zip(before["annotations"], after["annotations"], strict=True)
    )
    assert lost <= 10


# ---- mending ----


def test_a_mended_copy_lists_every_change_and_drops_nobody(tmp_path):
    data = coco()
    DEFECTS["annotation_id_zero"](data)
    DEFECTS["missing_area"](data)
    set_joint(data["annotations"][0], 4, -5, 27)
    data["annotations"][1].update(keypoints=[0] * 42)
    write_json(tmp_path / "x.json", data)
    content, changes = corrected(read_keypoint_file(tmp_path / "x.json"))
    first, second = content["annotations"]
    assert [c.what for c in changes] == [
        "joint unlabelled", "num_keypoints", "area", "num_keypoints", "kept without joints", "new id",
    ]  # fmt: skip
    assert first["keypoints"][12:15] == [0, 0, 0]
    assert (first["id"], first["num_keypoints"], second["id"], second["num_keypoints"]) == (1, 13, 2, 0)
    assert first["area"] == pytest.approx(0.53 * 20 * 42)
    write_json(tmp_path / "y.json", content)
    assert {f.check for f in found_in(tmp_path / "y.json")} == {"no_joints", "one_visibility"}
    assert json.loads((tmp_path / "x.json").read_text()) == data


def test_nothing_is_written_over(tmp_path):
    write_json(tmp_path / "x.json", coco())
    with pytest.raises(ExlcapError, match="exists already"):
        fix_file(read_keypoint_file(tmp_path / "x.json"), tmp_path / "x.json")


# ---- data sets of ours ----


def test_a_sound_data_set_has_no_findings(small):
    assert find_all(read_subject(small)) == []


def edit(folder, name, change):
    path = folder / "annotations" / f"{name}.json"
    data = json.loads(path.read_text())
    change(data)
    write_json(path, data)


def without_first_image(data):
    data.update(images=data["images"][1:], annotations=data["annotations"][2:])


def rewrite(folder, file, picture):
    cv2.imwrite(str(folder / "images" / file), picture)


def leak(folder):
    manifest = read_manifest(folder)
    splits = {**manifest.splits, "val": ("yard", "hall")}
    write_manifest(folder, manifest.model_copy(update={"splits": splits}))


HARM = {
    "image_missing": lambda f: (f / "images" / "low" / "hall-t001-k01-000000.png").unlink(),
    "image_unreadable": lambda f: (f / "images" / "low" / "hall-t001-k01-000000.png").write_bytes(b"no picture"),
    "size_differs": lambda f: rewrite(f, "low/hall-t001-k01-000000.png", np.full((9, 9, 3), 40, np.uint8)),
    "black_image": lambda f: rewrite(f, "low/hall-t001-k01-000000.png", np.zeros((*SIZE[::-1], 3), np.uint8)),
    "saturated_image": lambda f: rewrite(f, "low/hall-t001-k01-000000.png", np.full((*SIZE[::-1], 3), 255, np.uint8)),
    "unpaired_image": lambda f: edit(f, "test_WL", without_first_image),
    "unpaired_person": lambda f: edit(f, "train", lambda d: d["annotations"].pop(1)),
    "scene_in_two_splits": leak,
    "wrong_lighting_split": lambda f: edit(f, "test_LL-N", lambda d: d["images"][0].update(well_gain_db=15.0)),
    "checksum_mismatch": lambda f: (f / "annotations" / "test_WL.json").write_text(
        (f / "annotations" / "test_WL.json").read_text() + " "
    ),
}  # fmt: skip


@pytest.mark.parametrize("check", HARM)
def test_each_harm_to_a_data_set_is_named(small, check):
    HARM[check](small)
    found = find_all(read_subject(small))
    assert check in {f.check for f in found}
    also = {"checksum_mismatch"} | (
        {"card_damaged"} if check == "scene_in_two_splits" else set()
    )  # Table 1 is by split
    assert {f.check for f in found} <= {check} | also
    named = next(f for f in found if f.check == check)
    assert named.file.endswith(".json")
    if check not in ("scene_in_two_splits", "checksum_mismatch"):
        assert named.image is not None


def test_a_data_set_is_mended_in_a_copy_that_is_whole(small):
    edit(small, "train", lambda d: d["annotations"][0].update(num_keypoints=3))
    before = (small / "annotations" / "train.json").read_bytes()
    changes = fix_dataset(small, read_subject(small).files, small.with_name("mended"))
    assert [(c.file, c.what) for c in changes] == [("train.json", "num_keypoints")]
    assert find_all(read_subject(small.with_name("mended"))) == []
    assert (small / "annotations" / "train.json").read_bytes() == before


def test_one_error_is_not_called_errors(small):
    (small / "README.md").write_bytes(b"")
    text = findings_text(read_subject(small), find_all(read_subject(small)))
    assert text.splitlines()[-1] == "1 error"


def test_a_mended_copy_that_was_cut_short_is_no_data_set(small, monkeypatch):
    edit(small, "train", lambda d: d["annotations"][0].update(num_keypoints=3))

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(fix, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        fix_dataset(small, read_subject(small).files, small.with_name("mended"))
    with pytest.raises(ExlcapError, match="no data set"):
        read_manifest(small.with_name("mended"))


def exlcap(*arguments):
    command = [sys.executable, "-m", "exlcap", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_what_is_wrong_and_exits_with_1(small):
    (small.parents[1] / "rig.toml").write_text("format = 1")
    assert exlcap("-C", small.parents[1], "validate", "small").returncode == 0
    (small / "images" / "low" / "hall-t001-k01-000000.png").unlink()
    done = exlcap("-C", small.parents[1], "validate", "small", "--json", "--fix", small.parent / "copy")
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert data["counts"] == {"image_missing": 1}
    assert data["findings"][0]["image"] == "low/hall-t001-k01-000000.png"
    assert data["changes"] == []
    assert (small.parent / "copy" / "dataset.json").exists()
    shutil.rmtree(small)
    assert exlcap("-C", small.parents[1], "validate", "small").returncode == 2
