"""How well the drift check finds a knock against the rig. ``python benchmarks/drift.py [--json] [--scenes N]``

Before each scene (furnished, bare, low in texture) the dark camera is mounted anew, then knocked: shift, turn, zoom,
tilt or a mixture, of 0.2 to 20 px at the worst corner, or not at all. Mean of 2 frames at 1/100 of the light, in which
nothing moves. Per kind and size: median and worst error, the share within 0.1 px or 10 %, how many larger than the
limit were called small, error over standard deviation, and CPU seconds. Not measured: real cameras, lens distortion.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from exlcap.align.measure_drift import drift_between
from exlcap.core.alignment import apply_homography, compose, image_corners, make_alignment
from exlcap.core.drift import DRIFT_LIMIT_PX
from exlcap.core.rig import Setting
from exlcap.simulate.canvas import SUPERSAMPLING, Canvas, Irradiance, focus, sampler
from exlcap.simulate.knock import KNOCKS, knocked
from exlcap.simulate.scenery import Place, empty_scene
from exlcap.simulate.sensor import SensorModel, expose

MODEL = SensorModel(black_level_dn=60)
MARGIN_PX = 40
SIZES_PX = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
KINDS = ("furnished", "bare", "low in texture")
FRAMES = 2
Mean = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Trial:
    """One knock. found_px, sd_px: None where it could not be told. corner_error_px: of the corner that is worst off."""

    scene: str
    knock: str
    true_px: float
    found_px: float | None
    sd_px: float | None
    corner_error_px: float | None
    judgement: str
    cpu_s: float

    @property
    def within_bounds(self) -> bool:
        """Whether it was found within 0.1 px or a tenth."""
        return self.found_px is not None and abs(self.found_px - self.true_px) <= max(0.1, 0.1 * self.true_px)


def scene_light(number: int, size: tuple[int, int]) -> tuple[Canvas, Irradiance]:
    """A scene on a canvas that is wide enough for every knock."""
    kind = KINDS[number % len(KINDS)]
    width, height = ((side + 2 * MARGIN_PX) * SUPERSAMPLING + 1 for side in size)
    canvas = Canvas(-MARGIN_PX, -MARGIN_PX, width, height)
    light = empty_scene(Place((number, 9), size, canvas, reference=kind == "furnished")).irradiance
    if kind == "low in texture":
        soft = cv2.GaussianBlur(light, (0, 0), 16)
        light = soft + np.float32(0.15) * (light - soft)
    return canvas, focus(light)


def mean_frame(mosaic: Irradiance, gain_db: float, transmittance: float, rng: np.random.Generator) -> Mean:
    """Mean of raw frames of 1 ms."""
    setting = Setting(exposure_us=1000, gain_db=gain_db)
    frames = [expose(mosaic, MODEL.electrons_per_us(), setting, transmittance, MODEL, rng) for _ in range(FRAMES)]
    return np.mean(frames, axis=0, dtype=np.float32)


def trials_of(number: int, size: tuple[int, int]) -> list[Trial]:
    """Every knock before one scene."""
    canvas, light = scene_light(number, size)
    mounted = knocked("mixture", 8.0, size, 1000 + number)
    alignment = make_alignment(mounted, True, size, size, "benchmark", "now")
    well_light = sampler(canvas, np.eye(3), size).mosaic(light)
    corners = image_corners(size)
    done = []
    plan = [("none", 0.0)] * 5 + [(kind, px) for kind in KNOCKS for px in SIZES_PX]
    for index, (kind, true_px) in enumerate(plan):
        seed = 1000 * number + index
        motion = knocked(kind, true_px, size, seed) if true_px else np.eye(3)  # type: ignore[arg-type]
        low_light = sampler(canvas, compose(motion @ mounted, True, size[0]), size).mosaic(light)
        rng = np.random.default_rng([seed, 2])
        well, low = mean_frame(well_light, 0, 1.0, rng), mean_frame(low_light, 3.4, 0.01, rng)
        begin = time.process_time()
        drift = drift_between(well, low, MODEL.black_level_dn, "benchmark", alignment)
        cpu_s = time.process_time() - begin
        moves = apply_homography(motion, corners) - corners
        error = None if drift.corners_px is None else np.linalg.norm(np.array(drift.corners_px) - moves, axis=1).max()
        name = KINDS[number % len(KINDS)]
        done.append(
            Trial(name, kind, true_px, drift.px, drift.corner_sd_px, None if error is None else float(error),
                  drift.judgement, cpu_s)
        )  # fmt: skip
    return done


def row(trials: list[Trial]) -> dict[str, object]:
    """Figures of some trials."""
    errors = [abs(trial.found_px - trial.true_px) for trial in trials if trial.found_px is not None]
    ratios = [trial.corner_error_px / trial.sd_px for trial in trials if trial.corner_error_px and trial.sd_px]
    false_small = [t for t in trials if t.true_px > DRIFT_LIMIT_PX and t.judgement == "within"]
    false_alarms = [t for t in trials if t.true_px <= DRIFT_LIMIT_PX and t.judgement == "beyond"]
    return {
        "tried": len(trials),
        "not_told": len(trials) - len(errors),
        "median_error_px": round(float(np.median(errors)), 3) if errors else None,
        "worst_error_px": round(max(errors), 3) if errors else None,
        "within_bounds": round(sum(trial.within_bounds for trial in trials) / len(trials), 3),
        "false_small": len(false_small),
        "false_alarms": len(false_alarms),
        "left_open": sum(trial.judgement == "open" for trial in trials),
        "error_over_sd_median": round(float(np.median(ratios)), 2) if ratios else None,
        "error_over_sd_max": round(max(ratios), 2) if ratios else None,
        "cpu_s_median": round(float(np.median([trial.cpu_s for trial in trials])), 2),
        "cpu_s_max": round(max(trial.cpu_s for trial in trials), 2),
    }


def table(trials: list[Trial]) -> dict[str, dict[str, object]]:
    """Figures by kind and size, by scene, and of all."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        for name in (f"{trial.knock} {trial.true_px:g} px", trial.scene, "all"):
            groups.setdefault(name, []).append(trial)
    return {name: row(groups[name]) for name in sorted(groups)}


def main() -> None:
    """Run the trials, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object on one line, every trial included")
    parser.add_argument("--scenes", type=int, default=3, help="scenes to try, with 40 knocks each (default 3)")
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--width", type=int, default=960, help="of the frames in pixels (default 960)")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    size = (asked.width, asked.width * 5 // 8)
    done: list[Trial] = []
    for number in range(asked.first, asked.first + asked.scenes):
        done += trials_of(number, size)
        print(f"scene {number}: {len(done)} trials done", file=sys.stderr, flush=True)
    if asked.json:
        print(json.dumps({"size": size, "figures": table(done), "trials": [asdict(trial) for trial in done]}))
        return
    for name, figures in table(done).items():
        print(f"{name:<18} " + "  ".join(f"{key} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
