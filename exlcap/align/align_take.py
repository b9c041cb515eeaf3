"""From a reference take to an alignment: checks, registration, quality, report."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from exlcap.align.checks import check_not_black, check_not_saturated, check_static, check_texture
from exlcap.align.luminance import average_raw, luminance
from exlcap.align.photometry import check_not_swapped, photometry
from exlcap.align.quality import measure
from exlcap.align.register import register
from exlcap.align.report import described, doubts, write_report
from exlcap.core.alignment import Alignment, compose, make_alignment, write_alignment
from exlcap.core.console import say
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import LIGHTS
from exlcap.core.take import Take, read_take
from exlcap.core.workspace import Workspace, check_name, numbered


def reference_take(workspace: Workspace, name: str | None = None) -> Take:
    """The reference take of that name (ref-001), or the newest. Raises ExlcapError when there is none."""
    references = numbered(workspace.references, "ref")
    if name is None and not references:
        raise ExlcapError(f"no reference in {workspace.references}", "shoot one with `exlcap shoot --reference`")
    folder = workspace.references / check_name(name, "reference") if name else references[-1][1]
    take = read_take(folder)
    if missing := take.missing():
        say(f"note: {take.name} is incomplete: {sum(missing.values())} pairs are missing, {len(take.pairs)} are used")
    return take


def align_take(workspace: Workspace, take: Take) -> tuple[Path, Alignment]:
    """Align from a reference take, write the alignment and its report, and return both.

    Raises Refused when it cannot be trusted; nothing is written then.
    """
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
    registration = register(well, low)
    if registration.ecc >= limits.correlation_min and registration.mirror != rig.low.mirror:
        expected, seen = ("mirrored", "not") if rig.low.mirror else ("not mirrored", "mirrored")
        raise Refused(f"rig.toml says the dark view is {expected}, the reference shows it {seen}",
                      "correct low.mirror in rig.toml, or the serials if the cameras are swapped")  # fmt: skip
    residual, shifts = measure(well, low, registration, limits)
    measured = photometry(
        well_dn, low_dn, compose(registration.homography, registration.mirror, low.shape[1]), settings, black
    )
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    sizes = [(grey.shape[1], grey.shape[0]) for grey in (low, well)]
    alignment = make_alignment(
        registration.homography, registration.mirror, sizes[0], sizes[1], take.folder.name, now, residual, measured
    )
    used = numbered(workspace.alignments, "align", ".json")
    path = workspace.alignments / f"align-{used[-1][0] + 1 if used else 1:03d}.json"
    remarks = [("warning", doubt) for doubt in doubts(alignment, rig.low.nd_transmittance)]
    write_report(path.with_suffix(""), well, low, alignment, shifts, described(alignment) + remarks)
    write_alignment(path, alignment)
    return path, alignment
