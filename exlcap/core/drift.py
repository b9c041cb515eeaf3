"""drift.json in a take's folder: how far the take lies from an alignment. `align` measures it, `verify` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from exlcap.core.files import read_json, write_json
from exlcap.core.records import Record, parse

DRIFT_LIMIT_PX = 0.5
"""A take that is further off than this was shot after the rig was moved."""


class Drift(Record):
    """Shift in pixels of the bright image that a take needs on top of an alignment, and the parts of the picture that
    agree on it. shift_px: None where the frames are too dark or too featureless to measure it.
    """

    format: Literal[1] = 1
    alignment: str
    shift_px: tuple[float, float] | None
    cells: int

    @property
    def px(self) -> float | None:
        """Length of the shift."""
        return None if self.shift_px is None else (self.shift_px[0] ** 2 + self.shift_px[1] ** 2) ** 0.5

    @property
    def too_far(self) -> bool:
        """Whether the take is further off than the limit."""
        return self.px is not None and self.px > DRIFT_LIMIT_PX


def describe_drift(drift: Drift) -> str:
    """The drift of a take in a few words."""
    if drift.px is None:
        return f"too dark or too featureless to measure its drift from {drift.alignment}"
    far = ": the rig was touched; shoot a new reference and align again" if drift.too_far else ""
    return f"{drift.px:.3f} px from {drift.alignment} ({drift.cells} parts agree){far}"


def read_drift(take: Path) -> Drift | None:
    """The drift noted in a take's folder, None where there is none. Raises ExlcapError when the note is damaged."""
    path = take / "drift.json"
    if not path.exists():
        return None
    return parse(Drift, read_json(path, "drift note", (1,)), path, "delete it and run `exlcap align --check-drift`")


def write_drift(take: Path, drift: Drift) -> None:
    """Note the drift of a take; a later measurement replaces an earlier one."""
    write_json(take / "drift.json", drift.model_dump(mode="json"))
