"""`exlcap shoot`: from the cameras to a take."""

from __future__ import annotations

import click

from exlcap.cli import workspace_of
from exlcap.console import json_option, result


@click.command("shoot")
@click.option("--scene", metavar="NAME", help="Scene to shoot: letters, digits, '-' and '_'.")
@click.option("--reference", is_flag=True, help="Shoot a static reference for `exlcap align` instead of a scene.")
@click.option("--exposure-us", type=float, metavar="X", help="Base exposure at k = 1 in microseconds.")
@click.option("--gain-db", type=float, metavar="G", help="Gain of the bright camera at k = 1 in dB.")
@click.option("--schedule", metavar="PRESET|1,2,4", help="Exposure divisors k: a preset of rig.toml or a list.")
@click.option("--pairs", type=click.IntRange(1, 100_000), metavar="N", help="Pairs per step.")
@click.option("--resume", is_flag=True, help="Finish the steps that the newest unfinished take lacks.")
@click.option(
    "--allow-software-sync",
    is_flag=True,
    help="Fire real cameras by software; their shutters open 0.5 to 1 ms apart or more.",
)
@json_option
@click.pass_context
def shoot_command(
    ctx: click.Context,
    scene: str | None,
    reference: bool,
    exposure_us: float | None,
    gain_db: float | None,
    schedule: str | None,
    pairs: int | None,
    resume: bool,
    allow_software_sync: bool,
    as_json: bool,
) -> None:
    """Shoot a take of a scene, or a static reference.

    Ctrl-C ends the take after the pair in flight. What was left out is shot by the same command with --resume.

    \b
    Example:
      exlcap shoot --reference
      exlcap shoot --scene plaza
      exlcap shoot --scene plaza --exposure-us 2000 --gain-db 3 --schedule 1,2,4 --pairs 20
      exlcap shoot --scene plaza --resume
    """
    if reference == (scene is not None):
        raise click.UsageError("give either --scene NAME or --reference")
    overrides = (exposure_us, gain_db, schedule, pairs)
    if reference and any(value is not None for value in overrides):
        raise click.UsageError("a reference takes its settings from [reference] in rig.toml, not from options")

    from exlcap.capture.request import Request
    from exlcap.capture.session import run_take

    workspace = workspace_of(ctx)
    request = Request(scene, exposure_us, gain_db, schedule, pairs, resume, allow_software_sync)
    report = run_take(workspace, request)
    result(report.text(), report.data(), as_json)
    if report.stopped:
        ctx.exit(130)
