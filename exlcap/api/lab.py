"""A workspace opened for reading: its rig, takes, alignments, data sets and runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exlcap.api.takes import LabTake
from exlcap.core.alignment import Alignment, alignment_in_force
from exlcap.core.contents import read_alignment_named, read_takes
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Rig
from exlcap.core.take import read_take
from exlcap.core.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from exlcap.api.datasets import Dataset
    from exlcap.api.runs import Run


def open_workspace(folder: Path | str = ".") -> Lab:
    """Open the workspace in or around a folder, as ``exlcap -C FOLDER`` does.

    Args:
        folder: The workspace (the folder with ``rig.toml``) or any folder inside it.

    Returns:
        The workspace. Nothing but the path is looked up yet; everything is read when it is asked for.

    Raises:
        ExlcapError: There is no such folder, or no ``rig.toml`` in it or in any folder above it.

    Examples:
        >>> import exlcap
        >>> lab = exlcap.open_workspace("lab")
        >>> lab.scenes
        ('alley', 'arcade', 'plaza')
        >>> lab.rig.sensor.width, lab.rig.sensor.height
        (320, 200)
    """
    return Lab(find_workspace(Path(folder)))


@dataclass(frozen=True)
class Lab:
    """A workspace, read only. Made by `open_workspace`.

    Attributes:
        workspace: The folders of the workspace, as the commands use them.

    Examples:
        >>> lab = exlcap.open_workspace("lab")
        >>> for take in lab.takes("plaza"):
        ...     print(take.name, len(take.pairs), "pairs")
        plaza take-001 2 pairs
        >>> lab.datasets, lab.runs
        (('main',), ('main-ours',))
    """

    workspace: Workspace

    def __repr__(self) -> str:
        takes = sum(1 for _ in self.workspace.takes())
        return f"Lab({str(self.folder)!r}, takes={takes}, datasets={len(self.datasets)}, runs={len(self.runs)})"

    @property
    def folder(self) -> Path:
        """The folder that holds rig.toml."""
        return self.workspace.root

    @property
    def rig(self) -> Rig:
        """Everything rig.toml says. Raises ExlcapError when it is damaged."""
        return self.workspace.rig

    @property
    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes that have takes, in order."""
        return tuple(dict.fromkeys(folder.parent.name for folder in self.workspace.takes()))

    def takes(self, scene: str | None = None) -> Iterator[LabTake]:
        """The takes of one scene, or of all, in order; each is read when its turn comes.

        Raises:
            ExlcapError: The scene has no takes, or a take is damaged.

        Examples:
            >>> [take.number for take in lab.takes("plaza")]
            [1]
        """
        if scene is not None and not any(self.workspace.takes(scene)):
            raise ExlcapError(f"no takes of scene {scene!r}", f"scenes with takes: {', '.join(self.scenes) or 'none'}")
        return (LabTake(self.workspace, take) for take in read_takes(self.workspace, scene))

    def take(self, scene: str, number: int) -> LabTake:
        """One take of a scene.

        Raises:
            ValueError: The number is not a whole number from 1.
            ExlcapError: There is no such take, or it is damaged.

        Examples:
            >>> lab.take("plaza", 1).header.status
            'complete'
        """
        if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1:
            raise ValueError(f"number must be a whole number from 1, got {number!r}")
        folder = self.workspace.take(scene, number)
        if not folder.is_dir():
            others = ", ".join(path.name for path in self.workspace.takes(scene))
            scenes = f"scenes with takes: {', '.join(self.scenes) or 'none'}"
            raise ExlcapError(f"no {folder.name} of scene {scene!r}", f"it has {others}" if others else scenes)
        return LabTake(self.workspace, read_take(folder))

    def alignment(self, name: str | None = None) -> Alignment:
        """An alignment by name ("align-001"), or the newest, which is in force for new work.

        `Alignment.map_low_to_well` and `Alignment.map_well_to_low` map pixel centres, float64 (N, 2) of x and y,
        between the raw frames of both cameras.

        Raises:
            ExlcapError: There is none, or it is damaged.

        Examples:
            >>> import numpy as np
            >>> alignment = lab.alignment()
            >>> in_well = alignment.map_low_to_well(np.array([[160.0, 100.0]]))
            >>> in_well.shape
            (1, 2)
            >>> alignment.map_well_to_low(in_well).round(6).tolist()
            [[160.0, 100.0]]
        """
        return alignment_in_force(self.workspace)[1] if name is None else read_alignment_named(self.workspace, name)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets, finished or not, in order."""
        return _names(self.folder / "datasets", "dataset.json")

    def dataset(self, name: str) -> Dataset:
        """A data set of the workspace.

        Raises:
            ExlcapError: There is no such data set, or it was never finished.

        Examples:
            >>> lab.dataset("main").splits
            ('train', 'val', 'test_LL-N', 'test_LL-H', 'test_LL-E', 'test_LL-A', 'test_WL')
        """
        from exlcap.api.datasets import open_dataset

        return open_dataset(self.workspace.dataset(name))

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the training runs that have weights, in order."""
        return _names(self.folder / "runs", "best.pt")

    def run(self, name: str) -> Run:
        """A trained run with its best weights, ready to predict. Imports PyTorch.

        Raises:
            ExlcapError: There is no such run, or it has no weights yet.

        Examples:
            >>> lab.run("main-ours").method
            'ours'
        """
        from exlcap.api.runs import load_run

        return load_run(self.workspace.run(name))


def _names(folder: Path, file: str) -> tuple[str, ...]:
    """Names of the folders in `folder` that hold a file of that name."""
    return tuple(sorted(path.parent.name for path in folder.glob(f"*/{file}")))
