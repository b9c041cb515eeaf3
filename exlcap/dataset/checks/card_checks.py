"""Whether the files of a data card are there and whole, and how a copy gets them anew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, write_atomic, write_json
from exlcap.dataset.checks.image_files import read_image_file
from exlcap.dataset.data_card.adopted_card import adopted_card
from exlcap.dataset.data_card.adopted_sheet import write_adopted_sheet
from exlcap.dataset.finish import card_files
from exlcap.dataset.manifest import Manifest
from exlcap.dataset.table1 import table1, table1_json

CARD_REMEDIES = {
    "built": "run the same `exlcap build` again, which writes it",
    "imported": "remove the data set and import it again",
    "simulated": "remove the data set and simulate it again",
}
"""How a file of the data card is written anew, by origin."""
LEVEL_TOLERANCE = 1e-6
"""Relative, of mean levels: Python from 3.12 on rounds sums otherwise than before."""


def card_damage(folder: Path, name: str, manifest: Manifest) -> str | None:
    """What is wrong with a file of the data card that is there; None where it is whole."""
    path = folder / name
    if name == "table1.json":
        return _table_damage(path, manifest)
    if name == "contact_sheet.png":
        picture = read_image_file(path)
        return "cannot be decoded" if picture is None or picture.size is None else None
    return None if path.read_bytes().strip() else "is empty"


def _table_damage(path: Path, manifest: Manifest) -> str | None:
    """How table1.json differs from Table 1 of dataset.json. Of a data set of exlcap 0.1, only rows and keys count."""
    try:
        rows = read_json(path, "Table 1")
    except ExlcapError:
        return "is not valid JSON"
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return "is not a list of rows"
    expected = table1_json(table1(manifest))
    splits = [row["split"] for row in expected]
    if [row.get("split") for row in rows] != splits:
        return f"lists the splits {[row.get('split') for row in rows]}, expected {splits}"
    for row, wanted in zip(rows, expected, strict=True):
        if damage := _row_damage(row, wanted, manifest.exlcap.startswith("0.1.")):
            return f"split {row['split']}: {damage}"
    return None


def _row_damage(row: Mapping[str, Any], wanted: Mapping[str, Any], old: bool) -> str | None:
    """How a row differs. old: written by exlcap 0.1, which had no `linear_levels`."""
    for key, value in wanted.items():
        if key not in row and not (old and key == "linear_levels"):
            return f"has no {key}"
        if not old and not _same(row[key], value):
            return f"{key} is {row[key]}, but {value} by dataset.json"
    return None


def _same(actual: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(actual, (int, float)):
        return math.isclose(actual, expected, rel_tol=LEVEL_TOLERANCE, abs_tol=LEVEL_TOLERANCE)
    return bool(actual == expected)


def broken_card_files(folder: Path, manifest: Manifest) -> list[str]:
    """Names of the files of the data card that are missing or damaged."""
    return [
        name
        for name in card_files(manifest)
        if not (folder / name).is_file() or card_damage(folder, name, manifest) is not None
    ]


def refuse_unwritable(folder: Path, manifest: Manifest) -> None:
    """Raise ExlcapError when files of the card are broken that only `exlcap build` can write, from takes and labels."""
    names = [name for name in broken_card_files(folder, manifest) if name != "table1.json"]
    if names and manifest.origin == "built":
        raise ExlcapError(
            f"in {folder} missing or damaged: {', '.join(names)}; a copy would not be complete",
            "run the same `exlcap build` again, which writes the data card, or restore those files; then use --fix",
        )


def write_card_file(folder: Path, name: str, manifest: Manifest) -> None:
    """Write a file of the card anew, from the data set alone: Table 1 of any, the others of imported or simulated."""
    if name == "table1.json":
        write_json(folder / name, table1_json(table1(manifest)))
    elif name == "contact_sheet.png":
        write_adopted_sheet(folder / name, manifest)
    else:
        write_atomic(folder / name, adopted_card(manifest).encode())
