"""The pages of the project: nothing left to fill in, lines of at most 100 columns, links that lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.house.project import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
WIDTH = 100


def prose(page: Path) -> list[tuple[int, str]]:
    """Numbered lines outside tables and blocks of code, which nothing can wrap."""
    lines, in_code = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            in_code = not in_code
        elif not in_code and not line.startswith(("|", "    ", "![", "http")):
            lines.append((number, line))
    return lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page):
    assert re.findall(r"@[A-Z]{2,}@|\bTODO\b|\bFIXME\b|\bXXX\b", page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_has_at_most_100_columns(page):
    assert {number: len(line) for number, line in prose(page) if len(line) > WIDTH} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
