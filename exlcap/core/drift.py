"""drift.json in a take's folder: how far the take lies from an alignment. `align` measures it, `verify` reads it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from exlcap.core.files import read_json, write_json
from exlcap.core.records import Record, parse

DRIFT_LIMIT_PX = 0.5
"""A take with a corner that is further off than this was shot after the rig was moved."""
CERTAIN_SD = 2.0
"""How many standard deviations a drift must be away from the limit to be judged."""

Judgement = Literal["within", "beyond", "open"]
Vector = tuple[float, float]


class Drift(Record):
    """How far a take lies from an alignment, in pixels of the bright image.

    corners_px: motion of each corner (x, y), top left, then clockwise. corner_sd_px: standard deviation of the least
    certain corner. shift_px, turn_deg (clockwise), zoom: of the middle of the picture. cells: parts of the picture that
    show the same thing in both views. None where the frames do not tell: too dark, featureless or repetitive.

    Format 1 was written by exlcap 0.1 and holds the shift alone.
    """

    format: Literal[1, 2] = 2
    alignment: str
    corners_px: tuple[Vector, Vector, Vector, Vector] | None = None
    corner_sd_px: float | None = None
    shift_px: Vector | None = None
    turn_deg: float | None = None
    zoom: float | None = None
    cells: int = 0

    @model_validator(mode="after")
    def _whole(self) -> Drift:
        measures = (self.corners_px, self.corner_sd_px, self.shift_px, self.turn_deg, self.zoom)
        if self.format == 2 and len({measure is None for measure in measures}) > 1:
            raise ValueError("a drift of format 2 holds corners_px, corner_sd_px, shift_px, turn_deg and zoom, or none")
        return self

    @property
    def shift_only(self) -> bool:
        """Whether exlcap 0.1 measured it, which is blind to turn, zoom and tilt."""
        return self.format == 1

    @property
    def px(self) -> float | None:
        """How far the corner lies off that is furthest off; of format 1 the length of the shift."""
        moves = self.corners_px or (self.shift_px and (self.shift_px,))
        return max(math.hypot(x, y) for x, y in moves) if moves else None

    @property
    def judgement(self) -> Judgement:
        """Whether the worst corner lies within the limit, allowing for its uncertainty; open where that is not sure."""
        if self.px is None:
            return "open"
        spare = CERTAIN_SD * (self.corner_sd_px or 0.0)
        if self.px - spare > DRIFT_LIMIT_PX:
            return "beyond"
        return "within" if self.px + spare <= DRIFT_LIMIT_PX and not self.shift_only else "open"

    @property
    def too_far(self) -> bool:
        """Whether the take is surely further off than the limit."""
        return self.judgement == "beyond"

    def tells(self, alignment: str) -> bool:
        """Whether this says how far the take lies from that alignment, so that it need not be measured anew."""
        return self.alignment == alignment and not self.shift_only

    def data(self) -> dict[str, Any]:
        """For `--json`: px of the worst corner with its standard deviation, the judgement, and what moved."""
        return {
            "drift_px": self.px,
            "drift_sd_px": self.corner_sd_px,
            "drift": self.judgement,
            "shift_px": self.shift_px,
            "turn_deg": self.turn_deg,
            "zoom": self.zoom,
        }


def describe_drift(drift: Drift) -> str:
    """The drift of a take in a few words."""
    if drift.px is None:
        return f"cannot tell its drift from {drift.alignment}: too dark, too featureless or too repetitive"
    if drift.shift_only:
        text = f"shifted by {drift.px:.3f} px from {drift.alignment} (exlcap 0.1 measured it, blind to turn and zoom)"
    else:
        certainty = f"+- {drift.corner_sd_px:.3f} px from {drift.alignment} ({drift.cells} parts agree)"
        text = f"worst corner {drift.px:.3f} {certainty}"
    if drift.too_far:
        return f"{text}: the rig was touched{_motion(drift)}; shoot a new reference and align again"
    if drift.judgement == "open" and not drift.shift_only:
        return f"{text}: cannot tell whether that is within {DRIFT_LIMIT_PX} px"
    return text


def _motion(drift: Drift) -> str:
    """What moved, where that was measured."""
    if drift.shift_px is None or drift.turn_deg is None or drift.zoom is None:
        return ""
    shift = math.hypot(*drift.shift_px)
    return f" (shift {shift:.2f} px, turn {drift.turn_deg:+.3f} degrees, zoom {100 * (drift.zoom - 1):+.3f} %)"


def read_drift(take: Path) -> Drift | None:
    """The drift noted in a take's folder, None where there is none. Raises ExlcapError when the note is damaged."""
    path = take / "drift.json"
    if not path.exists():
        return None
    note = read_json(path, "drift note", (1, 2))
    return parse(Drift, note, path, "delete it and run `exlcap align --check-drift`")


def write_drift(take: Path, drift: Drift) -> None:
    """Note the drift of a take; a later measurement replaces an earlier one."""
    write_json(take / "drift.json", drift.model_dump(mode="json"))
