"""``exlcap init``: a workspace is a folder with a commented rig.toml."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

import click

from exlcap.core.console import result
from exlcap.core.errors import ExlcapError

TEMPLATES = Path(__file__).parent / "templates"
BASE_GAINS_DB = {
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
"""Base gains of the drawn scenes: with k = 1..12 they spread over the published set's 0 to 38.8 dB."""
REAL = {"name": "our rig", "driver": "pylon", "well_serial": "SERIAL-OF-WELL", "low_serial": "SERIAL-OF-LOW",
        "width": 1920, "height": 1200, "sync": "external"}  # fmt: skip
EMULATED = {"name": "emulated rig", "driver": "pylon", "well_serial": "0815-0000", "low_serial": "0815-0001",
            "width": 960, "height": 600, "sync": "software"}  # fmt: skip
SIMULATED = {"name": "simulated rig", "driver": "simulated", "well_serial": "sim-well", "low_serial": "sim-low",
             "width": 960, "height": 600, "sync": "timer"}  # fmt: skip


def rig_toml(
    emulated: bool = False, photos: Path | None = None, labels: Path | None = None, simulated: bool = False
) -> str:
    """Text of a commented rig.toml: for real cameras, for emulated ones or for simulated ones.

    photos, labels: what emulated and simulated cameras see instead of drawn people. Their sensor is half the real one's
    size in each direction, which keeps the demo quick.
    """
    facts = SIMULATED if simulated else EMULATED if emulated else REAL
    text = _template("rig.toml").substitute(facts)
    if facts is REAL:
        return text
    if simulated:
        text += _template("simulated.toml").substitute()
    own = "" if photos is None else f"photos = {json.dumps(str(photos))}\nlabels = {json.dumps(str(labels))}\n"
    text += _template("emulator.toml").substitute(photos=own)
    for scene, gain_db in BASE_GAINS_DB.items():
        light = 10 ** (-gain_db / 20)
        text += f"[emulator.scenes.{scene}]\nlight = {light:.4f}\n"
        text += f"[scenes.{scene}]\nexposure_us = 1000.0\ngain_db = {gain_db}\n"
    return text


def _template(name: str) -> Template:
    return Template((TEMPLATES / name).read_text(encoding="utf-8"))


def make_workspace(folder: Path, text: str) -> Path:
    """Write the rig.toml of a new workspace and return its path. Raises ExlcapError when there is one already."""
    from exlcap.core.files import write_atomic

    path = folder / "rig.toml"
    if path.exists():
        raise ExlcapError(f"{path} exists already", "edit it, or make the workspace in another folder")
    write_atomic(path, text.encode())
    return path


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=None, required=False)
@click.option("--emulated", is_flag=True, help="Two emulated Basler cameras and drawn scenes instead of hardware.")
@click.option(
    "--simulated",
    is_flag=True,
    help="Two simulated cameras for training: trigger line, clocks and counters as on a real rig, faults on demand.",
)
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photographs as scenes of an emulated or simulated rig.",
)
@click.option(
    "--labels", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="COCO keypoints of the photographs."
)
@click.pass_context
def init_command(
    ctx: click.Context,
    folder: Path | None,
    emulated: bool,
    simulated: bool,
    photos: Path | None,
    labels: Path | None,
) -> None:
    """Make a workspace with a commented rig.toml.

    \b
    Example:
      exlcap init lab
      exlcap init --emulated lab
      exlcap init --simulated lab
      exlcap init --emulated --photos pictures --labels coco.json lab
    """
    if emulated and simulated:
        raise click.UsageError("give either --emulated or --simulated")
    if (photos is None) != (labels is None):
        raise click.UsageError("--photos and --labels go together")
    if photos and not (emulated or simulated):
        raise click.UsageError("real cameras see no photographs: add --emulated or --simulated")
    text = rig_toml(emulated, photos.resolve() if photos else None, labels.resolve() if labels else None, simulated)
    path = make_workspace(folder or ctx.obj, text)
    next_step = "exlcap shoot --reference" if emulated or simulated else "fill in the two serial numbers"
    result(f"wrote {path}\nnext: {next_step}", {}, False)
