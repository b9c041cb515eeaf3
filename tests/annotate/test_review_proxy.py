"""People as polylines the App can edit, and back: nothing is lost, and only what was touched changes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exlcap.annotate.review.proxy import (
    ORDER,
    PATHS,
    Proxy,
    from_proxy,
    new_person,
    points_of,
    standing_proxy,
    to_proxy,
    with_edits,
)
from exlcap.core.alignment import Crop
from exlcap.core.joints import JOINTS
from exlcap.core.labels import Person

CROP, SIZE = Crop(8, 4, 300, 180), (320, 200)
WRIST, HEAD = JOINTS.index("left_wrist"), JOINTS.index("head")


@st.composite
def people(draw):
    xy = draw(arrays(np.float64, (14, 2), elements=st.floats(0, 199)))
    flags = draw(arrays(np.int64, (14,), elements=st.integers(0, 2)))
    keypoints = np.column_stack([np.where(flags[:, None] > 0, xy, 0), flags])
    return Person(id="p1", keypoints=keypoints, box=(20.0, 10.0, 60.0, 150.0), origin="network")


def dragged(proxy, joint, dx, dy):
    """The proxy after a vertex was dragged by shares of the picture."""
    paths = [[list(point) for point in path] for path in proxy.paths]
    for path, joints in zip(paths, PATHS, strict=True):
        if joint in joints:
            point = path[joints.index(joint)]
            point[0], point[1] = point[0] + dx, point[1] + dy
    return replace(proxy, paths=paths)


def test_every_joint_is_one_vertex():
    assert sorted(ORDER) == list(range(14))
    assert [len(path) for path in PATHS] == [2, 3, 3, 3, 3]


@given(people())
def test_a_person_comes_back(person):
    back = from_proxy(to_proxy(person, CROP), CROP)
    assert np.array_equal(back[:, 2], person.keypoints[:, 2])
    assert np.allclose(back, person.keypoints, atol=1e-9)


@given(people())
def test_nothing_changes_when_nobody_edited(person):
    proxy = to_proxy(person, CROP)
    assert with_edits(person, proxy, Proxy(**proxy.to_json()), CROP, SIZE) is person


@given(people(), st.integers(0, 13), st.floats(0.02, 0.1))
def test_a_dragged_joint_moves_alone(person, joint, share):
    before = to_proxy(person, CROP)
    edited = with_edits(person, before, dragged(before, joint, share, -share), CROP, SIZE)
    x, y = points_of(before, CROP)[joint] + (share * CROP.width, -share * CROP.height)
    others = np.arange(14) != joint
    assert np.array_equal(edited.keypoints[others], person.keypoints[others])
    inside = -0.5 <= x <= SIZE[0] - 0.5 and -0.5 <= y <= SIZE[1] - 0.5
    if inside:
        assert edited.keypoints[joint] == pytest.approx([x, y, person.keypoints[joint, 2] or 2], abs=1e-9)
        assert edited.review == "edited"
        assert edited.before is person.keypoints
    else:
        assert edited.keypoints[joint].tolist() == [0, 0, 0]


@pytest.fixture
def person():
    keypoints = np.column_stack([np.linspace(60, 120, 14), np.linspace(30, 160, 14), np.full(14, 2.0)])
    return Person(id="p1", keypoints=keypoints, box=(50.0, 20.0, 90.0, 150.0), origin="network")


@pytest.mark.parametrize(
    ("boxes", "flag"),
    [({"missing": ("left_wrist",)}, 0), ({"occluded": ("left_wrist",)}, 1),
     ({"missing": ("left_wrist",), "occluded": ("left_wrist",)}, 0)],
)  # fmt: skip
def test_a_tick_changes_the_flag_of_its_joint_alone(person, boxes, flag):
    before = to_proxy(person, CROP)
    edited = with_edits(person, before, replace(before, **boxes), CROP, SIZE)
    assert edited.keypoints[WRIST, 2] == flag
    assert np.array_equal(np.delete(edited.keypoints, WRIST, 0), np.delete(person.keypoints, WRIST, 0))


def test_a_tick_taken_away_brings_the_joint_back(person):
    keypoints = person.keypoints.copy()
    keypoints[WRIST] = 0
    gone = replace(person, keypoints=keypoints)
    before = to_proxy(gone, CROP)
    assert before.missing == ("left_wrist",)
    edited = with_edits(gone, before, replace(before, missing=()), CROP, SIZE)
    x, y, width, height = gone.box
    assert edited.keypoints[WRIST, 2] == 2
    assert x <= edited.keypoints[WRIST, 0] <= x + width
    assert y <= edited.keypoints[WRIST, 1] <= y + height


def test_a_joint_dragged_and_marked_missing_is_missing(person):
    before = to_proxy(person, CROP)
    after = replace(dragged(before, WRIST, 0.1, 0.1), missing=("left_wrist",))
    assert with_edits(person, before, after, CROP, SIZE).keypoints[WRIST].tolist() == [0, 0, 0]


def test_the_box_grows_to_hold_a_dragged_joint(person):
    before = to_proxy(person, CROP)
    edited = with_edits(person, before, dragged(before, HEAD, 0.3, 0), CROP, SIZE)
    x, y, width, height = edited.box
    assert (x, y, height) == (50, 20, 150)
    assert x + width == pytest.approx(edited.keypoints[HEAD, 0])


def test_the_first_value_is_kept_through_two_edits(person):
    before = to_proxy(person, CROP)
    once = with_edits(person, before, dragged(before, HEAD, 0.1, 0), CROP, SIZE)
    again = to_proxy(once, CROP)
    twice = with_edits(once, again, dragged(again, WRIST, 0.1, 0), CROP, SIZE)
    assert np.array_equal(twice.before, person.keypoints)
    assert twice.keypoints[HEAD, 0] == once.keypoints[HEAD, 0] != person.keypoints[HEAD, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda paths: [[*paths[0], [0.1, 0.1]], *paths[1:]], r"\[3, 3, 3, 3, 3\]"),
        (lambda paths: [*paths, [[0.1, 0.1], [0.2, 0.2]]], r"\[2, 3, 3, 3, 3, 2\]"),
        (lambda paths: [paths[0], paths[1][:2], *paths[2:]], r"\[2, 2, 3, 3, 3\]"),
        (lambda paths: [[[float("nan"), 0.1], paths[0][1]], *paths[1:]], "not a number"),
    ],
    ids=["vertex added", "path added", "vertex deleted", "not a number"],
)
def test_a_broken_polyline_is_refused(person, change, message):
    before = to_proxy(person, CROP)
    with pytest.raises(ValueError, match=message):
        with_edits(person, before, replace(before, paths=change(list(before.paths))), CROP, SIZE)


def test_an_unknown_joint_is_refused(person):
    before = to_proxy(person, CROP)
    with pytest.raises(ValueError, match="left_wing"):
        with_edits(person, before, replace(before, missing=("left_wing",)), CROP, SIZE)


def test_a_new_person_stands_in_the_picture_with_a_box_around():
    person = new_person("new", standing_proxy(), CROP, SIZE)
    x, y, width, height = person.box
    assert person.labelled.all()
    assert (person.keypoints[:, :2] > (x, y)).all()
    assert (person.keypoints[:, :2] < (x + width, y + height)).all()
    assert person.review == "edited"
    assert (x, y) > (CROP.x, CROP.y)
