"""Takes shot after the rig was touched: told before their pairs go into a data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from exlcap.align.drift import DRIFT_LIMIT_PX, measure_drift
from exlcap.dataset.build import Item
from exlcap.take import read_take

FRAMES = 8
"""Pairs of a take that it is judged by: a second for each of many takes would make every build slow."""


def drift_remarks(items: Iterable[Item]) -> list[str]:
    """A line for every take whose frames lie more than DRIFT_LIMIT_PX off the alignment that carried its labels."""
    remarks = []
    for item in {item.take.folder: item for item in items}.values():
        take = read_take(item.take.folder)
        brightest = sorted(take.pairs, key=lambda pair: (pair.k, pair.index))[:FRAMES]
        drift = measure_drift(replace(take, pairs=tuple(brightest)), item.alignment)
        if drift is not None and drift.px > DRIFT_LIMIT_PX:
            remarks.append(
                f"{item.take.name} lies {drift.px:.2f} px off {item.alignment_name}: shoot a reference, align, and "
                "annotate this take again"
            )
    return remarks
