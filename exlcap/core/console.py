"""What commands print: progress and remarks to standard error, results to standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click


def say(text: str) -> None:
    """Print a line for the person at the terminal (standard error)."""
    click.echo(text, err=True)


def result(text: str, data: Any, as_json: bool) -> None:
    """Print what the command was asked for (standard output): text, or one JSON object with ``--json``."""
    click.echo(json.dumps(data, allow_nan=False) if as_json else text)


def counted(count: int, noun: str) -> str:
    """A count with its noun, for people: "1 orphan", "2 orphans". noun: one whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@contextmanager
def progress(label: str, total: int, limit_s: float | None = None) -> Iterator[Callable[[str], None]]:
    """Show progress over `total` steps; call the yielded function once per step, with a remark.

    A bar on a terminal; elsewhere a plain line at most every 10 s, so that logs stay readable. Both show the time left.
    limit_s: the work ends after this many seconds at the latest.
    """
    began = last = time.monotonic()
    done = 0

    def stepped(remark: str) -> str:
        nonlocal done
        done += 1
        spent_s = time.monotonic() - began
        left_s = min(spent_s / done * (total - done), float("inf") if limit_s is None else max(limit_s - spent_s, 0))
        return f"{timedelta(seconds=round(left_s))} left {remark}".rstrip()

    if sys.stderr.isatty():
        with click.progressbar(
            length=total, label=label, file=sys.stderr, show_eta=False, item_show_func=lambda text: text
        ) as bar:
            yield lambda remark: bar.update(1, stepped(remark))
        return

    def step(remark: str) -> None:
        nonlocal last
        text = stepped(remark)
        if time.monotonic() - last >= 10 and done < total:
            last = time.monotonic()
            say(f"{label}: {done}/{total}, {text}")

    yield step


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
