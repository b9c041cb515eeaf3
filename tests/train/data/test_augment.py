"""Augmentation: drawn once for a person, within the config's bounds, and its matrix does what its fields say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.alignment import apply_homography
from exlcap.core.joints import JOINTS
from exlcap.train.config import AugmentConfig
from exlcap.train.data.augment import LARGEST_SCALE, PLAIN, UPPER, Change, change_matrix, draw
from exlcap.train.prepare import new_config

SIZE = (96, 64)
KEYPOINTS = np.concatenate([np.random.default_rng(0).uniform(10, 60, (14, 2)), np.full((14, 1), 2.0)], 1)


def augment_config(**changes: object) -> AugmentConfig:
    still = {"flip": False, "rotation_deg": 0.0, "view": (1.0, 1.0), "view_limit": 9.0, "shift": 0.0, "half_body": 0.0,
             "brightness": 0.0, "colour": 0.0}  # fmt: skip
    return AugmentConfig(**{**still, **changes})


def drawn(config: AugmentConfig, seed: int, keypoints: np.ndarray = KEYPOINTS) -> Change:
    return draw(np.random.default_rng(seed), config, keypoints, np.eye(3), SIZE)


def test_everything_off_changes_nothing() -> None:
    assert drawn(augment_config(), seed=0) == PLAIN
    np.testing.assert_array_equal(change_matrix(PLAIN, SIZE), np.eye(3))


def test_one_draw_is_the_same_again_and_does_not_depend_on_the_image_of_the_pair() -> None:
    config = new_config("modern", None, {"data": "night"}).augment
    first, again = (drawn(config, seed=3) for _ in range(2))
    farther = np.diag([0.5, 0.5, 1.0])  # the other image is twice as large; its plain crop is the same
    other = draw(np.random.default_rng(3), config, KEYPOINTS * (2, 2, 1), farther, SIZE)
    assert first == again == other


def test_draws_stay_in_the_config_s_bounds_and_fill_them() -> None:
    config = augment_config(
        flip=True, rotation_deg=40.0, view=(0.5, 1.6), view_limit=1.25, shift=0.1, brightness=0.2, colour=0.1
    )
    changes = [drawn(config, seed) for seed in range(400)]
    for name, low, high in (
        ("rotation_deg", -40, 40), ("scale", 1 / 1.25, 2), ("shift_x", -0.1, 0.1), ("shift_y", -0.1, 0.1)
    ):  # fmt: skip
        values = [getattr(change, name) for change in changes]
        assert low <= min(values) < low + 0.05 * (high - low) and high - 0.05 * (high - low) < max(values) <= high
    assert 0.4 < np.mean([change.flip for change in changes]) < 0.6
    assert np.mean([change.scale == 1 / 1.25 for change in changes]) == pytest.approx(0.35 / 1.1, abs=0.08)
    gains = np.array([change.gains for change in changes])
    assert gains.min() >= 0.8 * 0.9 and gains.max() <= 1.2 * 1.1
    assert np.abs(gains[:, 0] - gains[:, 1]).max() > 0.05


@given(st.booleans(), st.floats(-180, 180), st.floats(0.5, 2), *[st.floats(-0.3, 0.3)] * 4)
def test_the_focus_comes_to_the_middle_plus_the_shift(
    flip: bool, rotation: float, scale: float, shift_x: float, shift_y: float, focus_x: float, focus_y: float
) -> None:
    change = Change(flip, rotation, scale, shift_x, shift_y, focus_x, focus_y)
    middle, sides = np.array([31.5, 47.5]), np.array([64, 96])
    matrix = change_matrix(change, SIZE)
    focus = middle + sides * (focus_x, focus_y)
    found = apply_homography(matrix, focus + np.array([(0, 0), (1, 0), (0, 1)]))
    np.testing.assert_allclose(found[0], middle + sides * (shift_x, shift_y), atol=1e-9)
    right, down = found[1:] - found[0]
    assert np.hypot(*right) == pytest.approx(scale) and np.hypot(*down) == pytest.approx(scale)
    assert np.sign(np.linalg.det(matrix[:2, :2])) == (-1 if flip else 1)


def test_a_half_body_fills_the_crop() -> None:
    keypoints = KEYPOINTS.copy()
    keypoints[:, 0] = 20 + keypoints[:, 0] / 4
    keypoints[UPPER, 1], keypoints[~UPPER, 1] = np.linspace(10, 40, UPPER.sum()), np.linspace(50, 90, (~UPPER).sum())
    seen = set()
    for seed in range(20):
        change = drawn(augment_config(half_body=1.0), seed, keypoints)
        points = apply_homography(change_matrix(change, SIZE), keypoints[:, :2])
        inside = ((points > -0.5) & (points < (63.5, 95.5))).all(1)
        upper = bool(inside[UPPER].all())
        assert upper or inside[~UPPER].all()
        assert 1 < change.scale <= LARGEST_SCALE
        half = points[UPPER if upper else ~UPPER]
        np.testing.assert_allclose((half.min(0) + half.max(0)) / 2, (31.5, 47.5), atol=1e-6)
        seen.add(upper)
    assert seen == {True, False}


@pytest.mark.parametrize("labelled", [(), ("head", "neck"), ("head", "neck", "left_shoulder", "left_elbow")])
def test_no_half_body_where_too_few_joints_are_labelled_or_nothing_would_be_left_out(labelled: tuple[str, ...]) -> None:
    keypoints = KEYPOINTS.copy()
    keypoints[:, 2] = [2.0 * (name in labelled) for name in JOINTS]
    assert all(drawn(augment_config(half_body=1.0), seed, keypoints) == PLAIN for seed in range(10))
