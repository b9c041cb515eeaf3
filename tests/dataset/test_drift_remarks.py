"""A take that was shot after the rig was touched is named when a data set is built from it."""

import numpy as np
import pytest

from exlcap.core.alignment import make_alignment
from exlcap.core.drift import Drift, read_drift, write_drift
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import PairLabels
from exlcap.dataset.labelled_pairs import LabelledPair, drift_remarks
from exlcap.simulate.knock import knocked
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
    assert drift_remarks([LabelledPair(take, pair, PairLabels(), "align-001", truth)]) == []
    assert read_drift(take.folder).px < 0.2
    (remark,) = drift_remarks([LabelledPair(take, pair, PairLabels(), "align-002", touched)])
    assert "the rig was touched" in remark
    assert read_drift(take.folder).px == pytest.approx(1.5, abs=0.15)


def test_a_note_of_version_0_1_is_measured_anew(tmp_path):
    workspace = make_workspace(tmp_path / "lab", {"width = 320": "width = 640", "height = 200": "height = 400"})
    take = make_take(workspace, "plaza", (1,), 2)
    truth = true_alignment(workspace.rig)
    turned = np.linalg.inv(knocked("turn", 5.0, (640, 400), 1)) @ np.array(truth.homography)
    alignment = make_alignment(turned, truth.mirror, truth.low_size, truth.well_size, "ref-001", truth.created)
    write_drift(take.folder, Drift(format=1, alignment="align-001", shift_px=(0.05, 0.0), cells=60))
    (remark,) = drift_remarks([LabelledPair(take, take.pairs[0], PairLabels(), "align-001", alignment)])
    assert "the rig was touched" in remark
    assert read_drift(take.folder).format == 2


def test_a_take_that_may_have_moved_is_named(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    take = make_take(workspace, "plaza", (1,), 1)
    write_drift(take.folder, Drift(alignment="align-001", corners_px=((0.5, 0.0),) * 4, corner_sd_px=0.2,
                                   shift_px=(0.5, 0.0), turn_deg=0.0, zoom=1.0, cells=9))  # fmt: skip
    (remark,) = drift_remarks(
        [LabelledPair(take, take.pairs[0], PairLabels(), "align-001", true_alignment(workspace.rig))]
    )
    assert "cannot tell whether that is within 0.5 px" in remark


def test_it_is_measured_once_for_a_take_and_an_alignment(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    take = make_take(workspace, "plaza", (1,), 1)
    noted = Drift(alignment="align-001", corners_px=((3.0, 4.0),) * 4, corner_sd_px=0.1, shift_px=(3.0, 4.0),
                  turn_deg=0.0, zoom=1.0, cells=9)  # fmt: skip
    write_drift(take.folder, noted)
    item = LabelledPair(take, take.pairs[0], PairLabels(), "align-001", true_alignment(workspace.rig))
    (remark,) = drift_remarks([item])
    assert "5.000 +- 0.100 px from align-001" in remark
    assert read_drift(take.folder) == noted


def test_a_damaged_note_is_named(tmp_path):
    (tmp_path / "drift.json").write_text('{"format": 1, "alignment": "align-001", "shift_px": "far", "cells": 3}')
    with pytest.raises(ExlcapError, match="shift_px"):
        read_drift(tmp_path)
