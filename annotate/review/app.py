"""The FiftyOne App, served to this machine alone until somebody stops it."""

from __future__ import annotations

import signal
from types import FrameType, ModuleType
from typing import Any

from exlcap.annotate.review.mongo import ADDRESS, free_port
from exlcap.console import say

APP_PORT = 5151
"""FiftyOne's own; another free one is taken where it is in use."""


def serve(fo: ModuleType, dataset: Any) -> None:
    """Open the App on the data set and print its address, with the least certain undecided pair open.

    Returns after Ctrl-C or SIGTERM.
    """
    port = free_port(APP_PORT)
    for stop in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background with SIGINT ignored
        signal.signal(stop, _interrupt)
    session = None
    try:
        session = fo.launch_app(dataset, address=ADDRESS, port=port, remote=True)
        say(
            f"review: http://{ADDRESS}:{port}/datasets/{dataset.name}{least_certain(dataset)}\n"
            "  from another machine: ssh -L {0}:{1}:{0} and the same address; Ctrl-C stops".format(port, ADDRESS)
        )
        session.wait(-1)
    except KeyboardInterrupt:
        say("stopped; every edit is saved. Bring them to the labels with `exlcap review pull`")
    finally:
        if session is not None:
            session.close()


def least_certain(dataset: Any) -> str:
    """The part of the App's address that opens the undecided pair whose joint has the lowest score; may be empty."""
    from fiftyone import ViewField

    undecided = dataset.select_group_slices("well").match(ViewField("review") == "undecided").sort_by("lowest_score")
    first = undecided.first() if len(undecided) else None
    return f"?slice=well&groupId={first.group.id}" if first is not None else ""


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
