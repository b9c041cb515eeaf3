"""``exlcap validate``: every check on a data set of ours, or on a COCO keypoint file of anybody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from exlcap.core.console import counted
from exlcap.core.errors import ExlcapError
from exlcap.dataset.checks.image_files import read_image_files
from exlcap.dataset.checks.label_checks import LABEL_CHECKS, SEVERITIES, Finding
from exlcap.dataset.checks.set_checks import SET_CHECKS, Subject, image_folder
from exlcap.dataset.formats.keypoint_file import KeypointFile, read_keypoint_file
from exlcap.dataset.manifest import read_complete

SHOWN = 3
"""Findings of each check that the text shows; --json lists all."""


def annotation_files_of(path: Path) -> tuple[KeypointFile, ...]:
    """The annotation files of a data set's folder, or the one file that `path` is.

    Raises ExlcapError when `path` is neither, or a file cannot be read.
    """
    if path.is_file():
        return (read_keypoint_file(path),)
    read_complete(path)
    return tuple(read_keypoint_file(file) for file in sorted((path / "annotations").glob("*.json")))


def read_subject(path: Path) -> Subject:
    """What to check, with every image read once. Images of a foreign file are searched beside and above it."""
    files = annotation_files_of(path)
    names = [str(image["file_name"]) for file in files for image in file.images]
    if path.is_file():
        root = image_folder(path, names)
        return Subject(files, None, None, read_image_files(root, names) if root is not None else {})
    manifest = read_complete(path)
    pedestal = manifest.pedestal if manifest.parameters.depth == 16 else None
    return Subject(files, path, manifest, read_image_files(path / "images", names, pedestal))


def find_all(subject: Subject) -> list[Finding]:
    """Every finding, errors first, then in the order of the checks."""
    findings = [f for check in SET_CHECKS for f in check.run(subject)]
    findings += [f for check in LABEL_CHECKS for file in subject.files for f in check.run(file, file.path.name)]
    if not subject.pictures:
        text = "no images were found near this file, so they were not checked"
        findings.append(Finding("images_not_found", "note", ", ".join(file.path.name for file in subject.files), text))
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Number of findings of each check."""
    return dict(Counter(finding.check for finding in findings))


def findings_text(subject: Subject, findings: Sequence[Finding]) -> str:
    """For people: every check with findings, and the first of them."""
    images, people = len(list(subject.images())), sum(len(file.people) for file in subject.files)
    parts = [counted(len(subject.files), "annotation file"), counted(images, "image"), counted(people, "annotation")]
    lines = [", ".join(parts)]
    for check, count in counts(findings).items():
        of_check = [finding for finding in findings if finding.check == check]
        lines.append(f"{of_check[0].severity:<8} {check:<22} {count:>6}")
        lines += [f"    {finding.place()}: {finding.text}" for finding in of_check[:SHOWN]]
        if count > SHOWN:
            lines.append(f"    ... and {count - SHOWN} more (--json lists all)")
    errors = sum(finding.severity == "error" for finding in findings)
    lines.append(counted(errors, "error") if errors else "no errors")
    return "\n".join(lines)


def resolve(path: str, datasets: Path | None) -> Path:
    """A path as given, or the data set of that name. Raises ExlcapError when there is neither."""
    named = [datasets / path] if datasets is not None else []
    for target in (Path(path), *named):
        if target.is_file() or (target / "dataset.json").is_file():
            return target
    raise ExlcapError(f"no data set and no annotation file at {path}",
                      "give the name or folder of a data set, or a COCO keypoint file")  # fmt: skip
