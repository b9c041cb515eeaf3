import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exlcap.core.errors import ExlcapError
from exlcap.core.joints import JOINTS
from exlcap.core.labels import (
    COCO_CATEGORY,
    PairLabels,
    Person,
    TakeLabels,
    coco_annotation,
    inside,
    read_coco,
    read_labels,
    write_labels,
)

COORDINATES = arrays(np.float64, (14, 2), elements=st.floats(-100, 3000))
FLAGS = arrays(np.int64, (14,), elements=st.integers(0, 2))


def person(keypoints=None, **changes):
    facts = {"id": "p1", "keypoints": np.ones((14, 3)), "box": (1.0, 2.0, 30.0, 40.0), "origin": "hand: x.json"}
    return Person(**{**facts, **({} if keypoints is None else {"keypoints": keypoints}), **changes})


def same(a, b):
    return np.array_equal(a.keypoints, b.keypoints) and (a.id, a.box, a.origin, a.review) == (
        b.id,
        b.box,
        b.origin,
        b.review,
    )


@given(COORDINATES, FLAGS)
def test_labels_come_back_from_disk_to_the_bit(tmp_path_factory, xy, flags):
    path = tmp_path_factory.mktemp("labels") / "take-001.json"
    before = np.column_stack([xy[::-1], flags])
    scores, spread = np.linspace(0, 1, 14), np.linspace(0, 9, 14)
    one = person(np.column_stack([xy, flags]), scores=scores, review="edited", before=before, spread_px=spread)
    write_labels(path, TakeLabels("plaza", 1, "align-001", {"plaza-t001-k01-000002": PairLabels((one,), (one,))}))
    back = read_labels(path)
    pair = back.pairs["plaza-t001-k01-000002"]
    assert (back.scene, back.take, back.alignment) == ("plaza", 1, "align-001")
    assert same(pair.well[0], one)
    assert same(pair.low[0], one)
    assert np.array_equal(pair.well[0].scores, one.scores)
    assert np.array_equal(pair.well[0].spread_px, one.spread_px)
    assert np.array_equal(pair.well[0].before, before)


def test_labels_from_before_there_was_a_review_are_read():
    data = person().to_json()
    del data["before"]
    assert Person.from_json(data).before is None


@given(COORDINATES, FLAGS)
def test_people_come_back_from_coco(tmp_path_factory, xy, flags):
    path = tmp_path_factory.mktemp("coco") / "labels.json"
    one = person(np.column_stack([xy.round(3), flags]))
    coco = {
        "images": [{"id": 5, "file_name": "a.png", "width": 10, "height": 20}],
        "annotations": [coco_annotation(one, 1, 5, "a")],
        "categories": [COCO_CATEGORY],
    }
    path.write_text(json.dumps(coco))
    (image,) = read_coco(path)
    assert (image.file_name, image.size) == ("a.png", (10, 20))
    assert np.allclose(image.people[0].keypoints, one.keypoints, atol=1e-4)
    assert coco["annotations"][0]["num_keypoints"] == int((flags > 0).sum())
    assert coco["annotations"][0]["area"] == pytest.approx(0.53 * 30 * 40)


def test_joints_of_coco_17_are_taken_by_name_and_head_and_neck_stay_open(tmp_path):
    names = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", *JOINTS[:12]]
    keypoints = [v for i in range(17) for v in (i, 10 * i, 2)]
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"id": 3, "image_id": 1, "keypoints": keypoints, "bbox": [0, 0, 5, 5]}],
        "categories": [{"id": 1, "keypoints": names}],
    }
    (tmp_path / "c.json").write_text(json.dumps(coco))
    (image,) = read_coco(tmp_path / "c.json")
    found = image.people[0].keypoints
    assert image.size is None
    assert found[JOINTS.index("left_shoulder")].tolist() == [5, 50, 2]
    assert found[JOINTS.index("head"), 2] == found[JOINTS.index("neck"), 2] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 2]}, "annotation 3"),
        ({"keypoints": [1, 2, 3] * 14}, "flags must be 0, 1 or 2"),
        ({"image_id": 77}, "annotation 3"),
        ({"bbox": [0, 0, -1, 5]}, "box"),
        ({"bbox": [0, 0, 5]}, "annotation 3"),
    ],
)
def test_a_bad_annotation_is_named(tmp_path, change, message):
    annotation = {"id": 3, "image_id": 1, "keypoints": [1, 2, 2] * 14, "bbox": [0, 0, 5, 5], **change}
    (tmp_path / "c.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": "a"}], "annotations": [annotation], "categories": []})
    )
    with pytest.raises(ExlcapError, match=message):
        read_coco(tmp_path / "c.json")


def test_a_file_that_is_not_coco_says_what_it_needs(tmp_path):
    (tmp_path / "c.json").write_text('{"people": []}')
    with pytest.raises(ExlcapError) as caught:
        read_coco(tmp_path / "c.json")
    assert "annotations" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 1', '"format": 2', "unknown format 2"),
        ('"undecided"', '"perhaps"', "pair plaza-t001-k01-000002"),
        ('"left_shoulder"', '"left_wing"', "not the 14"),
        ('"origin"', '"source"', "KeyError: 'origin'"),
    ],
)
def test_a_damaged_label_file_names_the_place(tmp_path, old, new, message):
    path = tmp_path / "take-001.json"
    write_labels(path, TakeLabels("plaza", 1, "align-001", {"plaza-t001-k01-000002": PairLabels((person(),), ())}))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ExlcapError, match=message):
        read_labels(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": np.zeros((17, 3))}, r"expected shape \(14, 3\), got \(17, 3\)"),
        ({"keypoints": np.full((14, 3), np.nan)}, "finite"),
        ({"scores": np.zeros(3)}, r"expected shape \(14,\)"),
        ({"spread_px": np.zeros(3)}, r"spread_px: expected shape \(14,\)"),
        ({"box": (0, 0, float("inf"), 1)}, "box"),
        ({"review": "maybe"}, "review"),
        ({"before": np.zeros((3, 3))}, r"expected shape \(14, 3\), got \(3, 3\)"),
    ],
)
def test_a_person_checks_itself(change, message):
    with pytest.raises(ValueError, match=message):
        person(**change)


def test_joints_outside_the_picture_lose_their_place():
    keypoints = np.full((14, 3), 2.0)
    keypoints[0] = (-0.6, 5, 2)
    keypoints[1] = (99.5, 49.5, 2)
    keypoints[2] = (5, 49.6, 1)
    kept = inside(keypoints, 100, 50)
    assert kept[0].tolist() == kept[2].tolist() == [0, 0, 0]
    assert kept[1].tolist() == [99.5, 49.5, 2]
    assert keypoints[0, 2] == 2  # the original is untouched


def test_annotation_ids_start_from_one():
    with pytest.raises(ValueError, match="start from 1"):
        coco_annotation(person(), 0, 1, "a")
