"""From a reference take to an alignment in force, against the simulator's truth."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from exlcap.align.align_take import align_take
from exlcap.align.blocks import fit_blocks, resample
from exlcap.align.luminance import average_raw, local_contrast, luminance
from exlcap.align.quality import check_geometry, check_residual, measure, placement
from exlcap.align.register import Registration, blocks_at, blocks_back, flip, register, scaling, shrunk
from exlcap.core.alignment import Residual, apply_homography, read_alignment
from exlcap.core.errors import Refused
from exlcap.core.rig import AlignmentLimits
from exlcap.simulate.optics import true_alignment, true_homography
from tests.conftest import make_take, make_workspace

FULL = {"width = 320": "width = 960", "height = 200": "height = 600"}
GOOD = Residual(held_out_median_px=0.05, held_out_p95_px=0.1, halves_px=0.05, blocks=100, ecc=0.99, features=500,
                corner_sd_px=(0.01, 0.01, 0.02, 0.01), back_px=0.01, structure_px=0.0)  # fmt: skip
LIMITS = AlignmentLimits()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A workspace with a 4-frame reference at 960 x 600."""
    workspace = make_workspace(tmp_path_factory.mktemp("align") / "lab", FULL)
    return workspace, make_take(workspace, reference=True, pairs=4)


@pytest.fixture(scope="module")
def pictures(reference):
    _, take = reference
    return luminance(average_raw(take, "well"), 60), luminance(average_raw(take, "low"), 60)


def test_the_alignment_is_the_simulators(reference):
    workspace, take = reference
    path, alignment = align_take(workspace, take)
    assert alignment.corner_error_px(true_alignment(workspace.rig)) < 0.03
    assert alignment.mirror
    assert alignment.reference == "ref-001"
    assert read_alignment(path) == alignment
    for name in ("checkerboard", "difference", "residual"):
        picture = cv2.imread(str(path.with_suffix("") / f"{name}.png"))
        assert picture.shape[:2] == (alignment.crop.height, alignment.crop.width)
        assert 20 < picture.mean() < 235


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_other_mountings_are_found_too(tmp_path, seed):
    rng = np.random.default_rng([seed])
    changes = {
        **FULL,
        "rotation_deg = 0.3": f"rotation_deg = {rng.uniform(-1, 1):.3f}",
        "scale = 1.002": f"scale = {rng.uniform(0.99, 1.01):.4f}",
        "shift_px = [4.0, -3.0]": f"shift_px = [{rng.uniform(-30, 30):.2f}, {rng.uniform(-30, 30):.2f}]",
        "mirror = true": f"mirror = {str(bool(seed % 2)).lower()}",
        "seed = 1": f"seed = {seed + 10}",
    }
    workspace = make_workspace(tmp_path / "lab", changes)
    _, alignment = align_take(workspace, make_take(workspace, reference=True, pairs=4))
    assert alignment.corner_error_px(true_alignment(workspace.rig)) < 0.05


def test_the_command_writes_numbered_alignments_and_speaks_json(reference):
    workspace, _ = reference
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), "align", "--json"]
    before = len(list(workspace.alignments.glob("*.json")))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["alignment"] == f"align-{before + 1:03d}"
    assert len(list(workspace.alignments.glob("*.json"))) == before + 1


def test_without_a_reference_the_error_says_to_shoot_one(workspace):
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), "align"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "shoot --reference" in done.stderr


def test_a_wrong_mirror_in_the_rig_is_refused_with_exit_code_3(tmp_path):
    workspace = make_workspace(tmp_path / "lab", FULL)
    take = make_take(workspace, reference=True, pairs=2)
    path = take.folder / "take.json"
    path.write_text(path.read_text().replace('"mirror": true', '"mirror": false'))
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), "align"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "rig.toml says the dark view is not mirrored" in done.stderr
    assert not workspace.alignments.exists()


def test_a_blank_wall_is_refused(pictures):
    well, _ = pictures
    rng = np.random.default_rng([1])
    blank = [0.4 + rng.normal(0, 0.01, well.shape).astype(np.float32) for _ in range(2)]
    with pytest.raises(Refused):
        measure(*blank, register(*blank), LIMITS)
    with pytest.raises(Refused):
        measure(well, blank[0], register(well, blank[0]), LIMITS)


