"""Pose losses on heat maps: the paper's mean squared error with hard joint mining, and a spatial softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from exlcap.train.config import LossConfig
from exlcap.train.heatmaps import inside, targets

TINY = 1e-12


def pose_losses(levels: Sequence[Tensor], refined: Tensor, joints: Tensor, labelled: Tensor, how: LossConfig) -> Tensor:
    """Loss of each person: GlobalNet's levels plus RefineNet. Returns (N,).

    levels, refined: heat maps (N, K, H, W) as the network gives them. joints: (N, K, 2) in heat map pixels. labelled:
    bool (N, K); a joint that is not labelled or lies off the map takes no part.
    """
    size = (refined.shape[2], refined.shape[3])
    counted = labelled & inside(joints, size)
    loss = torch.zeros(len(refined), dtype=refined.dtype, device=refined.device)
    for maps, sigma in zip(levels, how.level_sigmas, strict=True):
        per_joint = joint_losses(maps, targets(joints, size, sigma), how)
        loss = loss + how.level_weight * masked_mean(per_joint, counted)
    per_joint = joint_losses(refined, targets(joints, size, how.refine_sigma), how)
    if how.kind == "mse":
        return loss + hardest_mean(per_joint, counted, how.hard_joints)
    return loss + masked_mean(per_joint, counted)


def joint_losses(maps: Tensor, target: Tensor, how: LossConfig) -> Tensor:
    """Loss of each joint, (N, K). maps, target: (N, K, H, W), the target of peak 1.

    "mse": mean over pixels of the squared difference, halved. "softmax": cross-entropy between the map's softmax over
    space and the target normalised to sum 1, less the target's entropy, so that a perfect map has loss 0.
    """
    if how.kind == "mse":
        return 0.5 * (maps - target).square().mean((2, 3))
    wanted = target.flatten(2)
    wanted = wanted / wanted.sum(2, keepdim=True).clamp_min(TINY)
    return (torch.xlogy(wanted, wanted) - wanted * maps.flatten(2).log_softmax(2)).sum(2)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the masked-in joints of each person, 0 where there are none. (N, K) -> (N,)."""
    return torch.where(mask, values, 0.0).sum(1) / mask.sum(1).clamp_min(1)


def hardest_mean(values: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Online hard keypoint mining: mean of each person's `keep` largest losses. (N, K) -> (N,)."""
    hardest = torch.where(mask, values, 0.0).topk(min(keep, values.shape[1]), dim=1).values
    return hardest.sum(1) / mask.sum(1).clamp(1, keep)


def probabilities(maps: Tensor, how: LossConfig) -> Tensor:
    """Heat maps as they are decoded: not negative, and for "softmax" of sum 1. (N, K, H, W)."""
    if how.kind == "mse":
        return maps.clamp_min(0)
    return maps.flatten(2).softmax(2).view(maps.shape)
