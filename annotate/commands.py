"""``exlcap annotate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.console import json_option, result, say

if TYPE_CHECKING:
    from exlcap.alignment import Alignment
    from exlcap.labels import LabelledImage, TakeLabels
    from exlcap.take import Take
    from exlcap.workspace import Workspace


@click.command("annotate")
@click.option(
    "--from",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="COCO.json",
    help="COCO keypoints made by hand; may be given several times.",
)
@click.option("--scene", help="Only the takes of this scene.")
@json_option
@click.pass_context
def annotate_command(ctx: click.Context, files: tuple[Path, ...], scene: str | None, as_json: bool) -> None:
    """Label the bright frames and carry the labels to the dark ones.

    Images are matched to pairs by name: plaza-t001-k04-000052.png labels that pair's bright frame. Running again never
    changes a person that was accepted, edited or rejected.

    \b
    Example:
      exlcap annotate --from labels.json
      exlcap annotate --from plaza.json --from hall.json
    """
    from exlcap.alignment import alignment_in_force
    from exlcap.annotate.hand import read_hand_labels
    from exlcap.errors import ExlcapError
    from exlcap.labels import write_labels
    from exlcap.take import read_take

    workspace = workspace_of(ctx)
    name, alignment = alignment_in_force(workspace)
    images = read_hand_labels(files)
    unused = set(images)
    rows = []
    for folder in workspace.takes(scene):
        take = read_take(folder)
        mine = {take.pair_id(pair) for pair in take.pairs} & set(images)
        if not mine:
            continue
        unused -= mine
        labels = label_take(workspace, take, name, alignment, {pair: images[pair] for pair in mine})
        write_labels(workspace.labels(take.header.scene, take.header.number), labels)
        people = [person for pair in labels.pairs.values() for person in pair.well]
        rows.append({"take": take.name, "pairs": len(take.pairs), "labelled": len(mine), "people": len(people)})
    if not rows:
        raise ExlcapError(
            f"none of the {len(images)} labelled images is a pair of this workspace"
            + (f" (the first is {sorted(images)[0]!r})" if images else ""),
            "name the images after their pairs, such as plaza-t001-k04-000052.png",
        )
    if unused:
        say(f"note: {len(unused)} labelled images are no pairs here and were left out, such as {sorted(unused)[0]!r}")
    lines = [f"  {row['take']:<24} {row['labelled']}/{row['pairs']} pairs, {row['people']} people" for row in rows]
    result("\n".join([f"labelled {len(rows)} takes through {name}:", *lines]), {"takes": rows}, as_json)


def label_take(
    workspace: Workspace, take: Take, name: str, alignment: Alignment, images: dict[str, LabelledImage]
) -> TakeLabels:
    """Labels of a take from images by pair id, merged with the labels it has and carried through alignment `name`.

    Raises ExlcapError when the take was shot at another size than the alignment.
    """
    from exlcap.annotate.carry import carry
    from exlcap.annotate.hand import merge, on_bright_frame
    from exlcap.errors import ExlcapError
    from exlcap.labels import PairLabels, TakeLabels, read_labels

    sensor = take.header.rig.sensor
    width, height = alignment.well_size
    if (sensor.width, sensor.height) != (width, height):
        raise ExlcapError(
            f"{take.name} is {sensor.width}x{sensor.height}, {name} is for {width}x{height}",
            "shoot a reference at this size and run `exlcap align`",
        )
    path = workspace.labels(take.header.scene, take.header.number)
    old = read_labels(path).pairs if path.exists() else {}
    pairs = {pair: carry(labels.well, alignment) for pair, labels in old.items()}
    for pair, image in sorted(images.items()):
        pairs[pair] = carry(merge(old.get(pair, PairLabels()), on_bright_frame(image, alignment)), alignment)
    return TakeLabels(take.header.scene, take.header.number, name, dict(sorted(pairs.items())))
