"""The evaluation of a run: its best weights on the test splits, the table and the pictures in the run's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from exlcap.errors import ExlcapError
from exlcap.files import write_atomic, write_json
from exlcap.train.config import Config, config_from_toml
from exlcap.train.crops import crop_people
from exlcap.train.evaluate import Scores, score_split
from exlcap.train.gallery import Shown, write_gallery
from exlcap.train.model import PoseNet
from exlcap.train.pairs import REBUILD, TEST_SPLITS, check_dataset, other_tests, read_split
from exlcap.train.predict import predict
from exlcap.train.runs import load_checkpoint
from exlcap.train.table import PAPER_NOTE, as_markdown, as_text, missing_splits, rows


@dataclass(frozen=True)
class Trained:
    """The best weights of a run. epoch: when they were taken."""

    model: PoseNet
    config: Config
    epoch: int
    data_checksum: str


def load_best(folder: Path) -> Trained:
    """The best weights of a run, ready to predict. Raises ExlcapError when there are none."""
    saved = load_checkpoint(folder / "best.pt")
    config = config_from_toml(saved["config"], folder / "best.pt")
    model = PoseNet(config.model, config.uses_lsbn)
    model.load_state_dict(saved["model"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trained(model.eval(), config, int(saved["epoch"]), str(saved["data_checksum"]))


def evaluate_run(folder: Path, trained: Trained, data_name: str, data_folder: Path, flip: bool) -> tuple[str, Any]:
    """Judge a run on every test split, write table.txt, table.md, table.json and predictions.png.

    Tables of another data set than the run's own are named after it. Returns the table as text and as JSON.
    Raises ExlcapError when the data set has no test split with people.
    """
    check_dataset(data_folder)
    scores, shown = _scores(trained, data_folder, flip)
    missing = missing_splits(scores)
    if len(missing) == len(TEST_SPLITS):
        raise ExlcapError(f"{data_folder} has no test split with labelled people", REBUILD)
    config = trained.config
    notes = [
        f"{folder.name}: {config.method}, weights of epoch {trained.epoch}, data set {data_name}, ground-truth boxes, "
        f"{'with' if flip else 'without'} flip test",
        PAPER_NOTE,
    ]
    if missing:
        notes.append(f"no people in: {', '.join(missing)} (no file or an empty one)")
    others = [(name, score) for name, score in scores.items() if name not in TEST_SPLITS and score]
    notes += [f"{name}: AP {score.ap:.1f} ({score.images} images, {score.people} people)" for name, score in others]
    lines = rows(folder.name, scores)
    data = {
        "format": 1,
        "run": folder.name,
        "method": config.method,
        "epoch": trained.epoch,
        "data": data_name,
        "flip": flip,
        "splits": {split: None if score is None else score.model_dump() for split, score in scores.items()},
        "missing": missing,
        "table": [{"name": row.name, "source": row.source, "ap": list(row.values)} for row in lines],
        "notes": notes,
    }
    suffix = "" if data_name == config.data else f"-{data_name}"
    text = as_text(lines, notes)
    write_atomic(folder / f"table{suffix}.txt", (text + "\n").encode())
    write_atomic(folder / f"table{suffix}.md", as_markdown(lines, notes).encode())
    write_json(folder / f"table{suffix}.json", data)
    size = (config.model.height, config.model.width)
    write_gallery(folder / f"predictions{suffix}.png", shown.get("LL-A"), shown.get("WL"), size)
    return text, data


def _scores(trained: Trained, data_folder: Path, flip: bool) -> tuple[dict[str, Scores | None], dict[str, Shown]]:
    """Scores of every test split, None where there is nobody, and the predictions behind them."""
    config = trained.config
    size = (config.model.height, config.model.width)
    scores: dict[str, Scores | None] = {}
    shown: dict[str, Shown] = {}
    for name in (*TEST_SPLITS, *other_tests(data_folder)):
        split = read_split(data_folder, f"test_{name}")
        if split is None or not split.figures:
            scores[name] = None
            continue
        crops = crop_people(data_folder, split.figures, size, config.box_scale)
        shown[name] = Shown(crops, predict(trained.model, crops, config, flip))
        scores[name] = score_split(split, shown[name].predictions)
    return scores, shown
