"""`exlcap doctor` and `exlcap verify`: can this rig be trusted, and can this take?"""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result


@click.command("doctor")
@click.option(
    "--probe",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to a JSON file what the cameras report of themselves.",
)
@json_option
@click.pass_context
def doctor_command(ctx: click.Context, probe: Path | None, as_json: bool) -> None:
    """Check the cameras, the computer and the disk before shooting.

    Every row is OK, WARN or FAIL with one line of what to do, or "-" where it cannot be checked here. Fires a few
    pulses; writes a few frames to the disk and deletes them. Exits with code 1 when a row says FAIL.

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


@click.command("verify")
@click.argument("scene", required=False)
@click.option("--all", "everything", is_flag=True, help="All scenes and references.")
@json_option
@click.pass_context
def verify_command(ctx: click.Context, scene: str | None, everything: bool, as_json: bool) -> None:
    """Re-read takes and check every frame.

    Checks checksums, sizes, 12-bit range, pairing, settings, missing pairs, skew, and the drift from the alignment that
    carried the take's labels, or else from the one in force. Exits with code 1 when anything is wrong, and with 3 when
    only the shutters opened further apart than sync.max_skew_us of the take's rig.

    \b
    Example:
      exlcap verify plaza
      exlcap verify --all
    """
    if everything == (scene is not None):
        raise click.UsageError("give either a SCENE or --all")

    from exlcap.capture.checking.verify import verdict_table, verify_takes

    verdicts = verify_takes(workspace_of(ctx), scene)
    result(verdict_table(verdicts), {"takes": [verdict.data() for verdict in verdicts]}, as_json)
    if any(verdict.problems for verdict in verdicts):
        ctx.exit(1)
    if any(verdict.beyond for verdict in verdicts):
        ctx.exit(3)
