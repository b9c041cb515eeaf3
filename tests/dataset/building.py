"""Labelled workspaces to build from."""

import subprocess
import sys

from exlcap.annotate.hand_labels import read_hand_labels
from exlcap.annotate.label import label_take
from exlcap.core.alignment import write_alignment
from exlcap.core.develop import Development
from exlcap.core.labels import write_labels
from exlcap.simulate.optics import true_alignment
from tests.conftest import make_take, make_workspace

BRIGHT = Development(60, demosaic="malvar")
"""How bright frames are developed where nothing was measured."""


def label_from_truth(workspace, take):
    alignment = true_alignment(workspace.rig)
    images = read_hand_labels([workspace.simulated / take.header.scene / "take-001.json"])
    write_labels(workspace.labels(take.header.scene, 1), label_take(workspace, take, "align-001", alignment, images))


def prepare(root, scenes=("plaza", "arcade", "alley", "cellar"), divisors=(1, 4, 12), pairs=1):
    workspace = make_workspace(root)
    write_alignment(workspace.alignments / "align-001.json", true_alignment(workspace.rig))
    for scene in scenes:
        label_from_truth(workspace, make_take(workspace, scene, divisors, pairs))
    return workspace


def exlcap(workspace, *arguments):
    command = [sys.executable, "-m", "exlcap", "-C", str(workspace.root), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
