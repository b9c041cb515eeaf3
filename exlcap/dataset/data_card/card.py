"""The data card: README.md of a data set, written from its record and from what is known of its making."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from exlcap.dataset.manifest import Manifest
from exlcap.dataset.table1 import Row, level_text, table1

GAIN_BIN_DB = 3
LICENCE_UNKNOWN = {
    "built": "Not chosen yet: build with `--licence` before you publish.",
    "imported": "Not given: the terms of its publishers apply.",
    "simulated": "Not given: the terms of the photographs and of their labels apply.",
}


def card(manifest: Manifest, about: str, making: Iterable[str], limits: Iterable[str]) -> str:
    """Text of a card. making, limits: lines on how it was made and on its limits; the rest comes from the manifest."""
    limits = [*limits, *_left_out(manifest), *_empty_splits(manifest)]
    sections = [
        f"# {manifest.name}",
        about,
        *(["![Sample pairs](contact_sheet.png)"] if manifest.pairs else []),
        *(_of_pairs(manifest) if manifest.pairs else _of_singles(manifest)),
        "## How it was made",
        "\n".join([*making, *_developments(manifest)]),
        "## Known limits",
        "\n".join(limits) or "None known.",
        "## Licence",
        manifest.licence or LICENCE_UNKNOWN[manifest.origin],
        "The people in the pictures must have consented to its use.",
    ]
    return "\n\n".join(sections) + "\n"


def _of_pairs(manifest: Manifest) -> list[str]:
    levels = (
        "Mean levels are of linear light, noise below black included. A value of the images is linear light times "
        f"{65535 - manifest.pedestal}, plus {manifest.pedestal} at black."
        if manifest.parameters.depth == 16
        else "8-bit images are clipped at black: where there is less light than noise, their means are mostly noise."
    )
    return [
        "## Scenes, pairs, people, mean levels (of 255)",
        _table(["split", "scenes", "pairs", "people", "well-lit mean", "low-light mean"], map(_row, table1(manifest))),
        levels,
        "Test splits by the well-lit gain: LL-N < 15 dB <= LL-H < 24 dB <= LL-E; LL-A is their union, WL the bright "
        "images. No scene is in more than one of train, val and test.",
        "\n".join(f"- {split}: {_named(scenes)}" for split, scenes in manifest.splits.items()),
        "## Exposures and gains",
        _table(["exposure (us)", "pairs"], _exposures(manifest)),
        _table([f"well-lit gain (dB, steps of {GAIN_BIN_DB})", "pairs"], _gains(manifest)),
    ]


def _of_singles(manifest: Manifest) -> list[str]:
    """For a data set of dark images without partners."""
    level = sum(single.mean_level for single in manifest.singles) / max(1, len(manifest.singles))
    counts = [[name, str(images), str(people)] for name, (images, people) in manifest.counts.items()]
    return [
        "## Images, people, mean level",
        _table(["split", "images", "people"], counts),
        f"Mean level {level:.1f} of 255. Exposures and gains are not published with these images.",
    ]


def _row(row: Row) -> list[str]:
    levels = [
        "" if level is None else level_text(level, row.linear_levels)
        for level in (row.well_mean_level, row.low_mean_level)
    ]
    return [row.split, str(row.scenes), str(row.pairs), str(row.people), *levels]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _named(scenes: Sequence[str], most: int = 100) -> str:
    """Names of scenes; only their number where there are very many, which dataset.json lists."""
    if len(scenes) > most:
        return f"{len(scenes)} scenes, listed in dataset.json"
    return ", ".join(scenes) or "none"


def _exposures(manifest: Manifest) -> list[list[str]]:
    counts = Counter(round(entry.exposure_us, 1) for entry in manifest.pairs)
    return [[f"{exposure_us:g}", str(counts[exposure_us])] for exposure_us in sorted(counts, reverse=True)]


def _gains(manifest: Manifest) -> list[list[str]]:
    """A histogram of the well-lit gain."""
    bins = Counter(int(entry.well_gain_db // GAIN_BIN_DB) * GAIN_BIN_DB for entry in manifest.pairs)
    return [[f"{start} to {start + GAIN_BIN_DB}", str(bins[start])] for start in sorted(bins)]


def _developments(manifest: Manifest) -> list[str]:
    lines = []
    for development in manifest.developments:
        balance = " ".join(f"{factor:.3f}" for factor in development.white_balance)
        matrix = (
            ""
            if development.colour_matrix is None
            else f", colour matrix {[list(row) for row in development.colour_matrix]}"
        )
        black = f"dark level {development.black_level_dn:g} DN"
        filters = ", demosaiced with the filters of Malvar et al." if development.demosaic == "malvar" else ""
        lines.append(f"- development, {development.light}: {black}, white balance {balance}{matrix}{filters}"
                     + (f" ({len(development.takes)} takes)" if development.takes else ""))  # fmt: skip
    return lines


def _left_out(manifest: Manifest) -> list[str]:
    pairs = [f"- {count} pairs are left out: {why}." for why, count in manifest.pairs_left_out.items()]
    return pairs + [f"- {count} labels of people are left out: {why}." for why, count in manifest.left_out.items()]


def _empty_splits(manifest: Manifest) -> list[str]:
    empty = [row.split for row in table1(manifest) if not row.pairs] if manifest.pairs else []
    return [f"- Empty splits: {', '.join(empty)}."] if empty else []
