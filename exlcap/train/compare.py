"""`exlcap train --compare`: several methods with the same seeds, each trained and evaluated once, in one table.

Every run is an ordinary one, runs/<name>-<method>-s<seed>. Finished runs are kept and started ones are resumed, so a
comparison can be stopped and repeated, also with more seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError
from exlcap.core.files import read_json, sha256_file, write_atomic, write_json
from exlcap.core.workspace import Workspace
from exlcap.train.config import Config
from exlcap.train.data.people import TEST_SPLITS, data_checksum
from exlcap.train.loop import train
from exlcap.train.machine.distributed import tell, world
from exlcap.train.methods import TABLE
from exlcap.train.prepare import new_run, resumed_run
from exlcap.train.results.evaluate import evaluate_run
from exlcap.train.results.table import (
    MEAN,
    OCN,
    OCN_SPLITS,
    PAPER_NOTE,
    TRUE_BOXES,
    Row,
    Table,
    as_json,
    as_markdown,
    as_text,
)
from exlcap.train.runs import load_checkpoint
from exlcap.train.start import TrainOptions
from exlcap.train.stored import config_from_toml, differences

Splits = Mapping[str, float | None]
"""AP by split, None where there are no people."""


@dataclass(frozen=True)
class Planned:
    """A run of a comparison, and the settings it is trained with."""

    folder: Path
    config: Config


def compare_methods(
    workspace: Workspace, options: TrainOptions, methods: Sequence[str], seeds: Sequence[int]
) -> tuple[str, dict[str, Any]]:
    """Train and evaluate every method with every seed; the table as text and as JSON, empty on all but one process.

    Raises ExlcapError when no method or no seed is named, or as `plan` and `train`.
    """
    configs = [options.config(method=method, seed=seed) for method in methods for seed in seeds]
    if not configs:
        raise ExlcapError("--compare and --seeds name nothing", "for example: --compare ours,lsbn --seeds 0,1")
    name = options.run or f"{configs[0].data}-compare"
    runs = plan(workspace, name, configs)
    train_all(workspace, runs)
    if not world().first:
        return "", {}
    return summarise(workspace.run(name), sorted(runs, key=lambda run: methods.index(run.config.method.name)))


def plan(workspace: Workspace, name: str, configs: Sequence[Config]) -> list[Planned]:
    """The runs of a comparison, seed by seed, so that a comparison that is stopped has the same seeds of every method.

    Raises ExlcapError when a run is given twice, or was started with other settings.
    """
    runs = [
        Planned(workspace.run(f"{name}-{config.method.name}-s{config.seed}"), config)
        for config in sorted(configs, key=lambda config: config.seed)
    ]
    for i, run in enumerate(runs):
        if run.folder in [other.folder for other in runs[:i]]:
            raise ExlcapError(
                f"{run.config.method.name} with seed {run.config.seed} is given twice",
                "give each method and each seed once",
            )
        path = run.folder / "config.toml"
        if path.exists():
            begun = config_from_toml(path.read_text(encoding="utf-8"), path)
            if changed := differences(begun, run.config):
                raise ExlcapError(
                    f"{run.folder.name} was started with other settings ({'; '.join(changed)})",
                    "compare with those settings, or choose another --run NAME",
                )
    return runs


def train_all(workspace: Workspace, runs: Sequence[Planned]) -> None:
    """Train every run to its end and evaluate it on the test splits; finished runs stay as they are."""
    for number, run in enumerate(runs, start=1):
        data_folder = workspace.dataset(run.config.data)
        at = f"[{number}/{len(runs)}] {run.folder.name}"
        last = run.folder / "last.pt"
        saved = load_checkpoint(last) if last.exists() else None
        if saved is not None and saved["done"] and saved["data_checksum"] == data_checksum(data_folder):
            tell(f"{at}: already finished, kept")
        else:
            tell(f"{at}: {'resumed' if run.folder.exists() else 'started'}")
            data = (resumed_run if run.folder.exists() else new_run)(run.folder, run.config, data_folder)
            train(run.folder, run.config, data)
        if world().first and _judgement(run.folder) is None:
            evaluate_run(workspace, run.folder.name)
        world().wait()


def _judgement(folder: Path) -> dict[str, Any] | None:
    """table.json of a run, or None unless it belongs to the run's best weights."""
    path = folder / "table.json"
    if not path.exists():
        return None
    table: dict[str, Any] = read_json(path, "table", (1,))
    return table if table.get("weights_sha256") == sha256_file(folder / "best.pt") else None


def summarise(folder: Path, runs: Sequence[Planned]) -> tuple[str, dict[str, Any]]:
    """One table of all runs: compare.txt, compare.md and compare.json in `folder`. Returns it as text and as JSON."""
    aps_of: dict[str, dict[int, Splits]] = {}
    details = []
    for run in runs:
        judged = _judgement(run.folder)
        assert judged is not None, "train_all evaluates every run"
        aps = {name: None if s is None else float(s["ap"]) for name, s in judged["splits"].items()}
        aps_of.setdefault(run.config.method.name, {})[run.config.seed] = aps
        details.append({"run": run.folder.name, "method": run.config.method.name, "seed": run.config.seed,
                        "epoch": judged["epoch"], "splits": judged["splits"]})  # fmt: skip
    table = comparison({method: list(by_seed.values()) for method, by_seed in aps_of.items()})
    seeds = sorted({run.config.seed for run in runs})
    notes = [
        f"AP@.5:.95 with ground-truth boxes and flip test: mean ± standard deviation over {len(seeds)} "
        f"seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))}), data set {runs[0].config.data}",
        PAPER_NOTE,
    ]
    data = {"format": 1, "name": folder.name, "data": runs[0].config.data, "methods": list(aps_of), "seeds": seeds,
            "runs": details, "table": as_json(table), "notes": notes}  # fmt: skip
    text = "\n\n".join([as_text(table), "\n".join(notes)])
    write_atomic(folder / "compare.txt", (text + "\n").encode())
    write_atomic(folder / "compare.md", "\n".join([as_markdown(table), *(f"{note}\n" for note in notes)]).encode())
    write_json(folder / "compare.json", data)
    return text, data


def comparison(aps_of: Mapping[str, Sequence[Splits]]) -> Table:
    """Means and standard deviations over seeds, method by method, then the paper's rows of these methods.

    aps_of: AP by split of every seed, by method. A single seed has no deviation.
    """
    ocn = any(aps.get(split) is not None for seeds in aps_of.values() for aps in seeds for split in OCN_SPLITS)
    columns = (*OCN_SPLITS, MEAN) if ocn else TEST_SPLITS
    own = []
    for method, seeds in aps_of.items():
        values = [[_with_mean(aps).get(split) for aps in seeds] for split in columns]
        means = tuple(statistics.mean(v) if (v := _known(column)) else None for column in values)
        spread = tuple(statistics.stdev(v) if len(v := _known(column)) > 1 else None for column in values)
        own.append(Row(method, f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}", means, spread))
    wanted = {method.paper.name for method in TABLE if method.name in aps_of and method.paper is not None}
    paper = [Row(*row) for row in (OCN if ocn else TRUE_BOXES) if row[0] in wanted]
    return Table(columns, (*own, *paper))


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _with_mean(aps: Splits) -> Splits:
    both = _known([aps.get(split) for split in OCN_SPLITS])
    return {**aps, MEAN: statistics.mean(both)} if len(both) == len(OCN_SPLITS) else aps
