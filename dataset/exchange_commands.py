"""``exlcap import`` and ``exlcap export-dataset``."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.console import json_option, result


@click.command("import")
@click.argument("kind", type=click.Choice(["exlpose", "exlpose-ocn"]))
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", required=True, help="Name of the data set to make.")
@json_option
@click.pass_context
def import_command(ctx: click.Context, kind: str, source: Path, name: str, as_json: bool) -> None:
    """Import the published ExLPose or ExLPose-OCN as a data set.

    SOURCE holds, anywhere below it, the published annotation files and the images: bright/ and dark/ for ExLPose, with
    long names (as in the annotations) or short ones (as the official loader expects); one folder per camera for
    ExLPose-OCN. Images are copied unchanged, labels and splits stay as published.

    \b
    Example:
      exlcap import exlpose ~/ExLPose --name exlpose
      exlcap import exlpose-ocn ~/ExLPose-OCN --name ocn
    """
    from exlcap.dataset.import_exlpose import import_exlpose
    from exlcap.dataset.import_ocn import import_ocn

    folder = workspace_of(ctx).dataset(name)
    manifest = (import_exlpose if kind == "exlpose" else import_ocn)(source, folder)
    lines = [
        f"{split:<12} {images:>6} images {people:>7} people" for split, (images, people) in manifest.counts.items()
    ]
    text = "\n".join([*lines, f"wrote {folder}"])
    result(text, {"folder": str(folder), "counts": manifest.counts, "splits": manifest.splits}, as_json)
