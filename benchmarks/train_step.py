"""The step of `ours` against the paper written plainly. ``python benchmarks/train_step.py [--json]``

A step is forward, losses, backward and AdamW on 8 pairs of 256x192 with ResNet-50, on one core. The plain one, below,
is the paper's equations as they stand: one forward pass for each lighting, a pair of BatchNorms, 1x1 convolutions
behind the up-sampling and the concatenation as in CPN, and eq. 3 person by person with C x C Gram matrices, in float32.
Both begin from the same weights and see the same pairs; before anything is timed, losses, gradients and statistics are
compared in float64 on a small network. Every BatchNorm is a pair here: one that both lightings share sees them together
in the trainer and one after the other in two passes, which is another function.

Each runs in a process of its own, as it would be used: the trainer keeps the memory that tensors give back
(exlcap.train.machine.device), a plain script does not know of that. `plain_keeping_memory` shows what remains where it
does.
Steps are interleaved and the medians of their process CPU time compared, which other processes disturb less than the
clock on the wall.
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

import torch
import torch.nn.functional as F
from torch import Tensor

from exlcap.train.config import Config
from exlcap.train.data.batches import Batch
from exlcap.train.loop import descend, new_state
from exlcap.train.losses.pose import pose_losses
from exlcap.train.machine.device import keep_memory
from exlcap.train.networks.pose_net import PoseNet, build_model
from exlcap.train.prepare import new_config
from exlcap.train.step import batch_losses

PAIRS = 8
AIMS = {"fp32": 1.6, "bf16": 2.5}
Values = dict[str, Tensor]
BLOCKS = (3, 4, 6, 3)


class Plain:
    """CPN on ResNet-50 with LSBN, on tensors under the trainer's own names. `light`: the pass that is under way."""

    def __init__(self, values: Values, size: tuple[int, int]) -> None:
        self.values, self.size, self.light = values, size, "low"

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.values[f"{name}.weight"]
        return F.conv2d(x, weight, self.values.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """A BatchNorm in training, or the one of a pair that belongs to this pass."""
        name = name if f"{name}.weight" in self.values else f"{name}.{self.light}"
        mean, var, weight, bias = (
            self.values[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, training=True)

    def bottleneck(self, x: Tensor, convs: tuple[str, ...], norms: tuple[str, ...], stride: int = 1) -> Tensor:
        """Three convolutions, and the fourth name for the shortcut where it has one."""
        out = F.relu(self.norm(self.conv(x, convs[0]), norms[0]))
        out = F.relu(self.norm(self.conv(out, convs[1], stride), norms[1]))
        out = self.norm(self.conv(out, convs[2]), norms[2])
        if f"{convs[3]}.weight" in self.values:
            x = self.norm(self.conv(x, convs[3], stride), norms[3])
        return F.relu(out + x)

    def backbone(self, x: Tensor) -> list[Tensor]:
        """conv1 and R1 to R4."""
        features = [F.relu(self.norm(self.conv(x, "backbone.conv1", 2), "backbone.bn1"))]
        x = F.max_pool2d(features[0], 3, 2, 1)
        for stage, blocks in enumerate(BLOCKS, 1):
            for number in range(blocks):
                at = f"backbone.layer{stage}.{number}"
                convs = (f"{at}.conv1", f"{at}.conv2", f"{at}.conv3", f"{at}.downsample.0")
                norms = (f"{at}.bn1", f"{at}.bn2", f"{at}.bn3", f"{at}.downsample.1")
                x = self.bottleneck(x, convs, norms, 2 if stage > 1 and number == 0 else 1)
            features.append(x)
        return features

    def resized(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=True)

    def heatmaps(self, x: Tensor, name: str, first: int) -> Tensor:
        maps = self.resized(self.conv(x, f"{name}.{first}"), self.size)
        return self.norm(maps, f"{name}.{first + 2}") if f"{name}.{first + 2}.weight" in self.values else maps

    def global_net(self, stages: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Pyramid and heat maps, deep to shallow."""
        pyramid: list[Tensor] = []
        levels: list[Tensor] = []
        for level, stage in enumerate(reversed(stages)):
            at = f"global_net.laterals.{level}"
            feature = F.relu(self.norm(self.conv(stage, f"{at}.0"), f"{at}.1"))
            if pyramid:
                at = f"global_net.upsamples.{level - 1}"
                finer = self.resized(pyramid[-1], (feature.shape[2], feature.shape[3]))
                feature = feature + self.norm(self.conv(finer, f"{at}.0"), f"{at}.2")
            pyramid.append(feature)
            at = f"global_net.predicts.{level}"
            levels.append(self.heatmaps(F.relu(self.norm(self.conv(feature, f"{at}.0"), f"{at}.1")), at, 3))
        return pyramid, levels

    def refine_block(self, x: Tensor, at: str) -> Tensor:
        convs = (f"{at}.body.0", f"{at}.body.3", f"{at}.body.6", f"{at}.downsample.0")
        return self.bottleneck(x, convs, (f"{at}.body.1", f"{at}.body.4", f"{at}.body.7", f"{at}.downsample.1"))

    def refine_net(self, pyramid: list[Tensor]) -> Tensor:
        parts = []
        for level, x in enumerate(pyramid):
            for block in range(3 - level):
                x = self.refine_block(x, f"refine_net.cascade.{level}.{block}")
            parts.append(self.resized(x, self.size))
        return self.heatmaps(self.refine_block(torch.cat(parts, 1), "refine_net.final.0"), "refine_net.final", 1)

    def losses(self, batch: Batch, config: Config) -> Tensor:
        """pose(low) + pose(well) + weight * LUPI, one pass after the other."""
        features, losses = {}, []
        for light, part in (("low", slice(0, batch.n_low)), ("well", slice(batch.n_low, None))):
            self.light = light
            features[light] = self.backbone(batch.images[part])
            pyramid, levels = self.global_net(features[light][1:])
            refined = self.refine_net(pyramid)
            losses.append(pose_losses(levels, refined, batch.joints[part], batch.labelled[part], config.loss).mean())
        return losses[0] + losses[1] + config.lupi.weight * gram_loss(features["low"], features["well"])


def gram_loss(low: list[Tensor], well: list[Tensor]) -> Tensor:
    """Eq. 3 as it stands, mean over people; gradients to the low-light side only."""
    total = torch.zeros((), dtype=low[0].dtype)
    for layer_low, layer_well in zip(low, well, strict=True):
        for student, teacher in zip(layer_low, layer_well.detach(), strict=True):
            f, e = student.flatten(1), teacher.flatten(1)
            total = total + (f @ f.T - e @ e.T).square().sum() / (4 * f.shape[0] ** 2 * f.shape[1] ** 2) / len(low[0])
    return total


def configured(**changes: object) -> Config:
    """`ours` with every BatchNorm a pair and eq. 3 as the paper has it. changes: of the network."""
    model = {"lsbn": "everywhere", "backbone_weights": "none", **changes}
    lupi = {"weight": 1.0, "normalisation": "paper", "batch": "mean"}
    return new_config("modern", None, {"data": "none", "model": model, "lupi": lupi})


def random_batch(config: Config, pairs: int, dtype: torch.dtype) -> Batch:
    """Noise with joints; the well-lit images are brighter and of more contrast."""
    generator = torch.Generator().manual_seed(0)
    height, width = config.size
    images = torch.randn((2 * pairs, 3, height, width), generator=generator, dtype=dtype)
    images[pairs:] = 2 * images[pairs:] + 1
    joints = torch.rand((2 * pairs, 14, 2), generator=generator, dtype=dtype) * torch.tensor([width / 4, height / 4])
    labelled = torch.rand((2 * pairs, 14), generator=generator) < 0.9
    return Batch(images.contiguous(memory_format=torch.channels_last), pairs, joints.to(dtype), labelled)


def plainly(model: PoseNet, config: Config) -> Plain:
    """A copy of a network's weights and statistics, to be used plainly."""
    values = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    for name, _ in model.named_parameters():
        values[name].requires_grad_()
    return Plain(values, (config.size[0] // 4, config.size[1] // 4))


def compare() -> float:
    """Largest difference of losses, gradients and statistics in float64, relative to the largest of each tensor."""
    config = configured(base_channels=8, head_channels=16, height=64, width=96)
    model = build_model(config.model, lsbn=True, seed=0).double().train()
    plain = plainly(model, config)
    batch = random_batch(config, 3, torch.float64)
    loss, wanted = batch_losses(model, batch, config).total, plain.losses(batch, config)
    loss.backward()
    wanted.backward()
    pairs = [(loss, wanted)]
    pairs += [(parameter.grad, plain.values[name].grad) for name, parameter in model.named_parameters()]
    pairs += [(value, plain.values[name]) for name, value in model.named_buffers() if value.is_floating_point()]
    scale = max(float(want.detach().abs().max()) for _, want in pairs[1:])
    return max(
        float((got - want).detach().abs().max()) / max(float(want.detach().abs().max()), 1e-6 * scale)
        for got, want in pairs
    )


class Steps:
    """The steps that are timed, by name, on networks of the same weights."""

    def __init__(self) -> None:
        self.config = configured()
        self.batch = random_batch(self.config, PAIRS, torch.float32)
        model = build_model(self.config.model, lsbn=True, seed=0)
        self.plain_batch = Batch(self.batch.images.contiguous(), PAIRS, self.batch.joints, self.batch.labelled)
        self.plain_net = plainly(model, self.config)
        leaves = [value for value in self.plain_net.values.values() if value.requires_grad]
        self.plain_optimizer = torch.optim.AdamW(leaves, lr=1e-5)
        self.fast = {precision: self._trainer(precision) for precision in AIMS}

    def _trainer(self, precision: str) -> Callable[[], None]:
        config = self.config.model_copy(
            update={"machine": self.config.machine.model_copy(update={"precision": precision})}
        )
        state = new_state(config, torch.device("cpu"), resumed=False)
        state.model.train()
        return lambda: descend(state, batch_losses(state.model, self.batch, config).total, 1e-5, 0.0)

    def named(self, name: str) -> Callable[[], None]:
        """A step of either kind: "plain", or the trainer's number format."""
        return self.plain if name == "plain" else self.fast[name]

    def plain(self) -> None:
        """A step as anybody would write it."""
        loss = self.plain_net.losses(self.plain_batch, self.config)
        self.plain_optimizer.zero_grad()
        loss.backward()
        self.plain_optimizer.step()


def cpu_seconds(work: Callable[[], object]) -> float:
    """Process CPU time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def serve(keeps_memory: bool) -> None:
    """Take the step that is named on standard input, again and again, and print its seconds."""
    if keeps_memory:
        keep_memory()
    steps = Steps()
    for line in sys.stdin:
        print(cpu_seconds(steps.named(line.strip())), flush=True)


class Worker:
    """A process that takes steps when asked."""

    def __init__(self, keeps_memory: bool) -> None:
        command = [sys.executable, __file__, "--serve", "keeping" if keeps_memory else "returning"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step(self, name: str) -> float:
        """Seconds of one step."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="steps of each kind")
    parser.add_argument("--serve", choices=("keeping", "returning"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.serve:
        serve(options.serve == "keeping")
        return
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    difference = compare()
    ours, plain = Worker(keeps_memory=True), Worker(keeps_memory=False)
    asked = {"plain": (plain, "plain"), "plain_keeping_memory": (ours, "plain")}
    asked |= {precision: (ours, precision) for precision in AIMS}
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(options.rounds + 1):
        for name, (worker, step) in asked.items():
            taken = worker.step(step)
            if number:  # the first warms up
                seconds[name].append(taken)
    for worker in (ours, plain):
        worker.stop()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    bars = {
        f"{name}_against_plain": {"value": round(value, 2), "aim": aim, "ok": value >= aim}
        for name, aim in AIMS.items()
        for value in [medians["plain"] / medians[name]]
    }
    bars["largest_difference_in_float64"] = {"value": difference, "aim": 1e-8, "ok": difference <= 1e-8}
    print(
        json.dumps(
            {
                "machine": f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}",
                "versions": {name: version(name) for name in ("exlcap", "torch")},
                "figures": {
                    "seconds_per_step": {name: round(value, 3) for name, value in medians.items()},
                    "pairs": PAIRS,
                    "clock": "process CPU time, one thread",
                    "cpu": torch.backends.cpu.get_cpu_capability(),
                    "load_before": load,
                },
                "bars": bars,
                "not_measured": "GPUs; averaging the weights and loading the data, which a training step has too",
            },
            indent=None if options.json else 1,
        )
    )


if __name__ == "__main__":
    main()
