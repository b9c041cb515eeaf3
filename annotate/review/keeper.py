"""Runs a process that must not outlive its parent: ``python -m exlcap.annotate.review.keeper COMMAND...``.

The parent holds the other end of standard input. However it ends, kill -9 included, that pipe closes and the process
is asked to stop; a Ctrl-C meant for the parent does not reach it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


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
