"""What is wrong with a reference is said by name, with what to do about it."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from exlcap.align.align_take import align_take
from exlcap.align.checks import check_not_black, check_not_saturated, check_static, check_texture, share_moved
from exlcap.align.photometry import check_not_swapped
from exlcap.align.quality import measure
from exlcap.align.register import Registration, register
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import AlignmentLimits, Setting
from exlcap.core.take import encode_raw, read_take
from tests.conftest import make_take, make_workspace

FULL = {"width = 320": "width = 960", "height = 200": "height = 600"}
EQUAL = (Setting(exposure_us=1000, gain_db=0), Setting(exposure_us=1000, gain_db=0))


def texture(seed, size=(600, 960)):
    noise = np.random.default_rng([seed]).normal(size=size).astype(np.float32)
    return 0.3 + 0.5 * cv2.GaussianBlur(noise, (0, 0), 3.0)


def test_black_and_saturated_references_are_named():
    rng = np.random.default_rng([0])
    for noise in (0.0, 2.0):  # of one frame; an average has less
        with pytest.raises(Refused, match="low camera saw next to nothing"):
            check_not_black(rng.normal(60.2, noise, (200, 320)).astype(np.float32), 60, "low", "ref-001")
    with pytest.raises(Refused, match="well camera's pixels are saturated") as refusal:
        check_not_saturated(np.full((200, 320), 4095.0, np.float32), "well", "ref-001")
    assert "lower exposure_us or gain_db of [reference.well]" in refusal.value.hint
    check_not_black(np.full((200, 320), 300.0, np.float32), 60, "low", "ref-001")
    check_not_saturated(np.full((200, 320), 300.0, np.float32), "low", "ref-001")


def test_a_reference_of_swapped_cameras_is_told_as_such_though_one_is_saturated(workspace):
    """The camera behind the filter at the bright one's setting, and the other way round."""
    take = make_take(workspace, reference=True, pairs=1)
    seen = {"well": 60 + (take.raw(take.pairs[0], "well") - 60) // 100, "low": np.full((200, 320), 4095, np.uint16)}
    for light, raw in seen.items():
        (take.folder / take.pairs[0].frame(light).file).write_bytes(encode_raw(raw, {}))
    with pytest.raises(Refused, match="times the light of the well camera") as refusal:
        align_take(workspace, take)
    assert "swapped" in refusal.value.hint


def test_a_blank_wall_has_no_texture_and_a_scene_has():
    rng = np.random.default_rng([1])
    wall = 0.4 + rng.normal(0, 0.02, (600, 960)).astype(np.float32) + np.linspace(0, 0.1, 960, dtype=np.float32)
    with pytest.raises(Refused, match="no texture"):
        check_texture(wall, "ref-001")
    check_texture(texture(1), "ref-001")


def test_views_that_do_not_overlap_are_refused():
    well, low = texture(1), texture(2)
    with pytest.raises(Refused) as refusal:
        measure(well, low, register(well, low), AlignmentLimits())
    assert "could not be registered" in refusal.value.message or "correlation" in refusal.value.message
    assert "overlap" in refusal.value.hint


def test_swapped_cameras_are_told_by_their_light():
    bright, dark = np.full((4, 4), 1060, np.float32), np.full((4, 4), 70, np.float32)
    check_not_swapped(bright, dark, EQUAL, 60)
    with pytest.raises(Refused, match="100 times the light of the well camera") as refusal:
        check_not_swapped(dark, bright, EQUAL, 60)
    assert "swapped" in refusal.value.hint
    # a hundred times the exposure explains a hundred times the light
    check_not_swapped(bright, bright, (EQUAL[0], Setting(exposure_us=100_000, gain_db=0)), 60)


def noisy(light, seed):
    return np.random.default_rng([seed]).poisson(2000 * np.clip(light, 0, 1)).astype(np.uint16)


def test_noise_is_not_motion_but_a_moved_person_is():
    scene = texture(3)
    assert share_moved(noisy(scene, 1), noisy(scene, 2), 0) < 0.005
    walked = scene.copy()
    walked[100:500, 200:330] = texture(4)[100:500, 200:330]
    share = 400 * 130 / (600 * 960)
    assert share_moved(noisy(scene, 1), noisy(walked, 2), 0) == pytest.approx(share, rel=0.5)


def test_a_nudged_tripod_moves_everything():
    scene = texture(3)
    assert share_moved(noisy(scene, 1), noisy(np.roll(scene, 2, axis=1), 2), 0) > 0.9


def test_a_lamp_that_flickers_is_no_motion():
    scene = texture(3)
    assert share_moved(noisy(scene, 1), noisy(0.8 * scene, 2), 0) < 0.005


def test_motion_of_the_dark_camera_alone_is_refused_too(workspace):
    take = make_take(workspace, reference=True, pairs=2)
    path = take.folder / take.pairs[1].low.file
    path.write_bytes(encode_raw(np.roll(take.raw(take.pairs[1], "low"), 2, axis=1), {}))
    with pytest.raises(Refused, match="of the low camera's picture moved"):
        check_static(take, 0.05)


def test_a_moving_scene_is_refused(workspace):
    take = make_take(workspace, divisors=(1,), pairs=12)
    with pytest.raises(Refused, match=r"plaza take-001: \d+ % of the well camera's picture moved"):
        check_static(take, 0.02)
    check_static(make_take(workspace, reference=True, pairs=2), 0.02)


def test_a_frame_of_another_size_is_named_with_both_sizes(workspace):
    take = make_take(workspace, reference=True, pairs=2)
    path = take.folder / take.pairs[1].low.file
    path.write_bytes(encode_raw(np.full((100, 160), 80, np.uint16), {}))
    with pytest.raises(ExlcapError, match=r"is 160x100, the take says 320x200"):
        align_take(workspace, read_take(take.folder))


def test_a_refusal_leaves_the_alignment_in_force_untouched(tmp_path):
    workspace = make_workspace(tmp_path / "lab", FULL)
    make_take(workspace, reference=True, pairs=2)
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), "align"]
    subprocess.run(command, check=True, capture_output=True)
    before = {path: path.read_bytes() for path in workspace.alignments.rglob("*") if path.is_file()}
    rig = workspace.root / "rig.toml"
    rig.write_text(rig.read_text() + "\n[alignment]\ncorner_sd_px = 0.0001\n")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert "uncertainty of a corner" in done.stderr
    assert "try:" in done.stderr
    assert {path: path.read_bytes() for path in workspace.alignments.rglob("*") if path.is_file()} == before


