"""Has the rig moved since its alignment? Told from the takes themselves."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exlcap.align.luminance import mean_of
from exlcap.align.measure_drift import drift_between, drift_of, measure_drift
from exlcap.core.alignment import make_alignment, write_alignment
from exlcap.core.drift import DRIFT_LIMIT_PX, Drift, describe_drift, read_drift, write_drift
from exlcap.core.labels import TakeLabels, write_labels
from exlcap.core.rig import LIGHTS
from exlcap.simulate.knock import KNOCKS, knocked
from exlcap.simulate.optics import true_alignment, true_homography
from tests.conftest import make_take, make_workspace

MIDDLE = {"width = 320": "width = 640", "height = 200": "height = 400"}
SIZE = (640, 400)
UNMOVED = np.eye(3)
NOISE, OTHER_NOISE = np.random.default_rng([1]).normal(0, 3, (2, 400, 640)).astype(np.float32)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    workspace = make_workspace(tmp_path_factory.mktemp("drift") / "lab", MIDDLE)
    return workspace, make_take(workspace, divisors=(1, 12), pairs=2)


def knocked_by(rig, motion):
    """The alignment of the rig as it was before a motion (3 x 3, bright pixels) brought it to where it is."""
    truth = true_alignment(rig)
    before = np.linalg.inv(motion) @ true_homography(rig)
    return make_alignment(before, truth.mirror, truth.low_size, truth.well_size, "ref-001", "now")


def shifted(rig, x, y):
    """The alignment of the rig before it shifted by (x, y) px."""
    return knocked_by(rig, np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]))


def within_bounds(px, true_px):
    """What the drift is to be found within: 0.1 px or a tenth."""
    return px is not None and abs(px - true_px) <= max(0.1, 0.1 * true_px)


def views(take):
    return [mean_of(take, [pair for pair in take.pairs if pair.k == 1], light) for light in LIGHTS]


def between(well_dn, low_dn, workspace, motion=UNMOVED):
    black = workspace.rig.sensor.black_level_dn
    return drift_between(well_dn, low_dn, black, "align-001", knocked_by(workspace.rig, motion))


def test_a_rig_that_stayed_shows_no_drift_though_people_move(lab):
    workspace, take = lab
    drift = measure_drift(take, "align-001", true_alignment(workspace.rig))
    assert drift.px < 3 * drift.corner_sd_px < 0.3
    assert drift.judgement == "within"
    assert drift.turn_deg == pytest.approx(0, abs=0.02) and drift.zoom == pytest.approx(1, abs=3e-4)


@given(st.sampled_from(KNOCKS), st.floats(0.2, 20), st.integers(0, 999))
@settings(max_examples=8, deadline=None)
def test_a_knock_of_any_kind_is_found(lab, kind, corner_px, seed):
    _found(lab, kind, corner_px, seed)


@pytest.mark.slow
@given(st.sampled_from(KNOCKS), st.floats(0.2, 20), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_many_knocks_of_any_kind_are_found(lab, kind, corner_px, seed):
    _found(lab, kind, corner_px, seed)


def _found(lab, kind, corner_px, seed):
    workspace, take = lab
    drift = measure_drift(take, "align-001", knocked_by(workspace.rig, knocked(kind, corner_px, SIZE, seed)))
    assert within_bounds(drift.px, corner_px), drift
    assert drift.judgement != "within" or corner_px <= DRIFT_LIMIT_PX
    assert drift.judgement != "beyond" or corner_px > DRIFT_LIMIT_PX


@pytest.mark.parametrize("kind", KNOCKS)
def test_a_large_motion_is_never_called_small(lab, kind):
    workspace, take = lab
    drift = measure_drift(take, "align-001", knocked_by(workspace.rig, knocked(kind, 60, SIZE, 5)))
    assert drift.px is None or within_bounds(drift.px, 60)


def test_turn_and_zoom_are_named(lab):
    workspace, take = lab
    turn = measure_drift(take, "align-001", knocked_by(workspace.rig, knocked("turn", 6.586, SIZE, 1)))
    assert abs(turn.turn_deg) == pytest.approx(1.0, abs=0.02), "6.586 px at 377 px from the middle"
    assert f"turn {turn.turn_deg:+.3f} degrees" in describe_drift(turn)
    zoom = measure_drift(take, "align-001", knocked_by(workspace.rig, knocked("zoom", 3.77, SIZE, 1)))
    assert abs(zoom.zoom - 1) == pytest.approx(0.01, abs=3e-4)


@given(st.sampled_from(KNOCKS), st.sampled_from([0.2, 3.0, 20.0]), st.booleans(), st.booleans())
@settings(max_examples=6, deadline=None)
def test_something_before_a_third_of_one_view_does_not_disturb_it(lab, kind, corner_px, dark, textured):
    workspace, take = lab
    seen = views(take)
    third = SIZE[0] // 3
    patch = seen[dark][:, -third:] if textured else np.full((SIZE[1], third), 80.0) + NOISE[:, :third]
    seen[dark] = np.hstack([patch, seen[dark][:, third:]]).astype(np.float32)
    drift = between(*seen, workspace, knocked(kind, corner_px, SIZE, 3))
    # a third of the corners is seen no more: what is said of them is less certain, and says so
    assert drift.px == pytest.approx(corner_px, abs=max(0.1, 0.1 * corner_px, 3 * drift.corner_sd_px))
    assert drift.corner_sd_px < 0.3


def test_a_blank_wall_tells_nothing(lab):
    workspace, _ = lab
    assert between(1000 + NOISE, 70 + OTHER_NOISE, workspace).px is None


def test_views_of_different_scenes_tell_nothing(lab):
    workspace, take = lab
    well, low = views(take)
    assert between(well, low[::-1].copy(), workspace).px is None


def test_a_scene_that_repeats_itself_tells_nothing(lab):
    workspace, _ = lab
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    tiles = np.sin(x / 3) + np.sin(y / 3)
    seen = (1000 + 400 * tiles + NOISE).astype(np.float32), (80 + 4 * tiles + OTHER_NOISE).astype(np.float32)
    assert between(*seen, workspace).px is None


def test_a_take_without_light_tells_nothing(tmp_path):
    workspace = make_workspace(tmp_path / "lab", {"light = 1.0000": "light = 0.00001"})
    take = make_take(workspace, divisors=(1,), pairs=1)
    assert measure_drift(take, "align-001", true_alignment(workspace.rig)).px is None


@pytest.mark.parametrize(("shift", "code"), [(0.0, 0), (1.0, 1)])
def test_the_command_flags_a_take_beyond_half_a_pixel(tmp_path, shift, code):
    workspace = make_workspace(tmp_path / "lab", MIDDLE)
    make_take(workspace, divisors=(1,), pairs=1)
    write_alignment(workspace.alignments / "align-001.json", shifted(workspace.rig, shift, 0.0))
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), "align", "--check-drift"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert ("the rig was touched" in done.stdout) == bool(code)
    said = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=False).stdout)
    assert said["takes"][0]["take"] == "plaza take-001"
    assert said["takes"][0]["drift_px"] == pytest.approx(shift, abs=0.1)


def test_a_take_is_judged_by_the_alignment_of_its_labels_else_by_the_one_in_force(lab):
    workspace, take = lab
    assert drift_of(workspace, take) is None
    for number, shift in ((1, 0.0), (2, 1.0)):
        write_alignment(workspace.alignments / f"align-00{number}.json", shifted(workspace.rig, shift, 0.0))
    in_force = drift_of(workspace, take)
    assert (in_force.alignment, in_force.px) == ("align-002", pytest.approx(1.0, abs=0.1))
    noted = Drift(alignment="align-002", corners_px=((0.25, 0.0),) * 4, corner_sd_px=0.1, shift_px=(0.25, 0.0),
                  turn_deg=0.0, zoom=1.0, cells=9)  # fmt: skip
    write_drift(take.folder, noted)
    assert drift_of(workspace, take) == noted, "a note saves measuring"
    write_drift(take.folder, Drift(format=1, alignment="align-002", shift_px=(0.25, 0.0), cells=9))
    assert drift_of(workspace, take).px == pytest.approx(1.0, abs=0.1), "0.1 saw shifts alone: measured anew"
    write_labels(workspace.labels("plaza", 1), TakeLabels("plaza", 1, "align-001"))
    of_labels = drift_of(workspace, take)
    assert (of_labels.alignment, of_labels.px) == ("align-001", pytest.approx(0.0, abs=0.1))


def test_a_note_of_version_0_1_stays_readable_and_says_that_it_knows_a_shift_only(tmp_path):
    (tmp_path / "drift.json").write_text(
        '{"format": 1, "alignment": "align-001", "shift_px": [0.06, 0.08], "cells": 3}'
    )
    drift = read_drift(tmp_path)
    assert drift.px == pytest.approx(0.1) and drift.judgement == "open"
    assert "blind to turn and zoom" in describe_drift(drift)
    (tmp_path / "drift.json").write_text('{"format": 1, "alignment": "align-001", "shift_px": null, "cells": 0}')
    assert read_drift(tmp_path).px is None


@pytest.mark.parametrize(("px", "sd_px", "judgement"), [
    (0.3, 0.05, "within"), (0.45, 0.05, "open"), (0.6, 0.1, "open"), (0.8, 0.1, "beyond"), (9.0, 0.8, "beyond")
])  # fmt: skip
def test_the_worst_corner_is_judged_with_its_uncertainty(px, sd_px, judgement):
    corners = ((0.0, 0.0), (px, 0.0), (0.0, px / 2), (0.0, 0.0))
    drift = Drift(alignment="a", corners_px=corners, corner_sd_px=sd_px, shift_px=(0.0, 0.0), turn_deg=0.0, zoom=1.0)
    assert (drift.px, drift.judgement, drift.too_far) == (px, judgement, judgement == "beyond")
    assert ("cannot tell" in describe_drift(drift)) == (judgement == "open")


def test_a_note_with_some_of_its_measures_is_damaged():
    with pytest.raises(ValueError, match="corner_sd_px"):
        Drift(alignment="a", shift_px=(0.0, 0.0))
