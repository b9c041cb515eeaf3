"""Why frames of a take have no partner, in one line: the causes of its orphans, grouped and counted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from exlcap.core.console import counted
from exlcap.core.rig import Light
from exlcap.core.take import Take

SHOWN = 3
NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Cause:
    """A reason that orphans of one camera share. Numbers in which their reasons differ are replaced by N."""

    light: Light
    reason: str
    count: int

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def orphan_causes(take: Take) -> list[Cause]:
    """The causes of a take's orphans, the most frequent first."""
    groups: dict[tuple[Light, str], Counter[str]] = {}
    for orphan in take.orphans:
        groups.setdefault((orphan.light, NUMBER.sub("N", orphan.reason)), Counter())[orphan.reason] += 1
    causes = [
        Cause(light, next(iter(reasons)) if len(reasons) == 1 else general, reasons.total())
        for (light, general), reasons in groups.items()
    ]
    return sorted(causes, key=lambda cause: -cause.count)


def orphan_remarks(take: Take) -> list[str]:
    """One line on the causes of a take's orphans, for people; none where there are no orphans."""
    causes = orphan_causes(take)
    if not causes:
        return []
    shown = [f"{cause.count} x {cause.light}: {cause.reason}" for cause in causes[:SHOWN]]
    rest = sum(cause.count for cause in causes[SHOWN:])
    more = [f"and {rest} more"] if rest else []
    total = counted(len(take.orphans), "orphan")
    return [f"{total}: {'; '.join([*shown, *more])} (see orphans.jsonl in {take.folder.name})"]
