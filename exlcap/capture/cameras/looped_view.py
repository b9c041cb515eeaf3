"""What emulated cameras see while the page is open: a few rendered pulses of a scene, over and over."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress

from exlcap.capture.cameras.take_view import point, resolved, write_frame
from exlcap.capture.cameras.pylon import PylonCamera
from exlcap.capture.takes.plan import REFERENCE
from exlcap.core.rig import LIGHTS, Light
from exlcap.core.take import Step, Take
from exlcap.core.workspace import Workspace
from exlcap.simulate.rendering import render_step

PULSES = 2
"""Rendering takes a good part of a second per pulse: a change of exposure should be seen soon."""
BEFORE_ALL_TAKES = 0


class LoopedScene:
    """Fulfils View. scene: None for the static reference. Leaves no truth: nothing of it is recorded."""

    def __init__(self, workspace: Workspace, cameras: Mapping[Light, PylonCamera], scene: str | None) -> None:
        self._rig = resolved(workspace.rig, workspace.root)
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
        for pulse in pulses:
            for light, raw in zip(LIGHTS, (pulse.well, pulse.low), strict=True):
                write_frame(self._folder / light / f"{pulse.index:06d}.png", raw)
        for light in LIGHTS:
            point(self._cameras[light].device, self._folder / light)
        self._shown = step

    def clear(self) -> None:
        """Nothing: the same pictures serve the next stretch of grabbing."""

    def finish(self, take: Take) -> None:
        """Nothing: there is no take."""

    def remove(self) -> None:
        """Delete the pictures."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # another run may have its pictures there
            self._folder.parent.rmdir()
        self._shown = None
