"""A trained network's answer, as fast as it goes. ``python benchmarks/inference.py [--json]``

CPN on ResNet-50 with LSBN, 256x192, low light, batches of 1 and 32 crops, one core. Compared are

- plain: the paper's layers in their order (benchmarks/train_step.py), BatchNorm and GlobalNet's heat maps included, as
  the official code computes them at test;
- as_trained: the network of `exlcap eval`, where 1x1 convolutions come before up-samplings and GlobalNet's heat maps,
  which nobody asks for, are left out;
- folded: the same with BatchNorm in the convolutions (exlcap.train.networks.fold), channels last; folded_bf16: in
  bfloat16;
- onnxruntime: what `exlcap export` writes.

All have the same weights and see the same crops; how far their joints lie apart is printed. Calls are interleaved and
the medians of their process CPU time compared, which other processes disturb less than the clock on the wall. They
share a process, and so the memory that the trainer keeps (exlcap.train.machine.device): the bars leave out what that
alone gains, which `plain_as_started` shows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import onnxruntime
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from train_step import Plain

from exlcap.train.config import Config
from exlcap.train.data.heatmaps import decode
from exlcap.train.data.inputs import network_input
from exlcap.train.losses.pose import probabilities
from exlcap.train.machine.device import keep_memory
from exlcap.train.networks.fold import folded
from exlcap.train.networks.pose_net import STRIDE, PoseNet, build_model
from exlcap.train.prepare import new_config
from exlcap.train.results.export import onnx_bytes
from exlcap.train.results.trained import Trained

AIM = 2.5
"""Of the fastest at batch 1 against the plain model."""
CALLS = {1: 11, 32: 2}
Answer = Callable[[Tensor], Tensor]
"""Crops (N, 3, H, W), 0..255, to heat maps."""


class PlainAnswer(Plain):
    """The plain network at test: statistics are those that were learnt."""

    def norm(self, x: Tensor, name: str) -> Tensor:
        """A BatchNorm at test, or the one of a pair that belongs to this lighting."""
        name = name if f"{name}.weight" in self.values else f"{name}.{self.light}"
        mean, var, weight, bias = (
            self.values[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, training=False)

    def __call__(self, images: Tensor) -> Tensor:
        """Heat maps of RefineNet."""
        pyramid, _ = self.global_net(self.backbone(images)[1:])
        return self.refine_net(pyramid)


def taught(config: Config) -> PoseNet:
    """A network whose BatchNorms have seen noise, so that its answers depend on the input."""
    model = build_model(config.model, config.method.lsbn, 0)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.out_channels == 14:
            nn.init.normal_(module.weight, std=0.05, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for seed in range(10):
            model(torch.randn(8, 3, *config.size, generator=torch.Generator().manual_seed(seed)), 4)
    return model.eval()


def plainly(model: PoseNet, config: Config) -> Answer:
    """A network's weights, used plainly."""
    plain = PlainAnswer(model.state_dict(), (config.size[0] // STRIDE, config.size[1] // STRIDE))

    def answer(images: Tensor) -> Tensor:
        inputs = network_input(images / 255, "low", config.input).contiguous()
        return probabilities(plain(inputs), config.loss)

    return answer


def answers(config: Config) -> dict[str, Answer]:
    """The networks that are compared, by name."""
    model = taught(config)
    fast = folded(model, config.size, "low").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    half = folded(model, config.size, "low").to(dtype=torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = onnx_bytes(Trained(model, config, 0, ""), "low")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def inputs(images: Tensor) -> Tensor:
        return network_input(images / 255, "low", config.input)

    def maps(refined: Tensor) -> Tensor:
        return probabilities(refined.float(), config.loss)

    return {
        "plain": plainly(model, config),
        "as_trained": lambda images: maps(model(inputs(images), len(images)).refined),
        "folded": lambda images: maps(fast(inputs(images), 0).refined),
        "folded_bf16": lambda images: maps(half(inputs(images).bfloat16(), 0).refined),
        "onnxruntime": lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0]),
    }


def apart(found: Tensor, expected: Tensor) -> dict[str, float]:
    """Differences of heat maps, in parts of their highest value, and of joints, median in pixels of the input."""
    distance = STRIDE * (decode(found)[0] - decode(expected)[0]).norm(dim=2)
    difference = float((found - expected).abs().max() / expected.max())
    return {"heat_maps": round(difference, 7), "joints_median_px": round(float(distance.median()), 4)}


def timed(nets: dict[str, Answer], images: Tensor, calls: int) -> dict[str, float]:
    """Median process CPU seconds of a call of each; the first of every network is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in nets}
    for _ in range(calls + 1):
        for name, answer in nets.items():
            began = time.process_time()
            answer(images)
            seconds[name].append(time.process_time() - began)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def crops(config: Config, batch: int) -> Tensor:
    """Noise as dark as crops are: float32 (batch, 3, H, W), 0..20 of 255."""
    return 20 * torch.rand(batch, 3, *config.size, generator=torch.Generator().manual_seed(0))


def as_started(batch: int, calls: int) -> float:
    """Seconds of the plain network in a process that returns its memory, as Python does when nobody says otherwise."""
    command = [sys.executable, __file__, "--plain-only", str(batch), str(calls)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plain-only", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = new_config("modern", None, {"data": "none", "model": {"backbone_weights": "none"}})
    if options.plain_only:
        batch, calls = options.plain_only
        with torch.inference_mode():
            net = {"plain": plainly(build_model(config.model, config.method.lsbn, 0).eval(), config)}
            print(timed(net, crops(config, batch), calls)["plain"])
        return
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    keep_memory()
    nets = answers(config)
    figures: dict[str, object] = {"clock": "process CPU time, one thread", "load_before": load}
    figures["cpu"] = torch.backends.cpu.get_cpu_capability()
    fastest = 0.0
    with torch.inference_mode():
        for batch, calls in CALLS.items():
            images = crops(config, batch)
            medians = timed(nets, images, calls)
            medians["plain_as_started"] = as_started(batch, max(1, calls // 2))
            times = {name: round(medians["plain"] / value, 2) for name, value in medians.items()}
            figures[f"batch_{batch}"] = {
                "ms_per_crop": {name: round(1000 * value / batch, 1) for name, value in medians.items()},
                "times_as_fast_as_plain": times,
            }
            if batch == 1:
                fastest = max(times["folded"], times["folded_bf16"], times["onnxruntime"])
        expected = nets["plain"](images)
        differences = {name: apart(answer(images), expected) for name, answer in nets.items() if name != "plain"}
    exact = max(differences[name]["heat_maps"] for name in ("as_trained", "folded", "onnxruntime"))
    print(
        json.dumps(
            {
                "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
                "versions": {name: version(name) for name in ("exlcap", "torch", "onnxruntime")},
                "figures": {**figures, "apart_from_plain": differences},
                "bars": {
                    "fastest_against_plain_at_batch_1": {"value": fastest, "aim": AIM, "ok": fastest >= AIM},
                    "largest_difference_in_float32": {"value": exact, "aim": 1e-3, "ok": exact <= 1e-3},
                },
                "not_measured": "GPUs; more threads than one; cutting and decoding",
            },
            indent=None if options.json else 1,
        )
    )


if __name__ == "__main__":
    main()
