"""``exlcap init``: a workspace is a folder with a commented rig.toml."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

import click

from exlcap.core.console import result
from exlcap.core.errors import ExlcapError

TEMPLATES = Path(__file__).parent / "templates"
EMULATED_BASE_GAINS_DB = {
    "plaza": 0.0,
    "market": 1.5,
    "bridge": 3.0,
    "arcade": 4.5,
    "hall": 6.0,
    "stairs": 8.0,
    "garage": 10.0,
    "alley": 12.0,
    "yard": 13.0,
    "tunnel": 14.5,
    "attic": 16.0,
    "cellar": 17.0,
}
"""Base gains of the emulated scenes: with k = 1..12 they spread over the published set's 0 to 38.8 dB."""


def rig_toml(emulated: bool, photos: Path | None = None, labels: Path | None = None) -> str:
    """Text of a commented rig.toml, for real cameras or for the emulator.

    The emulated sensor is half the real one's size in each direction, which keeps the demo quick.
    """
    template = Template((TEMPLATES / "rig.toml").read_text(encoding="utf-8"))
    if not emulated:
        return template.substitute(
            name="our rig",
            well_serial="SERIAL-OF-WELL",
            low_serial="SERIAL-OF-LOW",
            width=1920,
            height=1200,
            sync="external",
        )
    text = template.substitute(
        name="emulated rig", well_serial="0815-0000", low_serial="0815-0001", width=960, height=600, sync="software"
    )
    own = "" if photos is None else f"photos = {json.dumps(str(photos))}\nlabels = {json.dumps(str(labels))}\n"
    text += Template((TEMPLATES / "emulator.toml").read_text(encoding="utf-8")).substitute(photos=own)
    for scene, gain_db in EMULATED_BASE_GAINS_DB.items():
        light = 10 ** (-gain_db / 20)
        text += f"[emulator.scenes.{scene}]\nlight = {light:.4f}\n"
        text += f"[scenes.{scene}]\nexposure_us = 1000.0\ngain_db = {gain_db}\n"
    return text


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=None, required=False)
@click.option("--emulated", is_flag=True, help="Two emulated cameras and drawn scenes instead of hardware.")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photographs as scenes of the emulated rig.",
)
@click.option(
    "--labels", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="COCO keypoints of the photographs."
)
@click.pass_context
def init_command(
    ctx: click.Context, folder: Path | None, emulated: bool, photos: Path | None, labels: Path | None
) -> None:
    """Make a workspace with a commented rig.toml.

    \b
    Example:
      exlcap init lab
      exlcap init --emulated lab
      exlcap init --emulated --photos pictures --labels coco.json lab
    """
    from exlcap.core.files import write_atomic

    if (photos is None) != (labels is None):
        raise click.UsageError("--photos and --labels go together")
    if photos and not emulated:
        raise click.UsageError("--photos is for an emulated rig: add --emulated")
    path = (folder or ctx.obj) / "rig.toml"
    if path.exists():
        raise ExlcapError(f"{path} exists already", "edit it, or make the workspace in another folder")
    text = rig_toml(emulated, photos.resolve() if photos else None, labels.resolve() if labels else None)
    write_atomic(path, text.encode())
    next_step = "exlcap shoot --reference" if emulated else "fill in the two serial numbers"
    result(f"wrote {path}\nnext: {next_step}", {}, False)
