"""A small lab as the commands leave it: drawn people, two steps of three scenes, labels, a data set, and a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from exlcap.cli import main
from exlcap.core.alignment import write_alignment
from exlcap.simulate.optics import true_alignment
from tests.conftest import make_take, make_workspace

SCENES = ("alley", "arcade", "plaza")
TINY = {"height": 64, "width": 64, "base_channels": 8, "head_channels": 8, "backbone_weights": "none"}


def exlcap(root: Path, *arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["-C", str(root), *map(str, arguments)])
    assert ended.value.code == 0, arguments


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the lab; tests read it and never write."""
    root = tmp_path_factory.mktemp("examples") / "lab"
    workspace = make_workspace(root)
    write_alignment(workspace.alignments / "align-001.json", true_alignment(workspace.rig))
    for scene in SCENES:
        make_take(workspace, scene, divisors=(1, 12), pairs=1)
    truth = [part for path in sorted(workspace.simulated.glob("*/take-*.json")) for part in ("--from", path)]
    exlcap(root, "annotate", *truth)
    exlcap(root, "build", "--name", "main", "--test", "plaza", "--val", "alley")
    return root


@pytest.fixture(scope="session")
def trained_lab(lab_folder: Path) -> Path:
    """The lab with a run: the weights a network begins with, in the file that training would leave."""
    from exlcap.train.networks.pose_net import build_model
    from exlcap.train.prepare import new_config
    from exlcap.train.runs import save_checkpoint
    from exlcap.train.stored import to_toml

    config = new_config("small", None, {"data": "main", "model": TINY})
    model = build_model(config.model, config.method.lsbn, 0)
    saved = {"config": to_toml(config), "data_checksum": "", "epoch": 1, "val_ap": None, "model": model.state_dict()}
    (lab_folder / "runs" / "main-ours").mkdir(parents=True)
    save_checkpoint(lab_folder / "runs" / "main-ours" / "best.pt", saved)
    return lab_folder
