"""A take that was shot after the rig was touched is named when a data set is built from it."""

import numpy as np
import pytest

from exlcap.alignment import make_alignment
from exlcap.dataset.build import Item
from exlcap.dataset.drift import drift_remarks
from exlcap.labels import PairLabels
from exlcap.simulate.optics import true_alignment
from tests.conftest import make_take, make_workspace


def test_only_a_take_that_moved_is_named(tmp_path):
    workspace = make_workspace(tmp_path / "lab", {"width = 320": "width = 640", "height = 200": "height = 400"})
    take = make_take(workspace, "plaza", (1,), 2)
    truth = true_alignment(workspace.rig)
    shift = np.array([[1, 0, 1.5], [0, 1, 0], [0, 0, 1]])
    homography = np.array(truth.homography)
    touched = make_alignment(
        shift @ homography, truth.mirror, truth.low_size, truth.well_size, "ref-001", truth.created
    )
    pair = take.pairs[0]
    assert drift_remarks([Item(take, pair, PairLabels(), "align-001", truth)]) == []
    (remark,) = drift_remarks([Item(take, pair, PairLabels(), "align-001", touched)])
    assert remark.startswith("plaza take-001 lies ")
    assert float(remark.split()[3]) == pytest.approx(1.5, abs=0.4)  # one linear step, good enough for a limit of 0.5
