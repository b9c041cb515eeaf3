"""`exlcap meter` and `exlcap plan`: exposure and gain before shooting, and what a schedule will give."""

from __future__ import annotations

import math
from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result


@click.command("meter")
@click.option("--scene", metavar="NAME", help="Scene before the cameras.")
@click.option(
    "--reference", is_flag=True, help="Meter a static reference instead: each camera by itself, with any exposure."
)
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
@click.option("--dry-run", is_flag=True, help="Only print the result; leave rig.toml unchanged.")
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

    Takes the longest exposure without motion blur, then the gain that brings the highlights just under clipping, as far
    as the schedule's last step stays within the camera's gain. Writes the result to rig.toml as the scene's base or,
    with --reference, as the settings of both cameras for `exlcap shoot --reference`. Exits with code 3, and leaves
    rig.toml unchanged, when everything is black or clipped at any setting.

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

    from exlcap.capture.metering.meter import meter_reference, meter_scene, store
    from exlcap.capture.metering.text import reference_data, reference_text, scene_data, scene_text

    if scene is None:
        workspace = workspace_of(ctx)
        reference_metered = meter_reference(workspace, percentile)
        text, data = reference_text(reference_metered, percentile), reference_data(reference_metered)
        stored = None if dry_run else store(workspace, reference_metered)
    else:
        longest_us, why = _longest(blur_px, speed_px_s, max_exposure_us)
        workspace = workspace_of(ctx)
        scene_metered = meter_scene(workspace, scene, longest_us, why, percentile)
        text, data = scene_text(scene_metered, percentile), scene_data(scene_metered)
        stored = None if dry_run else store(workspace, scene_metered)
    done = "rig.toml is unchanged" if stored is None else f"wrote [{stored}] of {workspace.root / 'rig.toml'}"
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

    Exposure, gains, test split, mean level of the dark image, signal-to-noise ratio and clipping, from a metered level
    or from the bright frames of a take. For a take, the level that was measured is listed beside the prediction.

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
    predicted = outlook(workspace, request, level, take)
    result(predicted.text(), predicted.data(), as_json)
