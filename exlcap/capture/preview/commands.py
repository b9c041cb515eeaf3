"""`exlcap preview`: what both cameras see, on a page."""

from __future__ import annotations

import click

from exlcap.cli import workspace_of


@click.command("preview")
@click.option("--scene", metavar="NAME", help="Scene to start with, shown at its base setting in rig.toml.")
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where to serve the page. Other machines need the token that is printed.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="Port of the page; by default 8150, or a free one."
)
@click.option(
    "--allow-software-sync",
    is_flag=True,
    help="Fire real cameras by software; their shutters open 0.5 to 1 ms apart or more.",
)
@click.pass_context
def preview_command(
    ctx: click.Context, scene: str | None, address: str, port: int | None, allow_software_sync: bool
) -> None:
    """Show both cameras on a page, to frame, focus and expose a scene, and to shoot it.

    The page is for this machine alone; from a tablet use an SSH tunnel. One page controls, others watch. Ctrl-C
    ends it; a take ends after the pair in flight.

    \b
    Example:
      exlcap preview
      exlcap preview --scene plaza
    """
    from exlcap.capture.preview.live import LiveRig, Wanted
    from exlcap.capture.preview.serve import serve
    from exlcap.core.workspace import check_name

    live = LiveRig(workspace_of(ctx).root, allow_software_sync=allow_software_sync)
    if scene is not None:
        base = live.workspace.rig.scene_base(check_name(scene, "scene"))
        live.wanted = Wanted(scene, base.exposure_us, base.gain_db)
    serve(live, address, port)
