"""Drawn people: their joints are where their pixels are, and the flags say what can be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exlcap.core.joints import JOINTS, joint_index, mirrored
from exlcap.simulate.actions import ACTIONS, PlacedPose, random_motion
from exlcap.simulate.body import Arm, Leg, Physique, Pose, posed
from exlcap.simulate.canvas import Canvas
from exlcap.simulate.materials import plain
from exlcap.simulate.people import draw_people, label, random_look
from exlcap.simulate.shapes import Box, Ellipsoid, Eye, Lighting, Limb, Part, Picture, draw

SIZE = (320, 200)
GREY = plain(np.full(3, 0.4))
LEFT, RIGHT = joint_index("left_shoulder"), joint_index("right_shoulder")


@pytest.fixture
def picture() -> Picture:
    """An empty view, 320 x 200 bright pixels: nothing is nearer than infinity."""
    canvas = Canvas(-20, -20, 721, 481)
    shape = (canvas.height, canvas.width)
    return Picture(
        canvas,
        Eye(focal_px=260, centre_x=159.5, horizon_y=70, height_m=1.6),
        Lighting(np.array([0.0, 0.6, 0.8]), key=1.0, ambient=0.5),
        np.zeros((*shape, 3), np.float32),
        np.full(shape, np.inf, np.float32),
        np.zeros(shape, np.uint8),
    )


def look(seed=0):
    return random_look(np.random.default_rng(seed))


def show(picture, *placed):
    """Draw people, seeds 0, 1, ...; returns their labels."""
    cast = [(look(seed), at) for seed, at in enumerate(placed)]
    return [label(picture, drawn, SIZE) for drawn in draw_people(picture, cast, GREY)]


def owner_near(picture, x, y):
    """Owners of the pixels about a place in bright pixels."""
    column, row = np.rint(picture.canvas.from_well(np.array([[x, y]]))[0]).astype(int)
    return set(picture.owner[row - 2 : row + 3, column - 2 : column + 3].ravel().tolist())


@pytest.mark.parametrize(("yaw", "left_is_right_on_screen"), [(0.0, True), (np.pi, False)])
def test_left_is_on_the_right_of_the_picture_only_when_one_faces_the_viewer(picture, yaw, left_is_right_on_screen):
    (person,) = show(picture, PlacedPose(Pose(), 0, -4, yaw))
    for name in JOINTS:
        if name.startswith("left_"):
            left, right = person.keypoints[joint_index(name), 0], person.keypoints[joint_index(mirrored(name)), 0]
            assert (left > right) == left_is_right_on_screen


@settings(max_examples=60)
@given(action=st.sampled_from(sorted(ACTIONS)), seed=st.integers(0, 10_000), time_s=st.floats(0, 100))
def test_every_action_is_a_body_whose_bones_keep_their_length_and_which_stands_on_the_floor(action, seed, time_s):
    physique = Physique(1.8, 1.0)
    pose = ACTIONS[action](np.random.default_rng(seed))(time_s)
    points = posed(physique, pose, 1.0, -5.0, 0.7).points
    bones = {("shoulder", "elbow"): 0.180, ("elbow", "wrist"): 0.146, ("hip", "knee"): 0.245, ("knee", "ankle"): 0.246}
    for side in ("left", "right"):
        for (a, b), share in bones.items():
            length = np.linalg.norm(points[f"{side}_{a}"] - points[f"{side}_{b}"])
            assert length == pytest.approx(share * 1.8)
    lowest = min(point[1] for point in points.values())
    assert -0.02 <= lowest - pose.lift_m <= 0.08
    assert points["pelvis"][[0, 2]] == pytest.approx([1.0, -5.0])


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_joint_angles_change_smoothly(action):
    pose_at = ACTIONS[action](np.random.default_rng(5))
    times = np.arange(0, 4, 0.01)
    joints = np.stack([posed(Physique(1.7, 1), pose_at(t), 0, -5, 0).joints() for t in times])
    assert np.linalg.norm(np.diff(joints, axis=0), axis=2).max() < 0.15  # 15 m/s: faster than any hand here
    assert np.ptp(joints, axis=0).max() > 0.02  # and nobody is frozen


def test_bending_an_elbow_brings_the_hand_forward_and_bending_a_knee_brings_the_foot_back():
    bent = posed(Physique(1.8, 1), Pose(left_arm=Arm(bend=1.5), right_leg=Leg(bend=1.5)), 0, 0, 0).points
    assert bent["left_wrist"][2] > bent["left_elbow"][2] + 0.2
    assert bent["right_ankle"][2] < bent["right_knee"][2] - 0.3


@pytest.mark.parametrize("yaw", [0.0, 0.8, 1.6, 2.4, 3.1, -1.2])
@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_joints_lie_on_the_persons_own_pixels_and_within_the_box(picture, action, yaw):
    pose = ACTIONS[action](np.random.default_rng(3))(1.3)
    (person,) = show(picture, PlacedPose(pose, 0.2, -5.5, yaw, action == "sit"))
    x0, y0, width, height = person.box
    for name, (x, y, flag) in zip(JOINTS, person.keypoints, strict=True):
        assert flag in (1, 2), name
        assert x0 - 1e-9 <= x <= x0 + width + 1e-9 and y0 - 1e-9 <= y <= y0 + height + 1e-9, name
        if flag == 2:
            assert 1 in owner_near(picture, x, y), name


def test_the_box_is_tight_about_the_drawn_pixels(picture):
    (person,) = show(picture, PlacedPose(Pose(), 0.3, -5, 0.4))
    rows, columns = np.nonzero(picture.owner == 1)
    xs, ys = picture.canvas.xs[columns], picture.canvas.ys[rows]
    drawn = (xs.min(), ys.min(), xs.max() - xs.min(), ys.max() - ys.min())
    assert person.box == pytest.approx(drawn, abs=1.0)


def test_the_head_joint_is_the_top_of_the_head(picture):
    (person,) = show(picture, PlacedPose(Pose(nod=0.0), 0, -4, 0))
    rows, _ = np.nonzero(picture.owner == 1)
    assert person.keypoints[joint_index("head"), 1] == pytest.approx(picture.canvas.ys[rows.min()], abs=1.0)


def test_all_joints_of_somebody_alone_who_faces_the_viewer_are_visible(picture):
    (person,) = show(picture, PlacedPose(Pose(), 0, -4.5, 0))
    assert (person.keypoints[:, 2] == 2).all()


def test_the_own_body_hides_the_far_side(picture):
    (person,) = show(picture, PlacedPose(Pose(), 0, -4.5, np.pi / 2))  # left side away from the viewer
    flags = dict(zip(JOINTS, person.keypoints[:, 2], strict=True))
    assert flags["left_shoulder"] == flags["left_hip"] == 1
    assert flags["right_shoulder"] == flags["right_hip"] == flags["right_knee"] == 2


def test_who_stands_behind_somebody_is_hidden_but_labelled(picture):
    behind, before = show(picture, PlacedPose(Pose(), 0.35, -7, 0), PlacedPose(Pose(), 0, -3.5, 0))
    assert (before.keypoints[before.keypoints[:, 2] > 0][:, 2] == 2).all()
    flags = dict(zip(JOINTS, behind.keypoints[:, 2], strict=True))
    assert flags["right_shoulder"] == flags["right_hip"] == 1
    assert flags["left_wrist"] == 2


def test_nobody_is_labelled_who_cannot_be_seen_at_all(picture):
    draw(picture, Part(Box(np.array([-1.5, 0, -3.0]), np.array([1.5, 3.0, -2.9])), GREY), 0)
    assert show(picture, PlacedPose(Pose(), 0, -7, 0)) == [None]


def test_joints_outside_the_frame_are_not_labelled_and_the_box_is_cut(picture):
    (person,) = show(picture, PlacedPose(Pose(), 0, -2.2, 0))
    assert (person.keypoints[[joint_index("left_ankle"), joint_index("right_ankle")]] == 0).all()
    assert person.keypoints[LEFT, 2] == 2
    assert person.box[1] + person.box[3] == SIZE[1] - 1
    (gone,) = show(picture, PlacedPose(Pose(), 30.0, -6, 0))
    assert gone is None


def test_front_and_back_differ_in_the_pixels(picture):
    shown = []
    for yaw in (0.0, np.pi):
        view = Picture(picture.canvas, picture.eye, Lighting(np.array([0.0, 0, 1]), 0.5, 0.5),
                       picture.irradiance.copy(), picture.depth.copy(), picture.owner.copy())  # fmt: skip
        (person,) = show(view, PlacedPose(Pose(), 0, -3.5, yaw))
        (head, neck) = person.keypoints[[joint_index("head"), joint_index("neck")], :2]
        column, row = np.rint(view.canvas.from_well(((head + neck) / 2)[None])[0]).astype(int)
        shown.append(view.irradiance[row - 8 : row + 9, column - 5 : column + 6])
    assert np.abs(shown[0] - shown[1]).mean() > 0.02


def test_walkers_face_where_they_go():
    seeds = (np.random.default_rng(seed) for seed in range(200))
    walkers = [m for m in (random_motion(rng, 6.0, 3.0, 0.5) for rng in seeds) if m.action == "walk"]
    assert len(walkers) > 20
    for motion in walkers:
        now, soon = motion.at(3.0), motion.at(3.01)
        way = np.array([soon.x - now.x, soon.z - now.z])
        assert np.linalg.norm(way) > 0.003  # walks
        assert np.dot(way / np.linalg.norm(way), [np.sin(now.yaw), np.cos(now.yaw)]) > 0.99


def test_shapes_hide_what_is_behind_them_whatever_is_drawn_first(picture):
    near = Part(Ellipsoid(np.array([0.0, 1.6, -3.0]), np.eye(3) * 0.2), GREY)
    far = Part(Limb(np.array([-0.5, 1.6, -5.0]), np.array([0.5, 1.6, -5.0]), 0.2, 0.2), GREY)
    draw(picture, near, 1)
    draw(picture, far, 2)
    assert owner_near(picture, 159.5, 70) == {1}
    assert owner_near(picture, 159.5 + 260 * 0.5 / 5, 70) == {2}


def test_a_limb_that_points_at_the_viewer_shows_its_near_end(picture):
    draw(picture, Part(Limb(np.array([0, 1.6, -5.0]), np.array([0, 1.6, -4.0]), 0.1, 0.2), GREY), 1)
    column, row = np.rint(picture.canvas.from_well(np.array([[159.5, 70.0]]))[0]).astype(int)
    assert picture.depth[row, column] == pytest.approx(3.8, abs=0.02)
