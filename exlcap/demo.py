"""``exlcap demo``: the whole line on two emulated cameras, stage by stage, as an operator would type it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from exlcap import __version__
from exlcap.core.console import say
from exlcap.core.errors import ExlcapError
from exlcap.init import BASE_GAINS_DB

TRAIN_MINUTES = 1.5
PAIRS_PER_STEP = 2
"""Few pairs of many scenes: a network learns more from more people than from more moments of the same people."""


@click.command("demo")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photographs as scenes instead of drawn people.",
)
@click.option(
    "--labels", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="COCO keypoints of the photographs."
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"))
def demo_command(folder: Path, photos: Path | None, labels: Path | None) -> None:
    """Run the whole line on two emulated cameras.

    Works in a new workspace inside FOLDER (default: demo) and shows every command it runs. Takes a few minutes.

    \b
    Example:
      exlcap demo
      exlcap demo --photos pictures --labels coco.json
    """
    lab = new_folder(folder)
    say(f"demo in {lab}\n")
    seconds = run_line(lab, photos, labels)
    report(lab, seconds)


def new_folder(parent: Path) -> Path:
    """The first free folder lab-NNN in `parent`, so that an earlier demo is never in the way."""
    from exlcap.core.workspace import numbered

    used = numbered(parent, "lab") if parent.is_dir() else []
    return parent / f"lab-{used[-1][0] + 1 if used else 1:03d}"


def run_line(lab: Path, photos: Path | None, labels: Path | None) -> dict[str, float]:
    """Run every stage and return its seconds.

    Raises ExlcapError naming the first stage that fails.
    """
    seconds: dict[str, float] = {}

    def stage(name: str, *arguments: str) -> None:
        start = time.monotonic()
        _exlcap(lab, name, arguments)
        seconds[name] = round(seconds.get(name, 0.0) + time.monotonic() - start, 2)

    own = ["--photos", str(photos), "--labels", str(labels)] if photos and labels else []
    stage("init", "--emulated", *own)
    stage("shoot", "--reference")
    for scene in BASE_GAINS_DB:
        stage("shoot", "--scene", scene, "--pairs", str(PAIRS_PER_STEP))
    stage("align")
    truth = sorted((lab / "simulated").glob("*/take-*.json"))
    stage("annotate", *(part for path in truth for part in ("--from", str(path))))
    stage("build", "--name", "main")
    stage("train", "--data", "main", "--run", "demo", "--preset", "small", "--minutes", str(TRAIN_MINUTES))
    stage("eval", "--run", "demo")
    return seconds


def _exlcap(lab: Path, name: str, arguments: Sequence[str]) -> None:
    """Run one exlcap command in the workspace, shown as one would type it; its output goes to the terminal."""
    lab.mkdir(parents=True, exist_ok=True)
    shown = " ".join(arguments) if len(arguments) < 8 else " ".join([*arguments[:2], "..."])
    say(f"$ exlcap {name} {shown}".rstrip())
    command = [sys.executable, "-m", "exlcap", "-C", str(lab), name, *arguments]
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        raise ExlcapError(f"the demo stopped: `exlcap {name}` ended with exit code {code}", "see its message above")
    say("")


def report(lab: Path, seconds: dict[str, float]) -> None:
    """Print what was done and where to find it, and keep it in demo.json."""
    from exlcap.core.alignment import alignment_in_force, read_alignment
    from exlcap.core.files import read_json, write_json
    from exlcap.core.workspace import Workspace

    workspace = Workspace(lab)
    _, alignment = alignment_in_force(workspace)
    error_px = alignment.corner_error_px(read_alignment(workspace.simulated / "alignment.json"))
    run, data = workspace.run("demo"), workspace.dataset("main")
    summary: dict[str, Any] = {
        "exlcap": __version__,
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seconds": seconds,
        "seconds_total": round(sum(seconds.values()), 2),
        "worst_corner_error_px": error_px,
        "table1": read_json(data / "table1.json", "table"),
        "table2": read_json(run / "table.json", "table"),
    }
    write_json(lab / "demo.json", summary)
    stages = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    say(
        f"The whole line ran in {summary['seconds_total']:.0f} s ({stages}).\n"
        f"Alignment against the simulator's truth: the worst corner is {error_px:.3f} px off.\n"
        f"The network was trained from scratch for {TRAIN_MINUTES:g} minutes on drawn people: its AP is poor and says\n"
        "nothing about the method; the published numbers took hours of training on real pairs.\n"
        f"  contact sheet   {data / 'contact_sheet.png'}\n"
        f"  Table 1         {data / 'table1.json'}\n"
        f"  alignment       {workspace.alignments / 'align-001' / 'checkerboard.png'}\n"
        f"  loss curve      {run / 'loss.png'}\n"
        f"  predictions     {run / 'predictions.png'}\n"
        f"  Table 2         {run / 'table.txt'}\n"
        f"  everything      {lab / 'demo.json'}"
    )
