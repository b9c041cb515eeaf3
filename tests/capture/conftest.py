"""Takes shot with simulated cameras, and the command line run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

os.environ["PYLON_CAMEMU"] = "2"  # pylon reads it when it is imported

from exlcap.capture.cameras.simulated import SimulatedCamera, true_pulse
from exlcap.capture.takes.plan import Request, plan_take
from exlcap.capture.takes.shoot import open_writer, shoot_plan
from exlcap.core.rig import LIGHTS
from exlcap.core.take import Take, read_take
from exlcap.core.workspace import Workspace
from exlcap.init import rig_toml

TINY = {"width = 960": "width = 64", "height = 600": "height = 64", "pulse_hz = 20.0": "pulse_hz = 160.0"}
SMALL = {"width = 960": "width = 320", "height = 600": "height = 200", "pulse_hz = 20.0": "pulse_hz = 60.0"}
FEW = {"people = [4, 6]": "people = [2, 3]", "guard_frames = 2": "guard_frames = 1"}


def make_lab(root: Path, changes: dict[str, str]) -> Workspace:
    """A workspace whose emulated rig.toml is changed by text replacement; every replacement must find its text."""
    text = rig_toml(emulated=True)
    for old, new in {**FEW, **changes}.items():
        assert old in text, f"the rig template has no {old!r}"
        text = text.replace(old, new)
    root.mkdir(parents=True)
    (root / "rig.toml").write_text(text, encoding="utf-8")
    return Workspace(root)


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    """An emulated workspace with a 320 x 200 sensor, 60 pulses/s and one guard frame."""
    return make_lab(tmp_path / "lab", SMALL)


@pytest.fixture
def changed_lab(tmp_path: Path) -> Callable[[dict[str, str]], Workspace]:
    """An emulated workspace with further changes to its rig.toml."""
    return lambda changes: make_lab(tmp_path / f"lab{len(list(tmp_path.iterdir()))}", {**SMALL, **changes})


ShootSimulated = Callable[..., Take]


@pytest.fixture
def simulated(tmp_path: Path) -> ShootSimulated:
    """Shoot a take with two simulated cameras, through everything but the driver."""

    def shoot(
        well: SimulatedCamera,
        low: SimulatedCamera,
        pairs: int = 5,
        schedule: str = "1,4",
        sync: str = "software",
        changes: Sequence[tuple[str, str]] = (),
    ) -> Take:
        root = tmp_path / f"simulated{len(list(tmp_path.iterdir()))}"
        workspace = make_lab(root, {**TINY, 'mode = "software"': f'mode = "{sync}"', **dict(changes)})
        request = Request("plaza", schedule=schedule, pairs=pairs)
        plan = plan_take(workspace, request)
        cameras = {"well": well, "low": low}
        writer = open_writer(workspace.rig, request, plan, cameras)
        try:
            shoot_plan(writer, plan, cameras, None, request.command)
        finally:
            take = read_take(plan.folder)
            assert_true_pairs(take)
        return take

    return shoot


def assert_true_pairs(take: Take) -> None:
    """Every pair's two frames come from one pulse, and no frame is used twice."""
    pulses = [[true_pulse(take.raw(pair, light)) for light in LIGHTS] for pair in take.pairs]
    assert all(well == low for well, low in pulses), pulses
    assert len({well for well, _ in pulses}) == len(pulses), pulses


@pytest.fixture
def exlcap() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own: ``exlcap(workspace, "shoot", "--scene", "plaza")``."""
    return lambda workspace, *arguments: subprocess.run(
        exlcap_command(workspace, *arguments), capture_output=True, text=True, check=False
    )


def exlcap_command(workspace: Workspace, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "exlcap", "-C", str(workspace.root), *arguments]


@pytest.fixture
def exlcap_line() -> Callable[..., list[str]]:
    """The command line as a list, to be started by the test."""
    return exlcap_command


def ask(**options):
    return Request(**{"scene": "plaza", "schedule": "1,4", "pairs": 3, **options})


def take_folder(workspace, number=1):
    return workspace.scene("plaza") / f"take-{number:03d}"
