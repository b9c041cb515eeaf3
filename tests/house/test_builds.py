"""What a user gets who has no checkout: the wheel and the sdist. And how an editable installation leads to the code."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.house.project import PROJECT, ROOT

NAME = f"exlcap-{PROJECT['version']}"
BUILD = """
import sys
from setuptools import build_meta
folder, *hooks = sys.argv[1:]  # taken first: setuptools replaces sys.argv
for hook in hooks:
    getattr(build_meta, hook)(folder)
"""
LEFT_OUT = shutil.ignore_patterns(
    ".*cache", ".git", ".venv*", ".hypothesis", "build", "dist", "demo", "*.egg-info", "__pycache__"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of the checkout, because setuptools leaves things beside what it builds."""
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("source") / "exlcap", ignore=LEFT_OUT)


@pytest.fixture(scope="module")
def built(source, tmp_path_factory) -> Path:
    """The folder of the wheel, the sdist and the editable wheel."""
    folder = tmp_path_factory.mktemp("dist")
    hooks = ("build_wheel", "build_sdist", "build_editable")
    subprocess.run([sys.executable, "-c", BUILD, str(folder), *hooks], cwd=source, check=True, capture_output=True)
    return folder


def files(*folders: str) -> set[str]:
    """The checkout's files under these folders, as paths from its root."""
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_with_all_its_data(built):
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == files("exlcap")


def test_the_sdist_holds_what_a_developer_needs(built):
    with tarfile.open(built / f"{NAME}.tar.gz") as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    top = {"Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "CITATION.cff"}
    top |= {"pyproject.toml", "constraints.txt", ".pre-commit-config.yaml"}
    assert files("exlcap", "tests", "docs", "benchmarks", ".ci") | top <= held


def test_an_editable_installation_is_a_path_and_no_import_hook(built, source):
    """Editors read a path; setuptools' import hook they would have to run."""
    with zipfile.ZipFile(built / f"{NAME}-0.editable-py3-none-any.whl") as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
        assert len(names) == 1 and names[0].endswith(".pth")
        assert wheel.read(names[0]).decode().strip() == str(source)


def test_an_installed_wheel_runs(built, tmp_path):
    """In an environment of its own, which sees the other packages of this one but not the checkout."""
    home = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / Path(sys.executable).name
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    wheel = built / f"{NAME}-py3-none-any.whl"
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
    )
    run(*pip, wheel)

    assert Path(run(python, "-c", "import exlcap; print(exlcap.__file__)").strip()).parent == site / "exlcap"
    exlcap = scripts / "exlcap"
    assert "shoot" in run(exlcap, "--help")
    run(exlcap, "init", "--emulated", tmp_path / "lab")
    assert (tmp_path / "lab" / "rig.toml").is_file()
    assert "small" in run(exlcap, "train", "--help")  # the presets are there


def run(*command: object) -> str:
    """What a command prints, run outside the checkout."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(one) for one in command], cwd=Path(sys.prefix), env=env, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
