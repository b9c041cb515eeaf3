"""Writing a data set that was not built from takes: imported, or simulated from photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file, write_atomic, write_json
from exlcap.dataset.annotations import People, annotation_files
from exlcap.dataset.data_card.card import adopted_card
from exlcap.dataset.manifest import Manifest, PairEntry, read_manifest, write_manifest
from exlcap.dataset.data_card.adopted_sheet import write_photo_sheet
from exlcap.dataset.table1 import as_json, table1


def begin(folder: Path, manifest: Manifest) -> None:
    """Mark a data set as unfinished; one of the same making that was cut short is made anew.

    Raises ExlcapError when a finished one is there, or an unfinished one of something else.
    """
    if (folder / "dataset.json").exists():
        old = read_manifest(folder)
        if old.status == "complete":
            raise ExlcapError(f"a data set named {folder.name} exists already", "choose another --name")
        if (old.origin, old.source, old.parameters) != (manifest.origin, manifest.source, manifest.parameters):
            raise ExlcapError(f"{folder} holds an unfinished data set of something else ({old.source or 'takes'})",
                              "choose another --name, or remove that folder")  # fmt: skip
    write_manifest(folder, manifest.model_copy(update={"status": "building"}))


def finish_pairs(folder: Path, manifest: Manifest, entries: Sequence[PairEntry], people: People) -> Manifest:
    """Write the annotation files of pairs and the finished dataset.json, whose content is returned."""
    whole = manifest.model_copy(update={"pairs": tuple(entries)})
    return finish(folder, whole, annotation_files(entries, people, manifest.splits))


def finish(folder: Path, manifest: Manifest, files: Mapping[str, dict[str, Any]]) -> Manifest:
    """Write annotation files by name, the data card, and last the finished dataset.json, whose content is returned."""
    sums, counts = {}, {}
    for name, content in files.items():
        path = folder / "annotations" / f"{name}.json"
        write_json(path, content)
        sums[name] = sha256_file(path)
        counts[name] = (len(content["images"]), len(content["annotations"]))
    done = manifest.model_copy(update={"status": "complete", "counts": counts, "annotations_sha256": sums})
    if done.pairs:
        write_json(folder / "table1.json", as_json(table1(done)))
        write_photo_sheet(folder / "contact_sheet.png", done)
    write_atomic(folder / "README.md", adopted_card(done).encode())
    write_manifest(folder, done)
    return done
