"""``exlcap import`` and ``exlcap export-dataset``."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result


@click.command("import")
@click.argument("kind", type=click.Choice(["exlpose", "exlpose-ocn"]))
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", required=True, help="Name of the data set to make.")
@click.option("--licence", default="", help="Terms of use, for the data card.")
@json_option
@click.pass_context
def import_command(ctx: click.Context, kind: str, source: Path, name: str, licence: str, as_json: bool) -> None:
    """Import the published ExLPose or ExLPose-OCN as a data set.

    SOURCE holds, anywhere below it, the published annotation files and the images: bright/ and dark/ for ExLPose, with
    long names (as in the annotations) or short ones (as the official loader expects); one folder per camera for
    ExLPose-OCN. Images are copied unchanged; labels and splits stay as published.

    \b
    Example:
      exlcap import exlpose ~/ExLPose --name exlpose
      exlcap import exlpose-ocn ~/ExLPose-OCN --name ocn
    """
    from exlcap.dataset.formats.import_exlpose import import_exlpose
    from exlcap.dataset.formats.import_ocn import import_ocn

    folder = workspace_of(ctx).dataset(name)
    manifest = (import_exlpose if kind == "exlpose" else import_ocn)(source, folder, licence)
    lines = [
        f"{split:<12} {images:>6} images {people:>7} people" for split, (images, people) in manifest.counts.items()
    ]
    text = "\n".join([*lines, f"wrote {folder} (data card: README.md)"])
    result(text, {"folder": str(folder), "counts": manifest.counts, "splits": manifest.splits}, as_json)


@click.command("export-dataset")
@click.argument("name")
@click.option(
    "--to", "form", type=click.Choice(["coco", "exlpose", "mmpose", "fiftyone"]), required=True, help="Format."
)
@click.argument("out", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def export_dataset_command(ctx: click.Context, name: str, form: str, out: Path, as_json: bool) -> None:
    """Export a data set as COCO, in the official ExLPose layout, for MMPose or for FiftyOne.

    OUT is a new folder. coco: images and annotation files, nothing lost. exlpose: bright/, dark/ and annotations where
    the official loader expects them. mmpose: COCO and mmpose_config.py. fiftyone: COCO and a script that loads it.

    \b
    Example:
      exlcap export-dataset main --to exlpose ~/ExLPose-ours
      exlcap export-dataset main --to mmpose ~/main-mmpose
    """
    from exlcap.dataset.formats.export import export_coco, export_fiftyone
    from exlcap.dataset.formats.export_exlpose import export_exlpose
    from exlcap.dataset.formats.export_mmpose import export_mmpose

    forms = {"coco": export_coco, "exlpose": export_exlpose, "mmpose": export_mmpose, "fiftyone": export_fiftyone}
    images = forms[form](workspace_of(ctx).dataset(name), out)
    result(f"wrote {images} images and their annotations to {out}", {"folder": str(out), "images": images}, as_json)
