"""The map in docs/design.md names every file, and the rooms stay small enough to find one's way in."""

import re
import statistics

import pytest

from tests.house.project import ROOT

PACKAGE = ROOT / "exlcap"
PLUGINS = PACKAGE / "annotate" / "review" / "plugins"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" and PLUGINS not in path.parents)
OTHERS = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
FOLDERS = sorted({path.parent for path in MODULES})


def sections() -> dict[str, str]:
    """Folder -> the text under its heading, such as `### exlcap/capture/cameras`, up to the next heading."""
    parts = re.split(r"^(#{2,4} .*)$", (ROOT / "docs" / "design.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = (
        (re.search(r"exlcap(/\w+)*", heading), text) for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    )
    return {match[0]: text for match, text in named if match}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_map_names_the_files_of_a_folder_and_no_others(folder):
    name = folder.relative_to(ROOT).as_posix()
    files = {path.name for path in MODULES if path.parent == folder}
    assert name in sections(), f"docs/design.md has no heading for {name}"
    assert set(re.findall(r"`(\w+\.py)`", sections()[name])) - {"__init__.py"} == files


def test_modules_are_short():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES + OTHERS}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > 400} == {}
    assert statistics.median(lines[path] for path in MODULES) <= 150


def test_folders_hold_few_files():
    few = 16
    counts = {str(one.relative_to(ROOT)): len(list(one.glob("*.py"))) for one in FOLDERS if one != PACKAGE / "core"}
    assert {folder: n for folder, n in counts.items() if n > few} == {}
