"""``exlcap annotate``."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result, say

DEFAULT_CARD = "rtmpose-x"


@click.command("annotate")
@click.option(
    "--from",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="COCO.json",
    help="Hand-made COCO keypoints, instead of a network; can be given several times.",
)
@click.option(
    "--network",
    metavar="CARD",
    help=f"Card of the pose network: a file, or rtmpose-x, -m, -s (fast), rtmo-l; default: {DEFAULT_CARD}.",
)
@click.option(
    "--detector",
    metavar="CARD",
    help="Card of the person detector, instead of the one that the pose network's card names.",
)
@click.option("--second", metavar="CARD", help="Card of a second pose network, which checks the first.")
@click.option(
    "--weights",
    multiple=True,
    metavar="[CARD=]FILE",
    help="Read weights from this file instead of downloading them; can be given several times.",
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

    A pose network makes the labels; its weights are downloaded by the first run. With --from they come from hand labels
    instead: images are matched to pairs by name, so plaza-t001-k04-000052.png labels that pair's bright frame. Running
    again never changes a person who was accepted, edited or rejected. A network leaves people labelled by hand as they
    are and skips pairs that it has labelled already, so an interrupted run can be resumed. A card is a TOML file that
    describes a network; those that come with exlcap are examples.

    \b
    Example:
      exlcap annotate
      exlcap annotate --network rtmpose-s --scene plaza
      exlcap annotate --network my-network.toml --weights my-network=best.onnx
      exlcap annotate --from plaza.json --from hall.json
    """
    from dataclasses import asdict

    from exlcap.annotate.label import label_from_files, label_with_networks, takes_to_label
    from exlcap.annotate.networks.choose import choose_cards, given_weights, load_networks
    from exlcap.core.alignment import alignment_in_force
    from exlcap.core.errors import ExlcapError

    workspace = workspace_of(ctx)
    name, alignment = alignment_in_force(workspace)
    facts: dict[str, str] = {}
    if files:
        if network or detector or second or weights:
            raise ExlcapError("--from labels without a network", "give either --from or --network")
        takes = label_from_files(workspace, files, scene, name, alignment)
    else:
        to_label = takes_to_label(workspace, scene)  # before anything is downloaded
        cards = choose_cards(network or DEFAULT_CARD, detector, second)
        networks = load_networks(cards, given_weights(weights, cards))
        say(f"{' + '.join(card.name for card in cards.all)} on {networks.pose.device}")
        takes = label_with_networks(workspace, networks, to_label, name, alignment)
        facts = {"origin": networks.origin, "device": networks.pose.device}
    lines = [f"  {take.take:<24} {take.labelled}/{take.pairs} pairs, {take.people} people" for take in takes]
    if not files:
        lines.append(
            "look at them with `exlcap review`, least certain first"
            if any(take.people for take in takes)
            else "nobody was found: check that the bright frames show people, try another network, or label by hand"
        )
    data = {"takes": [asdict(take) for take in takes], **facts}
    result("\n".join([f"labelled {len(takes)} takes through {name}:", *lines]), data, as_json)