def test_a_registration_that_is_off_is_refused(pictures):
    well, low = pictures
    found = register(well, low)
    off = np.array([[1, 0, 40.0], [0, 1, 25.0], [0, 0, 1]])
    with pytest.raises(Refused):
        measure(well, low, Registration(off @ found.homography, found.mirror, found.ecc, found.features), LIMITS)


@pytest.mark.parametrize("way", [blocks_at, blocks_back])
def test_the_blocks_measure_a_known_shift_both_ways(pictures, way):
    well, low = pictures
    found = register(well, low)
    shift = np.array([[1, 0, 0.3], [0, 1, -0.2], [0, 0, 1]])
    fit = fit_blocks(way(well, flip(low, found.mirror), shift @ found.homography), (960, 600))
    # a picture laid 0.3 px too far right has to come back by as much
    corners = np.array([[0.0, 0.0], [959.0, 599.0]])
    moved = apply_homography(fit.correction, corners) - corners
    assert moved == pytest.approx(np.array([[-0.3, 0.2]] * 2), abs=0.03)


def test_resampling_does_not_round_places():
    x = np.arange(64, dtype=np.float32)
    picture = np.tile(np.sin(x / 3), (64, 1)).astype(np.float32)
    shift = np.array([[1, 0, 0.01], [0, 1, 0], [0, 0, 1]])
    moved = resample(picture, shift, (64, 64))
    assert moved[32, 8:-8] == pytest.approx(np.sin((x[8:-8] + 0.01) / 3), abs=3e-4)
    assert np.isnan(moved[:, -1]).all()  # 0.01 px beyond the last centre nothing is known


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"corner_sd_px": (0.1, 0.1, 0.9, 0.1)}, "uncertainty of a corner"),
        ({"back_px": 0.5}, "both ways"),
        ({"held_out_median_px": 0.5}, "median residual"),
        ({"held_out_p95_px": 2.0}, "95th percentile"),
        ({"halves_px": 1.5}, "half fits"),
    ],
)
def test_each_bad_residual_is_refused_by_name(change, named):
    with pytest.raises(Refused, match=named):
        check_residual(GOOD.model_copy(update=change), LIMITS)


@pytest.mark.parametrize(
    ("homography", "named"),
    [
        ([[0.99, -0.12, 60], [0.12, 0.99, -50], [0, 0, 1]], "rotation"),
        ([[1.2, 0, -96], [0, 1.2, -60], [0, 0, 1]], "scale"),
        ([[1, 0, 300], [0, 1, 0], [0, 0, 1]], "shift"),
    ],
)
def test_implausible_geometry_is_refused_by_name(homography, named):
    with pytest.raises(Refused, match=named):
        check_geometry(np.array(homography, np.float64), 0.9, LIMITS, (960, 600))


def test_a_good_registration_passes():
    check_residual(GOOD, LIMITS)
    check_geometry(np.eye(3), 0.9, LIMITS, (960, 600))


def test_turn_scale_and_shift_are_told_as_the_emulated_rig_has_them(workspace):
    angle, scale, shift = placement(true_homography(workspace.rig), (320, 200))
    assert (angle, scale) == (pytest.approx(0.3, abs=0.01), pytest.approx(1.002, abs=1e-4))
    assert shift == pytest.approx((4.0, -3.0), abs=0.01)


def test_views_that_do_not_correlate_are_refused_by_name():
    with pytest.raises(Refused, match=r"correlation of the two views is 0\.2"):
        check_geometry(np.eye(3), 0.2, LIMITS, (960, 600))


def test_shrinking_keeps_pixel_centres_where_they_are():
    columns = np.tile(np.arange(32, dtype=np.float32), (32, 1))
    small = shrunk(columns, 4)
    centres = apply_homography(np.linalg.inv(scaling(1 / 4)), np.array([[0.0, 0.0], [7.0, 0.0]]))
    assert small[0, 0] == pytest.approx(centres[0, 0])
    assert small[0, 7] == pytest.approx(centres[1, 0])


def test_local_contrast_forgets_gain_and_offset(pictures):
    well, _ = pictures
    assert np.allclose(local_contrast(well, 1.0, 12.0), local_contrast(0.01 * well + 0.2, 1.0, 12.0), atol=0.02)
