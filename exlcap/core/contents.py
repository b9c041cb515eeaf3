"""What a workspace holds: its takes, their labels and the alignment that goes with each, as every stage opens them."""

from __future__ import annotations

from collections.abc import Iterator

from exlcap.core.alignment import Alignment, read_alignment
from exlcap.core.labels import TakeLabels, read_labels
from exlcap.core.take import Take, read_take
from exlcap.core.workspace import Workspace, numbered


def read_takes(workspace: Workspace, scene: str | None = None) -> Iterator[Take]:
    """The takes of one scene or of all, in order, each read when its turn comes.

    Raises ExlcapError for a damaged take.
    """
    for folder in workspace.takes(scene):
        yield read_take(folder)


def read_labels_of(workspace: Workspace, take: Take) -> TakeLabels | None:
    """The labels of a take; None where it has none yet. Raises ExlcapError when they are damaged."""
    path = workspace.labels(take.header.scene, take.header.number)
    return read_labels(path) if path.exists() else None


def read_alignment_named(workspace: Workspace, name: str) -> Alignment:
    """The alignment `name` ("align-001") of a workspace. Raises ExlcapError when it is missing or damaged."""
    return read_alignment(workspace.alignments / f"{name}.json")


def alignment_name_of(workspace: Workspace, labels: TakeLabels | None) -> str | None:
    """Name of the alignment that goes with a take: the one that carried its labels, else the newest, None without both.

    labels: of the take; None where it has none.
    """
    if labels is not None:
        return labels.alignment
    alignments = numbered(workspace.alignments, "align", ".json")
    return alignments[-1][1].stem if alignments else None
