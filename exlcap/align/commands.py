"""``exlcap align``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result, say

if TYPE_CHECKING:
    from exlcap.core.workspace import Workspace


@click.command("align")
@click.option("--reference", help="Use this reference (such as ref-001) instead of the newest.")
@click.option("--check-drift", is_flag=True, help="Instead, measure how far the takes are off the alignment in force.")
@click.option("--scene", help="With --check-drift: only the takes of this scene.")
@json_option
@click.pass_context
def align_command(
    ctx: click.Context, reference: str | None, check_drift: bool, scene: str | None, as_json: bool
) -> int:
    """Find how the dark image lies on the bright one.

    Reads the newest static reference and writes alignments/align-NNN.json with a report beside it. A result that cannot
    be trusted is refused (exit code 3), and the alignment in force stays as it is. --check-drift measures how far every
    take is off and notes it in the take's folder; exits with code 1 when a corner of one is
    more than 0.5 px off.

    \b
    Example:
      exlcap shoot --reference
      exlcap align
      exlcap align --check-drift
    """
    if scene and not check_drift:
        raise click.UsageError("--scene needs --check-drift")
    workspace = workspace_of(ctx)
    if check_drift:
        return _check_drift(workspace, scene, as_json)
    from exlcap.align.align_take import align_take, reference_take
    from exlcap.align.report import described, doubts

    take = reference_take(workspace, reference)
    path, alignment = align_take(workspace, take)
    lines = [f"wrote {path} from {take.name} ({len(take.pairs)} pairs averaged)"]
    lines += [f"  {key}: {value}" for key, value in described(alignment)]
    lines.append(f"  report: {path.with_suffix('') / 'index.html'}")
    for remark in doubts(alignment, take.header.rig.low.nd_transmittance):
        say(f"warning: {remark}")
    result("\n".join(lines), {"alignment": path.stem, **alignment.model_dump(mode="json")}, as_json)
    return 0


def _check_drift(workspace: Workspace, scene: str | None, as_json: bool) -> int:
    """Print how far each take is off the alignment in force; 1 when one is too far off."""
    from exlcap.align.measure_drift import measure_drifts
    from exlcap.core.alignment import alignment_in_force
    from exlcap.core.drift import DRIFT_LIMIT_PX, describe_drift

    name, alignment = alignment_in_force(workspace)
    drifts = measure_drifts(workspace, scene, name, alignment)
    lines = [f"{take}: {describe_drift(drift)}" for take, drift in drifts.items()]
    takes = [{"take": take, **drift.data()} for take, drift in drifts.items()]
    result("\n".join(lines), {"alignment": name, "limit_px": DRIFT_LIMIT_PX, "takes": takes}, as_json)
    return 1 if any(drift.too_far for drift in drifts.values()) else 0
