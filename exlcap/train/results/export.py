"""A trained network as an ONNX file with a card that `exlcap annotate` can run.

The graph takes crops of people, float32 (N, 3, height, width), RGB, 0..255, and gives heat maps float32
(N, 14, height / 4, width / 4), not negative. Brightening and normalisation are inside.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exlcap import __version__
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_bytes, write_atomic
from exlcap.core.joints import JOINTS
from exlcap.core.rig import Light
from exlcap.core.workspace import Workspace
from exlcap.train.config import Config
from exlcap.train.data.augment import PLAIN
from exlcap.train.data.crops import crop_people, place
from exlcap.train.data.heatmaps import decode
from exlcap.train.data.inputs import network_input
from exlcap.train.data.people import TEST_SPLITS, read_split
from exlcap.train.losses.pose import probabilities
from exlcap.train.networks.fold import folded
from exlcap.train.networks.pose_net import STRIDE, PoseNet
from exlcap.train.results.inference import full_score
from exlcap.train.results.trained import Trained, load_best

CHECKED = 8
"""Number of crops on which both networks are compared."""
TOLERANCE = 1e-3
"""Largest allowed difference of heat maps, in parts of their highest value; rounding alone gives about 1e-5."""


class Exported(nn.Module):
    """Crops in one light, 0..255, to heat maps."""

    def __init__(self, model: PoseNet, config: Config, light: Light) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.light = light

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), RGB, 0..255 -> heat maps (N, 14, H / 4, W / 4), not negative."""
        inputs = network_input(images / 255, self.light, self.config.input)
        return probabilities(self.model(inputs, 0).refined, self.config.loss)


@dataclass(frozen=True)
class Check:
    """The ONNX network and PyTorch's on the same crops: `images` of the data set `data`, or of noise if not `real`.

    difference: of heat maps, in parts of their highest value. joints_px: of joints, in pixels of the input.
    """

    data: str
    images: int
    real: bool
    difference: float
    joints_px: float


def export_run(workspace: Workspace, run: str, light: Light, out: Path | None) -> tuple[Path, Check]:
    """Export the best weights of a run, by default to runs/<run>/<run>-<light>.onnx; the file, and how well it agrees.

    Raises ExlcapError when `out` is no .onnx file, when the run has no weights, or as `export`.
    """
    folder = workspace.run(run)
    path = out or folder / f"{run}-{light}.onnx"
    if path.suffix != ".onnx":
        raise ExlcapError(f"{path} does not end in .onnx", "rename it; its card gets the same name with .toml")
    trained = load_best(folder)
    return path, export(trained, light, path, workspace.dataset(trained.config.data))


def export(trained: Trained, light: Light, path: Path, data_folder: Path) -> Check:
    """Write `path` (.onnx) and the card beside it, after comparing it with PyTorch on crops of the data set.

    Raises ExlcapError when a file of that name exists, or when the two disagree (nothing is written then).
    """
    card = path.with_suffix(".toml")
    for file in (path, card):
        if file.exists():
            raise ExlcapError(f"{file} exists already", "remove it, or choose another file with --out")
    images, real = _crops(trained, data_folder, light)
    onnx = onnx_bytes(trained, light)
    check = compare(trained, light, onnx, images, real)
    if not check.difference < TOLERANCE:
        raise ExlcapError(
            f"the ONNX network differs from PyTorch by {check.difference:.1e} of the highest value",
            "nothing was written; try another version of torch or of onnxscript",
        )
    write_atomic(path, onnx)
    write_atomic(card, card_toml(trained, light, path, sha256_bytes(onnx)).encode())
    return check


