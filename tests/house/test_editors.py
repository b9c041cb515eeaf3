"""An editor sees the code: what is imported leads to a definition, without running anything."""

import ast

import jedi
import pytest

from tests.house.project import ROOT

MODULES = sorted((ROOT / "exlcap").rglob("*.py"))


def own_imports(path):
    """Line, column and name of everything that a module takes from the project."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        (name.lineno, name.col_offset, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "exlcap"
        for name in node.names
    ]


@pytest.mark.slow
def test_going_to_a_definition_finds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(jedi.settings, "cache_directory", str(tmp_path))
    editor = jedi.Project(ROOT, sys_path=[str(ROOT)], smart_sys_path=False)  # the path of an editable installation
    lost = []
    for path in MODULES:
        imports = own_imports(path)
        if imports:
            line, column, name = imports[-1]
            places = jedi.Script(path=path, project=editor).goto(line, column, follow_imports=True)
            if not places or any(ROOT / "exlcap" not in (one.module_path or ROOT).parents for one in places):
                lost.append(f"{path.relative_to(ROOT)}:{line} {name}")
    assert lost == []


def test_every_folder_with_code_is_a_package():
    """A folder without `__init__.py` is a namespace package: mypy -p and setuptools pass over it."""
    plugins = ROOT / "exlcap" / "annotate" / "review" / "plugins"  # data for FiftyOne, which imports it by path
    folders = {path.parent for path in MODULES if plugins not in path.parents}
    assert [str(one.relative_to(ROOT)) for one in sorted(folders) if not (one / "__init__.py").is_file()] == []
