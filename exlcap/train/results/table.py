"""Results in the form of the paper's tables, next to the paper's own rows.

The paper's rows are those of Lee et al., "Human Pose Estimation in Extremely Low-Light Conditions", CVPR 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exlcap.train.data.people import TEST_SPLITS
from exlcap.train.results.precision import Scores

OCN_SPLITS = ("A7M3", "RICOH3")
MEAN = "mean"
"""Column of Table 5: the mean over both cameras of ExLPose-OCN."""
Values = tuple[float | None, ...]
Published = tuple[tuple[str, str, Values], ...]
"""Rows of the paper: name, table, AP by column."""

TRUE_BOXES: Published = (
    ("Baseline-low", "Table 2", (32.6, 25.1, 13.8, 24.6, 1.6)),
    ("Baseline-well", "Table 2", (23.5, 7.5, 1.1, 11.5, 68.8)),
    ("Baseline-all", "Table 2", (33.8, 25.4, 14.3, 25.4, 57.9)),
    ("LLFlow", "Table 2", (35.2, 20.1, 8.3, 22.1, 65.1)),
    ("LIME", "Table 2", (38.3, 25.6, 12.5, 26.6, 63.0)),
    ("DANN", "Table 2", (34.9, 24.9, 13.3, 25.4, 58.6)),
    ("AdvEnt", "Table 2", (35.6, 23.5, 8.8, 23.8, 62.4)),
    ("ExLPose (ours)", "Table 2", (42.3, 34.0, 18.6, 32.7, 68.5)),
    ("without pairing", "Table 3", (41.1, 30.7, 15.5, 30.2, 65.9)),
    ("without low-light labels", "Table 3", (5.0, 4.7, 4.5, 4.6, 52.8)),
    ("LUPI only", "Table 4", (34.2, 23.1, 11.2, 24.0, 61.7)),
    ("LSBN only", "Table 4", (39.0, 30.2, 18.3, 30.1, 67.2)),
    ("LSBN + feature matching", "Table 4", (39.7, 30.8, 17.4, 30.4, 65.2)),
)
"""AP@.5:.95 with true boxes on LL-N, LL-H, LL-E, LL-A and WL. What "ours" lacks in Table 3, its parts in Table 4."""
DETECTED_BOXES: Published = (("ExLPose (ours)", "Table 6", (35.6, 25.0, 11.6, 25.0, 61.5)),)
"""With people detected by a Cascade R-CNN."""
OCN: Published = (("ExLPose (ours)", "Table 5", (35.3, 35.1, 35.2)),)
"""On A7M3, RICOH3 and their mean, with true boxes."""
PAPER_NOTE = (
    "Table 2 to 6: AP of Lee et al., CVPR 2023, on the real ExLPose or ExLPose-OCN after full training; not comparable "
    "with results on other data"
)
MEASURES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "ar": "AR"}


@dataclass(frozen=True)
class Row:
    """One line of a table. source: what is measured, or the paper's table. A split without people has no value."""

    name: str
    source: str
    values: Values
    spread: Values | None = None


@dataclass(frozen=True)
class Table:
    """columns: names of splits."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def tables(name: str, scores: Mapping[str, Scores | None], detected: bool) -> list[Table]:
    """A run's rows and then the paper's, one table each for ExLPose's splits, the cameras of ExLPose-OCN, and other
    test splits, if they have people. detected: the boxes are a detector's.
    """
    there = [split for split, score in scores.items() if score]
    ocn = [split for split in there if split in OCN_SPLITS]
    others = tuple(split for split in there if split not in (*TEST_SPLITS, *OCN_SPLITS))
    made = []
    if not ocn or {"LL-N", "LL-H", "LL-E", "WL"} & set(there):  # LL-A of an imported OCN is both its cameras together
        made.append(_table(name, TEST_SPLITS, scores, DETECTED_BOXES if detected else TRUE_BOXES))
    if ocn:
        made.append(_table(name, (*OCN_SPLITS, MEAN), scores, () if detected else OCN))
    return [*made, _table(name, others, scores, ())] if others else made


def _table(name: str, columns: tuple[str, ...], scores: Mapping[str, Scores | None], published: Published) -> Table:
    own = []
    for field, label in MEASURES.items():
        values = {split: getattr(score, field) for split, score in scores.items() if score is not None}
        if all(split in values for split in OCN_SPLITS):
            values[MEAN] = sum(values[split] for split in OCN_SPLITS) / len(OCN_SPLITS)
        own.append(Row(name if field == "ap" else "", label, tuple(values.get(split) for split in columns)))
    return Table(columns, (*own, *(Row(*row) for row in published)))


def as_text(table: Table, label: str = "") -> str:
    """A table for a terminal. label: what its numbers are."""
    cells = [[_cell(row, i) for i in range(len(table.columns))] for row in table.rows]
    widths = [max(5, *(len(c) for c in column)) for column in zip(table.columns, *cells, strict=True)]
    first = max(len(label), *(len(row.name) for row in table.rows))
    second = max(len(row.source) for row in table.rows)
    lines = [(label, "", table.columns), *((r.name, r.source, c) for r, c in zip(table.rows, cells, strict=True))]
    return "\n".join(
        f"{name:<{first}}  {source:<{second}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True))
        for name, source, line in lines
    )


def as_markdown(table: Table, label: str = "") -> str:
    """A table for a README."""
    lines = [f"| {label} | | {' | '.join(table.columns)} |", "|---|---|" + "---:|" * len(table.columns)]
    for row in table.rows:
        cells = " | ".join(_cell(row, i) for i in range(len(table.columns)))
        lines.append(f"| {row.name} | {row.source} | {cells} |")
    return "\n".join(lines) + "\n"


def as_json(table: Table) -> list[dict[str, Any]]:
    """A table's rows as JSON types."""
    return [
        {
            "name": row.name,
            "source": row.source,
            "values": dict(zip(table.columns, row.values, strict=True)),
            "spread": None if row.spread is None else dict(zip(table.columns, row.spread, strict=True)),
        }
        for row in table.rows
    ]


def _cell(row: Row, column: int) -> str:
    value = row.values[column]
    if value is None:
        return "-"
    spread = row.spread[column] if row.spread is not None else None
    return f"{value:.1f}" if spread is None else f"{value:.1f} ± {spread:.1f}"
