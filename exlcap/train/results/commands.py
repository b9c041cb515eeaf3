"""`exlcap eval`, `exlcap predict` and `exlcap export`: using a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exlcap.cli import workspace_of
from exlcap.core.console import json_option, result
from exlcap.core.errors import ExlcapError
from exlcap.train.machine.cores import share_cores

if TYPE_CHECKING:
    from exlcap.core.rig import Light

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
run_option = click.option("--run", required=True, metavar="NAME", help="Run whose best weights are used.")


@click.command()
@run_option
@click.option("--data", metavar="NAME", help="Data set to evaluate on [default: the run's own].")
@click.option(
    "--detections",
    multiple=True,
    metavar="[SPLIT=]FILE",
    help="Detected boxes in place of the true ones; may be repeated.",
)
@click.option("--flip/--no-flip", default=True, show_default=True, help="Average with the mirrored image.")
@click.option("--official-flip", is_flag=True, help="Flip test with the errors of the official code, for comparison.")
@json_option
@click.pass_context
def eval_command(
    ctx: click.Context,
    run: str,
    data: str | None,
    detections: tuple[str, ...],
    flip: bool,
    official_flip: bool,
    as_json: bool,
) -> None:
    """Evaluate a trained network on the test splits.

    AP, AP50, AP75 and AR by pycocotools on LL-N, LL-H, LL-E, LL-A and WL, or on the cameras of ExLPose-OCN, next to the
    rows of the paper's tables. table.txt, table.md, table.json and predictions.png go to runs/<run>.

    Detections are a list in COCO's results format: image_id, category_id (1), bbox and score. Each annotation file
    numbers its own images, so name the split that the numbers belong to: LL-A=FILE also serves LL-N, LL-H and LL-E.
    With a file_name in each entry ("low/<pair>.png") no split is needed. A person's score is then box score x mean
    joint score.

    \b
    Example:
      exlcap eval --run first
      exlcap eval --run first --data other-night --no-flip
      exlcap eval --run first --detections LL-A=dark.json --detections WL=bright.json
    """
    share_cores()
    from exlcap.train.results.evaluate import EvalProtocol, evaluate_run

    if official_flip and not flip:
        raise ExlcapError("--official-flip and --no-flip exclude each other", "choose one of them")
    workspace = workspace_of(ctx)
    protocol = EvalProtocol("official" if official_flip else "mirror" if flip else "none", detections)
    text, facts = evaluate_run(workspace, run, data, protocol)
    result(text, facts, as_json)


@click.command()
@run_option
@click.option("--light", type=click.Choice(("low", "well")), required=True, help="Light of the images it is for.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write [default: runs/<run>/<run>-<light>.onnx].")
@json_option
@click.pass_context
def export_command(ctx: click.Context, run: str, light: Light, out: Path | None, as_json: bool) -> None:
    """Export a trained network as ONNX with a card for annotate.

    The exported network is for one light, with the BatchNorm of that light folded into the convolutions. It takes any
    number of crops of people (float32, RGB, 0..255) and gives heat maps; brightening and normalisation are included. It
    is compared with PyTorch on crops of the run's data set before it is written.

    \b
    Example:
      exlcap export --run first --light well
      exlcap annotate --network runs/first/first-well.toml
    """
    share_cores()
    from exlcap.train.results.export import export_run

    path, check = export_run(workspace_of(ctx), run, light, out)
    crops = f"{check.images} {'crops of ' + check.data if check.real else 'pictures of noise'}"
    text = (
        f"wrote {path} and {path.with_suffix('.toml').name} for {light} images\n"
        f"against PyTorch on {crops}: heat maps differ by {check.difference:.1e} of their highest value, joints by "
        f"{check.joints_px:.4f} px at most"
    )
    facts = {"file": str(path), "card": str(path.with_suffix(".toml")), "light": light, "images": check.images,
             "real": check.real, "difference": check.difference, "joints_px": check.joints_px}  # fmt: skip
    result(text, facts, as_json)


@click.command()
@run_option
@click.option("--light", type=click.Choice(("low", "well")), required=True, help="Light of the pictures.")
@click.option("--coco", type=FILE, help="COCO file that lists the pictures and the boxes of the people.")
@click.option("--detections", type=FILE, help="Boxes in COCO's results format, in place of those of --coco.")
@click.option("--flip/--no-flip", default=True, show_default=True, help="Average with the mirrored image.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder [default: runs/<run>/predict-NNN].")
@click.argument("pictures", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@json_option
@click.pass_context
def predict_command(
    ctx: click.Context, run: str, light: Light, coco: Path | None, detections: Path | None, flip: bool,
    out: Path | None, pictures: tuple[Path, ...], as_json: bool,
) -> None:  # fmt: skip
    """Predict joints of people in pictures.

    PICTURES are files or folders of 8-bit images. The boxes of the people come from a COCO file or a detector; without
    either, each picture is taken as one person. results.json (COCO keypoint results: x, y and score of 14 joints) and
    the pictures with skeletons go to a new folder.

    \b
    Example:
      exlcap predict --run first --light well photo.jpg
      exlcap predict --run first --light low --coco datasets/night/annotations/test_LL-A.json datasets/night/images/low
      exlcap predict --run first --light low --detections boxes.json dark-photos
    """
    share_cores()
    from exlcap.train.results.predict import predict_run

    folder = workspace_of(ctx).run(run)
    predicted = predict_run(folder, pictures, light, "mirror" if flip else "none", out, coco, detections)
    folder, people, looked = predicted.folder, len(predicted.people), predicted.pictures
    text = f"{people} people in {looked} pictures\n{folder / 'results.json'}\n{folder / 'pictures'}"
    result(text, {"folder": str(folder), "pictures": looked, "people": people}, as_json)
