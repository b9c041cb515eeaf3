"""Pose losses on heat maps: the paper's mean squared error with hard joint mining, and a spatial softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from exlcap.train.config import LossConfig
from exlcap.train.data.heatmaps import OFFICIAL_KERNELS, inside, official_targets, targets
from exlcap.train.losses.lupi import full

TINY = 1e-12


def pose_losses(
    levels: Sequence[Tensor], refined: Tensor, joints: Tensor, labelled: Tensor, config: LossConfig
) -> Tensor:
    """Loss of each person: GlobalNet's levels plus RefineNet. Returns (N,), in float32 where maps are of less.

    levels, refined: heat maps (N, K, H, W) as the network gives them. joints: (N, K, 2) in heat map pixels. labelled:
    bool (N, K); a joint that is not labelled or lies off the map is absent and does not count. With ``absent =
    "official"`` GlobalNet learns a map of zeros for it, and RefineNet's hard joints are divided by how many there
    should have been.
    """
    size = (refined.shape[2], refined.shape[3])
    counted = labelled & inside(joints, size)
    loss = torch.zeros(len(refined), dtype=full(refined).dtype, device=refined.device)
    for level, maps in enumerate(levels):
        wanted = _targets(joints, size, config, level)
        if config.absent == "official":
            per_person = joint_losses(maps, wanted * counted[..., None, None], config).mean(1)
        else:
            per_person = masked_mean(joint_losses(maps, wanted, config), counted)
        loss = loss + config.level_weight * per_person
    per_joint = joint_losses(refined, _targets(joints, size, config, len(levels)), config)
    if config.kind == "softmax":
        return loss + masked_mean(per_joint, counted)
    return loss + hardest_mean(per_joint, counted, config.hard_joints, always=config.absent == "official")


def _targets(joints: Tensor, size: tuple[int, int], config: LossConfig, level: int) -> Tensor:
    """Target maps of GlobalNet's level 0 to 3 or of RefineNet, 4."""
    if config.targets == "official":
        return config.peak * official_targets(joints, size, OFFICIAL_KERNELS[level])
    return config.peak * targets(joints, size, (*config.level_sigmas, config.refine_sigma)[level])


def joint_losses(maps: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Loss of each joint, (N, K). maps, target: (N, K, H, W).

    "mse": mean over pixels of the squared difference. "softmax": cross-entropy between the map's softmax over space and
    the target normalised to sum 1, less the target's entropy, so that a perfect map has loss 0.
    """
    maps = full(maps)
    if config.kind == "mse":
        return (maps - target).square().mean((2, 3))
    wanted = target.flatten(2)
    wanted = wanted / wanted.sum(2, keepdim=True).clamp_min(TINY)
    return (torch.xlogy(wanted, wanted) - wanted * maps.flatten(2).log_softmax(2)).sum(2)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the masked-in joints of each person, 0 where there are none. (N, K) -> (N,)."""
    return torch.where(mask, values, 0.0).sum(1) / mask.sum(1).clamp_min(1)


def hardest_mean(values: Tensor, mask: Tensor, keep: int, always: bool = False) -> Tensor:
    """Online hard keypoint mining: mean of each person's `keep` largest losses. (N, K) -> (N,).

    always: divide by `keep` also where fewer joints are masked in.
    """
    hardest = torch.where(mask, values, 0.0).topk(min(keep, values.shape[1]), dim=1).values
    return hardest.sum(1) / (keep if always else mask.sum(1).clamp(1, keep))


def probabilities(maps: Tensor, config: LossConfig) -> Tensor:
    """Heat maps as they are decoded: not negative, and of sum 1 for "softmax". (N, K, H, W)."""
    if config.kind == "mse":
        return full(maps).clamp_min(0) / config.peak
    return full(maps).flatten(2).softmax(2).view(maps.shape)
