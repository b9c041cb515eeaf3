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
            "look at them with `exlcap review`, the least certain first"
            if any(take.people for take in takes)
            else "nobody was found: look whether the bright frames show people, try another network, or label by hand"
        )
    data = {"takes": [asdict(take) for take in takes], **facts}
    result("\n".join([f"labelled {len(takes)} takes through {name}:", *lines]), data, as_json)
