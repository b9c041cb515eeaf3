"""What a benchmark says of the machine it ran on."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path


def machine() -> str:
    """What it ran on; the load tells whether it had the machine to itself."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}"


def rss_bytes() -> int:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
