"""Pairs per second and core of `exlcap build`, next to the bare OpenCV calls. ``python benchmarks/build.py [--json]``

Bare is what any build must do: two demosaics, one warp, two PNG writes, on the same frames of the same pictures, on
one thread. Both run on one core, interleaved, and the medians of their seconds a pair are compared. Then whole pairs on
1 thread and on as many as there are cores, by the clock on the wall: that figure holds on a quiet machine only, so the
share of the cores that was ours is printed beside it. Not measured: disks slower than this machine's, real frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from exlcap.core.alignment import Alignment
from exlcap.core.develop import Development, Rgb8, to_srgb
from exlcap.core.rig import LIGHTS, Rig, Setting, read_rig
from exlcap.core.take import Step, encode_raw, read_raw
from exlcap.dataset.images import linear_image, write_png
from exlcap.init import rig_toml
from exlcap.simulate.optics import true_alignment
from exlcap.simulate.rendering import Pulse, render_step

AIM = 0.8
ROUNDS = 8
THREADED_PAIRS = 16


def frames(folder: Path) -> tuple[Rig, list[tuple[Path, Path]]]:
    """Simulated pairs at the camera's full size, as raw files: paths of bright and dark frames."""
    text = rig_toml(emulated=True).replace("width = 960", "width = 1920").replace("height = 600", "height = 1200")
    (folder / "rig.toml").write_text(text, encoding="utf-8")
    rig = read_rig(folder / "rig.toml")
    step = Step(k=4, well=Setting(exposure_us=250, gain_db=12.04), low=Setting(exposure_us=250, gain_db=3.4))
    paths = []
    for pulse in render_step(rig, "plaza", 1, step, 0, 2):
        paths.append((_write(folder, pulse, "well"), _write(folder, pulse, "low")))
    return rig, paths


def _write(folder: Path, pulse: Pulse, light: str) -> Path:
    path = folder / f"{pulse.index}.{light}.tif"
    path.write_bytes(encode_raw(getattr(pulse, light), {}))
    return path


def bare(paths: tuple[Path, Path], alignment: Alignment, out: Path, pictures: dict[str, Rgb8]) -> None:
    """The least that gives two aligned 8-bit pictures: read, demosaic, warp, write.

    Written are the pictures of `ours`, as PNG takes as long as its content is noisy.
    """
    x, y, width, height = alignment.crop
    shift = np.array([[1.0, 0, -x], [0, 1.0, -y], [0, 0, 1.0]])
    _, low = (cv2.cvtColor(read_raw(path) << np.uint16(4), cv2.COLOR_BayerBG2BGR) for path in paths)
    cv2.warpPerspective(low, shift @ alignment.low_to_well, (width, height))
    for light, picture in pictures.items():
        cv2.imwrite(str(out / f"{light}.png"), picture)


def ours(paths: tuple[Path, Path], alignment: Alignment, out: Path) -> dict[str, Rgb8]:
    """What `exlcap build` does for a pair. Returns its pictures."""
    pictures = {}
    for light, path in zip(LIGHTS, paths, strict=True):
        how = Development(60, demosaic="malvar" if light == "well" else "bilinear")
        linear = linear_image(read_raw(path), light, how, alignment, "well")
        pictures[str(light)] = to_srgb(linear)
        write_png(out / f"{light}.png", pictures[light])
    return pictures


def in_threads(count: int, pairs: Sequence[tuple[Path, Path]], alignment: Alignment, folder: Path) -> dict[str, float]:
    """Pairs per second of `ours` on `count` threads, by wall clock, and the mean number of cores it kept busy."""
    outs = [folder / f"thread-{n}" for n in range(THREADED_PAIRS)]
    for out in outs:
        out.mkdir(exist_ok=True)
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda n: ours(pairs[n % len(pairs)], alignment, outs[n]), range(THREADED_PAIRS)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"pairs_per_s": round(THREADED_PAIRS / wall, 2), "cores_kept_busy": round(cpu / wall, 2)}


def cpu_seconds(work: Callable[[], object]) -> float:
    """Process CPU time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Time both, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    cv2.setNumThreads(1)
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rig, pairs = frames(folder)
        alignment = true_alignment(rig)
        made = {paths: ours(paths, alignment, folder) for paths in pairs}
        for _ in range(ROUNDS):
            for paths in pairs:
                seconds["bare"].append(cpu_seconds(lambda p=paths: bare(p, alignment, folder, made[p])))
                seconds["ours"].append(cpu_seconds(lambda p=paths: ours(p, alignment, folder)))
        threads = {n: in_threads(n, pairs, alignment, folder) for n in sorted({1, os.cpu_count() or 1})}
    rate = {label: 1 / statistics.median(values) for label, values in seconds.items()}
    ratio = rate["ours"] / rate["bare"]
    print(
        json.dumps(
            {
                "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
                "versions": {name: version(name) for name in ("exlcap", "numpy", "opencv-python-headless")},
                "figures": {
                    "pairs_per_s_per_core": rate,
                    "size": [1920, 1200],
                    "clock": "process CPU time",
                    "threads": threads,
                    "load_before": load,
                },
                "bars": {"build_against_bare_opencv": {"value": round(ratio, 3), "aim": AIM, "ok": ratio >= AIM}},
                "not_measured": "real frames; slow disks",
            },
            indent=None if as_json else 1,
        )
    )


if __name__ == "__main__":
    main()
