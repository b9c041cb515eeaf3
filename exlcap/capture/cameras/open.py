"""The one place that chooses between drivers: what to open for a rig, and what goes with its cameras.

A driver is one module of this folder, imported only when a rig asks for it. To add one, write cameras that fulfil
`contract.Camera`, give the driver a name in `exlcap.core.rig.Driver`, and say here what stands behind the name.
Outside this folder only this module and `contract` are imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from exlcap.capture.cameras.contract import Camera, PictureCamera, View
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Light, Rig

if TYPE_CHECKING:
    from exlcap.core.workspace import Workspace


def open_cameras(rig: Rig, state: Path | None = None) -> Mapping[Light, Camera]:
    """Open both cameras of a rig, configured and ready for `start`. state: NAME of saved states to load first.

    Raises ExlcapError when a camera is missing, in use, or refuses a setting; no camera stays open then.
    """
    if rig.driver == "simulated":
        from exlcap.capture.cameras.simulated_rig import open_simulated_cameras

        return open_simulated_cameras(rig)
    from exlcap.capture.cameras.pylon import open_pylon_cameras

    return open_pylon_cameras(rig, state)


def check_sync(rig: Rig, allow_software: bool) -> None:
    """Raise ExlcapError when the rig's sync mode does not go with its cameras.

    allow_software: accept software triggers on real cameras, whose shutters then open apart.
    """
    mode, emulated = rig.sync.mode, rig.driver == "pylon" and rig.emulator is not None
    if emulated and mode != "software":
        raise ExlcapError(
            f"sync mode {mode!r} needs trigger lines, and emulated cameras have none",
            'set sync.mode = "software" in rig.toml; `exlcap init --simulated` makes a rig with trigger lines',
        )
    if rig.emulator is None and mode == "software" and not allow_software:
        raise ExlcapError(
            "software triggers open the two shutters 0.5 to 1 ms apart, or more when the computer is busy",
            "wire a trigger and set sync.mode in rig.toml, or accept it for a bench test with --allow-software-sync",
        )


def check_state_files(rig: Rig, load: Path | None, save: Path | None) -> None:
    """Raise ExlcapError when a saved state to load is missing or one to save is there already; both by their NAME."""
    if load is None and save is None:
        return
    if rig.driver == "simulated":
        raise ExlcapError(
            "simulated cameras have no state to save or load", "leave out --pfs-save and --pfs-load on this rig"
        )
    from exlcap.capture.cameras.pylon_state import check_pfs

    check_pfs(load, save)


def driver_versions(rig: Rig) -> dict[str, str]:
    """Versions of the packages that drive a rig's cameras, for the record of a take."""
    return {} if rig.driver == "simulated" else {"pypylon": version("pypylon")}


def view_of_take(
    workspace: Workspace, cameras: Mapping[Light, Camera], scene: str | None, take: int, lit_as: str | None = None
) -> View | None:
    """What stands before the cameras during a take of a scene; None where that is the world itself.

    scene: None for a static reference. lit_as: the scene in whose light a reference is shown. Raises ExlcapError when
    it cannot be shown.
    """
    if (picture_cameras := _without_light(workspace.rig, cameras)) is None:
        return None
    from exlcap.capture.cameras.take_view import TakeView

    return TakeView(workspace, picture_cameras, scene, take, lit_as)


@contextmanager
def looped_view_of(workspace: Workspace, cameras: Mapping[Light, Camera], scene: str | None) -> Iterator[View | None]:
    """As `view_of_take`, while nothing is recorded: a few pictures of the scene, over and over, removed at the end."""
    if (picture_cameras := _without_light(workspace.rig, cameras)) is None:
        yield None
        return
    from exlcap.capture.cameras.looped_view import LoopedView

    view = LoopedView(workspace, picture_cameras, scene)
    try:
        yield view
    finally:
        view.remove()


def _without_light(rig: Rig, cameras: Mapping[Light, Camera]) -> dict[Light, PictureCamera] | None:
    """The cameras, where they must be given pictures to see."""
    if rig.emulator is None:
        return None
    without: dict[Light, PictureCamera] = {
        light: camera for light in LIGHTS if isinstance(camera := cameras[light], PictureCamera)
    }
    return without if len(without) == len(LIGHTS) else None
