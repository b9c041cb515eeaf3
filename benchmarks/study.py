"""Does the method work? The paper's methods on simulated pairs. ``python benchmarks/study.py [--json]``

Photographs with labelled people become pairs with `exlcap simulate` (three darknesses each, all test splits present).
Then a small network is trained from scratch by each method, under both input normalisations and several seeds, and
`ours` at several LUPI weights; everything else is the `small` preset with the values below. Each network's last
averaged weights are judged with ground-truth boxes and flip test; nothing is chosen by a test split, nor by the
validation split.

Every finished run is a row in rows.json in the work folder, and an unfinished one goes on from its checkpoint, so the
study can be stopped and called again. The tables are written between the two marks of docs/results.md; what is said
around them is written by hand. A run takes about 15 minutes of one core; --jobs 2 trains two networks side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT.parent / "shared" / "data" / "people"
MARKS = ("<!-- study: begin -->", "<!-- study: end -->")
METHODS = ("baseline-low", "baseline-well", "baseline-all", "lsbn", "ours")
ORDER = ("baseline-all", "lsbn", "ours", "baseline-low", "baseline-well")
NORMALISATIONS = ("equal", "official")
COMPARED = (("lsbn", "baseline-all"), ("ours", "baseline-all"), ("ours", "lsbn"))
APART = ("baseline-all", "lsbn")
WEIGHT = 0.1
"""Of the LUPI loss, `relative`, in the runs that are not of the sweep: the small preset's."""
SWEEP = (0.01, 1.0, 10.0)
SPLITS = ("LL-N", "LL-H", "LL-E", "LL-A", "WL")
OKS_SPLITS = ("LL-A", "WL")
PAIRS_PER_PHOTO = 3
SETTINGS = {
    "model": {"height": 128, "width": 96, "base_channels": 24},
    "optim": {"ema": 0.99, "pictures_every": 0},
    "machine": {"precision": "bf16"},
}
RESAMPLES = 2000


@dataclass(frozen=True)
class Run:
    """One network to be trained."""

    method: str
    normalisation: str
    weight: float
    seed: int
    shared_bn: str = "together"

    @property
    def name(self) -> str:
        """Name of its folder and of its row."""
        weight = f"-w{self.weight:g}".replace(".", "_") if self.method == "ours" else ""  # no dots in names of runs
        apart = "-apart" if self.shared_bn == "apart" else ""
        return f"{self.method}-{self.normalisation}{apart}{weight}-s{self.seed}"


def plan(seeds: Sequence[int]) -> list[Run]:
    """All runs, what matters most first, so that a study cut short can be read: the methods seed by seed, the LUPI
    weights, and two methods with the BatchNorms of the official code's two passes.
    """
    runs = [Run(m, n, WEIGHT, seed) for seed in seeds for m in ORDER for n in NORMALISATIONS]
    runs += [Run("ours", n, weight, seed) for n in NORMALISATIONS for seed in seeds for weight in SWEEP]
    return runs + [Run(m, "official", WEIGHT, seed, "apart") for seed in seeds for m in APART]


def make_data(work: Path, photos: Path) -> Path:
    """The workspace with the simulated data set `people`, made if it is not there."""
    lab = work / "lab"
    exlcap = [sys.executable, "-m", "exlcap"]
    if not lab.exists():
        subprocess.run([*exlcap, "init", "--emulated", str(lab)], check=True)
    if not (lab / "datasets" / "people").exists():
        subprocess.run(
            [*exlcap, "-C", str(lab), "simulate", "--photos", str(photos / "images"), "--labels",
             str(photos / "train.json"), "--test-labels", str(photos / "test.json"), "--name", "people",
             "--pairs-per-photo", str(PAIRS_PER_PHOTO)], check=True,
        )  # fmt: skip
    return lab


def train_and_judge(lab: Path, run: Run, epochs: int) -> dict[str, Any]:
    """Train one network, or go on with it, and judge its last weights on all test splits."""
    began = time.process_time()
    from exlcap.train.loop import train
    from exlcap.train.prepare import new_config, new_run, resumed_run
    from exlcap.train.results.evaluate import EvalProtocol, judge, read_tests
    from exlcap.train.results.precision import oks
    from exlcap.train.results.trained import load_best

    config = new_config(
        "small",
        None,
        {
            "data": "people", "method": run.method, "seed": run.seed,
            "input": {"normalisation": run.normalisation}, "lupi": {"weight": run.weight},
            "model": {**SETTINGS["model"], "shared_bn": run.shared_bn},
            "optim": {**SETTINGS["optim"], "epochs": epochs, "validate_every": epochs},
            "machine": SETTINGS["machine"],
        },
    )  # fmt: skip
    folder, data_folder = lab / "runs" / run.name, lab / "datasets" / "people"
    data = (resumed_run if folder.exists() else new_run)(folder, config, data_folder)
    state = train(folder, config, data)
    judged = judge(load_best(folder), data_folder, read_tests(data_folder), EvalProtocol())
    similarity = {
        name: {
            f"{person.pair_id}": round(oks(joints, person.keypoints, person.box), 4)
            for person, joints in zip(part.people, part.predictions.joints, strict=True)
        }
        for name, part in judged.items()
    }
    return {
        **asdict(run),
        "seconds": round(state.seconds, 1),
        "cpu_s": round(time.process_time() - began, 1),
        "val_ap": state.best_ap,
        "ap": {name: round(part.scores.ap, 3) for name, part in judged.items()},
        "oks": {name: similarity[name] for name in OKS_SPLITS},
        "gradient": gradient_share(state.model, data.train, config) if run.method == "ours" else None,
    }


