"""`exlcap shoot` and `exlcap verify`: from the cameras to a take, and whether it can be trusted."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, progress, result
from exlcap.core.errors import ExlcapError

PFS_LOAD = (
    "Load NAME.well.pfs and NAME.low.pfs before rig.toml is applied. They belong to a camera model and firmware; "
    "another one is told."
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
@click.option("--resume", is_flag=True, help="Finish the steps that the newest unfinished take lacks.")
@click.option(
    "--allow-software-sync",
    is_flag=True,
    help="Fire real cameras by software; their shutters open 0.5 to 1 ms apart or more.",
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

    Ctrl-C ends the take after the pair in flight. What was left out is shot by the same command with --resume. Exit
    code 3 when the shutters were further apart than sync.max_skew_us of rig.toml, or something moved in a reference.

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


@click.command("verify")
@click.argument("scene", required=False)
@click.option("--all", "everything", is_flag=True, help="All scenes and references.")
@json_option
@click.pass_context
def verify_command(ctx: click.Context, scene: str | None, everything: bool, as_json: bool) -> None:
    """Re-read takes and check every frame.

    Checksums, sizes, 12-bit range, pairing, settings, missing pairs, skew, and the drift from the alignment: the one
    that carried the take's labels, else the one in force. Exit code 1 when anything is wrong, 3 when only the shutters
    are further apart than sync.max_skew_us of the take's rig.

    \b
    Example:
      exlcap verify plaza
      exlcap verify --all
    """
    if everything == (scene is not None):
        raise click.UsageError("give either a SCENE or --all")

    from exlcap.capture.checking.verify import verdict_table, verify_take
    from exlcap.core.workspace import numbered

    workspace = workspace_of(ctx)
    folders = list(workspace.takes(scene))
    if everything:
        folders = [path for _, path in numbered(workspace.references, "ref")] + folders
    if not folders:
        raise ExlcapError(
            f"no takes of {scene}" if scene else "no takes in this workspace", "shoot one with `exlcap shoot`"
        )
    verdicts = []
    with progress("verify", len(folders)) as step:
        for folder in folders:
            verdicts.append(verify_take(folder, folder.relative_to(workspace.root).as_posix(), workspace))
            step(verdicts[-1].take)
    result(verdict_table(verdicts), {"takes": [verdict.data() for verdict in verdicts]}, as_json)
    if any(verdict.problems for verdict in verdicts):
        ctx.exit(1)
    if any(verdict.beyond for verdict in verdicts):
        ctx.exit(3)
