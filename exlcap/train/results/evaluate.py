"""The evaluation of a run: its best weights on the test splits, the tables and the pictures in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file, write_atomic, write_json
from exlcap.core.workspace import Workspace
from exlcap.train.data.people import REBUILD, TEST_SPLITS, LabelledPerson, Split, check_dataset, other_tests, read_split
from exlcap.train.results.detections import detected_people, read_given
from exlcap.train.results.gallery import write_gallery
from exlcap.train.results.inference import Flip, Predictions
from exlcap.train.results.precision import Judged, score_people
from exlcap.train.results.table import OCN_SPLITS, PAPER_NOTE, as_json, as_markdown, as_text, tables
from exlcap.train.results.trained import Trained, load_best, predict_in_images

FLIP_NOTES: dict[Flip, str] = {
    "none": "without flip test",
    "mirror": "with flip test",
    "official": "with the official code's flip test, which is broken: for comparison only",
}


@dataclass(frozen=True)
class EvalProtocol:
    """How a run is evaluated. detections: FILE or SPLIT=FILE each; none means the true boxes."""

    flip: Flip = "mirror"
    detections: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Suffix of the names of its files, empty for the usual protocol."""
        flips: dict[Flip, str] = {"none": "-no-flip", "mirror": "", "official": "-official-flip"}
        return ("-detected" if self.detections else "") + flips[self.flip]


TRUE_BOXES_MIRRORED = EvalProtocol()
"""The usual evaluation: true boxes, with flip test."""


def evaluate_run(
    workspace: Workspace, run: str, data: str | None = None, protocol: EvalProtocol = TRUE_BOXES_MIRRORED
) -> tuple[str, dict[str, Any]]:
    """Evaluate the best weights of a run on every test split; write table.txt, .md, .json and predictions.png.

    data: name of the data set, by default the run's own. Tables of another data set, of detections or of another flip
    test are named after it. Returns the table as text and as JSON.
    Raises ExlcapError when the run has no weights, or the data set no test split with people.
    """
    folder = workspace.run(run)
    trained = load_best(folder)
    data_name = data or trained.config.data
    data_folder = workspace.dataset(data_name)
    check_dataset(data_folder)
    splits = read_tests(data_folder)
    judged = judge(trained, data_folder, splits, protocol)
    scores = {
        name: judged[name].scores if name in judged else None for name in {**dict.fromkeys(TEST_SPLITS), **splits}
    }
    config = trained.config
    boxes = f"boxes detected: {', '.join(protocol.detections)}" if protocol.detections else "ground-truth boxes"
    about = f"{folder.name}: {config.method.name}, weights of epoch {trained.epoch}, data set {data_name}, {boxes}"
    notes = [f"{about}, {FLIP_NOTES[protocol.flip]}", PAPER_NOTE]
    missing = [name for name in TEST_SPLITS if name not in splits]
    if missing and not set(OCN_SPLITS) & splits.keys():
        notes.append(f"no people in: {', '.join(missing)} (no file or an empty one)")
    if unseen := [name for name in splits if name not in judged]:
        notes.append(f"no detections given for: {', '.join(unseen)}")
    counts = "; ".join(f"{name} {s.images} / {s.people}" for name, s in scores.items() if s)
    notes.append(f"images / people: {counts}")
    made = tables(folder.name, scores, bool(protocol.detections))
    facts = {
        "format": 1,
        "run": folder.name,
        "method": config.method.name,
        "seed": config.seed,
        "epoch": trained.epoch,
        "weights_sha256": sha256_file(folder / "best.pt"),
        "data": data_name,
        "boxes": list(protocol.detections) or "ground truth",
        "flip": protocol.flip,
        "splits": {name: None if score is None else score.model_dump() for name, score in scores.items()},
        "missing": missing,
        "tables": [as_json(table) for table in made],
        "notes": notes,
    }
    suffix = ("" if data_name == config.data else f"-{data_name}") + protocol.suffix
    text = "\n\n".join([*(as_text(table) for table in made), "\n".join(notes)])
    markdown = "\n".join([*(as_markdown(table) for table in made), *(f"{note}\n" for note in notes)])
    write_atomic(folder / f"table{suffix}.txt", (text + "\n").encode())
    write_atomic(folder / f"table{suffix}.md", markdown.encode())
    write_json(folder / f"table{suffix}.json", facts)
    write_gallery(folder / f"predictions{suffix}.png", data_folder, config, _dark(judged), judged.get("WL"))
    return text, facts


def read_tests(data_folder: Path) -> dict[str, Split]:
    """The test splits that have people, by name, the paper's first. Raises ExlcapError when there are none."""
    splits = {}
    for name in (*TEST_SPLITS, *other_tests(data_folder)):
        split = read_split(data_folder, f"test_{name}")
        if split is not None and split.people:
            splits[name] = split
    if not splits:
        raise ExlcapError(f"{data_folder} has no test split with labelled people", REBUILD)
    return splits


def judge(
    trained: Trained, data_folder: Path, splits: Mapping[str, Split], protocol: EvalProtocol
) -> dict[str, Judged]:
    """Evaluate every split that has people. A person in several splits is predicted once."""
    asked: dict[str, tuple[Sequence[LabelledPerson], Sequence[float]]] = {
        name: (split.people, [1.0] * len(split.people)) for name, split in splits.items()
    }
    if protocol.detections:
        detections = read_given(protocol.detections, splits)
        by_split = {name: detected_people(split, detections) for name, split in splits.items()}
        asked = {name: detected for name, detected in by_split.items() if detected is not None}
    unique = {_key(person): person for people, _ in asked.values() for person in people}
    place = {key: i for i, key in enumerate(unique)}
    everybody = predict_in_images(trained, data_folder, list(unique.values()), protocol.flip)
    judged = {}
    for name, (people, box_scores) in asked.items():
        places = np.array([place[_key(person)] for person in people], np.intp)
        predictions = Predictions(everybody.joints[places], everybody.scores[places])
        scores = score_people(splits[name], people, predictions, box_scores)
        assert scores is not None, "read_tests keeps only splits with people"
        judged[name] = Judged(splits[name], tuple(people), predictions, scores)
    return judged


def _key(person: LabelledPerson) -> tuple[str, tuple[float, ...]]:
    return person.file, person.box


def _dark(judged: Mapping[str, Judged]) -> list[tuple[str, Judged]]:
    """The evaluated dark splits; LL-A, whose people are in the others, only if it is the only one."""
    dark = [(name, part) for name, part in judged.items() if name not in ("LL-A", "WL")]
    return dark or [(name, part) for name, part in judged.items() if name == "LL-A"]
