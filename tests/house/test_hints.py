"""What a user reads names only what a user has: a wheel brings neither `docs/` nor `train/presets`."""

import ast

import pytest

from tests.house.project import ROOT

MISSING = ("docs/", "train/presets", "tests/", "benchmarks/", "constraints.txt")
TEXTS = sorted(path for path in (ROOT / "exlcap").rglob("*") if path.suffix in {".py", ".toml", ".txt", ".js", ".html"})


def shown(source: str) -> list[tuple[int, str]]:
    """Line and text of every string of a module, without the docstrings that no command shows as its help."""
    tree = ast.parse(source)
    helps = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.decorator_list and isinstance(node.body[0], ast.Expr)
    }
    hidden = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)} - helps
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hidden
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_points_at_a_file_that_a_wheel_lacks(path):
    text = path.read_text(encoding="utf-8")
    lines = shown(text) if path.suffix == ".py" else list(enumerate(text.splitlines(), 1))
    assert [(line, text) for line, text in lines if any(one in text for one in MISSING)] == []


def test_hints_and_help_are_seen_and_docstrings_are_not():
    source = '@command\ndef go():\n    """docs/a"""\n    fail("no", f"see docs/{b}")\n\ndef own():\n    """docs/c"""\n'
    assert [text for _, text in shown(source)] == ["docs/a", "no", "see docs/"]
