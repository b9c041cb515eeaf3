"""Hand labels find their pairs, survive a second run, and land where they belong in the dark frame."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.align.align_take import align_take
from exlcap.annotate.carry import CARRIED, carry
from exlcap.annotate.hand_labels import iou, merge, on_bright_frame, read_hand_labels
from exlcap.core.alignment import make_alignment, write_alignment
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import LabelledImage, PairLabels, Person, read_labels, write_labels
from exlcap.simulate.optics import true_alignment
from tests.conftest import make_take, make_workspace

NOW = "2026-11-20T00:00:00+00:00"
SHIFT = np.array([[1, 0, 5.0], [0, 1, -3.0], [0, 0, 1]])


def person(x=100.0, y=80.0, **changes):
    keypoints = np.column_stack([np.full(14, x), np.linspace(y, y + 60, 14), np.full(14, 2.0)])
    facts = {"id": "p1", "keypoints": keypoints, "box": (x - 20, y, 40.0, 60.0), "origin": "hand: a.json"}
    return Person(**{**facts, **changes})


def shifted(mirror=False):
    return make_alignment(SHIFT, mirror, (320, 200), (320, 200), "ref-001", NOW)


def annotate(workspace, *arguments):
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), "annotate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def labelled(workspace, shot):
    """A take with the true alignment in force, and the simulator's labels of it."""
    take = shot("plaza", (1, 4), 2)
    write_alignment(workspace.alignments / "align-001.json", true_alignment(workspace.rig))
    return take, workspace.simulated / "plaza" / "take-001.json"


