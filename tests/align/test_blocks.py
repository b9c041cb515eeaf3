"""Fitting a homography to what the blocks say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exlcap.align.blocks import cells_of, fit_blocks, gradient, measure_blocks, pooled_shifts
from exlcap.align.quality import structure
from exlcap.core.alignment import apply_homography, image_corners

SIZE = (640, 416)


def picture(warp=lambda x, y: (x, y), noise=0.0, seed=1):
    """A smooth random texture seen through a warp, with noise; smooth enough that no pixel is too coarse for it."""
    rng = np.random.default_rng([7])
    x, y = warp(*np.meshgrid(np.arange(SIZE[0], dtype=np.float64), np.arange(SIZE[1], dtype=np.float64)))
    light = np.full(x.shape, 0.4)
    for _ in range(60):
        fx, fy = rng.normal(0, 0.25, 2)
        light += 0.02 * np.sin(fx * x + fy * y + rng.uniform(0, 6.28))
    return (light + np.random.default_rng([seed]).normal(0, noise, x.shape)).astype(np.float32)


def measured(bright, dark):
    return measure_blocks(bright, gradient(bright), dark, np.ones(bright.shape, bool))


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
@settings(max_examples=10)
def test_a_small_shift_is_found_whatever_gain_and_offset(dx, dy):
    dark = 0.01 * picture(lambda x, y: (x + dx, y + dy)) + 0.2
    fit = fit_blocks(measured(picture(), dark), SIZE)
    corners = image_corners(SIZE)
    assert apply_homography(fit.correction, corners) - corners == pytest.approx(np.tile([dx, dy], (4, 1)), abs=0.03)


def test_noise_in_the_bright_picture_does_not_shorten_the_shift():
    # stronger than the texture: plain least squares finds a quarter of the shift
    bright, dark = picture(noise=0.05, seed=1), picture(lambda x, y: (x + 0.3, y), noise=0.05, seed=2)
    correction = fit_blocks(measured(bright, dark), SIZE).correction
    centre = np.array([[SIZE[0] / 2, SIZE[1] / 2]])
    assert (apply_homography(correction, centre) - centre)[0] == pytest.approx([0.3, 0], abs=0.06)


def test_blocks_that_move_lose_their_say():
    dark = picture(lambda x, y: (x + 0.1, y), noise=0.002)
    dark[:200, :200] = picture(lambda x, y: (x + 1.0, y + 1.0), noise=0.002)[:200, :200]
    blocks = measured(picture(noise=0.001, seed=3), dark)
    fit = fit_blocks(blocks, SIZE)
    corners = image_corners(SIZE)
    assert apply_homography(fit.correction, corners) - corners == pytest.approx(np.tile([0.1, 0], (4, 1)), abs=0.05)
    moving = (blocks.centres < 190).all(1)
    assert fit.weights[moving].mean() < 0.2 * fit.weights[~moving].mean()


def test_a_blank_picture_determines_nothing():
    rng = np.random.default_rng([1])
    blank = [(0.4 + rng.normal(0, 0.01, (416, 640))).astype(np.float32) for _ in range(2)]
    blocks = measured(*blank)
    _, _, covariance = pooled_shifts(blocks, np.ones(len(blocks.centres)), cells_of(blocks, 10))
    assert (np.sqrt(np.trace(covariance, axis1=1, axis2=2)) > 0.5).all()


def bulged(amplitude):
    """Radial distortion that moves the corners by about `amplitude` px."""
    centre = np.array([SIZE[0] / 2, SIZE[1] / 2])
    reach = np.linalg.norm(centre)

    def warp(x, y):
        u, v = x - centre[0], y - centre[1]
        factor = amplitude * (u * u + v * v) / reach**3
        return x + factor * u, y + factor * v

    return warp


def test_distortion_that_no_homography_explains_is_found():
    blocks = measured(picture(noise=0.002), picture(bulged(0.8), noise=0.002, seed=2))
    assert 0.15 < structure(blocks, SIZE) < 0.8


def test_a_homography_alone_shows_no_structure():
    blocks = measured(picture(noise=0.002), picture(lambda x, y: (1.0005 * x + 0.1, y), noise=0.002, seed=2))
    assert structure(blocks, SIZE) < 0.05


def test_slopes_are_those_of_the_picture():
    x = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    along_x, along_y = gradient(np.sin(x / 5))
    assert along_x[8:-8, 8:-8] == pytest.approx(np.cos(x / 5)[8:-8, 8:-8] / 5, abs=1e-4)
    assert along_y[8:-8, 8:-8] == pytest.approx(np.zeros((48, 48)), abs=1e-6)
