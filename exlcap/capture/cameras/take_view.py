"""What pylon's emulated cameras see: rendered pulses, handed over so that frame n of a grab is bit for bit render n.

The emulator reads a folder of pictures in the order of their names, from the first one at each start of grabbing, and
takes a 16-bit grey PNG of `raw << 4` as the 12-bit frame `raw`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exlcap.capture.takes.plan import REFERENCE
from exlcap.core.alignment import read_alignment, write_alignment
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_json
from exlcap.core.labels import Person, read_coco
from exlcap.core.rig import LIGHTS, Light, Rig
from exlcap.core.take import Raw, Step, Take, pair_id
from exlcap.core.workspace import Workspace
from exlcap.simulate.optics import true_alignment
from exlcap.simulate.photos import choose_photo
from exlcap.simulate.rendering import render_step, truth_coco

if TYPE_CHECKING:
    from exlcap.capture.cameras.pylon import PylonCamera

PNG_UNCOMPRESSED = 0
"""The pictures live for one step: time matters, space does not."""


class EmulatedView:
    """Renders the pulses of a take before two emulated cameras, one stretch of grabbing at a time.

    scene: None for a static reference, which holds nobody and leaves no truth about people. lit_as: the scene in whose
    light the reference is shown. Raises ExlcapError when the emulated optics are no longer those of earlier takes, or
    there are no photographs to show.
    """

    def __init__(
        self,
        workspace: Workspace,
        cameras: Mapping[Light, PylonCamera],
        scene: str | None,
        take: int,
        lit_as: str | None = None,
    ) -> None:
        self._cameras = cameras
        self._rig = _lit_as(resolved(workspace.rig, workspace.root), lit_as)
        self._scene = scene or REFERENCE
        self._take = take
        self._reference = scene is None
        self._folder = workspace.simulated / "frames" / f"{'take' if scene else 'ref'}-{self._scene}-{take:03d}"
        self._truth_path = workspace.simulated / self._scene / f"take-{take:03d}.json"
        self._shown: list[tuple[int, int, list[tuple[Person, ...]]]] = []
        self._before = _read_truth(self._truth_path)
        if scene is not None and self._rig.emulator is not None and self._rig.emulator.photos is not None:
            choose_photo(self._rig.emulator, scene)  # what is wrong with photographs is told before a take is begun
        _write_true_alignment(workspace, self._rig)

    def show(self, step: Step, first: int, count: int) -> None:
        """Make the next `count` frames those of pulses `first`, `first` + 1, ... of a step, then from `first` again."""
        self.clear()
        people: list[tuple[Person, ...]] = []
        pulses = render_step(self._rig, self._scene, self._take, step, first, count, reference=self._reference)
        for pulse in pulses:
            for light, raw in zip(LIGHTS, (pulse.well, pulse.low), strict=True):
                write_frame(self._folder / light / f"{pulse.index:06d}.png", raw)
            people.append(pulse.people)
        self._shown.append((step.k, first, people))
        planned = [(step.k, first + number) for number in range(count)]
        self._write_truth([*self._known(), *planned])
        for light in LIGHTS:
            point(self._cameras[light].device, self._folder / light)

    def clear(self) -> None:
        """Take the pictures away, after grabbing has stopped."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # another run may have its pictures there
            self._folder.parent.rmdir()

    def finish(self, take: Take) -> None:
        """Leave the truth of the take's pairs, and nothing else."""
        self.clear()
        self._write_truth([(pair.k, pair.index) for pair in take.pairs])

    def _known(self) -> list[tuple[int, int]]:
        """Step and index of everything shown so far in earlier stretches."""
        return [(k, first + number) for k, first, people in self._shown for number in range(len(people))]

    def _people(self, k: int, index: int) -> tuple[Person, ...]:
        """Who is in the picture of a pulse. After its last picture the emulator starts again from the first."""
        for shown_k, first, people in reversed(self._shown):
            if shown_k == k and first <= index:
                return people[(index - first) % len(people)]
        return tuple(self._before.get(f"{self._pair_id(k, index)}.png", ()))

    def _pair_id(self, k: int, index: int) -> str:
        return pair_id(self._scene, self._take, k, index)

    def _write_truth(self, pulses: list[tuple[int, int]]) -> None:
        if self._reference:
            return
        people = {self._pair_id(k, index): self._people(k, index) for k, index in pulses}
        size = (self._rig.sensor.width, self._rig.sensor.height)
        write_json(self._truth_path, truth_coco(people, size))


def resolved(rig: Rig, root: Path) -> Rig:
    """The rig with the paths of its photographs made absolute: in rig.toml they are relative to the workspace."""
    if rig.emulator is None:
        raise ExlcapError("rig.toml has no [emulator] table", "make a workspace with `exlcap init --emulated`")
    paths = {"photos": rig.emulator.photos, "labels": rig.emulator.labels}
    absolute = {key: str((root / path).resolve()) for key, path in paths.items() if path is not None}
    return rig.model_copy(update={"emulator": rig.emulator.model_copy(update=absolute)})


def _lit_as(rig: Rig, scene: str | None) -> Rig:
    """The rig with a reference in the light of a scene; as it is where the scene is None or has no light of its own."""
    if rig.emulator is None or scene not in rig.emulator.scenes:
        return rig
    scenes = {**rig.emulator.scenes, REFERENCE: rig.emulator.scenes[scene]}
    return rig.model_copy(update={"emulator": rig.emulator.model_copy(update={"scenes": scenes})})


def _read_truth(path: Path) -> dict[str, tuple[Person, ...]]:
    """People by the image's file name; none where the file is not there yet."""
    return {image.file_name: image.people for image in read_coco(path)} if path.exists() else {}


def _write_true_alignment(workspace: Workspace, rig: Rig) -> None:
    """Leave the true alignment beside the truth. Raises ExlcapError when that of another optics is there."""
    path, truth = workspace.simulated / "alignment.json", true_alignment(rig)
    if not path.exists():
        write_alignment(path, truth)
    elif read_alignment(path) != truth:
        raise ExlcapError(
            f"the emulated optics of rig.toml are not those of {path}",
            "takes of different optics do not mix: restore [emulator] in rig.toml, or start a new workspace",
        )


def write_frame(path: Path, raw: Raw) -> None:
    """Write a raw frame as a picture that an emulated device shows bit for bit."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), raw << 4, [cv2.IMWRITE_PNG_COMPRESSION, PNG_UNCOMPRESSED]):
        raise OSError(f"could not write {path}")


def point(device: Any, folder: Path) -> None:
    """Make an emulated device show a folder of pictures."""
    device.TestImageSelector.Value = "Off"
    device.ImageFilename.Value = str(folder)
    device.ImageFileMode.Value = "On"
