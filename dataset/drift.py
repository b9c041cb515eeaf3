"""Takes shot after the rig was touched: told before their pairs go into a data set."""

from __future__ import annotations

from collections.abc import Iterable

from exlcap.align.drift import DRIFT_LIMIT_PX, measure_drift
from exlcap.dataset.build import Item
from exlcap.take import read_take


def drift_remarks(items: Iterable[Item]) -> list[str]:
    """A line for every take whose frames lie more than DRIFT_LIMIT_PX off the alignment that carried its labels."""
    remarks = []
    for item in {item.take.folder: item for item in items}.values():
        drift = measure_drift(read_take(item.take.folder), item.alignment)
        if drift is not None and drift.px > DRIFT_LIMIT_PX:
            remarks.append(
                f"{item.take.name} lies {drift.px:.2f} px off {item.alignment_name}: shoot a reference, align, and "
                "annotate this take again"
            )
    return remarks
