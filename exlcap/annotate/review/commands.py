"""``exlcap review`` and ``exlcap review pull``."""

from __future__ import annotations

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result


@click.group("review", invoke_without_command=True)
@click.option("--scene", help="Only the takes of this scene.")
@click.pass_context
def review_command(ctx: click.Context, scene: str | None) -> None:
    """Review labels in FiftyOne and pull decisions back.

    Serves the App on this machine only (127.0.0.1), to anyone who has the printed address, and opens it at the least
    certain pair; stop it with Ctrl-C. In the Annotate tab of the bright image click a person, then drag joints, tick
    missing or hidden ones, or delete the person; the + button adds one. Accept or reject the open pair there
    (`review`), or select pairs in the grid and use its buttons. Everything is saved as you go; `exlcap review pull`
    brings it to the labels, even while the App is open.

    \b
    Example:
      exlcap review
      exlcap review --scene plaza
      exlcap review pull
    """
    if ctx.invoked_subcommand is not None:
        return
    from exlcap.annotate.review.review import review

    review(workspace_of(ctx), scene)


@review_command.command("pull")
@json_option
@click.pass_context
def pull_command(ctx: click.Context, as_json: bool) -> None:
    """Bring edits and decisions of the review to the labels.

    The value that a label had before its first edit is kept beside it. Can be run again at any time.

    \b
    Example:
      exlcap review pull
    """
    from exlcap.annotate.review.review import pull_review

    pulled = pull_review(workspace_of(ctx))
    result(pulled.text(), {"changes": pulled.changes, "problems": pulled.problems}, as_json)
