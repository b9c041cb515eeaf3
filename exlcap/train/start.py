"""Starting a training run, and going on with one: from what was asked for to the trained weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from exlcap.core.errors import ExlcapError
from exlcap.core.workspace import Workspace
from exlcap.train.config import Config
from exlcap.train.loop import State, TrainData, train
from exlcap.train.machine.distributed import tell
from exlcap.train.prepare import new_config, new_run, resumed_config, resumed_run
from exlcap.train.settings import Settings

DEFAULT_PRESET = "modern"


@dataclass(frozen=True)
class TrainOptions:
    """What is asked for of a training run.

    run: its name, by default <data>-<method>. preset: by default "modern". config_file: its values replace those of the
    preset. settings: theirs replace both; None leaves a value as it is.
    """

    run: str | None = None
    preset: str | None = None
    config_file: Path | None = None
    settings: Settings = field(default_factory=dict)

    def config(self, **settings: object) -> Config:
        """The config of a new run with these options. Raises ExlcapError as `new_config`."""
        return new_config(self.preset or DEFAULT_PRESET, self.config_file, {**self.settings, **settings})


@dataclass(frozen=True)
class FinishedRun:
    """A run that has been trained. people: how many it learnt from, each in both images of a pair."""

    folder: Path
    config: Config
    state: State
    people: int


def start(workspace: Workspace, options: TrainOptions) -> FinishedRun:
    """Train a new run to its end.

    Raises ExlcapError for a bad setting, when a run of that name exists, or as `new_run` and `train`.
    """
    config = options.config()
    folder = workspace.run(options.run or f"{config.data}-{config.method.name}")
    return _train(folder, config, new_run(folder, config, workspace.dataset(config.data)))


def resume(workspace: Workspace, options: TrainOptions) -> FinishedRun:
    """Train a run that was stopped to its end; a finished one stays as it is.

    Raises ExlcapError when no run is named, when the options differ from its settings, or as `resumed_run` and `train`.
    """
    if options.run is None or options.preset is not None:
        raise ExlcapError("--resume takes its settings from the run", "name the run with --run and leave out --preset")
    folder = workspace.run(options.run)
    config = resumed_config(folder, options.config_file, options.settings)
    return _train(folder, config, resumed_run(folder, config, workspace.dataset(config.data)))


def _train(folder: Path, config: Config, data: TrainData) -> FinishedRun:
    tell(f"run {folder.name}: {config.method.name}, ResNet-{config.model.depth}, {len(data.train)} people in pairs")
    return FinishedRun(folder, config, train(folder, config, data), len(data.train))
