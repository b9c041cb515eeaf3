"""What commands print: progress and remarks to standard error, results to standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


def say(text: str) -> None:
    """A line for the person at the terminal (standard error)."""
    click.echo(text, err=True)


def result(text: str, data: Any, as_json: bool) -> None:
    """What the command was asked for (standard output): text for people, or one JSON object with ``--json``."""
    click.echo(json.dumps(data, allow_nan=False) if as_json else text)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """Progress over `total` steps; call what is given once a step, with a remark.

    A bar on a terminal; elsewhere a plain line at most every 10 s, so that logs stay readable. Both tell what is left.
    """
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=label, file=sys.stderr, item_show_func=lambda r: r) as bar:
            yield lambda remark: bar.update(1, remark)
        return
    done, last = 0, time.monotonic()
    began = last

    def step(remark: str) -> None:
        nonlocal done, last
        done += 1
        if time.monotonic() - last >= 10 and done < total:
            last = time.monotonic()
            left_s = (last - began) / done * (total - done)
            say(f"{label}: {done}/{total}, {left_s:.0f} s left {remark}".rstrip())

    yield step


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
