"""What cameras without light see during a take: the rendered pulses of its scene, and the truth about its people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from exlcap.capture.cameras.contract import PictureCamera
from exlcap.capture.cameras.pictures import put_before, take_away, with_absolute_photos
from exlcap.core.alignment import read_alignment, write_alignment
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_json
from exlcap.core.labels import Person, read_coco
from exlcap.core.rig import Light, Rig
from exlcap.core.take import REFERENCE, Step, Take, pair_id
from exlcap.core.workspace import Workspace
from exlcap.simulate.optics import true_alignment
from exlcap.simulate.photos import choose_photo
from exlcap.simulate.rendering import render_step, truth_coco

Truth = dict[str, tuple[Person, ...]]
"""Who is truly in a picture, by the id of its pair."""


class TakeView:
    """Fulfils View: renders the pulses of a take before both cameras, one stretch of grabbing at a time.

    scene: None for a static reference, which shows nobody and leaves no truth about people. lit_as: the scene in whose
    light the reference is shown. Raises ExlcapError when the drawn optics are no longer those of earlier takes, or
    when there are no photographs to show.
    """

    def __init__(
        self,
        workspace: Workspace,
        cameras: Mapping[Light, PictureCamera],
        scene: str | None,
        take: int,
        lit_as: str | None = None,
    ) -> None:
        self._cameras = cameras
        self._rig = _lit_as(with_absolute_photos(workspace.rig, workspace.root), lit_as)
        self._scene = scene or REFERENCE
        self._take = take
        self._reference = scene is None
        self._folder = workspace.simulated / "frames" / f"{'take' if scene else 'ref'}-{self._scene}-{take:03d}"
        self._truth_path = workspace.simulated / self._scene / f"take-{take:03d}.json"
        self._shown: list[tuple[int, int, list[tuple[Person, ...]]]] = []
        self._before = _read_truth(self._truth_path)
        if scene is not None and self._rig.emulator is not None and self._rig.emulator.photos is not None:
            choose_photo(self._rig.emulator, scene)  # what is wrong with photographs is reported before a take begins
        _write_true_alignment(workspace, self._rig)

    def show(self, step: Step, first: int, count: int) -> None:
        """Make the next `count` frames those of pulses `first`, `first` + 1, ... of a step, then from `first` again."""
        self.clear()
        pulses = render_step(self._rig, self._scene, self._take, step, first, count, reference=self._reference)
        people = put_before(self._cameras, self._folder, pulses)
        self._shown.append((step.k, first, people))
        shown = [(k, first + number) for k, first, people in self._shown for number in range(len(people))]
        self._write_truth({**self._before, **self._truth(shown)})  # a crash may leave any of them in the take

    def clear(self) -> None:
        """Take the pictures away, after grabbing has stopped."""
        take_away(self._folder)

    def finish(self, take: Take) -> None:
        """Leave the truth of the take's pairs, and nothing else."""
        self.clear()
        self._write_truth(self._truth([(pair.k, pair.index) for pair in take.pairs]))

    def _truth(self, pulses: list[tuple[int, int]]) -> Truth:
        """Who is in the pictures of pulses, each given by its step and index."""
        return {self._pair_id(k, index): self._people(k, index) for k, index in pulses}

    def _people(self, k: int, index: int) -> tuple[Person, ...]:
        """Who is in the picture of a pulse. After its last picture a camera starts again from the first."""
        for shown_k, first, people in reversed(self._shown):
            if shown_k == k and first <= index:
                return people[(index - first) % len(people)]
        return self._before.get(self._pair_id(k, index), ())

    def _pair_id(self, k: int, index: int) -> str:
        return pair_id(self._scene, self._take, k, index)

    def _write_truth(self, truth: Truth) -> None:
        if not self._reference:
            size = (self._rig.sensor.width, self._rig.sensor.height)
            write_json(self._truth_path, truth_coco(truth, size))


def _lit_as(rig: Rig, scene: str | None) -> Rig:
    """The rig with a reference in the light of a scene; as it is where the scene is None or has no light of its own."""
    if rig.emulator is None or scene not in rig.emulator.scenes:
        return rig
    scenes = {**rig.emulator.scenes, REFERENCE: rig.emulator.scenes[scene]}
    return rig.model_copy(update={"emulator": rig.emulator.model_copy(update={"scenes": scenes})})


def _read_truth(path: Path) -> Truth:
    """The truth as it was left; nothing where the file is not there yet."""
    return {Path(image.file_name).stem: image.people for image in read_coco(path)} if path.exists() else {}


def _write_true_alignment(workspace: Workspace, rig: Rig) -> None:
    """Leave the true alignment beside the truth. Raises ExlcapError when that of another optics is there."""
    path, truth = workspace.simulated / "alignment.json", true_alignment(rig)
    if not path.exists():
        write_alignment(path, truth)
    elif read_alignment(path) != truth:
        raise ExlcapError(
            f"the optics of [emulator] in rig.toml are not those of {path}",
            "takes of different optics do not mix: restore [emulator] in rig.toml, or start a new workspace",
        )
