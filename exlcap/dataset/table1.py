"""The paper's Table 1 for a data set: scenes, images, people and mean level of every split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from exlcap.core.light_levels import lighting_split
from exlcap.dataset.manifest import TEST_SPLITS, Manifest, PairEntry


@dataclass(frozen=True)
class Row:
    """One split. Mean levels are from 0 at black to 255 at white; None where the split has no such images.

    Of 8-bit sRGB values they count noise above black but not what was clipped below it, as the published ones do: where
    light is less than the noise they are mostly noise (2.6 times the light at 1.3 electrons). linear_levels: of signed
    linear light instead, as 16-bit images hold it, whose means are those of the light.
    """

    split: str
    scenes: int
    pairs: int
    people: int
    well_mean_level: float | None
    low_mean_level: float | None
    linear_levels: bool = False


def table1(manifest: Manifest) -> list[Row]:
    """Rows for train, val and the test splits."""
    rows = []
    linear = manifest.parameters.depth == 16
    for split, names in manifest.splits.items():
        scenes = set(names)
        pairs = [entry for entry in manifest.pairs if entry.scene in scenes]
        if split != "test":
            rows.append(_row(split, pairs, manifest.counts[split][1] // 2, ("well", "low"), linear))
            continue
        for name in TEST_SPLITS:
            chosen = [e for e in pairs if name in ("WL", "LL-A") or lighting_split(e.well_gain_db) == name]
            lights = ("well",) if name == "WL" else ("low",)
            rows.append(_row(name, chosen, manifest.counts[f"test_{name}"][1], lights, linear))
    return rows


def _row(split: str, pairs: Sequence[PairEntry], people: int, lights: tuple[str, ...], linear: bool) -> Row:
    def level(light: str) -> float | None:
        values = [e.well_mean_level if light == "well" else e.low_mean_level for e in pairs]
        return sum(values) / len(values) if values and light in lights else None

    return Row(split, len({e.scene for e in pairs}), len(pairs), people, level("well"), level("low"), linear)


def level_text(level: float | None, linear: bool) -> str:
    """A mean level for people; those of linear light are small in the dark, so they have three digits."""
    return "-" if level is None else f"{level:.3g}" if linear else f"{level:.1f}"


def table1_text(rows: Sequence[Row]) -> str:
    """The table for people."""
    lines = [f"{'split':<6} {'scenes':>6} {'pairs':>6} {'people':>7} {'well mean':>10} {'low mean':>9}"]
    for row in rows:
        levels = [level_text(level, row.linear_levels) for level in (row.well_mean_level, row.low_mean_level)]
        lines.append(f"{row.split:<6} {row.scenes:>6} {row.pairs:>6} {row.people:>7} {levels[0]:>10} {levels[1]:>9}")
    if any(row.linear_levels for row in rows):
        lines.append("mean levels: of linear light, 0 at black and 255 at white")
    return "\n".join(lines)


def table1_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The table for machines."""
    return [asdict(row) for row in rows]
