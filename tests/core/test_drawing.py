"""Skeletons drawn into pictures, and what is no picture or person."""

import numpy as np
import pytest

from exlcap.core.drawing import SIDE_COLOURS, draw_people
from exlcap.core.joints import JOINTS, N_JOINTS

PERSON = np.column_stack([np.linspace(4, 40, N_JOINTS), np.linspace(4, 60, N_JOINTS), np.full(N_JOINTS, 2.0)])


def test_a_copy_is_drawn_into_and_unlabelled_joints_are_left_out():
    picture = np.zeros((64, 48, 3), np.uint8)
    drawn = draw_people(picture, [PERSON])
    assert drawn.any() and not picture.any()
    joint = JOINTS.index("left_ankle")
    x, y, _ = PERSON[joint].round().astype(int)
    assert tuple(drawn[y, x]) == SIDE_COLOURS["left"]
    assert not draw_people(picture, [PERSON * (1, 1, 0)]).any()


@pytest.mark.parametrize(
    ("picture", "named"),
    [
        (np.zeros((64, 48, 3), np.float32), r"float32 \(64, 48, 3\)"),
        (np.zeros((64, 48), np.uint8), r"uint8 \(64, 48\)"),
        (np.zeros((64, 48, 4), np.uint8), r"uint8 \(64, 48, 4\)"),
        ([[0, 0, 0]], "list"),
    ],
)
def test_what_is_no_picture_is_named(picture, named):
    with pytest.raises(ValueError, match=rf"^expected a picture uint8 \(H, W, 3\), got {named}$"):
        draw_people(picture, [])


def test_what_is_no_person_is_named():
    picture = np.zeros((64, 48, 3), np.uint8)
    with pytest.raises(ValueError, match=r"keypoints: expected shape \(14, 3\), got \(14, 2\)"):
        draw_people(picture, [PERSON[:, :2]])
    with pytest.raises(ValueError, match="keypoints: every coordinate must be a finite number"):
        draw_people(picture, [np.full((N_JOINTS, 3), np.nan)])
