"""The FiftyOne App, served on this machine only until it is stopped."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from exlcap.annotate.review.keeper import kept
from exlcap.annotate.review.mongo import ADDRESS, environment, free_port
from exlcap.annotate.review.schema import NAME
from exlcap.annotate.review.server import KEY, cookie_name
from exlcap.core.console import say
from exlcap.core.errors import ExlcapError

APP_PORT = 5151
"""FiftyOne's own port; if it is in use, another free one is taken."""
START_SECONDS = 120


@dataclass(frozen=True)
class App:
    """A server of the App, possibly still starting. key: what a browser must present."""

    port: int
    key: str
    log: Path
    process: subprocess.Popen[bytes]


@contextmanager
def app_on(folder: Path, uri: str) -> Iterator[App]:
    """The App on the database at `uri`: started here, and stopped at the end of the block. Its log goes to `folder`."""
    port, key, log = free_port(APP_PORT), secrets.token_urlsafe(24), folder / "app.log"
    command = (sys.executable, "-m", "exlcap.annotate.review.server", port)
    with kept(command, log, {**environment(uri), KEY: key}) as process:
        yield App(port, key, log, process)


def serve(app: App, pair: str) -> None:
    """Wait until the App answers, print its address, which opens `pair`, and return after Ctrl-C or SIGTERM.

    Raises ExlcapError when the App does not start, or ends by itself.
    """
    _wait_until_ready(app)
    say(
        f"review: http://{ADDRESS}:{app.port}/datasets/{NAME}?key={app.key}{pair}\n"
        "  from another machine: ssh -L {0}:{1}:{0} and the same address; Ctrl-C stops".format(app.port, ADDRESS)
    )
    try:
        code = app.process.wait()
    except KeyboardInterrupt:
        say("stopped; every edit is saved. Run `exlcap review pull` to bring them to the labels")
        return
    raise ExlcapError(f"the App ended by itself (exit code {code}), see {app.log}", "run it again; every edit is saved")


def least_certain(samples: Any, scene: str | None) -> str:
    """The part of the App's address that opens the undecided pair with the lowest joint score; may be empty.

    samples: the collection of the samples of the review data set. scene: only its pairs.
    """
    wanted = {"group.name": "well", "review": "undecided", **({"scene": scene} if scene else {})}
    first = samples.find_one(wanted, ["group"], sort=[("lowest_score", 1), ("pair_id", 1)])
    # besides the group's, the sample's id tells operators which sample is open
    return f"&slice=well&groupId={first['group']['_id']}&id={first['_id']}" if first else ""


def stop_on_signals() -> None:
    """Make Ctrl-C and SIGTERM end this process cleanly.

    A shell starts background jobs with SIGINT ignored.
    """
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait_until_ready(app: App) -> None:
    cookie = {"Cookie": f"{cookie_name(app.port)}={app.key}"}
    request = urllib.request.Request(f"http://{ADDRESS}:{app.port}/fiftyone", headers=cookie)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if app.process.poll() is not None or time.monotonic() > deadline:
                raise ExlcapError(
                    f"FiftyOne's App did not start (exit code: {app.process.poll()})", f"see {app.log}"
                ) from None
            time.sleep(0.1)
