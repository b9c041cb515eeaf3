"""`exlcap meter`."""

from __future__ import annotations

import math

import click

from exlcap.cli import workspace_of
from exlcap.console import json_option, result


@click.command("meter")
@click.option("--scene", metavar="NAME", required=True, help="Scene before the cameras.")
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
    scene: str,
    blur_px: float | None,
    speed_px_s: float | None,
    max_exposure_us: float | None,
    percentile: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find a scene's base exposure and gain with the cameras.

    The longest exposure without motion blur, then the gain that brings the highlights just under clipping, as far as
    the gain of the schedule's last step stays within the camera's. What is found becomes the scene's base in rig.toml.
    Exit code 3 when the scene is black or clipped whatever the setting; rig.toml stays as it is then.

    \b
    Example:
      exlcap meter --scene plaza --blur-px 2 --speed-px-s 1500
      exlcap meter --scene plaza --max-exposure-us 1000 --percentile 99 --dry-run
    """
    longest_us, why = _longest(blur_px, speed_px_s, max_exposure_us)

    from exlcap.capture.meter import meter_scene
    from exlcap.rig_file import store_base

    workspace = workspace_of(ctx)
    found = meter_scene(workspace, scene, longest_us, why, percentile)
    path = workspace.root / "rig.toml"
    if not dry_run:
        store_base(path, scene, found.metered.setting)
    done = "rig.toml is as it was" if dry_run else f"wrote [scenes.{scene}] of {path}"
    result(f"{found.text()}\n{done}", {**found.data(), "written": not dry_run}, as_json)


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
