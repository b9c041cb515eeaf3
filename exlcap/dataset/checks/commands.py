"""``exlcap validate`` and ``exlcap stats``."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import counted, json_option, result
from exlcap.core.errors import ExlcapError


@click.command("validate")
@click.argument("path", metavar="PATH")
@click.option("--fix", "fix_to", type=click.Path(path_type=Path), metavar="OUT", help="Write a corrected copy here.")
@json_option
@click.pass_context
def validate_command(ctx: click.Context, path: str, fix_to: Path | None, as_json: bool) -> None:
    """Name every defect of a data set or a COCO keypoint file.

    PATH is the name or folder of a data set, or any COCO keypoint file in CrowdPose order. Exits with code 1 when there
    are errors. --fix writes a copy in which ids, areas, counts and joints outside the image are corrected and
    missing or damaged files of the data card are written anew, and lists every change.

    \b
    Example:
      exlcap validate main
      exlcap validate ExLPose_test_LL-All.json --fix mended.json
    """
    from dataclasses import asdict

    from exlcap.dataset.checks.fix import Change, fix_dataset, fix_file
    from exlcap.dataset.checks.validate import counts, find_all, findings_text, read_subject

    target = _resolved(ctx, path)
    subject = read_subject(target)
    findings = find_all(subject)
    text = findings_text(subject, findings)
    changes: list[Change] = []
    if fix_to is not None:
        changes = fix_file(subject.files[0], fix_to) if target.is_file() else fix_dataset(target, subject.files, fix_to)
        lines = [f"  {c.place()}: {c.text}" for c in changes]
        text = "\n".join([text, f"{counted(len(changes), 'change')} in {fix_to}:", *lines])
    data = {
        "path": str(target),
        "counts": counts(findings),
        "findings": [finding.as_json() for finding in findings],
        "fixed": None if fix_to is None else str(fix_to),
        "changes": [asdict(change) for change in changes],
    }
    result(text, data, as_json)
    ctx.exit(1 if any(finding.severity == "error" for finding in findings) else 0)


def _resolved(ctx: click.Context, path: str) -> Path:
    """The data set or file that PATH stands for; a name needs a workspace, a path does not."""
    from exlcap.dataset.checks.validate import resolve

    try:
        datasets = workspace_of(ctx).root / "datasets"
    except ExlcapError:
        datasets = None
    return resolve(path, datasets)


@click.command("stats")
@click.argument("path", metavar="PATH")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write plots here.")
@json_option
@click.pass_context
def stats_command(ctx: click.Context, path: str, plots: Path | None, as_json: bool) -> None:
    """Describe a data set or a COCO keypoint file in numbers and plots.

    Table 1 (of a data set), visibility of every joint, people per image, box sizes, exposures and gains.

    \b
    Example:
      exlcap stats main --plots .
      exlcap stats ExLPose_test_LL-All.json --json
    """
    from exlcap.dataset.checks.validate import annotation_files_of
    from exlcap.dataset.manifest import read_complete
    from exlcap.dataset.stats import stats_json, stats_of, stats_text

    target = _resolved(ctx, path)
    stats = stats_of(annotation_files_of(target), None if target.is_file() else read_complete(target))
    text, picture = stats_text(stats), None
    if plots is not None:
        from exlcap.dataset.plots import write_plots

        picture = plots / f"stats-{target.stem}.png"
        write_plots(picture, stats, target.stem)
        text += f"\n\nwrote {picture}"
    result(text, {**stats_json(stats), "plots": None if picture is None else str(picture)}, as_json)
