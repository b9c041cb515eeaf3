"""``exlcap simulate``."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("simulate")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder of photographs.",
)
@click.option("--labels", type=FILE, required=True, help="COCO keypoints of the photographs.")
@click.option(
    "--test-labels", type=FILE, help="COCO keypoints of the photographs of the test split, instead of drawing it."
)
@click.option("--name", required=True, help="Name of the data set to make.")
@click.option(
    "--pairs-per-photo",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Pairs of different exposure per photograph.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of noise, darkness and split.")
@click.option("--licence", default="", help="Terms of use, for the data card.")
@json_option
@click.pass_context
def simulate_command(
    ctx: click.Context, photos: Path, labels: Path, test_labels: Path | None, name: str, pairs_per_photo: int,
    seed: int, licence: str, as_json: bool,
) -> None:  # fmt: skip
    """Make a paired data set of this rig from any labelled photographs.

    Every photograph becomes a scene as dark as those of ExLPose, seen by both cameras with the rig's filter, noise,
    gains and geometry, then developed, aligned and cropped as real frames are. Use it to pretrain on COCO or CrowdPose.
    The geometry is that of the emulator, or of the alignment in force. The transmittance of the dark path for each
    colour and the white balances are those that the alignment in force measured; without one, those of rig.toml.

    \b
    Example:
      exlcap simulate --photos val2017 --labels person_keypoints_val2017.json --name coco-dark
    """
    from exlcap.dataset.simulated.photo_set import (
        PUBLISHED_LEVELS,
        beside_published,
        cameras_of,
        find_photos,
        simulate_photos,
    )
    from exlcap.dataset.table1 import table1, table1_json, table1_text

    workspace = workspace_of(ctx)
    cameras = cameras_of(workspace, seed, pairs_per_photo)
    labelled, test = find_photos(photos, labels, test_labels)
    folder = workspace.dataset(name)
    manifest = simulate_photos(folder, cameras, labelled, test, licence)
    rows = table1(manifest)
    text = (
        f"{table1_text(rows)}\n\n{beside_published(rows)}\n"
        f"wrote {folder} (data card: README.md; pictures: contact_sheet.png)"
    )
    data = {"folder": str(folder), "table1": table1_json(rows), "published_mean_levels": PUBLISHED_LEVELS}
    result(text, data, as_json)
