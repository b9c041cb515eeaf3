"""Writing a data set that was not built from takes: imported, or simulated from photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exlcap.dataset.annotations import People, annotation_files
from exlcap.dataset.manifest import Manifest, PairEntry, read_manifest, write_manifest
from exlcap.errors import ExlcapError
from exlcap.files import sha256_file, write_json


def begin(folder: Path, manifest: Manifest) -> None:
    """Mark a data set as unfinished; one that was cut short is made anew.

    Raises ExlcapError when a finished one is there.
    """
    if (folder / "dataset.json").exists() and read_manifest(folder).status == "complete":
        raise ExlcapError(f"a data set named {folder.name} exists already", "choose another --name")
    write_manifest(folder, manifest.model_copy(update={"status": "building"}))


def finish_pairs(folder: Path, manifest: Manifest, entries: Sequence[PairEntry], people: People) -> Manifest:
    """Write the annotation files of pairs and the finished dataset.json, whose content is returned."""
    whole = manifest.model_copy(update={"pairs": tuple(entries)})
    return finish(folder, whole, annotation_files(entries, people, manifest.splits))


def finish(folder: Path, manifest: Manifest, files: Mapping[str, dict[str, Any]]) -> Manifest:
    """Write annotation files by name and the finished dataset.json, whose content is returned."""
    sums, counts = {}, {}
    for name, content in files.items():
        path = folder / "annotations" / f"{name}.json"
        write_json(path, content)
        sums[name] = sha256_file(path)
        counts[name] = (len(content["images"]), len(content["annotations"]))
    done = manifest.model_copy(update={"status": "complete", "counts": counts, "annotations_sha256": sums})
    write_manifest(folder, done)
    return done
