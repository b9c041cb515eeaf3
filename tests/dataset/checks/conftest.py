"""A small data set of ours, to be harmed."""

import pytest

from tests.dataset.small import write_small_dataset


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "datasets" / "small"
    write_small_dataset(folder)
    return folder
