"""Who may import whom (docs/design.md): the walls of the house."""

import ast
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


def test_modules_stay_small():
    long = {str(p.relative_to(ROOT)): n for p in (ROOT / "exlcap").rglob("*.py")
            if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}  # fmt: skip
    assert long == {}
