"""Who may import whom (docs/design.md): the walls of the house."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("simulate", "capture", "align", "annotate", "dataset", "train", "api")
ALLOWED = {
    "core": set(),
    "simulate": set(),
    "capture": {"align", "simulate"},
    "align": set(),
    "annotate": {"align"},
    "dataset": {"align", "simulate"},
    "train": {"dataset"},
    "api": {"dataset", "train"},  # puts together what notebooks read; nobody imports it but exlcap itself
}
ONLY_IN = {
    "pypylon": {"capture"},
    "starlette": {"capture", "annotate"},
    "uvicorn": {"capture"},
    "torch": {"train"},
    "pycocotools": {"train", "dataset"},
    "fiftyone": {"annotate", "dataset"},
    "onnxruntime": {"annotate", "train"},
}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the package"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("stage", ALLOWED)
def test_a_stage_imports_only_its_neighbours(stage):
    files = sorted((ROOT / "exlcap" / stage).rglob("*.py"))
    assert files
    for path in files:
        names = imports(path)
        stages = {part[1] for name in names if (part := name.split("."))[0] == "exlcap" and len(part) > 1} & set(STAGES)
        assert stages - {stage} <= ALLOWED[stage], (
            f"{path.relative_to(ROOT)} imports {stages - {stage} - ALLOWED[stage]}"
        )
        for library, homes in ONLY_IN.items():
            if any(name.split(".")[0] == library for name in names):
                assert stage in homes, f"{path.relative_to(ROOT)} imports {library}"


CAMERAS = ROOT / "exlcap" / "capture" / "cameras"
OPEN_TO_ALL = {"contract", "open"}
"""What the room of the cameras shows to the rest of the house."""


def identifiers(path: Path) -> set[str]:
    """Every name in the code of a module; strings, docstrings and comments are for people."""
    names = imports(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names |= {value for field in ("id", "attr", "name", "asname", "arg")
                  if isinstance(value := getattr(node, field, None), str)}  # fmt: skip
    return names


def test_no_driver_is_named_outside_the_room_of_the_cameras():
    """So that another driver is one new file there, and a name in `open` and in rig.toml."""
    outside = [path for path in (ROOT / "exlcap").rglob("*.py") if CAMERAS not in path.parents]
    assert len(outside) > 100
    for path in outside:
        names = identifiers(path)
        drivers = {name for name in names if "pylon" in name.lower() or "SimulatedCamera" in name}
        assert not drivers, f"{path.relative_to(ROOT)} names {drivers}; exlcap.capture.cameras.open chooses the driver"
        inside = {name.split(".")[3] for name in names if name.startswith("exlcap.capture.cameras.")}
        assert inside <= OPEN_TO_ALL, f"{path.relative_to(ROOT)} imports {inside - OPEN_TO_ALL} of the cameras' room"


@pytest.mark.parametrize("driver", ["pypylon", "exlcap.capture.cameras.pylon", "exlcap.capture.cameras.simulated"])
def test_a_driver_is_imported_when_a_rig_asks_for_it(driver):
    code = f"import sys, exlcap.capture.cameras.open, exlcap.capture.takes.shoot; sys.exit({driver!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_modules_stay_small():
    long = {str(p.relative_to(ROOT)): n for p in (ROOT / "exlcap").rglob("*.py")
            if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}  # fmt: skip
    assert long == {}
