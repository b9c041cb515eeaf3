"""Has the rig moved since its alignment? Told from the takes themselves."""

import json
import subprocess
import sys

import numpy as np
import pytest

from exlcap.align.measure_drift import drift_of, measure_drift
from exlcap.core.alignment import make_alignment, write_alignment
from exlcap.core.drift import Drift, write_drift
from exlcap.core.labels import TakeLabels, write_labels
from exlcap.simulate.optics import true_alignment, true_homography
from tests.conftest import make_take, make_workspace

MIDDLE = {"width = 320": "width = 640", "height = 200": "height = 400"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    workspace = make_workspace(tmp_path_factory.mktemp("drift") / "lab", MIDDLE)
    return workspace, make_take(workspace, divisors=(1, 12), pairs=2)


def moved(rig, x, y):
    """The rig's true alignment, as if the dark camera had been elsewhere by (x, y) px when it was made."""
    shift = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
    truth = true_alignment(rig)
    return make_alignment(shift @ true_homography(rig), truth.mirror, truth.low_size, truth.well_size, "ref-001", "now")


def test_a_rig_that_stayed_shows_no_drift_though_people_move(lab):
    workspace, take = lab
    drift = measure_drift(take, "align-001", true_alignment(workspace.rig))
    assert drift.px < 0.05


def test_drift_is_measured_to_a_tenth_of_a_pixel(lab):
    workspace, take = lab
    drift = measure_drift(take, "align-001", moved(workspace.rig, 0.6, -0.4))
    assert drift.shift_px == pytest.approx((-0.6, 0.4), abs=0.1)


def test_a_take_without_light_tells_nothing(tmp_path):
    workspace = make_workspace(tmp_path / "lab", {"light = 1.0000": "light = 0.00001"})
    take = make_take(workspace, divisors=(1,), pairs=1)
    assert measure_drift(take, "align-001", true_alignment(workspace.rig)).px is None


@pytest.mark.parametrize(("shift", "code"), [(0.0, 0), (1.0, 1)])
def test_the_command_flags_a_take_beyond_half_a_pixel(tmp_path, shift, code):
    workspace = make_workspace(tmp_path / "lab", MIDDLE)
    make_take(workspace, divisors=(1,), pairs=1)
    write_alignment(workspace.alignments / "align-001.json", moved(workspace.rig, shift, 0.0))
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
        write_alignment(workspace.alignments / f"align-00{number}.json", moved(workspace.rig, shift, 0.0))
    in_force = drift_of(workspace, take)
    assert (in_force.alignment, in_force.px) == ("align-002", pytest.approx(1.0, abs=0.1))
    write_drift(take.folder, Drift(alignment="align-002", shift_px=(0.25, 0.0), cells=9))
    assert drift_of(workspace, take).px == 0.25, "a note saves measuring"
    write_labels(workspace.labels("plaza", 1), TakeLabels("plaza", 1, "align-001"))
    of_labels = drift_of(workspace, take)
    assert (of_labels.alignment, of_labels.px) == ("align-001", pytest.approx(0.0, abs=0.1))
