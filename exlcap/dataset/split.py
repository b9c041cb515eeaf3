"""Splits: scenes into train, val and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from exlcap.core.errors import ExlcapError

TEST_SHARE = 0.2
VAL_SHARE = 0.1


def split_scenes(
    base_gain_db: Mapping[str, float], seed: int, test: Sequence[str] = (), val: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Scenes of each split: {"train": ..., "val": ..., "test": ...}. No scene is in two.

    base_gain_db: well-lit gain at k = 1 by scene. About 20 % go to test and 10 % to val, drawn with `seed` from strata
    of the base gain, so that test spans bright to dark scenes. `test` and `val` name the scenes instead.
    Raises ExlcapError for an unknown scene, or one named twice.
    """
    for scene in (*test, *val):
        if scene not in base_gain_db:
            raise ExlcapError(f"no labelled scene {scene!r}", f"the scenes are {', '.join(sorted(base_gain_db))}")
    if both := set(test) & set(val):
        raise ExlcapError(
            f"scene {sorted(both)[0]!r} is named for test and for val", "name it once: a scene belongs to one split"
        )
    rng = np.random.default_rng([seed])
    ordered = sorted(base_gain_db, key=lambda scene: (base_gain_db[scene], scene))
    count = len(ordered)
    chosen_test = tuple(test) or _draw([s for s in ordered if s not in val], share_of(count, TEST_SHARE, 2), rng)
    taken = set(chosen_test)
    left = [scene for scene in ordered if scene not in taken]
    chosen_val = tuple(val) or _draw(left, share_of(count, VAL_SHARE, 4), rng)
    train = tuple(sorted(set(left) - set(chosen_val)))
    if not train:
        raise ExlcapError("no scene is left to train on", "name fewer scenes for test and val, or shoot more")
    return {"train": train, "val": tuple(sorted(chosen_val)), "test": tuple(sorted(chosen_test))}


def share_of(count: int, share: float, fewest: int) -> int:
    """How many of `count` scenes a share takes: at least one, but none below `fewest` scenes."""
    return max(1, round(share * count)) if count >= fewest else 0


def _draw(ordered: list[str], number: int, rng: np.random.Generator) -> tuple[str, ...]:
    """One scene from each of `number` strata of an ordered list; a single one from its middle third.

    A scene holds a whole schedule and so every exposure. One of middling gain also spans all levels of low light.
    """
    if number == 1:
        third = len(ordered) // 3
        ordered = ordered[third : len(ordered) - third]
    strata = np.array_split(np.array(ordered, dtype=object), number) if number else []
    return tuple(str(rng.choice(stratum)) for stratum in strata if len(stratum))
