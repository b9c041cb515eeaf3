"""What cameras without light see while nothing is recorded: a few rendered pulses of a scene, over and over."""

from __future__ import annotations

from collections.abc import Mapping

from exlcap.capture.cameras.contract import PictureCamera
from exlcap.capture.cameras.pictures import put_before, take_away, with_absolute_photos
from exlcap.core.rig import Light
from exlcap.core.take import REFERENCE, Step, Take
from exlcap.core.workspace import Workspace
from exlcap.simulate.rendering import render_step

PULSES = 2
"""Rendering takes a good part of a second per pulse: a change of exposure should be seen soon."""
BEFORE_ALL_TAKES = 0


class LoopedView:
    """Fulfils View. scene: None for the static reference. Leaves no truth: nothing of it is recorded."""

    def __init__(self, workspace: Workspace, cameras: Mapping[Light, PictureCamera], scene: str | None) -> None:
        self._rig = with_absolute_photos(workspace.rig, workspace.root)
        self._cameras = cameras
        self._scene = scene
        self._folder = workspace.simulated / "frames" / "preview"
        self._shown: Step | None = None

    def show(self, step: Step, first: int, count: int) -> None:
        """Put the first pulses of a step before the cameras, whatever `first` and `count` are."""
        if step == self._shown:
            return
        self.remove()
        pulses = render_step(
            self._rig, self._scene or REFERENCE, BEFORE_ALL_TAKES, step, 0, PULSES, reference=self._scene is None
        )
        put_before(self._cameras, self._folder, pulses)
        self._shown = step

    def clear(self) -> None:
        """Nothing: the same pictures serve the next stretch of grabbing."""

    def finish(self, take: Take) -> None:
        """Nothing: there is no take."""

    def remove(self) -> None:
        """Delete the pictures."""
        take_away(self._folder)
        self._shown = None
