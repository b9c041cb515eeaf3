"""The version stands in three files, and is one."""

import re

import exlcap
from tests.house.project import PROJECT, ROOT


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    assert cited and cited[1] == PROJECT["version"] == exlcap.__version__
