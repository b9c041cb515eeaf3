"""`exlcap train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result
from exlcap.core.errors import ExlcapError
from exlcap.train.methods import METHOD_NAMES

if TYPE_CHECKING:
    from exlcap.core.workspace import Workspace
    from exlcap.train.settings import Settings

PRESETS = ("modern", "official", "small")


@click.command()
@click.option("--data", metavar="NAME", help="Data set to learn from.")
@click.option("--run", metavar="NAME", help="Name of the run [default: <data>-<method>].")
@click.option(
    "--preset",
    "preset_name",
    type=click.Choice(PRESETS),
    help="Settings to begin with: today's recipe, the official code's, or a small net for CPUs [default: modern].",
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="TOML file over the preset.")
@click.option("--method", type=click.Choice(METHOD_NAMES), help="Row of the paper's tables [default: ours].")
@click.option(
    "--backbone-weights",
    metavar="FILE",
    help="Where the backbone begins: a .safetensors or .pth file, `imagenet` (downloaded once), or `none`.",
)
@click.option("--minutes", type=float, help="End by the clock; not reproducible.")
@click.option("--epochs", type=int, help="Number of epochs; reproducible.")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--compare", metavar="METHODS", help="Train several methods, as ours,lsbn, and print one table.")
@click.option("--seeds", metavar="SEEDS", help="Seeds of a comparison, as 0,1,2 [default: 0,1].")
@json_option
@click.pass_context
def train_command(
    ctx: click.Context,
    data: str | None,
    run: str | None,
    preset_name: str | None,
    config_file: Path | None,
    method: str | None,
    backbone_weights: str | None,
    minutes: float | None,
    epochs: int | None,
    seed: int | None,
    resume: bool,
    compare: str | None,
    seeds: str | None,
    as_json: bool,
) -> None:
    """Train a pose network on a data set.

    A CPN learns from both images of each pair with lighting-specific BatchNorm (LSBN) and the Gram loss (LUPI) of Lee
    et al., CVPR 2023. Log, loss curve and weights go to runs/<run>. With --epochs the same command gives the same
    weights again, also when it is stopped and resumed; with --minutes the clock decides how many epochs there are.

    --compare trains methods with the same seeds, runs/<run>-<method>-s<seed>, judges each on the test splits, and
    prints mean and deviation. What is finished is kept, so the same command goes on where it was stopped.

    \b
    Example:
      exlcap train --data night --run first
      exlcap train --data night --run quick --preset small --minutes 2
      exlcap train --run first --resume
      exlcap train --data night --run which --compare ours,lsbn,baseline-all --seeds 0,1,2
    """
    share_cores()
    from exlcap.train.distributed import tell, world
    from exlcap.train.loop import train
    from exlcap.train.prepare import new_config, new_run, resumed_config, resumed_run

    workspace = workspace_of(ctx)
    options: Settings = {
        "data": data,
        "method": method,
        "seed": seed,
        "model": {"backbone_weights": backbone_weights},
        "optim": {"minutes": minutes, "epochs": epochs},
    }
    if compare is not None:
        if method is not None or seed is not None or resume:
            raise ExlcapError("--compare goes with --seeds, not with --method, --seed or --resume", "leave those out")
        _compare(workspace, run, preset_name, config_file, options, _listed(compare), seeds or "0,1", as_json)
        return
    if seeds is not None:
        raise ExlcapError("--seeds goes with --compare", "one run has one seed: --seed")
    if resume:
        if run is None or preset_name is not None:
            raise ExlcapError("--resume takes its settings from the run", "name it with --run and leave out --preset")
        folder = workspace.run(run)
        config = resumed_config(folder, config_file, options)
        train_data = resumed_run(folder, config, workspace.dataset(config.data))
    else:
        config = new_config(preset_name or "modern", config_file, options)
        folder = workspace.run(run or f"{config.data}-{config.method.name}")
        train_data = new_run(folder, config, workspace.dataset(config.data))
    tell(
        f"run {folder.name}: {config.method.name}, ResNet-{config.model.depth}, {len(train_data.train)} people in pairs"
    )
    state = train(folder, config, train_data)
    facts = {
        "run": folder.name,
        "folder": str(folder),
        "method": config.method.name,
        "epochs": state.epoch,
        "seconds": round(state.seconds, 1),
        "people": len(train_data.train),
        "best_val_ap": state.best_ap,
    }
    best = "" if state.best_ap is None else f", best AP {state.best_ap:.1f} on the validation split"
    text = f"run {folder.name}: {state.epoch} epochs in {state.seconds:.0f} s{best}\n{folder / 'loss.png'}"
    if world().first:
        result(text, facts, as_json)


def _compare(
    workspace: Workspace, run: str | None, preset_name: str | None, config_file: Path | None, options: Settings,
    methods: list[str], seeds: str, as_json: bool,
) -> None:  # fmt: skip
    """Train and judge every method with every seed; print one table."""
    from exlcap.train.compare import plan, summarise, train_all
    from exlcap.train.distributed import world
    from exlcap.train.prepare import new_config

    if unknown := [name for name in methods if name not in METHOD_NAMES]:
        raise ExlcapError(f"no method {unknown[0]!r}", f"choose from {', '.join(METHOD_NAMES)}")
    try:
        numbers = [int(seed) for seed in _listed(seeds)]
    except ValueError:
        raise ExlcapError(f"--seeds are whole numbers, as 0,1,2; found {seeds!r}", "mend them") from None
    configs = [
        new_config(preset_name or "modern", config_file, {**options, "method": method, "seed": seed})
        for method in methods
        for seed in numbers
    ]
    if not configs:
        raise ExlcapError("--compare and --seeds name nothing", "as --compare ours,lsbn --seeds 0,1")
    name = run or f"{configs[0].data}-compare"
    runs = plan(workspace, name, configs)
    train_all(workspace, runs)
    if world().first:
        order = sorted(runs, key=lambda one: methods.index(one.config.method.name))
        text, facts = summarise(workspace.run(name), order)
        result(text, facts, as_json)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def share_cores() -> None:
    """Let torch's threads sleep while they wait for each other; to be called before torch is imported.

    By default they spin, which makes training beside any other busy process ten times slower (measured on 2 cores).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
