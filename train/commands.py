"""`exlcap train`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.console import json_option, result
from exlcap.errors import ExlcapError

PRESETS = ("modern", "official", "small")
METHODS = ("ours", "lsbn", "lupi", "lupi-feat", "unpaired", "baseline-all", "baseline-low", "baseline-well")


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
@click.option("--method", type=click.Choice(METHODS), help="Row of the paper's tables [default: ours].")
@click.option(
    "--backbone-weights",
    metavar="FILE",
    help="Where the backbone begins: a .safetensors or .pth file, `imagenet` (downloaded once), or `none`.",
)
@click.option("--minutes", type=float, help="End by the clock; not reproducible.")
@click.option("--epochs", type=int, help="Number of epochs; reproducible.")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
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
    as_json: bool,
) -> None:
    """Train a pose network on a data set.

    A CPN learns from both images of each pair with lighting-specific BatchNorm (LSBN) and the Gram loss (LUPI) of Lee
    et al., CVPR 2023. Log, loss curve and weights go to runs/<run>. With --epochs the same command gives the same
    weights again, also when it is stopped and resumed; with --minutes the clock decides how many epochs there are.

    \b
    Example:
      exlcap train --data night --run first
      exlcap train --data night --run quick --preset small --minutes 2
      exlcap train --run first --resume
    """
    share_cores()
    from exlcap.train.config import Settings
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
    if resume:
        if run is None or preset_name is not None:
            raise ExlcapError("--resume takes its settings from the run", "name it with --run and leave out --preset")
        folder = workspace.run(run)
        config = resumed_config(folder, config_file, options)
        train_data = resumed_run(folder, config, workspace.dataset(config.data))
    else:
        config = new_config(preset_name or "modern", config_file, options)
        folder = workspace.run(run or f"{config.data}-{config.method}")
        train_data = new_run(folder, config, workspace.dataset(config.data))
    tell(f"run {folder.name}: {config.method}, ResNet-{config.model.depth}, {len(train_data.train)} people in pairs")
    state = train(folder, config, train_data)
    facts = {
        "run": folder.name,
        "folder": str(folder),
        "method": config.method,
        "epochs": state.epoch,
        "seconds": round(state.seconds, 1),
        "people": len(train_data.train),
        "best_val_ap": state.best_ap,
    }
    best = "" if state.best_ap is None else f", best AP {state.best_ap:.1f} on the validation split"
    text = f"run {folder.name}: {state.epoch} epochs in {state.seconds:.0f} s{best}\n{folder / 'loss.png'}"
    if world().first:
        result(text, facts, as_json)


def share_cores() -> None:
    """Let torch's threads sleep while they wait for each other; to be called before torch is imported.

    By default they spin, which makes training beside any other busy process ten times slower (measured on 2 cores).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
