"""What `exlcap shoot` reports at its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from exlcap.align.checks import STATIC
from exlcap.capture.checking.pulses import looks_swapped
from exlcap.capture.takes.orphan_causes import orphan_causes, orphan_remarks
from exlcap.capture.takes.skew import Skew, measure_skew, skew_text
from exlcap.core.console import counted
from exlcap.core.rig import LIGHTS, WHITE_DN
from exlcap.core.take import Take, TakeHeader

MOST_CLIPPED = 0.02
LEAST_LEVEL = 0.02
"""Of white: a reference whose mean is below has more noise than it needs."""
SHOWN = 10
"""Single pairs beyond the tolerance that are listed for people; JSON holds them all."""


@dataclass(frozen=True)
class Report:
    """A take as it stands. pairs_per_s: while grabbing, in this run. go_on: the command that finishes it."""

    take: Take
    root: Path
    new_pairs: int
    pairs_per_s: float
    go_on: str

    @cached_property
    def skew(self) -> Skew | None:
        """How well the shutters agree, where it can be measured."""
        return measure_skew(self.take)

    @property
    def stopped(self) -> bool:
        """Whether the take ended before it was whole."""
        return self.take.header.status != "complete"

    @property
    def beyond(self) -> bool:
        """Whether the shutters were measured to disagree by more than the rig allows."""
        return self.skew is not None and not self.skew.ok

    @property
    def moved(self) -> str | None:
        """What moved in a reference that should be static; None where nothing did."""
        header = self.take.header
        return header.reason if header.kind == "reference" and not self.stopped else None

    @property
    def badly_exposed(self) -> list[str]:
        """Which camera of a reference is too dark or clipped, and what to change; one shot at a scene's base may be."""
        rig, step = self.take.header.rig, self.take.header.steps[0]
        remarks = []
        for light in LIGHTS:
            own = rig.reference.well if light == "well" else rig.reference.low
            if self.take.header.kind != "reference" or step.setting(light) != own or not self.take.pairs:
                continue
            frame = self.take.pairs[0].frame(light)
            level = (frame.mean_dn - rig.dark_level_dn(light)) / (WHITE_DN - rig.dark_level_dn(light))
            if frame.clipped_share > MOST_CLIPPED or level < LEAST_LEVEL:
                fault = f"{frame.clipped_share:.1%} clipped" if level >= LEAST_LEVEL else f"dark: {level:.2%} of white"
                change = "raise" if level < LEAST_LEVEL else "lower"
                remarks.append(f"the {light} camera's picture is {fault}; {change} exposure_us or gain_db of "
                               f"[reference.{light}] in rig.toml, or let `exlcap meter --reference` do it")  # fmt: skip
        return remarks

    @property
    def swapped(self) -> bool:
        """Whether the dark camera was the brighter one in a step in which it should be darker by far."""
        levels = [(pair.well.mean_dn, pair.low.mean_dn) for pair in self.take.pairs]
        return self.take.header.kind == "scene" and any(looks_swapped(*level) for level in levels)

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        header = self.take.header
        return {
            "take": self.take.folder.relative_to(self.root).as_posix(),
            "status": header.status,
            "reason": header.reason,
            "steps": [self._step(step.k) for step in header.steps],
            "pairs": len(self.take.pairs),
            "new_pairs": self.new_pairs,
            "orphans": len(self.take.orphans),
            "orphan_causes": [cause.data() for cause in orphan_causes(self.take)],
            "pairs_per_s": round(self.pairs_per_s, 2),
            "roles_look_swapped": self.swapped,
            "moved": self.moved,
            "badly_exposed": self.badly_exposed,
            "missed_triggers": header.missed_triggers,
            "settings_proof": header.settings_proof,
            "skew": None if self.skew is None else self.skew.data(),
        }

    def _step(self, k: int) -> dict[str, Any]:
        pairs = [pair for pair in self.take.pairs if pair.k == k]
        row: dict[str, Any] = {"k": k, "pairs": len(pairs), "missing": self.take.missing().get(k, 0)}
        for light in LIGHTS:
            frames = [pair.frame(light) for pair in pairs]
            count = max(len(frames), 1)
            row[f"{light}_mean_dn"] = round(sum(f.mean_dn for f in frames) / count, 2) if frames else None
            row[f"{light}_clipped_share"] = round(sum(f.clipped_share for f in frames) / count, 5) if frames else None
        return row

    def text(self) -> str:
        """As lines for people."""
        data = self.data()
        lines = [f"{data['take']}: {data['status']}" + (f" ({data['reason']})" if self.stopped else "")]
        lines.append("   k  pairs   well mean DN    low mean DN   well clipped")
        for row in data["steps"]:
            levels = (
                f"{row['well_mean_dn']:>12.1f}   {row['low_mean_dn']:>12.1f}   {row['well_clipped_share']:>11.2%}"
                if row["pairs"]
                else f"{'-':>12}   {'-':>12}   {'-':>11}"
            )
            lines.append(f"  {row['k']:>2}  {row['pairs']:>5}   {levels}")
        lines.append(
            f"{counted(data['pairs'], 'pair')} whole, {counted(data['orphans'], 'orphan')}, "
            f"{data['pairs_per_s']:.1f} pairs/s while grabbing"
        )
        lines += orphan_remarks(self.take)
        lines.append(f"skew of the shutters: {skew_text(self.skew, self.take)}")
        lines += [f"  {pair}" for pair in (self.skew.beyond[:SHOWN] if self.skew else ())]
        lines += ignored_pulses(self.take.header)
        if self.swapped:
            lines.append("the dark camera is brighter than the bright one: are the serials swapped in rig.toml?")
        lines += self.badly_exposed
        if self.moved:
            lines += [f"not fit for `exlcap align`, but kept: {self.moved}", f"  try: {STATIC}, with the same command"]
        if self.stopped:
            lines.append(f"finish it with: {self.go_on}")
        return "\n".join(lines)


def ignored_pulses(header: TakeHeader) -> list[str]:
    """What cameras reported of pulses that came before they were ready, for people."""
    return [
        f"the {light} camera ignored {counted(count, 'pulse')}, which came before it was ready: lower sync.pulse_hz"
        for light, count in header.missed_triggers.items()
        if count
    ]
