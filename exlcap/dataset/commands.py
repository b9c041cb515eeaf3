"""``exlcap build``."""

from __future__ import annotations

from typing import Literal

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result, say


@click.command("build")
@click.option("--name", default="main", show_default=True, help="Name of the data set.")
@click.option("--every", default=1, show_default=True, help="Use every n-th pair of a step.")
@click.option(
    "--warp",
    type=click.Choice(["well", "low", "none"]),
    default="well",
    show_default=True,
    help="Which image is resampled. well: the bright one is warped onto the dark one, whose pixels stay untouched. "
    "low: the dark one onto the bright one. none: neither; each has its own labels.",
)
@click.option(
    "--depth", type=click.Choice(["8", "16"]), default="8", show_default=True, help="8-bit sRGB, or 16-bit linear."
)
@click.option(
    "--white-balance",
    type=click.Choice(["reference", "none"]),
    default="reference",
    show_default=True,
    help="Balance each camera so that the reference is grey (put a grey card into it), or leave colours as they are.",
)
@click.option("--accepted-only", is_flag=True, help="Only pairs accepted in review; otherwise undecided ones as well.")
@click.option("--licence", default="", help="Terms of use, for the data card.")
@click.option("--seed", default=0, show_default=True, help="Seed of the split by scene.")
@click.option(
    "--test", multiple=True, metavar="SCENE", help="Put this scene into test instead of drawing scenes; repeatable."
)
@click.option(
    "--val", multiple=True, metavar="SCENE", help="Put this scene into val instead of drawing scenes; repeatable."
)
@json_option
@click.pass_context
def build_command(
    ctx: click.Context,
    name: str,
    every: int,
    warp: Literal["well", "low", "none"],
    depth: str,
    white_balance: Literal["reference", "none"],
    accepted_only: bool,
    licence: str,
    seed: int,
    test: tuple[str, ...],
    val: tuple[str, ...],
    as_json: bool,
) -> None:
    """Build a data set of aligned, labelled pairs.

    12-bit raw -> linear -> aligned and cropped -> 8-bit sRGB, with COCO keypoint files: train and val by scene, test by
    the well-lit gain (LL-N, LL-H, LL-E, LL-A) and well-lit (WL). Pairs and people rejected in review are left out. An
    interrupted build continues where it stopped.

    \b
    Example:
      exlcap build
      exlcap build --name night --every 50 --test plaza --test alley
      exlcap build --name reviewed --accepted-only
    """
    from exlcap.core.errors import ExlcapError
    from exlcap.dataset.build import build
    from exlcap.dataset.labelled_pairs import collect_labelled_pairs, drift_remarks, through_review
    from exlcap.dataset.manifest import Parameters
    from exlcap.dataset.table1 import table1, table1_json, table1_text

    if every < 1 or seed < 0:
        raise ExlcapError("--every must be at least 1 and --seed at least 0", "see `exlcap build --help`")
    workspace = workspace_of(ctx)
    labelled, left_out = through_review(collect_labelled_pairs(workspace, every), accepted_only)
    for remark in drift_remarks(labelled):
        say(f"warning: {remark}")
    bits: Literal[8, 16] = 8 if depth == "8" else 16
    parameters = Parameters(
        every=every, warp=warp, depth=bits, white_balance=white_balance, seed=seed, test=test, val=val,
        accepted_only=accepted_only,
    )  # fmt: skip
    manifest = build(workspace, name, parameters, labelled, licence, left_out)
    folder = workspace.dataset(name)
    rows = table1(manifest)
    for why, count in manifest.pairs_left_out.items():
        say(f"note: {count} pairs are left out: {why}")
    for why, count in manifest.left_out.items():
        say(f"note: {count} labels of people are left out: {why}")
    for row in rows:
        if not row.pairs:
            say(f"note: split {row.split} is empty: shoot more scenes, brighter and darker ones")
    scenes = "; ".join(f"{split}: {', '.join(names) or '-'}" for split, names in manifest.splits.items())
    data = {
        "folder": str(folder),
        "table1": table1_json(rows),
        "splits": manifest.splits,
        "left_out": manifest.left_out,
        "pairs_left_out": manifest.pairs_left_out,
    }
    text = f"{table1_text(rows)}\nscenes: {scenes}\nwrote {folder} (data card: README.md; pictures: contact_sheet.png)"
    result(text, data, as_json)
