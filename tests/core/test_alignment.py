import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.alignment import (
    alignment_in_force,
    apply_homography,
    image_corners,
    make_alignment,
    mirror_matrix,
    read_alignment,
    write_alignment,
)
from exlcap.core.errors import ExlcapError

SMALL = st.floats(-0.02, 0.02)
NEAR_IDENTITY = st.builds(
    lambda a, b, c, d, x, y, g, h: np.array([[1 + a, b, 500 * x], [c, 1 + d, 500 * y], [g / 500, h / 500, 1]]),
    *[SMALL] * 8,
)


def aligned(homography, mirror=True, size=(400, 300)):
    return make_alignment(homography, mirror, size, size, "ref-001", "2026-11-20T00:00:00+00:00")


@given(NEAR_IDENTITY, st.booleans(), st.floats(0, 399), st.floats(0, 299))
def test_there_and_back_is_the_same_point(homography, mirror, x, y):
    alignment = aligned(homography, mirror)
    point = np.array([[x, y]])
    there = alignment.map_low_to_well(point)
    assert np.allclose(alignment.map_well_to_low(there), point, atol=1e-6)


@given(NEAR_IDENTITY, st.booleans())
def test_every_pixel_of_the_common_crop_is_seen_by_both(homography, mirror):
    alignment = aligned(homography, mirror)
    x, y, width, height = alignment.crop
    corners = image_corners((width, height)) + np.array([x, y])
    assert (corners >= 0).all()
    assert (corners <= (399, 299)).all()
    low = alignment.map_well_to_low(corners)
    assert (low >= -1e-6).all()
    assert (low <= np.array([399, 299]) + 1e-6).all()


def test_pixel_centres_are_whole_numbers_and_mirroring_keeps_them():
    assert np.allclose(apply_homography(mirror_matrix(400), np.array([[0.0, 7.0]])), [[399, 7]])
    alignment = aligned(np.eye(3))
    assert alignment.crop == (0, 0, 400, 300)
    assert np.allclose(alignment.map_low_to_well(np.array([[10.0, 20.0]])), [[389, 20]])


def test_the_corner_error_is_the_worst_corner():
    shifted = np.array([[1, 0, 3.0], [0, 1, 4.0], [0, 0, 1]])
    assert aligned(shifted).corner_error_px(aligned(np.eye(3))) == pytest.approx(5.0)


def test_round_trip_on_disk_and_never_overwritten(tmp_path):
    alignment = aligned(np.array([[1.001, 0.002, 3.0], [-0.002, 0.999, -2.0], [1e-6, -1e-6, 1]]))
    path = tmp_path / "align-001.json"
    write_alignment(path, alignment)
    assert read_alignment(path) == alignment
    with pytest.raises(ExlcapError, match="exists already"):
        write_alignment(path, alignment)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 1', '"format": 7', "unknown format 7"),
        ('"mirror": true', '"mirror": "yes"', "mirror"),
        ('"crop": [', '"crop": [1, ', "crop"),
        ("1.0,", "0.0,", "no inverse"),
        ('"created"', '"made"', "unknown key 'made'"),
    ],
)
def test_a_damaged_alignment_is_named(tmp_path, old, new, message):
    path = tmp_path / "align-001.json"
    write_alignment(path, aligned(np.eye(3)))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ExlcapError, match=message):
        read_alignment(path)


def test_views_that_do_not_overlap_are_refused():
    with pytest.raises(ExlcapError, match="do not overlap"):
        aligned(np.array([[1, 0, 1000.0], [0, 1, 0], [0, 0, 1]]))


def test_the_newest_alignment_is_in_force(workspace):
    with pytest.raises(ExlcapError) as caught:
        alignment_in_force(workspace)
    assert "exlcap align" in caught.value.hint
    for number, shift in ((1, 1.0), (2, 2.0), (10, 3.0)):
        homography = np.array([[1, 0, shift], [0, 1, 0], [0, 0, 1]])
        write_alignment(workspace.alignments / f"align-{number:03d}.json", aligned(homography))
    name, alignment = alignment_in_force(workspace)
    assert name == "align-010"
    assert alignment.homography[0][2] == 3.0


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"^expected points \(N, 2\), got \(4, 3\)$"):
        apply_homography(np.eye(3), np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"^expected a homography \(3, 3\), got \(2, 3\)$"):
        apply_homography(np.eye(3)[:2], np.zeros((4, 2)))


def test_points_of_another_shape_are_named():
    alignment = aligned(np.eye(3))
    for mapped in (alignment.map_low_to_well, alignment.map_well_to_low):
        with pytest.raises(ValueError, match=r"^expected points \(N, 2\), got \(2, 3\)$"):
            mapped(np.zeros((2, 3)))
