"""`exlcap train`."""

from __future__ import annotations

from pathlib import Path

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result
from exlcap.core.errors import ExlcapError
from exlcap.train.machine.cores import share_cores
from exlcap.train.methods import METHOD_NAMES

PRESETS = ("modern", "official", "small")


@click.command()
@click.option("--data", metavar="NAME", help="Data set to train on.")
@click.option("--run", metavar="NAME", help="Name of the run [default: <data>-<method>].")
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    help="Settings to start from: a current recipe, the official code's, or a small network for CPUs "
    "[default: modern].",
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="TOML file that overrides the preset.")
@click.option("--method", type=click.Choice(METHOD_NAMES), help="Row of the paper's tables [default: ours].")
@click.option(
    "--backbone-weights",
    metavar="FILE",
    help="Initial backbone weights: a .safetensors or .pth file, `imagenet` (downloaded once), or `none`.",
)
@click.option("--minutes", type=float, help="Stop after this time; not reproducible.")
@click.option("--epochs", type=int, help="Number of epochs; reproducible.")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation.")
@click.option("--resume", "resumed", is_flag=True, help="Continue a run that was stopped.")
@click.option("--compare", metavar="METHODS", help="Train several methods, such as ours,lsbn, and print one table.")
@click.option("--seeds", metavar="SEEDS", help="Seeds of a comparison, such as 0,1,2 [default: 0,1].")
@json_option
@click.pass_context
def train_command(
    ctx: click.Context,
    data: str | None,
    run: str | None,
    preset: str | None,
    config_file: Path | None,
    method: str | None,
    backbone_weights: str | None,
    minutes: float | None,
    epochs: int | None,
    seed: int | None,
    resumed: bool,
    compare: str | None,
    seeds: str | None,
    as_json: bool,
) -> None:
    """Train a pose network on a data set.

    A CPN learns from both images of each pair with lighting-specific BatchNorm (LSBN) and the Gram loss (LUPI) of Lee
    et al., CVPR 2023. Log, loss curve and weights go to runs/<run>. With --epochs, the same command gives the same
    weights every time, even if it is stopped and resumed. With --minutes, the number of epochs depends on the machine.

    --compare trains each method with the same seeds in runs/<run>-<method>-s<seed>, evaluates it on the test splits,
    and prints the mean and standard deviation. Finished runs are kept: repeat the command to continue a comparison.

    \b
    Example:
      exlcap train --data night --run first
      exlcap train --data night --run quick --preset small --minutes 2
      exlcap train --run first --resume
      exlcap train --data night --run which --compare ours,lsbn,baseline-all --seeds 0,1,2
    """
    share_cores()
    from exlcap.train.compare import compare_methods
    from exlcap.train.machine.distributed import world
    from exlcap.train.start import TrainOptions, resume, start

    workspace = workspace_of(ctx)
    settings = {
        "data": data,
        "method": method,
        "seed": seed,
        "model": {"backbone_weights": backbone_weights},
        "optim": {"minutes": minutes, "epochs": epochs},
    }
    options = TrainOptions(run, preset, config_file, settings)
    if compare is not None:
        if method is not None or seed is not None or resumed:
            raise ExlcapError("--compare goes with --seeds, not with --method, --seed or --resume", "leave those out")
        text, facts = compare_methods(workspace, options, _methods(compare), _seeds(seeds or "0,1"))
    else:
        if seeds is not None:
            raise ExlcapError("--seeds goes with --compare", "one run has one seed: --seed")
        finished = (resume if resumed else start)(workspace, options)
        state = finished.state
        facts = {
            "run": finished.folder.name,
            "folder": str(finished.folder),
            "method": finished.config.method.name,
            "epochs": state.epoch,
            "seconds": round(state.seconds, 1),
            "people": finished.people,
            "best_val_ap": state.best_ap,
        }
        best = "" if state.best_ap is None else f", best AP {state.best_ap:.1f} on the validation split"
        text = f"run {finished.folder.name}: {state.epoch} epochs in {state.seconds:.0f} s{best}"
        text += f"\n{finished.folder / 'loss.png'}"
    if world().first:
        result(text, facts, as_json)


def _methods(text: str) -> list[str]:
    """The methods of --compare. Raises ExlcapError naming an unknown one."""
    names = _listed(text)
    if unknown := [name for name in names if name not in METHOD_NAMES]:
        raise ExlcapError(f"no method {unknown[0]!r}", f"choose from {', '.join(METHOD_NAMES)}")
    return names


def _seeds(text: str) -> list[int]:
    """The seeds of --seeds. Raises ExlcapError when one is not a whole number."""
    try:
        return [int(seed) for seed in _listed(text)]
    except ValueError:
        raise ExlcapError(f"--seeds must be whole numbers such as 0,1,2; found {text!r}", "correct --seeds") from None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
