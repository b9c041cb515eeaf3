"""`constraints.txt` pins everything that an installation takes, on every Python that the project supports."""

import re
from collections import defaultdict

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house.project import PROJECT, ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
LINES = [
    line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and line[0] not in "# "
]
DEPENDENCIES = [
    *PROJECT["dependencies"],
    *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
]


def linux(python: str) -> dict[str, str]:
    """The environment that markers are read in: CPython of that version on 64-bit Linux."""
    return {
        "python_version": python, "python_full_version": f"{python}.9", "implementation_name": "cpython",
        "platform_python_implementation": "CPython", "sys_platform": "linux", "platform_system": "Linux",
        "platform_machine": "x86_64", "os_name": "posix",
    }  # fmt: skip


def pins(python: str) -> dict[str, list[Version]]:
    """The versions that the file gives each package on that Python."""
    versions = defaultdict(list)
    for line in LINES:
        one = Requirement(line)
        if one.marker is None or one.marker.evaluate(linux(python)):
            versions[canonicalize_name(one.name)].append(Version(next(iter(one.specifier)).version))
    return versions


@pytest.mark.parametrize("line", LINES)
def test_a_line_pins_one_version(line):
    requirement = Requirement(line)  # an empty version (`pyee==`) fails here, as it does in pip from 24.1 on
    assert [pin.operator for pin in requirement.specifier] == ["=="]
    Version(next(iter(requirement.specifier)).version)  # no wildcard
    assert not requirement.extras, "pip refuses extras in a constraint"


@pytest.mark.parametrize("python", PYTHONS)
def test_a_package_has_one_version_on_one_python(python):
    assert {name: versions for name, versions in pins(python).items() if len(versions) > 1} == {}


@pytest.mark.parametrize("python", PYTHONS)
def test_dependencies_are_pinned_within_their_ranges(python):
    pinned = pins(python)
    for requirement in map(Requirement, DEPENDENCIES):
        if requirement.marker is None or requirement.marker.evaluate(linux(python)):
            (version,) = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement} but {version} is pinned"


def test_what_the_makefile_installs_beside_the_project_is_pinned():
    named = re.findall(r"pip install [^\n]*--no-deps (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert named and set(named) <= set(pins("3.11"))


def test_the_pythons_tried_are_those_supported():
    assert SpecifierSet(PROJECT["requires-python"]).contains(PYTHONS[0])
    tried = {
        one.rsplit(" ", 1)[1]
        for one in PROJECT["classifiers"]
        if one.startswith("Programming Language :: Python :: 3.")
    }
    assert tried == set(PYTHONS)
