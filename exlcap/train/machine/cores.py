"""How torch uses the cores of the machine; to be set before torch is imported."""

from __future__ import annotations

import os


def share_cores() -> None:
    """Let torch's threads sleep while they wait for each other; to be called before torch is imported.

    By default they spin, which makes training beside any other busy process ten times slower (measured on 2 cores).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
