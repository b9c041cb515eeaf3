"""``exlcap align``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.console import json_option, result, say

if TYPE_CHECKING:
    from pathlib import Path

    from exlcap.alignment import Alignment
    from exlcap.take import Take
    from exlcap.workspace import Workspace


@click.command("align")
@click.option("--reference", help="Use this reference (ref-001) instead of the newest.")
@json_option
@click.pass_context
def align_command(ctx: click.Context, reference: str | None, as_json: bool) -> None:
    """Find how the dark image lies on the bright one.

    Reads the newest static reference and writes alignments/align-NNN.json with a report beside it. When the result
    cannot be trusted it is refused (exit code 3) and the alignment in force stays as it is.

    \b
    Example:
      exlcap shoot --reference
      exlcap align
    """
    workspace = workspace_of(ctx)
    take = _reference(workspace, reference)
    path, alignment = align_take(workspace, take)
    residual = alignment.residual
    assert residual is not None  # a measured alignment has one
    x, y, width, height = alignment.crop
    text = (
        f"wrote {path} from {take.name} ({len(take.pairs)} pairs averaged)\n"
        f"  dark camera mirrored: {'yes' if alignment.mirror else 'no'}; correlation {residual.ecc:.4f}\n"
        f"  residual on {residual.blocks} held-out blocks: median {residual.held_out_median_px:.3f} px, "
        f"95 % below {residual.held_out_p95_px:.3f} px; two half fits {residual.halves_px:.3f} px apart\n"
        f"  common area {width} x {height} at ({x}, {y}); pictures in {path.with_suffix('')}"
    )
    result(text, {"alignment": path.stem, **alignment.model_dump(mode="json")}, as_json)


def _reference(workspace: Workspace, name: str | None) -> Take:
    """The reference take of that name, or the newest."""
    from exlcap.errors import ExlcapError
    from exlcap.take import read_take
    from exlcap.workspace import check_name, numbered

    found = numbered(workspace.references, "ref")
    if name is None and not found:
        raise ExlcapError(f"no reference in {workspace.references}", "shoot one with `exlcap shoot --reference`")
    folder = workspace.references / check_name(name, "reference") if name else found[-1][1]
    take = read_take(folder)
    if missing := take.missing():
        say(f"note: {take.name} is not whole: {sum(missing.values())} pairs are missing, {len(take.pairs)} are used")
    return take


def align_take(workspace: Workspace, take: Take) -> tuple[Path, Alignment]:
    """Align from a reference take, write the alignment and its pictures, and return both.

    Raises Refused when it cannot be trusted; nothing is written then.
    """
    from datetime import datetime, timezone

    import cv2

    from exlcap.align.pictures import average_grey
    from exlcap.align.quality import measure
    from exlcap.align.register import register
    from exlcap.align.report import arrows, checkerboard
    from exlcap.alignment import make_alignment, write_alignment
    from exlcap.errors import Refused
    from exlcap.files import write_atomic
    from exlcap.workspace import numbered

    well, low = average_grey(take, "well"), average_grey(take, "low")
    found = register(well, low)
    if found.mirror != take.header.rig.low.mirror:
        expected, seen = ("mirrored", "not") if take.header.rig.low.mirror else ("not mirrored", "mirrored")
        raise Refused(f"rig.toml says the dark view is {expected}, the reference shows it {seen}",
                      "mend low.mirror in rig.toml, or the serials if the cameras are swapped")  # fmt: skip
    residual, blocks = measure(well, low, found, workspace.rig.alignment)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    sizes = [(grey.shape[1], grey.shape[0]) for grey in (low, well)]
    alignment = make_alignment(found.homography, found.mirror, sizes[0], sizes[1], take.folder.name, now, residual)

    used = numbered(workspace.alignments, "align", ".json")
    path = workspace.alignments / f"align-{used[-1][0] + 1 if used else 1:03d}.json"
    picture = checkerboard(well, low, alignment)
    for name, pixels in (("checkerboard", picture), ("residual", arrows(picture, alignment, blocks))):
        write_atomic(path.with_suffix("") / f"{name}.png", cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())
    write_alignment(path, alignment)
    return path, alignment
