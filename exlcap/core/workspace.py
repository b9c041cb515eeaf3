"""Where things are: a workspace is a folder with a ``rig.toml``, found upwards from here as git does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from exlcap.core.errors import ExlcapError

if TYPE_CHECKING:
    from exlcap.core.rig import Rig

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}


def check_name(name: str, what: str) -> str:
    """Check a name that must be safe as a folder on every system: letters, digits, ``-`` and ``_``; at most 64.

    >>> check_name("night-street_2", "scene")
    'night-street_2'
    """
    if not NAME.fullmatch(name) or name.lower() in WINDOWS_DEVICES:
        raise ExlcapError(
            f"{name!r} cannot name a {what}",
            "use 1 to 64 letters, digits, '-' and '_', starting with a letter or digit",
        )
    return name


def numbered(folder: Path, prefix: str, suffix: str = "") -> list[tuple[int, Path]]:
    """Entries `<prefix>-NNN<suffix>` of a folder with their numbers, in order; none if there is no folder."""
    pattern = re.compile(rf"{prefix}-(\d{{3,}}){re.escape(suffix)}")
    entries = [
        (int(match[1]), path)
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := pattern.fullmatch(path.name))
    ]
    return sorted(entries)


@dataclass(frozen=True)
class Workspace:
    """The folders of a workspace. `root` holds rig.toml."""

    root: Path

    @cached_property
    def rig(self) -> Rig:
        """The rig, read when first asked for."""
        from exlcap.core.rig import read_rig

        return read_rig(self.root / "rig.toml")

    @property
    def alignments(self) -> Path:
        """Folder of align-NNN.json."""
        return self.root / "alignments"

    @property
    def references(self) -> Path:
        """Folder of ref-NNN takes."""
        return self.root / "references"

    @property
    def simulated(self) -> Path:
        """What an emulated rig shows its cameras, with the true labels; absent on a real rig."""
        return self.root / "simulated"

    def scene(self, scene: str) -> Path:
        """Folder of a scene's takes."""
        return self.root / "scenes" / check_name(scene, "scene")

    def take(self, scene: str, number: int) -> Path:
        """Folder of a take of a scene."""
        return self.scene(scene) / f"take-{number:03d}"

    def labels(self, scene: str, take: int) -> Path:
        """Label file of a take."""
        return self.root / "labels" / check_name(scene, "scene") / f"take-{take:03d}.json"

    def dataset(self, name: str) -> Path:
        """Folder of a data set."""
        return self.root / "datasets" / check_name(name, "data set")

    def run(self, name: str) -> Path:
        """Folder of a training run."""
        return self.root / "runs" / check_name(name, "run")

    def takes(self, scene: str | None = None) -> Iterator[Path]:
        """Folders of the takes of one scene or of all, in order."""
        scenes = self.root / "scenes"
        folders = [self.scene(scene)] if scene else sorted(scenes.iterdir()) if scenes.is_dir() else []
        for folder in folders:
            yield from (path for _, path in numbered(folder, "take"))


def find_workspace(start: Path) -> Workspace:
    """The workspace that holds `start`: the nearest folder upwards with a rig.toml.

    Raises ExlcapError when there is none, or `start` is not a folder.
    """
    if not start.is_dir():
        raise ExlcapError(f"no folder {start}", "check the path")
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "rig.toml").is_file():
            return Workspace(folder)
    raise ExlcapError(
        f"no rig.toml in {start} or any folder above it",
        "change to your workspace, name it with -C DIR, or make one with `exlcap init`",
    )
