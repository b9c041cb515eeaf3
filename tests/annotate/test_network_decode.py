"""What networks give out becomes places in their input, and places in the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.annotate.networks.card import Coordinates, Heatmap, Input, Joints, Simcc
from exlcap.annotate.networks.decode import from_coordinates, from_heatmaps, from_simcc
from exlcap.annotate.networks.detect import from_yolox
from exlcap.annotate.networks.network import input_tensor
from exlcap.annotate.networks.people import as_ours
from exlcap.annotate.networks.placing import crop_matrix, placed, whole_matrix
from exlcap.core.errors import ExlcapError
from exlcap.core.joints import JOINTS

SIZE = (96, 128)


def gaussian_maps(x, y, sigma=1.5, width=24, height=32):
    rows, columns = np.mgrid[:height, :width]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))[None, None]


INNER = st.floats(2, 20)


@given(INNER, INNER)
def test_a_gaussian_is_found_to_a_fraction_of_a_pixel(x, y):
    (((found_x, found_y, score),),) = from_heatmaps(gaussian_maps(x, y), Heatmap(), SIZE)
    assert (found_x, found_y) == pytest.approx(((x + 0.5) * 4 - 0.5, (y + 0.5) * 4 - 0.5), abs=1e-3)
    assert 0.85 < score <= 1


@given(INNER, INNER)
def test_a_quarter_pixel_step_goes_to_the_right_side(x, y):
    exact = np.array([x, y])
    error = {}
    for refine in ("none", "quarter"):
        found = from_heatmaps(gaussian_maps(x, y), Heatmap(refine=refine, offset=0), SIZE)[0, 0, :2] / 4
        error[refine] = np.abs(found - exact)
    assert (error["none"] <= 0.5 + 1e-9).all()
    assert (error["quarter"] <= 0.25 + 1e-9).all()


def test_layout_blur_and_pixel_convention_of_heat_maps():
    maps = gaussian_maps(5, 9)
    assert np.array_equal(
        from_heatmaps(maps, Heatmap(), SIZE),
        from_heatmaps(maps.transpose(0, 2, 3, 1), Heatmap(layout="NHWC"), SIZE),
    )
    assert from_heatmaps(maps, Heatmap(offset=0), SIZE)[0, 0, :2] == pytest.approx((20, 36), abs=1e-6)
    assert from_heatmaps(maps, Heatmap(offset=0, stride=3), SIZE)[0, 0, :2] == pytest.approx((15, 27), abs=1e-6)
    spiked = maps.copy()
    spiked[0, 0, 30, 20] = 1.2  # one hot pixel of noise, gone when blurred
    assert from_heatmaps(spiked, Heatmap(offset=0), SIZE)[0, 0, :2] == pytest.approx((80, 120), abs=4)
    assert from_heatmaps(spiked, Heatmap(offset=0, blur=5), SIZE)[0, 0, :2] == pytest.approx((20, 36), abs=0.5)


def test_a_peak_at_the_edge_stays_in_the_map():
    for x, y in ((0, 0), (23, 31), (0, 31)):
        found = from_heatmaps(gaussian_maps(x, y), Heatmap(offset=0), SIZE)[0, 0, :2] / 4
        assert found == pytest.approx((x, y), abs=1)
        assert np.isfinite(found).all()
    assert np.isfinite(from_heatmaps(np.zeros((1, 2, 32, 24)), Heatmap(), SIZE)).all()


def test_simcc_takes_the_highest_bin_and_the_smaller_peak():
    x, y = np.zeros((1, 2, 384)), np.zeros((1, 2, 512))
    x[0, 0, 101], y[0, 0, 300] = 0.9, 0.6
    x[0, 1, 0], y[0, 1, 511] = 0.2, 0.8
    assert from_simcc(x, y, Simcc(split=2)).tolist() == [[[50.5, 150, 0.6], [0, 255.5, 0.2]]]
    with pytest.raises(ExlcapError, match="SimCC outputs"):
        from_simcc(x, y[:, :1], Simcc())


def test_coordinates_in_either_order_and_unit():
    values = np.array([[[[0.25, 0.5, 0.9]]]])  # y, x, score, with an axis for people
    assert from_coordinates(values, Coordinates(), (192, 192)).tolist() == [[[95.5, 47.5, 0.9]]]
    pixels = np.array([[[96.0, 48.0, 0.9]]])
    how = Coordinates(order="xys", unit="pixel", offset=0)
    assert from_coordinates(pixels, how, (192, 192)).tolist() == [[[96, 48, 0.9]]]


def test_joints_become_ours_by_name_and_derived_ones_are_less_sure():
    rule = {"neck": {"weights": {"left_shoulder": 0.5, "right_shoulder": 0.5}, "score": 0.5}}
    joints = Joints.model_validate(
        {"names": ("nose", "right_shoulder", "left_shoulder"), "full_score": 0.8, "derived": rule}
    )
    (ours,) = as_ours(np.array([[[9, 9, 1.0], [10, 20, 0.8], [30, 24, 0.4]]]), joints)
    at = {name: ours[place].tolist() for place, name in enumerate(JOINTS)}
    assert at["left_shoulder"] == pytest.approx([30, 24, 0.5])
    assert at["right_shoulder"] == pytest.approx([10, 20, 1.0])
    assert at["neck"] == pytest.approx([20, 22, 0.25])
    assert at["head"][2] == at["left_hip"][2] == 0
    assert "head" in joints.lacking
    assert "neck" not in joints.lacking


@given(st.floats(0, 300), st.floats(0, 200), st.floats(8, 300), st.floats(8, 200), st.sampled_from([1.0, 1.25, 2.0]))
def test_a_crop_holds_the_scaled_box_in_its_middle(x, y, width, height, scale):
    how = Input(width=192, height=256, box_scale=(scale, scale))
    matrix = crop_matrix((x, y, width, height), how)
    middle = matrix @ [x + width / 2 - 0.5, y + height / 2 - 0.5, 1]
    assert middle[:2] == pytest.approx([95.5, 127.5])
    extent = np.array([width, height]) * matrix[0, 0] * scale
    assert (extent <= np.array([192, 256]) + 1e-6).all()
    assert np.isclose(extent, [192, 256]).any()


@pytest.mark.parametrize("place", ["top-left", "middle", "stretch"])
def test_a_whole_picture_fits_into_the_input(place):
    how = Input(width=320, height=320, place=place, pad=114)
    matrix = whole_matrix((1920, 1200), how)
    corners = (matrix @ [[-0.5, 1919.5], [-0.5, 1199.5], [1, 1]])[:2].T
    expected = {"top-left": [[0, 0], [320, 200]], "middle": [[0, 60], [320, 260]], "stretch": [[0, 0], [320, 320]]}
    assert corners == pytest.approx(np.array(expected[place]) - 0.5)
    made = placed(np.full((1200, 1920, 3), 200, np.uint8), matrix, how)
    assert made.shape == (320, 320, 3)
    assert set(made[:, 160, 0]) == ({200} if place == "stretch" else {114, 200})


@pytest.mark.parametrize("scale", [0.13, 0.3, 0.5, 0.77, 1.0, 2.6])
def test_a_spot_lands_where_the_matrix_says(scale):
    how = Input(width=200, height=160)
    at = np.array([141.0, 97.0])
    picture = np.zeros((211, 303, 3), np.uint8)
    picture[97 - 10 : 98 + 10, 141 - 10 : 142 + 10] = 255
    matrix = np.array([[scale, 0, 100.3 - scale * at[0]], [0, scale, 70.6 - scale * at[1]], [0, 0, 1.0]])
    weight = placed(picture, matrix, how)[..., 0].astype(float)
    rows, columns = np.mgrid[:160, :200]
    centre = [(weight * axis).sum() / weight.sum() for axis in (columns, rows)]
    assert centre == pytest.approx([100.3, 70.6], abs=0.1)  # OpenCV rounds places to 1/32 px


def test_shrinking_averages_the_noise_away():
    noise = np.random.default_rng([1]).integers(0, 256, (1200, 1200, 3)).astype(np.uint8)
    how = Input(width=120, height=120)
    assert placed(noise, whole_matrix((1200, 1200), how), how).std() < 12


def test_outside_a_picture_lies_the_pad():
    picture = np.full((50, 50, 3), (10, 20, 30), np.uint8)
    box = (-40.0, -40.0, 60.0, 60.0)
    for pad, corner in ((114, [114] * 3), ("mean", [10, 20, 30])):
        how = Input(width=64, height=64, pad=pad, box_scale=(1.0, 1.0))
        assert placed(picture, crop_matrix(box, how), how)[0, 0].tolist() == corner
    how = Input(width=64, height=64)
    assert not placed(picture, crop_matrix((500.0, 500.0, 60.0, 60.0), how), how).any()  # wholly outside


def test_the_input_is_normalised_in_the_order_of_its_colours():
    picture = np.full((1, 16, 16, 3), (10, 20, 30), np.uint8)
    how = Input(width=16, height=16, colour="BGR", mean=(1, 2, 3), std=(2, 4, 8))
    tensor = input_tensor(how, picture)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == np.float32
    assert tensor[0, :, 0, 0].tolist() == [14.5, 4.5, 0.875]
    plain = input_tensor(Input(width=16, height=16, layout="NHWC", dtype="uint8"), picture)
    assert plain.dtype == np.uint8
    assert np.array_equal(plain, picture)


def test_the_raw_grid_of_yolox():
    cells = (64 // 8) ** 2 + (64 // 16) ** 2 + (64 // 32) ** 2
    rows = np.zeros((cells, 7))
    rows[64 + 5] = [0.5, 0.25, np.log(2), np.log(1), 0.9, 0.1, 0.8]  # stride 16, cell (1, 1); class 1
    found = from_yolox(rows, (64, 64), 1)
    assert found[69] == pytest.approx([24 - 16, 20 - 8, 24 + 16, 20 + 8, 0.72])
    assert found[0, 4] == 0
    with pytest.raises(ExlcapError, match="not a YOLOX grid of 84 cells"):
        from_yolox(rows[:50], (64, 64), 1)
