"""``exlcap simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result
from exlcap.core.errors import ExlcapError

if TYPE_CHECKING:
    from exlcap.core.workspace import Workspace
    from exlcap.dataset.simulated.photo_pairs import Cameras

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("simulate")
@click.option("--photos", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Folder.")
@click.option("--labels", type=FILE, required=True, help="COCO keypoints of the photographs.")
@click.option("--test-labels", type=FILE, help="COCO keypoints of those that form the test split, instead of drawing.")
@click.option("--name", required=True, help="Name of the data set to make.")
@click.option(
    "--pairs-per-photo", type=click.IntRange(1, 100), default=1, show_default=True, help="Different exposures."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of noise, darkness and split.")
@click.option("--licence", default="", help="Terms under which it may be used, for its data card.")
@json_option
@click.pass_context
def simulate_command(
    ctx: click.Context, photos: Path, labels: Path, test_labels: Path | None, name: str, pairs_per_photo: int,
    seed: int, licence: str, as_json: bool,
) -> None:  # fmt: skip
    """Make a paired data set of this rig from any labelled photographs.

    Every photograph becomes a scene as dark as those of ExLPose, seen by both cameras with the rig's filter, noise,
    gains and geometry, then developed, aligned and cropped as real frames are: something to pretrain on, from COCO or
    CrowdPose. The geometry is that of the emulator, or of the alignment in force. With an alignment in force, what the
    dark path lets through of each colour and the white balances are as it measured them; else as rig.toml says.

    \b
    Example:
      exlcap simulate --photos val2017 --labels person_keypoints_val2017.json --name coco-dark
    """
    from exlcap.dataset.simulated.photo_set import PUBLISHED_LEVELS, beside_published, find_photos, simulate_photos
    from exlcap.dataset.table1 import as_json as table_json
    from exlcap.dataset.table1 import as_text, table1

    workspace = workspace_of(ctx)
    cameras = _cameras(workspace, seed, pairs_per_photo)
    found, test = find_photos(photos, labels, test_labels)
    if test_labels is not None and not test:
        raise ExlcapError(f"no photograph of {test_labels} with people is in {photos}", "check the names in it")
    folder = workspace.dataset(name)
    manifest = simulate_photos(folder, cameras, found, test, licence)
    rows = table1(manifest)
    text = (
        f"{as_text(rows)}\n\n{beside_published(rows)}\n"
        f"wrote {folder} (data card: README.md; pictures: contact_sheet.png)"
    )
    data = {"folder": str(folder), "table1": table_json(rows), "published_mean_levels": PUBLISHED_LEVELS}
    result(text, data, as_json)


def _cameras(workspace: Workspace, seed: int, pairs_per_photo: int) -> Cameras:
    """The rig of a workspace, as measured where it has an alignment; an emulated one may do without."""
    from exlcap.core.alignment import alignment_in_force
    from exlcap.core.workspace import numbered
    from exlcap.dataset.simulated.photo_pairs import Cameras
    from exlcap.simulate.optics import true_alignment

    rig = workspace.rig
    if rig.emulator and not numbered(workspace.alignments, "align", ".json"):
        return Cameras(rig, true_alignment(rig), seed, pairs_per_photo)
    name, measured = alignment_in_force(workspace)
    alignment = true_alignment(rig) if rig.emulator else measured
    return Cameras(rig, alignment, seed, pairs_per_photo, measured.photometry, name)
