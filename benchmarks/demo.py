"""Seconds per stage of the demo. ``python benchmarks/demo.py [--json]``

Runs `exlcap demo` in a temporary folder. Not measured: installation, and anything with real cameras.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

AIM_SECONDS = 360.0
PACKAGES = ("torch", "numpy", "opencv-python-headless", "pypylon", "pycocotools")


def main() -> None:
    """Run the demo once and print what its stages took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "exlcap", "demo", folder]
        subprocess.run(command, check=True, stdout=sys.stderr if as_json else None)
        summary = json.loads((Path(folder) / "lab-001" / "demo.json").read_text(encoding="utf-8"))
    total = summary["seconds_total"]
    print(
        json.dumps(
            {
                "machine": summary["machine"],
                "versions": {"exlcap": summary["exlcap"], **{name: version(name) for name in PACKAGES}},
                "figures": {"seconds": summary["seconds"], "worst_corner_error_px": summary["worst_corner_error_px"]},
                "bars": {"demo_seconds": {"value": total, "aim": AIM_SECONDS, "ok": total <= AIM_SECONDS}},
                "not_measured": "installation; real cameras",
            },
            indent=None if as_json else 1,
        )
    )


if __name__ == "__main__":
    main()
