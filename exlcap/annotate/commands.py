"""``exlcap annotate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, progress, result, say

if TYPE_CHECKING:
    from exlcap.core.alignment import Alignment
    from exlcap.core.labels import LabelledImage, PairLabels, Person, TakeLabels
    from exlcap.core.take import Take
    from exlcap.core.workspace import Workspace

DEFAULT_CARD = "rtmpose-x"


@click.command("annotate")
@click.option(
    "--from",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="COCO.json",
    help="COCO keypoints made by hand, instead of a network; may be given several times.",
)
@click.option(
    "--network",
    metavar="CARD",
    help=f"Card of the pose network: a file, or rtmpose-x, -m, -s (fast), rtmo-l; {DEFAULT_CARD} unless given.",
)
@click.option("--detector", metavar="CARD", help="Card of the person detector, in place of the network's own choice.")
@click.option("--second", metavar="CARD", help="Card of a second pose network that judges the first.")
@click.option(
    "--weights",
    multiple=True,
    metavar="[CARD=]FILE",
    help="Weights from this file instead of the card's address; may be given several times.",
)
@click.option("--scene", help="Only the takes of this scene.")
@json_option
@click.pass_context
def annotate_command(
    ctx: click.Context,
    files: tuple[Path, ...],
    network: str | None,
    detector: str | None,
    second: str | None,
    weights: tuple[str, ...],
    scene: str | None,
    as_json: bool,
) -> None:
    """Label the bright frames and carry the labels to the dark ones.

    A pose network labels them: its weights are fetched at the first run. Or hand labels do: images are matched to pairs
    by name, plaza-t001-k04-000052.png labels that pair's bright frame. Running again never changes a person that was
    accepted, edited or rejected; a network changes nobody who was labelled by hand, and passes over pairs that it has
    labelled before, so that a run that was stopped goes on. docs/networks.md tells more.

    \b
    Example:
      exlcap annotate
      exlcap annotate --network rtmpose-s --scene plaza
      exlcap annotate --network my-network.toml --weights my-network=best.onnx
      exlcap annotate --from plaza.json --from hall.json
    """
    from exlcap.core.alignment import alignment_in_force
    from exlcap.core.errors import ExlcapError

    workspace = workspace_of(ctx)
    name, alignment = alignment_in_force(workspace)
    if files:
        if network or detector or second or weights:
            raise ExlcapError("--from labels without a network", "give either --from or --network")
        rows = _from_hand(workspace, files, scene, name, alignment)
        facts: dict[str, Any] = {}
    else:
        rows, facts = _from_networks(workspace, (network, detector, second), weights, scene, name, alignment)
    lines = [f"  {row['take']:<24} {row['labelled']}/{row['pairs']} pairs, {row['people']} people" for row in rows]
    if not files:
        found = any(row["people"] for row in rows)
        lines.append(
            "look at them with `exlcap review`, the least certain first"
            if found
            else "nobody was found: look whether the bright frames show people, try another network, or label by hand"
        )
    result("\n".join([f"labelled {len(rows)} takes through {name}:", *lines]), {"takes": rows, **facts}, as_json)


def _from_hand(
    workspace: Workspace, files: tuple[Path, ...], scene: str | None, name: str, alignment: Alignment
) -> list[dict[str, Any]]:
    from exlcap.annotate.hand_labels import read_hand_labels
    from exlcap.core.errors import ExlcapError
    from exlcap.core.take import read_take

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
        rows.append(_write(workspace, take, labels, len(mine)))
    if not rows:
        raise ExlcapError(
            f"none of the {len(images)} labelled images is a pair of this workspace"
            + (f" (the first is {sorted(images)[0]!r})" if images else ""),
            "name the images after their pairs, such as plaza-t001-k04-000052.png",
        )
    if unused:
        say(f"note: {len(unused)} labelled images are no pairs here and were left out, such as {sorted(unused)[0]!r}")
    return rows


def _from_networks(
    workspace: Workspace,
    names: tuple[str | None, str | None, str | None],
    weights: tuple[str, ...],
    scene: str | None,
    alignment_name: str,
    alignment: Alignment,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from exlcap.annotate.automatic import label_automatically
    from exlcap.annotate.networks.choose import choose_cards, given_weights, load_networks
    from exlcap.core.errors import ExlcapError
    from exlcap.core.take import read_take

    takes = [take for folder in workspace.takes(scene) if (take := read_take(folder)).pairs]
    if not takes:
        raise ExlcapError("no takes to label" + (f" of scene {scene!r}" if scene else ""), "shoot some: `exlcap shoot`")
    cards = choose_cards(names[0] or DEFAULT_CARD, names[1], names[2])
    networks = load_networks(cards, given_weights(weights, cards))
    say(f"{' + '.join(card.name for card in cards.all)} on {networks.pose.device}")
    rows = []
    with progress("labelling", sum(len(take.pairs) for take in takes)) as step:
        for take in takes:
            old = _old_labels(workspace, take, alignment_name, alignment)
            for made in label_automatically(networks, take, alignment, old.pairs, step):
                labels = _carried(take, alignment_name, alignment, old.pairs, made)
                row = _write(workspace, take, labels, len(made))  # after each step, so that a stop costs little
            rows.append(row)
    return rows, {"origin": networks.origin, "device": networks.pose.device}


def label_take(
    workspace: Workspace, take: Take, name: str, alignment: Alignment, images: dict[str, LabelledImage]
) -> TakeLabels:
    """Labels of a take from images by pair id, merged with the labels it has and carried through alignment `name`.

    Raises ExlcapError when the take was shot at another size than the alignment.
    """
    from exlcap.annotate.hand_labels import merge, on_bright_frame
    from exlcap.core.labels import PairLabels

    old = _old_labels(workspace, take, name, alignment).pairs
    made = {
        pair: merge(old.get(pair, PairLabels()), on_bright_frame(image, alignment)) for pair, image in images.items()
    }
    return _carried(take, name, alignment, old, made)


def _old_labels(workspace: Workspace, take: Take, name: str, alignment: Alignment) -> TakeLabels:
    """The labels that a take has."""
    from exlcap.core.errors import ExlcapError
    from exlcap.core.labels import TakeLabels, read_labels

    sensor = take.header.rig.sensor
    width, height = alignment.well_size
    if (sensor.width, sensor.height) != (width, height):
        raise ExlcapError(
            f"{take.name} is {sensor.width}x{sensor.height}, {name} is for {width}x{height}",
            "shoot a reference at this size and run `exlcap align`",
        )
    path = workspace.labels(take.header.scene, take.header.number)
    return read_labels(path) if path.exists() else TakeLabels(take.header.scene, take.header.number, name)


def _carried(
    take: Take,
    name: str,
    alignment: Alignment,
    old: Mapping[str, PairLabels],
    made: Mapping[str, tuple[Person, ...]],
) -> TakeLabels:
    """Old labels of a take with new ones of bright frames in their place, all carried through alignment `name`."""
    from exlcap.annotate.carry import carry
    from exlcap.core.labels import TakeLabels

    bright = {**{pair: labels.well for pair, labels in old.items()}, **made}
    pairs = {pair: carry(people, alignment) for pair, people in sorted(bright.items())}
    return TakeLabels(take.header.scene, take.header.number, name, pairs)


def _write(workspace: Workspace, take: Take, labels: TakeLabels, labelled: int) -> dict[str, Any]:
    """Write the labels of a take; what to tell of it."""
    from exlcap.core.labels import write_labels

    write_labels(workspace.labels(labels.scene, labels.take), labels)
    people = sum(len(pair.well) for pair in labels.pairs.values())
    return {"take": take.name, "pairs": len(take.pairs), "labelled": labelled, "people": people}
