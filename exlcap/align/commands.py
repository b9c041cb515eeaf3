"""``exlcap align``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result, say

if TYPE_CHECKING:
    from pathlib import Path

    from exlcap.core.alignment import Alignment
    from exlcap.core.take import Take
    from exlcap.core.workspace import Workspace


@click.command("align")
@click.option("--reference", help="Use this reference (ref-001) instead of the newest.")
@click.option("--check-drift", is_flag=True, help="Measure how far the takes lie from the alignment in force instead.")
@click.option("--scene", help="With --check-drift: only the takes of this scene.")
@json_option
@click.pass_context
def align_command(
    ctx: click.Context, reference: str | None, check_drift: bool, scene: str | None, as_json: bool
) -> int:
    """Find how the dark image lies on the bright one.

    Reads the newest static reference and writes alignments/align-NNN.json with a report beside it. When the result
    cannot be trusted it is refused (exit code 3) and the alignment in force stays as it is. With --check-drift it is
    noted in every take how far it lies off; the exit code is 1 when one is more than 0.5 px off.

    \b
    Example:
      exlcap shoot --reference
      exlcap align
      exlcap align --check-drift
    """
    if scene and not check_drift:
        raise click.UsageError("--scene goes with --check-drift")
    workspace = workspace_of(ctx)
    if check_drift:
        return _check_drift(workspace, scene, as_json)
    from exlcap.align.report import described, doubts

    take = _reference(workspace, reference)
    path, alignment = align_take(workspace, take)
    lines = [f"wrote {path} from {take.name} ({len(take.pairs)} pairs averaged)"]
    lines += [f"  {key}: {value}" for key, value in described(alignment)]
    lines.append(f"  report: {path.with_suffix('') / 'index.html'}")
    for remark in doubts(alignment, take.header.rig.low.nd_transmittance):
        say(f"warning: {remark}")
    result("\n".join(lines), {"alignment": path.stem, **alignment.model_dump(mode="json")}, as_json)
    return 0


def _check_drift(workspace: Workspace, scene: str | None, as_json: bool) -> int:
    """Print how far each take lies from the alignment in force; 1 when one is too far off."""
    from exlcap.align.measure_drift import measure_drift
    from exlcap.core.alignment import alignment_in_force
    from exlcap.core.drift import DRIFT_LIMIT_PX, describe_drift, write_drift
    from exlcap.core.errors import ExlcapError
    from exlcap.core.take import read_take

    name, alignment = alignment_in_force(workspace)
    folders = list(workspace.takes(scene))
    if not folders:
        raise ExlcapError(f"no takes in {workspace.scene(scene) if scene else workspace.root / 'scenes'}",
                          "shoot one with `exlcap shoot --scene NAME`")  # fmt: skip
    found = {}
    for folder in folders:
        take = read_take(folder)
        found[take.name] = measure_drift(take, name, alignment)
        write_drift(folder, found[take.name])
    lines = [f"{take}: {describe_drift(drift)}" for take, drift in found.items()]
    takes = [{"take": take, "drift_px": drift.px, "shift_px": drift.shift_px} for take, drift in found.items()]
    result("\n".join(lines), {"alignment": name, "limit_px": DRIFT_LIMIT_PX, "takes": takes}, as_json)
    return 1 if any(drift.too_far for drift in found.values()) else 0


def _reference(workspace: Workspace, name: str | None) -> Take:
    """The reference take of that name, or the newest."""
    from exlcap.core.errors import ExlcapError
    from exlcap.core.take import read_take
    from exlcap.core.workspace import check_name, numbered

    found = numbered(workspace.references, "ref")
    if name is None and not found:
        raise ExlcapError(f"no reference in {workspace.references}", "shoot one with `exlcap shoot --reference`")
    folder = workspace.references / check_name(name, "reference") if name else found[-1][1]
    take = read_take(folder)
    if missing := take.missing():
        say(f"note: {take.name} is not whole: {sum(missing.values())} pairs are missing, {len(take.pairs)} are used")
    return take


def align_take(workspace: Workspace, take: Take) -> tuple[Path, Alignment]:
    """Align from a reference take, write the alignment and its report, and return both.

    Raises Refused when it cannot be trusted; nothing is written then.
    """
    from datetime import datetime, timezone

    from exlcap.align.checks import check_not_black, check_not_saturated, check_static, check_texture
    from exlcap.align.luminance import average_raw, luminance
    from exlcap.align.photometry import check_not_swapped, photometry
    from exlcap.align.quality import measure
    from exlcap.align.register import register
    from exlcap.align.report import described, doubts, write_report
    from exlcap.core.alignment import compose, make_alignment, write_alignment
    from exlcap.core.errors import Refused
    from exlcap.core.rig import LIGHTS
    from exlcap.core.workspace import numbered

    limits, rig = workspace.rig.alignment, take.header.rig
    black = rig.sensor.black_level_dn
    well_dn, low_dn = (average_raw(take, light) for light in LIGHTS)
    settings = take.pairs[0].well.read_back, take.pairs[0].low.read_back
    for mean_dn, light in ((well_dn, LIGHTS[0]), (low_dn, LIGHTS[1])):
        check_not_black(mean_dn, black, light, take.name)
    check_not_swapped(well_dn, low_dn, settings, black)  # before saturation, which swapped cameras lead to
    for mean_dn, light in ((well_dn, LIGHTS[0]), (low_dn, LIGHTS[1])):
        check_not_saturated(mean_dn, light, take.name)
    check_static(take, limits.moved_share)
    well, low = luminance(well_dn, black), luminance(low_dn, black)
    check_texture(well, take.name)
    found = register(well, low)
    if found.ecc >= limits.correlation_min and found.mirror != rig.low.mirror:
        expected, seen = ("mirrored", "not") if rig.low.mirror else ("not mirrored", "mirrored")
        raise Refused(f"rig.toml says the dark view is {expected}, the reference shows it {seen}",
                      "mend low.mirror in rig.toml, or the serials if the cameras are swapped")  # fmt: skip
    residual, shifts = measure(well, low, found, limits)
    measured = photometry(well_dn, low_dn, compose(found.homography, found.mirror, low.shape[1]), settings, black)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    sizes = [(grey.shape[1], grey.shape[0]) for grey in (low, well)]
    alignment = make_alignment(
        found.homography, found.mirror, sizes[0], sizes[1], take.folder.name, now, residual, measured
    )
    used = numbered(workspace.alignments, "align", ".json")
    path = workspace.alignments / f"align-{used[-1][0] + 1 if used else 1:03d}.json"
    remarks = [("warning", doubt) for doubt in doubts(alignment, rig.low.nd_transmittance)]
    write_report(path.with_suffix(""), well, low, alignment, shifts, described(alignment) + remarks)
    write_alignment(path, alignment)
    return path, alignment