def trained(lab: Path, runs: Sequence[Run], epochs: int, jobs: int) -> Iterator[dict[str, Any]]:
    """Rows of the runs as they are done, each made by one thread in one of `jobs` processes."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        try:
            for future in as_completed([pool.submit(train_and_judge, lab, run, epochs) for run in runs]):
                row = future.result()
                name = Run(**{key: row[key] for key in Run.__dataclass_fields__}).name
                print(name, row["ap"], f"{row['cpu_s']:.0f} s of processor time", file=sys.stderr, flush=True)
                yield row
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what is in training is finished and kept, the rest is not begun
            raise


def gradient_share(model: Any, people: Any, config: Any) -> float:
    """Norm of the weighted LUPI loss's gradient over that of the pose losses', in the backbone, on one batch."""
    from exlcap.train.data.batches import epoch_batches
    from exlcap.train.losses.lupi import batch_lupi
    from exlcap.train.step import batch_losses

    batch = next(epoch_batches(people, config, 0))
    model.train()
    weights = list(model.backbone.parameters())
    losses = batch_losses(model, batch, config)
    pose = torch.autograd.grad(losses.parts["low"] + losses.parts["well"], weights)
    lupi = config.lupi.weight * batch_lupi(model(batch.images, batch.n_low).features, batch.n_low, config)
    return _norm(torch.autograd.grad(lupi, weights, allow_unused=True)) / _norm(pose)


def official_gradient_share(lab: Path) -> float:
    """The same for `--preset official` at full size before its first step, from scratch.

    Measured on four pairs and taken times 8, since its LUPI loss is a sum over the batch of 32.
    """
    from exlcap.train.data.batches import PairCrop
    from exlcap.train.data.crops import crop_people
    from exlcap.train.data.people import read_split
    from exlcap.train.networks.pose_net import build_model
    from exlcap.train.prepare import new_config

    config = new_config(
        "official", None, {"data": "people", "model": {"backbone_weights": "none"}, "optim": {"batch": 4}}
    )
    split = read_split(lab / "datasets" / "people", "train")
    assert split is not None
    low, well = (
        crop_people(lab / "datasets" / "people", [getattr(pair, light) for pair in split.pairs[:4]], config.size,
                    config.input)
        for light in ("low", "well")
    )  # fmt: skip
    people = [PairCrop(a, b) for a, b in zip(low, well, strict=True)]
    return 8 * gradient_share(build_model(config.model, config.method.lsbn, 0), people, config)


def _norm(gradients: tuple[torch.Tensor | None, ...]) -> float:
    return float(sum(g.double().square().sum() for g in gradients if g is not None) ** 0.5)


Rows = list[dict[str, Any]]


def of(rows: Rows, method: str, normalisation: str, weight: float = WEIGHT, shared_bn: str = "together") -> Rows:
    """Rows of one method under one normalisation, one for each seed that is done, in order of seeds."""
    wanted = (method, normalisation, weight, shared_bn)
    found = [row for row in rows if tuple(row[k] for k in ("method", "normalisation", "weight", "shared_bn")) == wanted]
    return sorted(found, key=lambda row: int(row["seed"]))


def cell(values: list[float]) -> str:
    """Mean, and how far the seeds lie from it at most."""
    mean = sum(values) / len(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ± {max(abs(v - mean) for v in values):.1f}"


def line(label: str, rows: Rows) -> str:
    """A row of a table: AP by split, mean OKS x 100, and how many seeds there are."""
    cells = [cell([row["ap"][split] for row in rows]) for split in SPLITS]
    cells += [cell([100 * float(np.mean(list(row["oks"][split].values()))) for row in rows]) for split in OKS_SPLITS]
    return f"| {label} | " + " | ".join(cells) + f" | {len(rows)} |"


def gains(label: str, rows: Rows, base: Rows) -> str:
    """A row of AP over that of `base`, seed by seed, and the 95 % interval of the difference of mean OKS x 100.

    The interval is of the choice of test photographs (bootstrap over photographs, seeds averaged), not of seeds.
    """
    seeds = sorted({row["seed"] for row in rows} & {row["seed"] for row in base})
    mine, other = ({row["seed"]: row for row in some} for some in (rows, base))
    cells = [" / ".join(f"{mine[s]['ap'][split] - other[s]['ap'][split]:+.1f}" for s in seeds) for split in SPLITS]
    for split in OKS_SPLITS:
        pairs = list(mine[seeds[0]]["oks"][split])
        per_pair = [np.mean([mine[s]["oks"][split][p] - other[s]["oks"][split][p] for s in seeds]) for p in pairs]
        photos = np.unique([pair.rsplit("-", 3)[0] for pair in pairs], return_inverse=True)[1]
        sums, counts = np.bincount(photos, per_pair), np.bincount(photos)
        drawn = np.random.default_rng([0]).integers(0, len(sums), (RESAMPLES, len(sums)))
        low, high = np.percentile(100 * sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
        cells.append(f"{low:+.1f} to {high:+.1f}")
    return f"| {label} | " + " | ".join(cells) + f" | {len(seeds)} |"


HEAD = "| | " + " | ".join(SPLITS) + " | OKS LL-A | OKS WL | seeds |\n|---|" + "---|" * (len(SPLITS) + 3)


def method_tables(rows: Rows, normalisation: str, shared_bn: str = "together") -> list[str]:
    """AP of the methods under one normalisation, and what LSBN and `ours` gain over baseline-all."""
    found = {m: some for m in METHODS if (some := of(rows, m, normalisation, shared_bn=shared_bn))}
    if not found:
        return []
    title = f"`{normalisation}` normalisation" + (", `shared_bn = apart`" if shared_bn == "apart" else "")
    lines = ["", f"**AP, {title}** (mean of seeds ± the farthest seed)", "", HEAD]
    lines += [line(f"`{method}`", some) for method, some in found.items()]
    pairs = [(m, base) for m, base in COMPARED if m in found and base in found]
    if pairs:
        lines += ["", f"AP seed by seed, and 95 % intervals of the difference of mean OKS, {title}", "", HEAD]
    return lines + [gains(f"`{m}` over `{base}`", found[m], found[base]) for m, base in pairs]


def tables(about: dict[str, Any], rows: Rows) -> str:
    """Everything measured, as Markdown."""
    lines = [f"Measured with {about['machine']}, {about['epochs']} epochs, {len(rows)} runs."]
    for normalisation in NORMALISATIONS:
        lines += method_tables(rows, normalisation)
    lines += method_tables(rows, "official", "apart")
    lines += ["", "**LUPI weight** (`ours`, `relative`; 0 is `lsbn`)", "", HEAD]
    for normalisation in NORMALISATIONS:
        for weight in sorted({0.0, WEIGHT, *SWEEP}):
            some = of(rows, "ours", normalisation, weight) if weight else of(rows, "lsbn", normalisation)
            if some:
                lines.append(line(f"{normalisation}, {weight:g}", some))
    shares = sorted({(row["weight"], row["normalisation"]) for row in rows if row["gradient"] is not None})
    if shares:
        lines += ["", "**Size of the weighted LUPI gradient** over the pose losses' in the backbone, one batch, end of "
                  f"training (`--preset official` before its first step: {about['official_gradient']:.0e})", "",
                  "| weight | normalisation | share |", "|---|---|---|"]  # fmt: skip
        for weight, normalisation in shares:
            values = [row["gradient"] for row in of(rows, "ours", normalisation, weight)]
            lines.append(f"| {weight:g} | {normalisation} | {sum(values) / len(values):.2g} |")
    return "\n".join(lines)


def machine() -> str:
    """What it was measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"torch {version('torch')}, one thread a run, on {cpu} ({os.cpu_count()} cores)"


