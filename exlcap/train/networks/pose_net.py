"""The pose network: a ResNet whose BatchNorm may be lighting-specific, GlobalNet and RefineNet."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from exlcap.core.joints import N_JOINTS
from exlcap.train.config import ModelConfig
from exlcap.train.networks.cpn import GlobalNet, RefineNet
from exlcap.train.networks.lsbn import ApartBN2d, BatchLights, LSBN2d, Norm
from exlcap.train.networks.resnet import Features, ResNet

STRIDE = 4
"""Input pixels per heat map pixel."""


class Output(NamedTuple):
    """Output for a batch: heat maps (N, 14, H / 4, W / 4) of GlobalNet's four levels, deep to shallow (only in
    training, which alone needs them), and of RefineNet; and the backbone's features.
    """

    levels: list[Tensor]
    refined: Tensor
    features: Features


class PoseNet(nn.Module):
    """CPN on images of `config.height` x `config.width`. lsbn: BatchNorms are LSBNs, where `config.lsbn` says."""

    def __init__(self, config: ModelConfig, lsbn: bool) -> None:
        super().__init__()
        self.lights = BatchLights()

        def shared(channels: int) -> nn.Module:
            return ApartBN2d(channels, self.lights) if config.shared_bn == "apart" else nn.BatchNorm2d(channels)

        def specific(channels: int) -> nn.Module:
            return LSBN2d(channels, self.lights)

        norm: Norm = specific if lsbn else shared
        head_norm: Norm = norm if config.lsbn == "everywhere" else shared
        size = (config.height // STRIDE, config.width // STRIDE)
        self.backbone = ResNet(config.depth, config.base_channels, norm)
        self.global_net = GlobalNet(self.backbone.channels, config.head_channels, size, config.last_bn, head_norm)
        self.refine_net = RefineNet(config.head_channels, size, config.last_bn, head_norm)

    def forward(self, images: Tensor, n_low: int) -> Output:
        """Heat maps of a batch ordered [low..., well...].

        images: float (N, 3, height, width), normalised. n_low: how many of them, at the head, are low-light.
        """
        with self.lights.batch(images.shape[0], n_low):  # len() would fix the batch size of an exported graph
            features: Features = self.backbone(images)
            pyramid, levels = self.global_net(features[1:], predict=self.training)
            return Output(levels, self.refine_net(pyramid), features)


def build_model(config: ModelConfig, lsbn: bool, seed: int) -> PoseNet:
    """A network with weights drawn from `seed`, unaffected by torch's global generator.

    He initialisation; the convolutions that give heat maps start near zero, so that at first every place is equally
    likely.
    """
    model = PoseNet(config, lsbn)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if module.out_channels == N_JOINTS:
                nn.init.normal_(module.weight, std=0.001, generator=generator)
            else:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
