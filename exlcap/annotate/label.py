"""Label the bright frames of takes, by hand-made COCO files or by networks, and carry the labels to the dark ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exlcap.annotate.automatic import label_automatically
from exlcap.annotate.carry import carry
from exlcap.annotate.hand_labels import merge, on_bright_frame, read_hand_labels
from exlcap.annotate.networks.choose import Networks
from exlcap.core.alignment import Alignment
from exlcap.core.console import progress, say
from exlcap.core.contents import read_labels_of, read_takes
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import LabelledImage, PairLabels, Person, TakeLabels, write_labels
from exlcap.core.take import Take
from exlcap.core.workspace import Workspace


@dataclass(frozen=True)
class LabelledTake:
    """A take whose labels were written. take: its name; labelled: pairs that were labelled now, of all `pairs`;
    people: in all its labels.
    """

    take: str
    pairs: int
    labelled: int
    people: int


def label_from_files(
    workspace: Workspace, files: Sequence[Path], scene: str | None, name: str, alignment: Alignment
) -> list[LabelledTake]:
    """Label takes, of one scene or of all, from COCO files whose images are named after pairs.

    name: of `alignment`, through which the labels are carried. Raises ExlcapError when no image is a pair.
    """
    images = read_hand_labels(files)
    unused = set(images)
    labelled = []
    for take in read_takes(workspace, scene):
        pair_ids = {take.pair_id(pair) for pair in take.pairs} & set(images)
        if not pair_ids:
            continue
        unused -= pair_ids
        labels = label_take(workspace, take, name, alignment, {pair_id: images[pair_id] for pair_id in pair_ids})
        labelled.append(_write(workspace, take, labels, len(pair_ids)))
    if not labelled:
        raise ExlcapError(
            f"none of the {len(images)} labelled images is a pair of this workspace"
            + (f" (the first is {sorted(images)[0]!r})" if images else ""),
            "name the images after their pairs, such as plaza-t001-k04-000052.png",
        )
    if unused:
        say(f"note: {len(unused)} labelled images are no pairs here and were left out, such as {sorted(unused)[0]!r}")
    return labelled


def takes_to_label(workspace: Workspace, scene: str | None) -> list[Take]:
    """Takes with pairs, of one scene or of all. Raises ExlcapError when there are none."""
    takes = [take for take in read_takes(workspace, scene) if take.pairs]
    if not takes:
        raise ExlcapError("no takes to label" + (f" of scene {scene!r}" if scene else ""), "shoot some: `exlcap shoot`")
    return takes


def label_with_networks(
    workspace: Workspace, networks: Networks, takes: Sequence[Take], name: str, alignment: Alignment
) -> list[LabelledTake]:
    """Label all pairs of takes. Labels are written after each step of a take's schedule.

    name: of `alignment`, through which the labels are carried.
    """
    labelled = []
    with progress("labelling", sum(len(take.pairs) for take in takes)) as step:
        for take in takes:
            old = _labels_so_far(workspace, take, name, alignment)
            for frames in label_automatically(networks, take, alignment, old.pairs, step):
                labels = _carried(take, name, alignment, old.pairs, frames)
                # after each step, so that an interruption costs little
                written = _write(workspace, take, labels, len(frames))
            labelled.append(written)
    return labelled


def label_take(
    workspace: Workspace, take: Take, name: str, alignment: Alignment, images: Mapping[str, LabelledImage]
) -> TakeLabels:
    """Labels of a take from images by pair id, merged with the labels it has and carried through alignment `name`.

    Raises ExlcapError when the take was shot at another size than the alignment.
    """
    old = _labels_so_far(workspace, take, name, alignment).pairs
    frames = {
        pair_id: merge(old.get(pair_id, PairLabels()), on_bright_frame(image, alignment))
        for pair_id, image in images.items()
    }
    return _carried(take, name, alignment, old, frames)


def _labels_so_far(workspace: Workspace, take: Take, name: str, alignment: Alignment) -> TakeLabels:
    """The labels that a take has so far. Raises ExlcapError when it was shot at another size than the alignment."""
    sensor = take.header.rig.sensor
    width, height = alignment.well_size
    if (sensor.width, sensor.height) != (width, height):
        raise ExlcapError(
            f"{take.name} is {sensor.width}x{sensor.height}, {name} is for {width}x{height}",
            "shoot a reference at this size and run `exlcap align`",
        )
    return read_labels_of(workspace, take) or TakeLabels(take.header.scene, take.header.number, name)


def _carried(
    take: Take,
    name: str,
    alignment: Alignment,
    old: Mapping[str, PairLabels],
    frames: Mapping[str, tuple[Person, ...]],
) -> TakeLabels:
    """Old labels of a take with new ones of bright frames in their place, all carried through alignment `name`."""
    bright = {**{pair_id: labels.well for pair_id, labels in old.items()}, **frames}
    pairs = {pair_id: carry(people, alignment) for pair_id, people in sorted(bright.items())}
    return TakeLabels(take.header.scene, take.header.number, name, pairs)


def _write(workspace: Workspace, take: Take, labels: TakeLabels, labelled: int) -> LabelledTake:
    """Write the labels of a take, of which so many pairs were labelled now."""
    write_labels(workspace.labels(labels.scene, labels.take), labels)
    people = sum(len(pair.well) for pair in labels.pairs.values())
    return LabelledTake(take.name, len(take.pairs), labelled, people)
