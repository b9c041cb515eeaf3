"""``exlcap review`` and ``exlcap review pull``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result, say

if TYPE_CHECKING:
    from exlcap.annotate.review.pull import Pulled


@click.group("review", invoke_without_command=True)
@click.option("--scene", help="Only the takes of this scene.")
@click.pass_context
def review_command(ctx: click.Context, scene: str | None) -> None:
    """Review labels in FiftyOne and pull decisions back.

    Serves the App to this machine only (127.0.0.1), to whom the printed address was told, and opens it at the least
    certain pair; stop it with Ctrl-C. In the tab Annotate of the bright image click a person, then drag joints, tick
    missing or hidden ones, or delete the person; the button with a + adds one. Accept or reject the open pair there
    (`review`), or pairs selected in the grid with its buttons. Everything is saved as you go; `exlcap review pull`
    brings it to the labels, also while the App is open.

    \b
    Example:
      exlcap review
      exlcap review --scene plaza
      exlcap review pull
    """
    if ctx.invoked_subcommand is not None:
        return
    from exlcap.annotate.review.app import app_on, least_certain, serve, stop_on_signals
    from exlcap.annotate.review.mongo import database, stored
    from exlcap.annotate.review.previews import collect, write_previews
    from exlcap.annotate.review.pull import pull
    from exlcap.annotate.review.samples import update_samples
    from exlcap.annotate.review.schema import NAME, prepare_dataset

    stop_on_signals()
    workspace = workspace_of(ctx)
    items = collect(workspace, scene)
    folder = workspace.root / "review"
    write_previews(folder / "media", items)
    with database(folder, share=False) as uri:
        prepare_dataset(folder, uri)
        with app_on(folder, uri) as app:  # it starts while samples are written
            dataset_id, samples = stored(uri, NAME)
            pulled = pull(workspace, samples)
            if pulled.changes or pulled.problems:
                say(f"from the last review:\n{told(pulled)}")
                items = collect(workspace, scene)
            count = update_samples(samples, dataset_id, items, folder / "media", keep=pulled.broken)
            say(f"{len(items)} pairs to review, {count} of them new or changed")
            serve(app, least_certain(samples, scene))


@review_command.command("pull")
@json_option
@click.pass_context
def pull_command(ctx: click.Context, as_json: bool) -> None:
    """Bring edits and decisions of the review to the labels.

    The value a label had before its first edit is kept beside it. Can be repeated at any time.

    \b
    Example:
      exlcap review pull
    """
    from exlcap.annotate.review.mongo import NOTHING, database, stored
    from exlcap.annotate.review.pull import pull
    from exlcap.annotate.review.schema import NAME
    from exlcap.core.errors import ExlcapError

    workspace = workspace_of(ctx)
    folder = workspace.root / "review"
    if not (folder / "db").is_dir():
        raise ExlcapError(*NOTHING)
    with database(folder, share=True) as uri:
        pulled = pull(workspace, stored(uri, NAME)[1])
    result(told(pulled), {"changes": pulled.changes, "problems": pulled.problems}, as_json)


def told(pulled: Pulled) -> str:
    """A pull in words."""
    lines = [f"  {line}" for line in pulled.changes] + [f"  problem: {line}" for line in pulled.problems]
    return "\n".join([f"{len(pulled.changes)} people changed, {len(pulled.problems)} problems", *lines])
