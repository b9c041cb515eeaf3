"""The end of every data set, built, imported or simulated: annotation files, data card, and last the word "complete".

A process that is killed here leaves a data set that is not complete. The same command, run again, finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file, write_atomic, write_json
from exlcap.dataset.annotations import People, annotation_files
from exlcap.dataset.data_card.adopted_card import adopted_card
from exlcap.dataset.data_card.adopted_sheet import write_adopted_sheet
from exlcap.dataset.manifest import Manifest, PairEntry, read_manifest, write_manifest
from exlcap.dataset.table1 import table1, table1_json

Files = Mapping[str, dict[str, Any]]
"""Content of COCO files by name ("train", "test_WL", ...)."""


def finish(
    folder: Path,
    manifest: Manifest,
    files: Files,
    card: Callable[[Manifest], str],
    write_sheet: Callable[[Path, Manifest], None],
) -> Manifest:
    """Write the annotation files, Table 1, contact sheet and README.md, and last the finished dataset.json.

    manifest: with the entries of all images, which are there. card: text of README.md; write_sheet: writes the contact
    sheet as a PNG. A data set without pairs has neither table nor sheet. Returns the content of dataset.json.
    """
    _delete_torn_writes(folder)
    sums, counts = {}, {}
    for name, content in files.items():
        path = folder / "annotations" / f"{name}.json"
        write_json(path, content)
        sums[name] = sha256_file(path)
        counts[name] = (len(content["images"]), len(content["annotations"]))
    done = manifest.model_copy(update={"status": "complete", "counts": counts, "annotations_sha256": sums})
    if done.pairs:
        write_json(folder / "table1.json", table1_json(table1(done)))
        write_sheet(folder / "contact_sheet.png", done)
    write_atomic(folder / "README.md", card(done).encode())
    write_manifest(folder, done)
    return done


def card_files(manifest: Manifest) -> tuple[str, ...]:
    """Names of the files of the data card, which every finished data set has in its folder."""
    return ("README.md", "table1.json", "contact_sheet.png") if manifest.pairs else ("README.md",)


def _delete_torn_writes(folder: Path) -> None:
    """Delete temporary files left by a killed process (see `write_atomic`): the folder is published as it is."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def begin_adopted(folder: Path, manifest: Manifest) -> None:
    """Start an imported or simulated data set, marked as unfinished. An interrupted one of the same source starts over.

    Raises ExlcapError when the folder holds a finished data set, or an unfinished one from another source.
    """
    if (folder / "dataset.json").exists():
        old = read_manifest(folder)
        if old.status == "complete":
            raise ExlcapError(f"a data set named {folder.name} exists already", "choose another --name")
        if (old.origin, old.source, old.parameters) != (manifest.origin, manifest.source, manifest.parameters):
            raise ExlcapError(f"{folder} holds an unfinished data set from another source ({old.source or 'takes'})",
                              "choose another --name, or remove that folder")  # fmt: skip
    write_manifest(folder, manifest.model_copy(update={"status": "building"}))


def finish_adopted(folder: Path, manifest: Manifest, files: Files) -> Manifest:
    """Finish a data set that was imported or simulated; returns the content of dataset.json."""
    return finish(folder, manifest, files, adopted_card, write_adopted_sheet)


def finish_adopted_pairs(folder: Path, manifest: Manifest, entries: Sequence[PairEntry], people: People) -> Manifest:
    """`finish_adopted` for pairs: their annotation files are made from `people`, by pair id."""
    whole = manifest.model_copy(update={"pairs": tuple(entries)})
    return finish_adopted(folder, whole, annotation_files(entries, people, manifest.splits))
