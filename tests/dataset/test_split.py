import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.errors import ExlcapError
from exlcap.core.light_levels import lighting_split
from exlcap.dataset.split import split_scenes

GAINS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), st.floats(0, 17.2), min_size=1, max_size=40)


@given(GAINS, st.integers(0, 5))
def test_every_scene_is_in_exactly_one_split(gains, seed):
    splits = split_scenes(gains, seed)
    scenes = [scene for names in splits.values() for scene in names]
    assert sorted(scenes) == sorted(gains)
    assert splits["train"]
    assert splits == split_scenes(dict(reversed(gains.items())), seed)  # the order of the takes does not matter


@given(st.integers(10, 60), st.integers(0, 5))
def test_test_spans_bright_and_dark_scenes(count, seed):
    gains = {f"s{i:02d}": 17.0 * i / count for i in range(count)}
    splits = split_scenes(gains, seed)
    found = sorted(gains[scene] for scene in splits["test"])
    assert len(found) == round(0.2 * count)
    assert found[0] < 17 / 2 <= found[-1]


@given(st.integers(2, 60), st.integers(0, 5))
def test_the_test_split_has_every_level_of_low_light(count, seed):
    """With the schedule's k = 1 to 12 and base gains like the published ones, from the second scene on."""
    gains = {f"s{i:02d}": 17.0 * (i + 0.5) / count for i in range(count)}
    test = split_scenes(gains, seed)["test"]
    found = {lighting_split(gains[scene] + 20 * math.log10(k)) for scene in test for k in (1, 2, 4, 8, 12)}
    assert found == {"LL-N", "LL-H", "LL-E"}


@pytest.mark.parametrize(
    ("gain_db", "split"),
    [(0, "LL-N"), (14.99, "LL-N"), (15.64, "LL-H"), (23.98, "LL-H"), (24.06, "LL-E"), (38.78, "LL-E")],
)
def test_lighting_levels_are_the_published_ones(gain_db, split):
    assert lighting_split(gain_db) == split


def test_scenes_can_be_named():
    splits = split_scenes({"a": 0, "b": 3, "c": 6, "d": 9}, 0, test=("c",), val=("a",))
    assert splits == {"train": ("b", "d"), "val": ("a",), "test": ("c",)}


@pytest.mark.parametrize(
    ("test", "val", "message"),
    [
        (("x",), (), "no labelled scene 'x'"),
        (("a",), ("a",), "for test and for val"),
        (("a", "b"), (), "no scene is left"),
    ],
)
def test_impossible_wishes_are_named(test, val, message):
    with pytest.raises(ExlcapError, match=message):
        split_scenes({"a": 0, "b": 1}, 0, test, val)
