"""Every example in the code and in docs/python.md runs, on a small lab."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exlcap

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "python.md"
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules_with_examples() -> list[str]:
    paths = [path for path in sorted((ROOT / "exlcap").rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


@pytest.fixture
def beside_the_lab(trained_lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples open the lab as a reader would, by its name."""
    monkeypatch.chdir(trained_lab.parent)


@pytest.fixture
def opened(beside_the_lab: None) -> dict[str, Any]:
    """The names that examples of the API use without saying where they are from."""
    lab = exlcap.open_workspace("lab")
    take, dataset = lab.take("plaza", 1), lab.dataset("main")
    return {"exlcap": exlcap, "lab": lab, "take": take, "pair": take.pairs[0], "dataset": dataset,
            "run": lab.run("main-ours"), "np": np}  # fmt: skip


def run_examples(name: str, given: dict[str, Any]) -> int:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder().find(module, extraglobs=given):
        failures: list[str] = []
        runner.run(test, out=failures.append)
        if failures:
            pytest.fail("".join(failures), pytrace=False)
    return runner.summarize(verbose=False).attempted


@pytest.mark.parametrize("name", [name for name in modules_with_examples() if not name.startswith("exlcap.api.")])
def test_the_examples_of_a_module_run(name: str, request: pytest.FixtureRequest) -> None:
    if name == "exlcap":  # the only one of these that opens a lab
        request.getfixturevalue("beside_the_lab")
    assert run_examples(name, {}) > 0


@pytest.mark.parametrize("name", [name for name in modules_with_examples() if name.startswith("exlcap.api.")])
def test_the_examples_of_the_api_run(name: str, opened: dict[str, Any]) -> None:
    assert run_examples(name, opened) > 0


def test_the_guide_runs_from_top_to_bottom(beside_the_lab: None) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "guide"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 5
    for block in blocks:
        line = text[: block.start()].count("\n") + 1
        if block[1] == "python":
            exec(compile("\n" * line + block[2], str(GUIDE), "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(block[2], {}, f"line {line}", str(GUIDE), line)
        test.globs = names
        failures: list[str] = []
        runner.run(test, out=failures.append, clear_globs=False)
        if failures:
            pytest.fail("".join(failures), pytrace=False)


def test_the_guide_keeps_to_100_columns() -> None:
    assert [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if len(line) > 100] == []
