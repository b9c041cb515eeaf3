"""`exlcap meter`."""

from __future__ import annotations

import math

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result


@click.command("meter")
@click.option("--scene", metavar="NAME", help="Scene before the cameras.")
@click.option("--reference", is_flag=True, help="A static reference instead: each camera by itself, however long.")
@click.option("--blur-px", type=float, metavar="B", help="Pixels that something may move during an exposure.")
@click.option("--speed-px-s", type=float, metavar="V", help="With --blur-px: how fast it moves, in pixels per second.")
@click.option("--max-exposure-us", type=float, metavar="X", help="Longest exposure in microseconds, instead of both.")
@click.option(
    "--percentile",
    type=click.FloatRange(50, 100),
    default=99.5,
    show_default=True,
    metavar="P",
    help="Share of the pixels that must not clip at k = 1, in percent.",
)
@click.option("--dry-run", is_flag=True, help="Only print the result; rig.toml stays as it is.")
@json_option
@click.pass_context
def meter_command(
    ctx: click.Context,
    scene: str | None,
    reference: bool,
    blur_px: float | None,
    speed_px_s: float | None,
    max_exposure_us: float | None,
    percentile: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find the exposure and gain of a scene or a reference.

    The longest exposure without motion blur, then the gain that brings the highlights just under clipping, as far as
    the gain of the schedule's last step stays within the camera's. What is found becomes the scene's base in rig.toml;
    with --reference, the settings of both cameras for `exlcap shoot --reference`. Exit code 3 when all is black or
    clipped whatever the setting; rig.toml stays as it is then.

    \b
    Example:
      exlcap meter --scene plaza --blur-px 2 --speed-px-s 1500
      exlcap meter --scene plaza --max-exposure-us 1000 --percentile 99 --dry-run
      exlcap meter --reference
    """
    if reference == (scene is not None):
        raise click.UsageError("give either --scene NAME or --reference")
    if reference and any(value is not None for value in (blur_px, speed_px_s, max_exposure_us)):
        raise click.UsageError("nothing moves in a reference: leave out the limits of its exposure")

    from exlcap.capture.metering.meter import meter_reference, meter_scene
    from exlcap.capture.metering.text import reference_data, reference_text, scene_data, scene_text
    from exlcap.core.rig_file import store_base, store_reference

    if scene is None:
        workspace = workspace_of(ctx)
        both = meter_reference(workspace, percentile)
        text, data, section = reference_text(both, percentile), reference_data(both), "reference"
        if not dry_run:
            store_reference(workspace.root / "rig.toml", both.metered["well"].setting, both.metered["low"].setting)
    else:
        longest_us, why = _longest(blur_px, speed_px_s, max_exposure_us)
        workspace = workspace_of(ctx)
        found = meter_scene(workspace, scene, longest_us, why, percentile)
        text, data, section = scene_text(found, percentile), scene_data(found), f"scenes.{scene}"
        if not dry_run:
            store_base(workspace.root / "rig.toml", scene, found.metered.setting)
    done = "rig.toml is as it was" if dry_run else f"wrote [{section}] of {workspace.root / 'rig.toml'}"
    result(f"{text}\n{done}", {**data, "percentile": percentile, "written": not dry_run}, as_json)


def _longest(blur_px: float | None, speed_px_s: float | None, max_exposure_us: float | None) -> tuple[float, str]:
    """The longest exposure in us, and why it may not be longer."""
    given = {"--blur-px": blur_px, "--speed-px-s": speed_px_s, "--max-exposure-us": max_exposure_us}
    for name, value in given.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise click.UsageError(f"{name} {value:g} is not above 0")
    if max_exposure_us is not None and blur_px is None and speed_px_s is None:
        return max_exposure_us, f"--max-exposure-us {max_exposure_us:g}"
    if blur_px is not None and speed_px_s is not None and max_exposure_us is None:
        return 1e6 * blur_px / speed_px_s, f"{blur_px:g} px of blur at {speed_px_s:g} px/s"
    raise click.UsageError("give --blur-px with --speed-px-s, or --max-exposure-us")
