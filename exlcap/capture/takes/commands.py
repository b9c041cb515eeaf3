"""`exlcap shoot`: from the cameras to a take."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result

PFS_LOAD = (
    "Load NAME.well.pfs and NAME.low.pfs before rig.toml is applied. They belong to one camera model and firmware; "
    "files of another are loaded with a warning."
)
PFS_SAVE = "Save the state of both cameras, rig.toml applied, as NAME.well.pfs and NAME.low.pfs."


@click.command("shoot")
@click.option("--scene", metavar="NAME", help="Scene to shoot: letters, digits, '-' and '_'.")
@click.option("--reference", is_flag=True, help="Shoot a static reference for `exlcap align` instead of a scene.")
@click.option(
    "--at-scene",
    metavar="NAME",
    help="With --reference: both cameras at this scene's base, with 64 frames to average, not as [reference] says.",
)
@click.option("--exposure-us", type=float, metavar="X", help="Base exposure at k = 1 in microseconds.")
@click.option("--gain-db", type=float, metavar="G", help="Gain of the bright camera at k = 1 in dB.")
@click.option("--schedule", metavar="PRESET|1,2,4", help="Exposure divisors k: a preset of rig.toml or a list.")
@click.option("--pairs", type=click.IntRange(1, 100_000), metavar="N", help="Pairs per step.")
@click.option("--resume", is_flag=True, help="Shoot what the newest unfinished take lacks.")
@click.option(
    "--allow-software-sync",
    is_flag=True,
    help="Trigger real cameras by software, although their shutters then open 0.5 to 1 ms apart, or more.",
)
@click.option("--pfs-load", "load_state", type=click.Path(path_type=Path), metavar="NAME", help=PFS_LOAD)
@click.option("--pfs-save", "save_state", type=click.Path(path_type=Path), metavar="NAME", help=PFS_SAVE)
@json_option
@click.pass_context
def shoot_command(
    ctx: click.Context,
    scene: str | None,
    reference: bool,
    at_scene: str | None,
    exposure_us: float | None,
    gain_db: float | None,
    schedule: str | None,
    pairs: int | None,
    resume: bool,
    allow_software_sync: bool,
    load_state: Path | None,
    save_state: Path | None,
    as_json: bool,
) -> None:
    """Shoot a take of a scene, or a static reference.

    Ctrl-C ends the take after the pair in flight; the same command with --resume shoots the rest. Exits with code 3
    when the shutters opened further apart than sync.max_skew_us of rig.toml, or when something moved in a reference.

    \b
    Example:
      exlcap shoot --reference
      exlcap shoot --reference --at-scene plaza
      exlcap shoot --scene plaza
      exlcap shoot --scene plaza --exposure-us 2000 --gain-db 3 --schedule 1,2,4 --pairs 20
      exlcap shoot --scene plaza --resume
    """
    if reference == (scene is not None):
        raise click.UsageError("give either --scene NAME or --reference")
    if reference and any(value is not None for value in (exposure_us, gain_db, schedule)):
        raise click.UsageError("a reference takes its settings from [reference] in rig.toml, or from --at-scene NAME")
    if at_scene is not None and not reference:
        raise click.UsageError("--at-scene goes with --reference")

    from exlcap.capture.takes.plan import Request
    from exlcap.capture.takes.shoot import run_take

    workspace = workspace_of(ctx)
    request = Request(
        scene, exposure_us, gain_db, schedule, pairs, resume, allow_software_sync, load_state, save_state, at_scene
    )
    report = run_take(workspace, request)
    result(report.text(), report.data(), as_json)
    if report.stopped:
        ctx.exit(130)
    if report.beyond or report.moved:
        ctx.exit(3)
