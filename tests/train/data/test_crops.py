"""Crops: what a matrix says of a place is where the pixels really are, and shrinking averages noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exlcap.core.alignment import apply_homography
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Light
from exlcap.train.config import InputConfig
from exlcap.train.data.augment import PLAIN, Change
from exlcap.train.data.crops import crop_people, cut, place, plain_matrix
from exlcap.train.data.people import LabelledPerson

SIZE = (128, 96)
AREA = InputConfig(box_scale=(1.25, 1.25), resampling="area", low_mean=0.4, normalisation="equal")
changes = st.builds(
    Change,
    flip=st.booleans(),
    rotation_deg=st.floats(-40, 40),
    scale=st.floats(0.7, 1.3),
    shift_x=st.floats(-0.05, 0.05),
    shift_y=st.floats(-0.05, 0.05),
)


def person(box: tuple[float, float, float, float], light: Light = "well") -> LabelledPerson:
    return LabelledPerson("well/p.png", light, 1, "p", "a", np.ones((14, 3)), box)


def blob(x: float, y: float, sigma: float) -> np.ndarray:
    """A bright spot on black, uint8 (300, 400, 3)."""
    rows, columns = np.mgrid[0:300, 0:400]
    spot = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(np.rint(spot)[..., None], 3, 2).astype(np.uint8)


def centroid(pixels: np.ndarray) -> np.ndarray:
    weights = np.maximum(pixels[..., 0].astype(float) - 30, 0)
    rows, columns = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]]
    return np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()


@settings(max_examples=40)
@given(changes, st.floats(190, 210), st.floats(140, 160), st.floats(40, 250))
def test_the_matrix_tells_where_a_place_of_the_image_went(change: Change, x: float, y: float, height: float) -> None:
    box = (200 - 0.3 * height, 150 - height / 2, 0.6 * height, height)
    crop = cut(blob(x, y, sigma=height / 30), person(box), SIZE, AREA)
    pixels, matrix = place(crop, change, SIZE)
    np.testing.assert_allclose(centroid(pixels), apply_homography(matrix, np.array([[x, y]]))[0], atol=0.15)


@pytest.mark.parametrize("box", [(10.0, 20.0, 50.0, 100.0), (10.0, 20.0, 200.0, 100.0)], ids=["tall", "wide"])
def test_the_plain_crop_shows_the_whole_box_in_its_middle_with_a_margin(box: tuple[float, float, float, float]) -> None:
    x, y, width, height = box
    edges = np.array([[x - 0.5, y - 0.5], [x + width - 0.5, y + height - 0.5]])
    low, high = apply_homography(plain_matrix(box, SIZE, AREA.box_scale), edges)
    middle = np.array([(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2])
    np.testing.assert_allclose((low + high) / 2, middle)
    np.testing.assert_allclose(max((high - low) / (SIZE[1], SIZE[0])), 1 / 1.25)


def test_both_images_of_a_pair_change_alike_even_where_their_boxes_differ() -> None:
    change = Change(flip=True, rotation_deg=17, scale=1.1, shift_x=0.03, shift_y=-0.02)
    image = np.zeros((300, 400, 3), np.uint8)
    places = []
    for box in ((100.0, 50.0, 80.0, 160.0), (106.0, 47.0, 80.0, 160.0)):
        corner = np.array([[box[0], box[1]]])
        places.append(apply_homography(place(cut(image, person(box), SIZE, AREA), change, SIZE)[1], corner))
    np.testing.assert_allclose(places[0], places[1])


def test_shrinking_averages_the_noise_of_a_dark_image_and_keeps_what_that_gains() -> None:
    rng = np.random.default_rng(0)
    dark = rng.poisson(1.5, (1200, 900, 3)).astype(np.uint8)
    crop = cut(dark, person((150.0, 200.0, 600.0, 800.0), "low"), SIZE, AREA)  # about 7.8 times smaller
    pixels, _ = place(crop, PLAIN, SIZE)
    noise = pixels.std() / pixels.mean()
    one_pixel = dark.std() / dark.mean()
    assert noise < one_pixel / 5
    assert len(np.unique(pixels)) > 50, "rounded to the image's few levels"


def test_bilinear_crops_sample_the_noise_as_the_official_code_does() -> None:
    dark = np.random.default_rng(0).poisson(20, (600, 450, 3)).astype(np.uint8)
    box = (75.0, 100.0, 300.0, 400.0)  # about 3.9 times smaller
    noise = {}
    for resampling in ("area", "bilinear"):
        config = AREA.model_copy(update={"resampling": resampling})
        pixels, _ = place(cut(dark, person(box, "low"), SIZE, config), PLAIN, SIZE)
        noise[resampling] = pixels.std() / pixels.mean()
    assert noise["bilinear"] > 2 * noise["area"]


def test_beyond_the_image_is_the_mean_colour_so_that_means_stay_as_they_are() -> None:
    image = np.full((100, 100, 3), (10, 60, 200), np.uint8)
    crop = cut(image, person((60.0, 40.0, 70.0, 90.0)), SIZE, AREA)
    pixels, _ = place(crop, Change(rotation_deg=40, scale=0.7), SIZE)
    assert np.abs(pixels.astype(int) - (10, 60, 200)).max() <= 1


def test_a_black_crop_stays_black() -> None:
    crop = cut(np.zeros((200, 200, 3), np.uint8), person((50.0, 50.0, 60.0, 80.0), "low"), SIZE, AREA)
    assert crop.pixels.max() == 0


def test_a_box_outside_its_image_is_named() -> None:
    with pytest.raises(ExlcapError, match=r"well/p.png: the box of person a \(5000, 40, 20, 40\) .* 100x100"):
        cut(np.zeros((100, 100, 3), np.uint8), person((5000.0, 40.0, 20.0, 40.0)), SIZE, AREA)


@pytest.mark.parametrize("content, named", [(None, "image not found"), (b"\x89PNG cut", "damaged"), (b"", "damaged")])
def test_a_missing_or_damaged_image_is_named(tmp_path: Path, content: bytes | None, named: str) -> None:
    (tmp_path / "images" / "well").mkdir(parents=True)
    if content is not None:
        (tmp_path / "images" / "well" / "p.png").write_bytes(content)
    with pytest.raises(ExlcapError, match=named) as error:
        crop_people(tmp_path, [person((1.0, 1.0, 9.0, 9.0))], SIZE, AREA)
    assert "p.png" in error.value.message
