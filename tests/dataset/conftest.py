"""A data set built from takes, made once for each file of tests."""

import pytest

from exlcap.dataset.build import build
from exlcap.dataset.labelled_pairs import collect_labelled_pairs
from exlcap.dataset.manifest import Parameters
from tests.dataset.building import prepare


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A workspace, its labelled pairs, and the manifest of its data set `main`."""
    workspace = prepare(tmp_path_factory.mktemp("build") / "lab")
    items = collect_labelled_pairs(workspace, 1)
    manifest = build(workspace, "main", Parameters(test=("plaza", "alley"), val=("arcade",)), items)
    return workspace, items, manifest