def test_an_unknown_limit_in_the_rig_is_named(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    path = workspace.root / "rig.toml"
    path.write_text(path.read_text() + "\n[alignment]\ncorner_px = 0.1\n")
    with pytest.raises(ExlcapError, match=r"alignment\.corner_px"):
        _ = workspace.rig


def test_the_limits_in_the_template_are_the_defaults(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    path = workspace.root / "rig.toml"
    text = path.read_text()
    start = text.index("# [alignment]")
    section = text[start : text.index("\n\n", start)]
    path.write_text(text.replace(section, section.replace("# [", "[").replace("\n# ", "\n")))
    limits = workspace.rig.alignment
    assert limits == AlignmentLimits()
    assert json.loads(limits.model_dump_json()).keys() == {
        line.split(" =")[0] for line in section.replace("# ", "").splitlines()[1:]
    }


def test_a_dark_picture_of_another_part_of_the_scene_is_refused():
    wide = texture(5, (600, 2200))
    with pytest.raises(Refused):
        well, low = wide[:, :960].copy(), wide[:, 1200:2160].copy()
        measure(well, low, register(well, low), AlignmentLimits())


@pytest.mark.parametrize(("shades", "refused"), [(0.0, True), (0.2, False)])
def test_equal_tiles_are_refused_since_one_place_is_as_good_as_the_next(shades, refused):
    tones = np.random.default_rng([6]).normal(0.4, 0.4 * shades, (20, 30))
    wall = np.kron(tones, np.pad(np.ones((30, 30)), 2, constant_values=0.3)).astype(np.float32)
    wall = cv2.GaussianBlur(wall, (0, 0), 1.0)
    found = Registration(np.array([[1, 0, 3.0], [0, 1, 2.0], [0, 0, 1]]), False, 0.9, 0)
    well, low = wall[:600, :960].copy(), wall[2:602, 3:963].copy()
    if refused:
        with pytest.raises(Refused, match=r"another place matches (9\d|1\d\d) % as well"):
            measure(well, low, found, AlignmentLimits())
    else:
        residual, _ = measure(well, low, found, AlignmentLimits())
        assert residual.held_out_median_px < 0.05
