"""Runs a process that must not outlive its parent: ``python -m exlcap.annotate.review.keeper COMMAND...``.

The parent holds the other end of standard input. However it ends, even by kill -9, that pipe closes and the process is
terminated; a Ctrl-C meant for the parent does not reach it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

STOP_SECONDS = 30


@contextmanager
def kept(
    command: Sequence[str | Path | int], log: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the end of the block, or of this process. Yields the process that keeps it.

    log: receives what the command prints. environment: added to that of this process.
    """
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for the parent, which stops this process when it no longer needs it
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(STOP_SECONDS)


def main() -> None:
    """Run the command until it ends by itself or standard input closes; exit with its code."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_stop_with_parent, args=(process,), daemon=True).start()
    sys.exit(process.wait())


def _stop_with_parent(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        pass
    process.terminate()


if __name__ == "__main__":
    main()
