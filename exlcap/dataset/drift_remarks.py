"""Takes shot after the rig was touched: told before their pairs go into a data set."""

from __future__ import annotations

from collections.abc import Iterable

from exlcap.align.measure_drift import measure_drift
from exlcap.core.drift import describe_drift, read_drift, write_drift
from exlcap.core.take import read_take
from exlcap.dataset.build import Item


def drift_remarks(items: Iterable[Item]) -> list[str]:
    """A line for every take whose frames lie too far off the alignment that carried its labels.

    Measured once for each take and alignment, and noted in the take's folder.
    """
    remarks = []
    for item in {item.take.folder: item for item in items}.values():
        drift = read_drift(item.take.folder)
        if drift is None or drift.alignment != item.alignment_name:
            drift = measure_drift(read_take(item.take.folder), item.alignment_name, item.alignment)
            write_drift(item.take.folder, drift)
        if drift.too_far:
            remarks.append(f"{item.take.name}: {describe_drift(drift)}")
    return remarks
