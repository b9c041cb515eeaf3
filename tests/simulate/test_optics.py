"""The true alignment: what rig.toml asks for is what the views show, to hundredths of a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exlcap.core.alignment import image_corners
from exlcap.core.errors import ExlcapError
from exlcap.simulate.canvas import canvas_for, focus, sampler
from exlcap.simulate.optics import true_alignment

WIDTH, HEIGHT = 320, 200
CENTRE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
STRAIGHT = {"rotation_deg": 0.0, "scale": 1.0, "shift_px": [0.0, 0.0], "perspective": [0.0, 0.0]}


def test_a_shift_moves_the_dark_view_by_so_many_bright_pixels(make_rig):
    truth = true_alignment(make_rig(mirror=False, **{**STRAIGHT, "shift_px": [3.0, -2.0]}))
    assert np.allclose(truth.map_low_to_well(np.array([[10.0, 20.0]])), [[13, 18]])


def test_a_mirror_puts_the_first_column_last(make_rig):
    truth = true_alignment(make_rig(mirror=True, **STRAIGHT))
    assert np.allclose(truth.map_low_to_well(np.array([[0.0, 5.0]])), [[WIDTH - 1, 5]])


def test_rotation_and_scale_are_about_the_image_centre(make_rig):
    truth = true_alignment(make_rig(mirror=False, **{**STRAIGHT, "rotation_deg": 2.0, "scale": 1.01}))
    right = truth.map_low_to_well(np.array([CENTRE, CENTRE + np.array([100, 0])]))
    angle = np.radians(2.0)
    assert np.allclose(right, [CENTRE, CENTRE + 101 * np.array([np.cos(angle), np.sin(angle)])])


def test_perspective_is_the_change_of_the_denominator_over_half_the_frame(make_rig):
    truth = true_alignment(make_rig(mirror=False, **{**STRAIGHT, "perspective": [0.01, 0.02]}))
    middle_right, middle_bottom = CENTRE * (2, 1), CENTRE * (1, 2)
    mapped = truth.map_low_to_well(np.array([middle_right, middle_bottom]))
    assert np.allclose(mapped - CENTRE, [[CENTRE[0] / 1.01, 0], [0, CENTRE[1] / 1.02]])


OPTICS = st.fixed_dictionaries(
    {
        "rotation_deg": st.floats(-5, 5),
        "scale": st.floats(0.9, 1.1),
        "shift_px": st.lists(st.floats(-15, 15), min_size=2, max_size=2),
        "perspective": st.lists(st.floats(-0.02, 0.02), min_size=2, max_size=2),
    }
)
same_factory = settings(
    max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)  # the fixture is a function without state


@same_factory
@given(optics=OPTICS, mirror=st.booleans())
def test_low_to_well_and_back_is_where_one_started(make_rig, optics, mirror):
    truth = true_alignment(make_rig(mirror=mirror, **optics))
    points = np.random.default_rng(0).uniform(0, 200, (20, 2))
    assert np.allclose(truth.map_well_to_low(truth.map_low_to_well(points)), points, atol=1e-8)
    assert truth.mirror is mirror and truth.residual is None


@same_factory
@given(optics=OPTICS, mirror=st.booleans())
def test_the_canvas_holds_all_that_either_camera_sees(make_rig, optics, mirror):
    truth = true_alignment(make_rig(mirror=mirror, **optics))
    canvas = canvas_for(truth)
    seen = np.vstack([image_corners((WIDTH, HEIGHT)), truth.map_low_to_well(image_corners((WIDTH, HEIGHT)))])
    place = canvas.from_well(seen)
    assert (place > 2).all() and (place < (canvas.width - 3, canvas.height - 3)).all()


def centroids(image, near):
    """Centre of mass of the spot within 6 pixels of each of the points (N, 2)."""
    found = []
    for x, y in np.rint(near).astype(int):
        window = image[y - 6 : y + 7, x - 6 : x + 7].astype(np.float64)
        rows, columns = np.mgrid[y - 6 : y + 7, x - 6 : x + 7]
        found.append([(window * columns).sum() / window.sum(), (window * rows).sum() / window.sum()])
    return np.array(found)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("rotation_deg", [0.0, 0.7, -3.0])
def test_a_dot_lies_in_both_views_where_the_truth_says(make_rig, mirror, rotation_deg):
    optics = {"rotation_deg": rotation_deg, "scale": 1.004, "shift_px": [5.37, -3.81], "perspective": [0.004, -0.003]}
    truth = true_alignment(make_rig(mirror=mirror, **optics))
    canvas = canvas_for(truth)
    irradiance = np.zeros((canvas.height, canvas.width, 3), np.float32)
    dots = []
    for row in range(70, canvas.height - 70, 37):
        for column in range(70, canvas.width - 70, 41):
            irradiance[row - 1 : row + 2, column - 1 : column + 2] = 1
            dots.append((canvas.xs[column], canvas.ys[row]))
    irradiance = focus(irradiance)
    well = sampler(canvas, np.eye(3), (WIDTH, HEIGHT)).mosaic(irradiance)
    low = sampler(canvas, truth.low_to_well, (WIDTH, HEIGHT)).mosaic(irradiance)
    in_well = centroids(well, np.array(dots))
    in_low = centroids(low, truth.map_well_to_low(np.array(dots)))
    assert len(dots) > 50
    assert np.abs(in_well - dots).max() < 0.005
    assert np.linalg.norm(truth.map_low_to_well(in_low) - in_well, axis=1).max() < 0.02


def test_a_rig_with_real_cameras_has_no_truth(rig):
    with pytest.raises(ExlcapError, match=r"no \[emulator\] table"):
        true_alignment(rig.model_copy(update={"emulator": None}))
