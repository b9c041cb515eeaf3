"""A knock moves the worst corner by what was asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exlcap.core.alignment import apply_homography, image_corners
from exlcap.simulate.knock import KNOCKS, knocked, worst_corner_px

SIZE = (640, 400)


@given(st.sampled_from(KNOCKS), st.floats(0.2, 20), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_worst_corner_moves_by_what_was_asked(kind, corner_px, seed):
    assert worst_corner_px(knocked(kind, corner_px, SIZE, seed), SIZE) == pytest.approx(corner_px, rel=1e-6)


@pytest.mark.parametrize("kind", ["turn", "zoom", "tilt"])
def test_only_a_shift_moves_the_middle(kind):
    middle = np.array([[(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2]])
    assert apply_homography(knocked(kind, 10, SIZE, 1), middle) == pytest.approx(middle, abs=1e-6)
    shift = knocked("shift", 10, SIZE, 1)
    moves = apply_homography(shift, image_corners(SIZE)) - image_corners(SIZE)
    assert moves == pytest.approx(np.tile(shift[:2, 2], (4, 1)), abs=1e-6)


def test_a_knock_that_cannot_be_is_named():
    with pytest.raises(ValueError, match="no turn moves a corner"):
        knocked("turn", 5000, SIZE, 1)
