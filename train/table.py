"""Results in the shape of the paper's Table 2, with the paper's own rows beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exlcap.train.evaluate import Scores
from exlcap.train.pairs import TEST_SPLITS

PAPER: tuple[tuple[str, tuple[float, float, float, float, float]], ...] = (
    ("Baseline-low", (32.6, 25.1, 13.8, 24.6, 1.6)),
    ("Baseline-well", (23.5, 7.5, 1.1, 11.5, 68.8)),
    ("Baseline-all", (33.8, 25.4, 14.3, 25.4, 57.9)),
    ("LLFlow", (35.2, 20.1, 8.3, 22.1, 65.1)),
    ("LIME", (38.3, 25.6, 12.5, 26.6, 63.0)),
    ("DANN", (34.9, 24.9, 13.3, 25.4, 58.6)),
    ("AdvEnt", (35.6, 23.5, 8.8, 23.8, 62.4)),
    ("ExLPose (ours)", (42.3, 34.0, 18.6, 32.7, 68.5)),
)
"""Table 2 of Lee et al., CVPR 2023: AP@.5:.95 on ExLPose with ground-truth boxes, in the order of TEST_SPLITS."""
PAPER_NOTE = "paper: ExLPose test set, full training; not comparable with a row on other data"


@dataclass(frozen=True)
class Row:
    """One line of the table; a split without people has no value."""

    name: str
    source: str
    values: tuple[float | None, ...]


def rows(name: str, scores: Mapping[str, Scores | None]) -> list[Row]:
    """A run's row and then the paper's."""
    found = [scores.get(split) for split in TEST_SPLITS]
    own = Row(name, "this run", tuple(None if score is None else score.ap for score in found))
    return [own, *(Row(method, "paper", values) for method, values in PAPER)]


def missing_splits(scores: Mapping[str, Scores | None]) -> list[str]:
    """Splits without people, so without a number."""
    return [split for split in TEST_SPLITS if scores.get(split) is None]


def as_text(lines: Sequence[Row], notes: Sequence[str]) -> str:
    """The table for a terminal."""
    width = max(len(row.name) for row in lines)
    text = [f"{'AP@.5:.95':<{width}}  {'':8}  " + "  ".join(f"{split:>5}" for split in TEST_SPLITS)]
    text += [f"{r.name:<{width}}  {r.source:8}  " + "  ".join(f"{_cell(v):>5}" for v in r.values) for r in lines]
    return "\n".join([*text, *notes])


def as_markdown(lines: Sequence[Row], notes: Sequence[str]) -> str:
    """The table for a README."""
    text = [f"| AP@.5:.95 | source | {' | '.join(TEST_SPLITS)} |", "|---|---|" + "---:|" * len(TEST_SPLITS)]
    text += [f"| {row.name} | {row.source} | {' | '.join(map(_cell, row.values))} |" for row in lines]
    return "\n".join([*text, "", *(f"{note}\n" for note in notes)])


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