def test_labels_of_both_frames_are_the_simulators(workspace, labelled):
    take, truth = labelled
    done = annotate(workspace, "--from", truth, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["takes"][0]["labelled"] == 4
    labels = read_labels(workspace.labels("plaza", 1))
    assert labels.alignment == "align-001"
    assert set(labels.pairs) == {take.pair_id(pair) for pair in take.pairs}
    by_name = {image.file_name.removesuffix(".png"): image for image in read_hand_labels([truth]).values()}
    alignment = true_alignment(workspace.rig)
    joints = 0
    for name, pair in labels.pairs.items():
        for made, true in zip(pair.well, by_name[name].people, strict=True):
            assert np.allclose(made.keypoints, true.keypoints)
        for carried in pair.low:
            source = next(p for p in pair.well if p.id == carried.id)
            there = carried.labelled
            joints += int(there.sum())
            assert np.allclose(
                alignment.map_low_to_well(carried.keypoints[there, :2]), source.keypoints[there, :2], atol=1e-6
            )
    assert joints > 50


def test_a_second_run_keeps_what_was_decided(workspace, labelled):
    _, truth = labelled
    annotate(workspace, "--from", truth)
    path = workspace.labels("plaza", 1)
    labels = read_labels(path)
    name, pair = next((name, pair) for name, pair in labels.pairs.items() if len(pair.well) >= 2)
    moved = person(150, 90, id=pair.well[0].id, review="edited", box=pair.well[0].box)
    labels.pairs[name] = PairLabels((moved, *pair.well[1:]), pair.low)
    write_labels(path, labels)
    assert annotate(workspace, "--from", truth).returncode == 0
    again = read_labels(path).pairs[name]
    assert len(again.well) == len(pair.well)
    kept = next(p for p in again.well if p.id == moved.id)
    assert kept.review == "edited"
    assert np.array_equal(kept.keypoints, moved.keypoints)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_person_is_carried_through_alignment_and_mirror(mirror):
    (carried,) = carry((person(),), shifted(mirror)).low
    assert carried.origin == CARRIED
    expected_x = 319 - 95 if mirror else 95
    assert np.allclose(carried.keypoints[:, 0], expected_x)
    assert np.allclose(carried.keypoints[0, 1], 83)
    assert carried.box[0] == pytest.approx(319 - 115 if mirror else 75)
    assert carried.box[2:] == pytest.approx((40, 60))


def worst_joint_px(workspace, truth_file, estimated):
    """Worst distance of a joint carried through `estimated` from where the simulator put it in the dark frame."""
    truth = true_alignment(workspace.rig)
    worst, joints = 0.0, 0
    for image in read_hand_labels([truth_file]).values():
        for carried in carry(on_bright_frame(image, estimated), estimated).low:
            true = next(p for p in image.people if p.id == carried.id)
            there = carried.labelled
            off = carried.keypoints[there, :2] - truth.map_well_to_low(true.keypoints[there, :2])
            worst, joints = max(worst, float(np.linalg.norm(off, axis=1).max(initial=0))), joints + int(there.sum())
    assert joints > 50
    return worst


@pytest.mark.parametrize("seed", range(4))
def test_carrying_adds_nothing_to_the_error_of_the_alignment(workspace, labelled, seed):
    _, truth_file = labelled
    truth = true_alignment(workspace.rig)
    rng = np.random.default_rng([seed])
    off = np.array(truth.homography) + rng.normal(0, [[1e-3, 1e-3, 0.3], [1e-3, 1e-3, 0.3], [1e-6, 1e-6, 0]])
    estimated = make_alignment(off, truth.mirror, truth.low_size, truth.well_size, "ref-001", NOW)
    error_px = estimated.corner_error_px(truth)
    assert error_px > 0.1
    assert 0.1 * error_px < worst_joint_px(workspace, truth_file, estimated) <= error_px + 0.01


@pytest.mark.slow
def test_joints_carried_through_a_real_alignment_are_where_the_simulator_has_them(tmp_path):
    full = {"width = 320": "width = 960", "height = 200": "height = 600"}
    workspace = make_workspace(tmp_path / "lab", full)
    _, estimated = align_take(workspace, make_take(workspace, reference=True, pairs=4))
    error_px = estimated.corner_error_px(true_alignment(workspace.rig))
    make_take(workspace, "plaza", (1,), 2)
    truth_file = workspace.simulated / "plaza" / "take-001.json"
    assert worst_joint_px(workspace, truth_file, estimated) <= error_px + 0.01


def test_joints_and_people_that_leave_the_dark_frame():
    at_edge = person(2.0, 50.0)  # 5 px further left in the dark frame: outside
    gone = person(-60.0, 50.0, id="p2", keypoints=np.zeros((14, 3)))
    pair = carry((at_edge, gone), shifted())
    assert [p.id for p in pair.well] == ["p1", "p2"]
    (kept,) = pair.low
    assert not kept.labelled.any()
    assert kept.box[0] == -0.5
    assert kept.box[2] == pytest.approx(17.5)


def test_labels_made_on_the_cropped_picture_are_moved_to_the_frame():
    alignment = shifted()
    x, y, width, height = alignment.crop
    assert (x, y) == (5, 0)
    (moved,) = on_bright_frame(LabelledImage("a.png", (width, height), (person(),)), alignment)
    assert np.allclose(moved.keypoints[:, 0], 105)
    assert moved.box[0] == 85
    (same,) = on_bright_frame(LabelledImage("a.png", (320, 200), (person(),)), alignment)
    assert np.allclose(same.keypoints[:, 0], 100)
    with pytest.raises(ExlcapError, match="labelled at 640x400"):
        on_bright_frame(LabelledImage("a.png", (640, 400), (person(),)), alignment)


def test_merging_adds_new_people_and_passes_over_the_decided():
    decided = person(review="accepted")
    undecided = person(200, id="old")
    near = person(102, id="other")
    new = person(260, id="new")
    merged = merge(PairLabels((decided, undecided), ()), (near, new, person(id="p1")))
    assert [p.id for p in merged] == ["p1", "new"]
    assert merged[0] is decided


BOX = st.tuples(*[st.floats(0, 100)] * 2, *[st.floats(0.1, 100)] * 2)


@given(BOX, BOX)
def test_iou_is_symmetric_and_at_most_one(a, b):
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, a) == pytest.approx(1)


def test_labels_that_match_no_pair_say_how_to_name_them(workspace, labelled, tmp_path):
    strange = {"images": [{"id": 1, "file_name": "holiday.jpg"}], "annotations": [], "categories": []}
    (tmp_path / "c.json").write_text(json.dumps(strange))
    done = annotate(workspace, "--from", tmp_path / "c.json")
    assert done.returncode == 2
    assert "holiday" in done.stderr
    assert "plaza-t001-k04-000052.png" in done.stderr


def test_without_an_alignment_the_error_names_the_next_commands(workspace, shot):
    shot("plaza", (1,), 1)
    done = annotate(workspace, "--from", workspace.simulated / "plaza" / "take-001.json")
    assert done.returncode == 2
    assert "exlcap align" in done.stderr
    assert not workspace.labels("plaza", 1).exists()


def test_a_picture_labelled_in_two_files_is_refused(labelled, tmp_path):
    _, truth = labelled
    with pytest.raises(ExlcapError, match="labelled twice"):
        read_hand_labels([truth, truth])
