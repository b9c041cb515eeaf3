"""A trained network in its fastest form: the BatchNorm of one light only, folded into the convolutions."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from exlcap.core.rig import Light
from exlcap.train.networks.lsbn import LSBN2d
from exlcap.train.networks.pose_net import PoseNet


def of_light(model: PoseNet, light: Light) -> PoseNet:
    """A copy of a network for images in one light: every LSBN becomes the BatchNorm of that light."""
    resolved = copy.deepcopy(model).eval()
    for module in list(resolved.modules()):
        for name, child in module.named_children():
            if isinstance(child, LSBN2d):
                setattr(module, name, child.low if light == "low" else child.well)
    return resolved


@torch.no_grad()
def folded(model: PoseNet, size: tuple[int, int], light: Light) -> PoseNet:
    """A copy of a network for one light, in which every BatchNorm after a convolution is folded into it.

    Exact but for rounding, also across an up-sampling between the two, which keeps constants. A pass over an empty
    image of (height, width) = `size` shows which convolution a BatchNorm follows.
    """
    copied = of_light(model, light)
    made: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # by the identity of a tensor, which is kept alive meanwhile
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def watch(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (output, module)
        elif id(inputs[0]) in made:
            source = made[id(inputs[0])][1]
            if isinstance(module, nn.Upsample):
                made[id(output)] = (output, source)
            elif isinstance(module, nn.BatchNorm2d):
                pairs.append((source, module))

    hooks = [
        module.register_forward_hook(watch)
        for module in copied.modules()
        if isinstance(module, nn.Conv2d | nn.Upsample | nn.BatchNorm2d)
    ]
    device = next(copied.parameters()).device
    copied(torch.zeros(1, 3, *size, device=device), int(light == "low"))
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        _fold(conv, norm)
    gone = {id(norm) for _, norm in pairs}
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if id(child) in gone:
                setattr(module, name, nn.Identity())
    return copied


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Fold a BatchNorm into the convolution before it."""
    fuse = partial(fuse_conv_bn_weights, conv.weight, conv.bias)
    conv.weight, conv.bias = fuse(norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)  # type: ignore[arg-type]
