"""The state of a camera as a .pfs file, the format of Basler's own tools: NAME.well.pfs and NAME.low.pfs.

A .pfs belongs to a model and firmware: another one lacks features or gives them other limits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exlcap.core.console import say
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_atomic
from exlcap.core.rig import LIGHTS, Light

DEVICE_LINE = "# Device = "


def pfs_path(file: Path, light: Light) -> Path:
    """Where the state of a camera is: ``bench`` and ``bench.pfs`` name bench.well.pfs and bench.low.pfs."""
    return file.with_name(f"{file.name.removesuffix('.pfs')}.{light}.pfs")


def check_pfs(load: Path | None, save: Path | None) -> None:
    """Raise ExlcapError when a file to load is missing or one to save is there already."""
    for light in LIGHTS:
        if load is not None and not pfs_path(load, light).is_file():
            raise ExlcapError(
                f"no file {pfs_path(load, light)}", "give --pfs-load NAME for the files NAME.well.pfs and NAME.low.pfs"
            )
        if save is not None and pfs_path(save, light).exists():
            raise ExlcapError(f"{pfs_path(save, light)} exists already", "give --pfs-save another name")


def load_pfs(pylon: Any, device: Any, path: Path, who: str) -> None:
    """Bring an open pylon.InstantCamera into a saved state; warns when another model or firmware saved it.

    Raises ExlcapError when the file is no .pfs, or the camera refuses one of its values.
    """
    from pypylon import genicam

    text = path.read_text(encoding="utf-8", errors="replace")
    here = pylon.FeaturePersistence.SaveToString(device.GetNodeMap())
    if _saved_by(text) != _saved_by(here):
        say(
            f"{path.name} was saved by {_saved_by(text) or 'an unknown device'}, the {who} is {_saved_by(here)}: "
            "a .pfs belongs to a model and firmware"
        )
    try:
        pylon.FeaturePersistence.LoadFromString(text, device.GetNodeMap(), True)
    except genicam.GenericException as error:
        raise ExlcapError(
            f"{who}: {path} cannot be loaded: {str(error).split(' : ')[0].strip()}",
            "save it anew with --pfs-save on this camera: a .pfs belongs to a model and firmware",
        ) from error


def save_pfs(pylon: Any, device: Any, path: Path) -> None:
    """Write the state of an open pylon.InstantCamera."""
    write_atomic(path, pylon.FeaturePersistence.SaveToString(device.GetNodeMap()).encode())


def _saved_by(text: str) -> str | None:
    """What a .pfs says of the device it was saved by: name and version."""
    line = next((line for line in text.splitlines() if line.startswith(DEVICE_LINE)), None)
    return None if line is None else line.removeprefix(DEVICE_LINE).split(" -- Product GUID")[0]
