"""The command line: a click group that imports a stage only when one of its commands runs."""

from __future__ import annotations

import errno
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exlcap import __version__
from exlcap.core.errors import ExlcapError

if TYPE_CHECKING:
    from exlcap.core.workspace import Workspace

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("exlcap.init", "Make a workspace with a commented rig.toml."),
    "doctor": ("exlcap.capture.checking.commands", "Check the cameras, the computer and the disk before shooting."),
    "meter": (
        "exlcap.capture.metering.commands",
        "Find the exposure and gain of a scene or a reference.",
    ),
    "plan": ("exlcap.capture.metering.commands", "Predict what each step of a schedule will give."),
    "preview": (
        "exlcap.capture.preview.commands",
        "Show both cameras on a page, to frame, focus and expose a scene, and to shoot it.",
    ),
    "shoot": ("exlcap.capture.takes.commands", "Shoot a take of a scene, or a static reference."),
    "verify": ("exlcap.capture.checking.commands", "Re-read takes and check every frame."),
    "align": ("exlcap.align.commands", "Find how the dark image lies on the bright one."),
    "annotate": ("exlcap.annotate.commands", "Label the bright frames and carry the labels to the dark ones."),
    "review": ("exlcap.annotate.review.commands", "Review labels in FiftyOne and pull decisions back."),
    "build": ("exlcap.dataset.commands", "Build a data set of aligned, labelled pairs."),
    "stats": ("exlcap.dataset.checks.commands", "Describe a data set or a COCO keypoint file in numbers and plots."),
    "validate": ("exlcap.dataset.checks.commands", "Name every defect of a data set or a COCO keypoint file."),
    "import": ("exlcap.dataset.formats.commands", "Import the published ExLPose or ExLPose-OCN as a data set."),
    "export-dataset": (
        "exlcap.dataset.formats.commands",
        "Export a data set as COCO, in the official ExLPose layout, for MMPose or for FiftyOne.",
    ),
    "simulate": (
        "exlcap.dataset.simulated.commands",
        "Make a paired data set of this rig from any labelled photographs.",
    ),
    "train": ("exlcap.train.commands", "Train a pose network on a data set."),
    "eval": ("exlcap.train.results.commands", "Evaluate a trained network on the test splits."),
    "predict": ("exlcap.train.results.commands", "Predict joints of people in pictures."),
    "export": ("exlcap.train.results.commands", "Export a trained network as ONNX with a card for annotate."),
    "demo": ("exlcap.demo", "Run the whole line on two emulated cameras."),
}
"""Command -> (module that defines it, its help in one line); a test holds the lines equal to the commands' own."""


class LazyGroup(click.Group):
    """Lists commands from the table above without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which the work is done."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the stage that defines the command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Work in this workspace instead of the one around the current folder.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__)
@click.pass_context
def group(ctx: click.Context, folder: Path, debug: bool) -> None:
    """Real low-light / well-lit image pairs of people, from the shutter to a trained pose network.

    \b
    Example:
      exlcap init --emulated lab
      exlcap -C lab shoot --reference
      exlcap -C lab align
      exlcap -C lab shoot --scene plaza
    """
    ctx.obj = folder


def workspace_of(ctx: click.Context) -> Workspace:
    """The workspace a command works in (``-C`` or the current folder and above)."""
    from exlcap.core.workspace import find_workspace

    return find_workspace(ctx.obj)


def main(argv: list[str] | None = None) -> None:
    """Entry point: an error that a user can act on becomes two lines and an exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        code = group.main(args=arguments, prog_name="exlcap", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except (ExlcapError, OSError) as error:
        if "--debug" in arguments:
            raise
        problem = error if isinstance(error, ExlcapError) else _from_system(error)
        click.echo(f"error: {problem.message}\n  try: {problem.hint}", err=True)
        sys.exit(problem.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _from_system(error: OSError) -> ExlcapError:
    """An error of the operating system as one of ours."""
    where = f": {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ExlcapError(
            f"the disk is full{where}", "free some space and run the command again; everything listed so far is whole"
        )
    return ExlcapError(f"{error.strerror or error}{where}", "check the path and its permissions")


__all__: list[Any] = ["COMMANDS", "group", "main", "workspace_of"]