def main() -> None:
    """Run what is not yet done, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="folder with images/, train.json and test.json")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "study", help="where everything is kept")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--jobs", type=int, default=1, help="networks trained side by side, one thread each")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "results.md")
    parser.add_argument("--only-report", action="store_true", help="train nothing more")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = options.work / "rows.json"
    about = {"epochs": options.epochs, "settings": SETTINGS, "machine": machine()}
    if path.exists():
        kept = json.loads(path.read_text())
        if [kept["about"][key] for key in ("epochs", "settings")] != [about["epochs"], about["settings"]]:
            raise SystemExit(f"{path} is of {kept['about']}: give the same --epochs, or another --work folder")
        about, rows = kept["about"], kept["rows"]
    else:
        rows = []
    if not options.only_report:
        lab = make_data(options.work, options.photos)
        done = {Run(**{key: row[key] for key in Run.__dataclass_fields__}) for row in rows}
        runs = [run for run in plan(options.seeds) if run not in done]
        for row in trained(lab, runs, options.epochs, options.jobs):
            rows.append(row)
            part = path.with_suffix(".part")
            part.write_text(json.dumps({"about": about, "rows": rows}))
            part.replace(path)
    if "official_gradient" not in about:
        about["official_gradient"] = official_gradient_share(options.work / "lab")
    if options.report.exists():
        before, rest = options.report.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        text = f"{before}{MARKS[0]}\n{tables(about, rows)}\n{MARKS[1]}{after}"
        options.report.write_text(text, encoding="utf-8")
    slim = [{key: value for key, value in row.items() if key != "oks"} for row in rows]
    told = {
        "machine": about["machine"],
        "versions": {name: version(name) for name in ("exlcap", "torch")},
        "figures": {"epochs": about["epochs"], "settings": about["settings"], "runs": slim},
        "bars": {},
        "not_measured": "ExLPose's images; ImageNet weights; full size; full training",
    }
    print(json.dumps(told) if options.json else tables(about, rows))


if __name__ == "__main__":
    main()
