"""`exlcap plan` and `exlcap doctor`: what to know before shooting."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result


@click.command("plan")
@click.option("--scene", metavar="NAME", help="Scene whose base of rig.toml is used.")
@click.option("--take", type=click.Path(path_type=Path), metavar="FOLDER", help="Meter the bright frames of a take.")
@click.option("--level", type=float, metavar="L", help="Mean linear level of the bright camera at k = 1; default 0.18.")
@click.option("--exposure-us", type=float, metavar="X", help="Base exposure at k = 1 in microseconds.")
@click.option("--gain-db", type=float, metavar="G", help="Gain of the bright camera at k = 1 in dB.")
@click.option("--schedule", metavar="PRESET|1,2,4", help="Exposure divisors k: a preset of rig.toml or a list.")
@json_option
@click.pass_context
def plan_command(
    ctx: click.Context,
    scene: str | None,
    take: Path | None,
    level: float | None,
    exposure_us: float | None,
    gain_db: float | None,
    schedule: str | None,
    as_json: bool,
) -> None:
    """Predict what each step of a schedule will give.

    Exposure, gains, test split, mean level of the dark image, signal to noise and clipping, from a metered level or
    from the bright frames of a take; for a take, what was found stands beside it.

    \b
    Example:
      exlcap plan --scene plaza --level 0.15
      exlcap plan --exposure-us 2000 --gain-db 3 --schedule indoor
      exlcap plan --take scenes/plaza/take-001
    """
    if take is not None and (scene is not None or level is not None):
        raise click.UsageError("--take brings its own scene and level: leave out --scene and --level")

    from exlcap.capture.metering.outlook import outlook
    from exlcap.capture.takes.plan import Request

    workspace = workspace_of(ctx)
    request = Request(scene or "", exposure_us, gain_db, schedule)
    found = outlook(workspace, request, level, take)
    result(found.text(), found.data(), as_json)


@click.command("doctor")
@click.option(
    "--probe",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to a JSON file what the cameras say of themselves.",
)
@json_option
@click.pass_context
def doctor_command(ctx: click.Context, probe: Path | None, as_json: bool) -> None:
    """Check the cameras, the computer and the disk before shooting.

    Every row is OK, WARN or FAIL with one line of what to do, or "-" where it cannot be checked here. A few pulses are
    fired and a few frames written to the disk and taken away. Exit code 1 when a row says FAIL.

    \b
    Example:
      exlcap doctor
      exlcap doctor --probe probe.json
    """
    from exlcap.capture.checking.doctor import examine, rows_text

    rows = list(examine(workspace_of(ctx), probe))
    failed = any(row.state == "FAIL" for row in rows)
    result(rows_text(rows), {"ok": not failed, "rows": [row.data() for row in rows]}, as_json)
    if failed:
        ctx.exit(1)