def onnx_bytes(trained: Trained, light: Light) -> bytes:
    """The network for one light as an ONNX file with any batch size, BatchNorm folded."""
    import onnx

    config = trained.config
    model = folded(trained.model.cpu(), config.size, light).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = torch.zeros(2, 3, *config.size)
    with _quiet():
        program = torch.onnx.export(
            Exported(model, config, light).eval(), (example,), dynamo=True, verbose=False, input_names=["images"],
            output_names=["heatmaps"], dynamic_shapes={"images": {0: torch.export.Dim("people")}},
        )  # fmt: skip
    assert program is not None
    made = program.model_proto
    _forget_sources(made)
    about = {"exlcap": __version__, "data": config.data, "method": config.method.name, "lighting": light}
    onnx.helper.set_model_props(made, about)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks on torchvision, which is not needed, and on its own internals."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _forget_sources(model: Any) -> None:
    """Remove torch's notes on the source of every node from an ONNX model: they include paths of this machine."""
    graph = model.graph
    model.ClearField("metadata_props")
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def compare(trained: Trained, light: Light, onnx: bytes, images: npt.NDArray[np.float32], real: bool) -> Check:
    """The ONNX network against the run's own, unfolded. images: (N, 3, H, W), 0..255."""
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    exported = torch.from_numpy(session.run(["heatmaps"], {"images": images})[0])
    config = trained.config
    with torch.inference_mode():
        inputs = network_input(torch.from_numpy(images) / 255, light, config.input)
        output = trained.model.cpu()(inputs, len(inputs) if light == "low" else 0)
        expected = probabilities(output.refined, config.loss)
    joints = [STRIDE * decode(maps)[0] for maps in (exported, expected)]
    difference = float((exported - expected).abs().max() / expected.max().clamp_min(1e-12))
    return Check(config.data, len(images), real, difference, float((joints[0] - joints[1]).norm(dim=2).max()))


def _crops(trained: Trained, data_folder: Path, light: Light) -> tuple[npt.NDArray[np.float32], bool]:
    """Real crops in one light as the network's input, 0..255, and True; without people, noise and False."""
    size = trained.config.size
    for name in ("val", *(f"test_{split}" for split in TEST_SPLITS)):
        split = read_split(data_folder, name)
        people = [person for person in (split.people if split else ()) if person.light == light][:CHECKED]
        if people:
            crops = crop_people(data_folder, people, size, trained.config.input)
            pixels = np.stack([place(crop, PLAIN, size)[0] for crop in crops])
            return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32), True
    noise = np.random.default_rng([0]).integers(0, 256, (CHECKED, 3, *size))
    return noise.astype(np.float32), False


def card_toml(trained: Trained, light: Light, path: Path, sha256: str) -> str:
    """The card of an exported network, as `exlcap annotate --network` reads it."""
    config = trained.config
    name = re.sub("[^A-Za-z0-9._-]", "-", path.stem)[:64].lstrip("._-") or "network"
    lit = "dark images; brightening is inside" if light == "low" else "well-lit images"
    return f"""\
# Written by `exlcap export` {__version__}. Use it with `exlcap annotate --network {path.with_suffix(".toml").name}`.
# Crops of people, RGB, 0..255, go in; a heat map for each joint comes out.
name = {json.dumps(name)}
version = {json.dumps(f"epoch {trained.epoch}")}
about = {json.dumps(f"{config.method.name}, ResNet-{config.model.depth}, trained on {config.data}; for {lit}")}
detector_card = "yolox-m"    # finds the people; the network of this card sees one at a time

[weights]
file = {json.dumps(path.name)}
sha256 = {json.dumps(sha256)}

[input]
width = {config.model.width}
height = {config.model.height}
colour = "RGB"
pad = "mean"
box_scale = {json.dumps(list(config.input.box_scale))}

[heatmap]
output = "heatmaps"
stride = {float(STRIDE)}
offset = 0.5
refine = "gaussian"

[joints]
names = [
{_wrapped(JOINTS)}
]
full_score = {full_score(config.loss):.4g}
"""


def _wrapped(names: Sequence[str]) -> str:
    rows = [names[i : i + 5] for i in range(0, len(names), 5)]
    return "\n".join("  " + " ".join(f'"{name}",' for name in row) for row in rows)
