"""Pose losses against their equations written out in float64, and their masks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from exlcap.train.config import LossConfig
from exlcap.train.data.heatmaps import OFFICIAL_KERNELS, official_targets, targets
from exlcap.train.losses.pose import hardest_mean, joint_losses, masked_mean, pose_losses, probabilities

SIZE = (6, 5)
SIGMAS = (2.0, 1.5, 1.2, 1.0)


def loss_config(kind: str, hard_joints: int = 2, level_weight: float = 0.5) -> LossConfig:
    return LossConfig(
        kind=kind, targets="exact", peak=1.0, level_sigmas=SIGMAS, refine_sigma=0.9, level_weight=level_weight,
        absent="ignored", hard_joints=hard_joints,
    )  # fmt: skip


@pytest.fixture
def maps() -> list[Tensor]:
    """Five sets of maps: four levels and the refined one, for 2 people and 4 joints."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn((2, 4, *SIZE), generator=generator, dtype=torch.float64) for _ in range(5)]


JOINTS = torch.tensor(
    [[[1.2, 2.0], [3.0, 4.4], [0.1, 0.2], [9.0, 2.0]], [[4.0, 1.0], [2.5, 2.5], [1.0, 5.0], [3.3, 0.0]]],
    dtype=torch.float64,
)
LABELLED = torch.tensor([[True, True, False, True], [True, True, True, True]])
COUNTED = [[0, 1], [0, 1, 2, 3]]  # joint 2 of the first person is not labelled, joint 3 lies off the map


def plain_joint_loss(map_: Tensor, joint: Tensor, sigma: float, kind: str) -> float:
    """One joint's loss, pixel by pixel."""
    wanted = [
        [math.exp(-((x - float(joint[0])) ** 2 + (y - float(joint[1])) ** 2) / (2 * sigma**2)) for x in range(SIZE[1])]
        for y in range(SIZE[0])
    ]
    pixels = [(y, x) for y in range(SIZE[0]) for x in range(SIZE[1])]
    if kind == "mse":
        return sum((float(map_[y, x]) - wanted[y][x]) ** 2 for y, x in pixels) / len(pixels)
    total = sum(wanted[y][x] for y, x in pixels)
    log_sum = math.log(sum(math.exp(float(map_[y, x])) for y, x in pixels))
    divergence = 0.0
    for y, x in pixels:
        share = wanted[y][x] / total
        divergence += share * (math.log(share) - (float(map_[y, x]) - log_sum))
    return divergence


def plain_pose_loss(maps: list[Tensor], person: int, kind: str, config: LossConfig) -> float:
    per_level = [
        [plain_joint_loss(level[person, j], JOINTS[person, j], sigma, kind) for j in COUNTED[person]]
        for level, sigma in zip(maps, (*SIGMAS, config.refine_sigma), strict=True)
    ]
    refined = per_level[4]
    if kind == "mse":
        refined = sorted(refined, reverse=True)[: config.hard_joints]
    return config.level_weight * sum(sum(v) / len(v) for v in per_level[:4]) + sum(refined) / len(refined)


@pytest.mark.parametrize("kind", ["softmax", "mse"])
def test_the_loss_of_each_person_equals_the_equations(maps: list[Tensor], kind: str) -> None:
    config = loss_config(kind)
    found = pose_losses(maps[:4], maps[4], JOINTS, LABELLED, config)
    wanted = [plain_pose_loss(maps, person, kind, config) for person in range(2)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


OFFICIAL = LossConfig(
    kind="mse", targets="official", peak=255.0, level_sigmas=SIGMAS, refine_sigma=0.9, level_weight=0.5,
    absent="official", hard_joints=3,
)  # fmt: skip


def plain_official_loss(maps: list[Tensor], size: tuple[int, int]) -> float:
    """The official code's loss of a batch: 4 x MSE / 2 over all joints, then the 3 hardest of RefineNet, over 3."""
    drawn = [official_targets(JOINTS, size, kernel) * 255 for kernel in OFFICIAL_KERNELS]
    total = 0.0
    for level in range(4):
        wanted = drawn[level].clone()
        for person in range(2):
            for joint in set(range(4)) - set(COUNTED[person]):
                wanted[person, joint] = 0
        total += float(torch.nn.functional.mse_loss(maps[level], wanted)) / 2
    per_joint = (maps[4] - drawn[4]).square().mean((2, 3))
    for person in range(2):
        worst = sorted((float(per_joint[person, j]) for j in COUNTED[person]), reverse=True)[:3]
        total += sum(worst) / 3 / 2
    return total


def test_the_official_loss_equals_the_official_code_s_steps(maps: list[Tensor]) -> None:
    maps = [100 * m for m in maps]
    found = pose_losses(maps[:4], maps[4], JOINTS, LABELLED, OFFICIAL).mean()
    assert float(found) == pytest.approx(plain_official_loss(maps, SIZE))


def test_official_targets_of_absent_joints_are_zero_maps_for_global_net_only(maps: list[Tensor]) -> None:
    nobody = torch.zeros(2, 4, dtype=torch.bool)
    leaves = [m.requires_grad_() for m in maps]
    pose_losses(leaves[:4], leaves[4], JOINTS, nobody, OFFICIAL).sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[0].detach() / (4 * SIZE[0] * SIZE[1]))
    assert leaves[4].grad.abs().max() == 0


def test_half_precision_maps_are_judged_in_float32(maps: list[Tensor]) -> None:
    halves = [m.bfloat16() for m in maps]
    halves_up = [m.float() for m in halves]
    config, joints = loss_config("mse"), JOINTS.float()
    found = pose_losses(halves[:4], halves[4], joints, LABELLED, config)
    torch.testing.assert_close(
        found, pose_losses(halves_up[:4], halves_up[4], joints, LABELLED, config), atol=0, rtol=0
    )
    assert found.dtype == torch.float32


@pytest.mark.parametrize("kind", ["softmax", "mse"])
def test_joints_without_label_or_off_the_map_get_no_gradient(maps: list[Tensor], kind: str) -> None:
    config = loss_config(kind, hard_joints=14)
    leaves = [m.requires_grad_() for m in maps]
    pose_losses(leaves[:4], leaves[4], JOINTS, LABELLED, config).sum().backward()
    for leaf in leaves:
        moved = leaf.grad.abs().sum((2, 3)) > 0
        assert moved.tolist() == [[True, True, False, False], [True] * 4]


@pytest.mark.parametrize("kind", ["softmax", "mse"])
def test_gradients_are_right(maps: list[Tensor], kind: str) -> None:
    config = loss_config(kind)
    leaf = maps[4].requires_grad_()
    assert torch.autograd.gradcheck(lambda m: pose_losses(maps[:4], m, JOINTS, LABELLED, config), [leaf])


@pytest.mark.parametrize("kind", ["softmax", "mse"])
def test_perfect_maps_cost_nothing(kind: str) -> None:
    perfect = targets(JOINTS[1:], SIZE, 0.9)
    maps = perfect.log() if kind == "softmax" else perfect
    assert joint_losses(maps, perfect, loss_config(kind)).abs().max() < 1e-9


def test_a_person_without_any_counted_joint_costs_nothing(maps: list[Tensor]) -> None:
    nobody = torch.zeros(2, 4, dtype=torch.bool)
    for kind in ("softmax", "mse"):
        assert pose_losses(maps[:4], maps[4], JOINTS, nobody, loss_config(kind)).tolist() == [0.0, 0.0]


def test_hard_joint_mining_averages_the_worst_of_the_labelled_joints() -> None:
    values = torch.tensor([[1.0, 5.0, 3.0, 9.0], [1.0, 2.0, 3.0, 4.0]])
    mask = torch.tensor([[True, True, True, False], [False, False, True, False]])
    assert hardest_mean(values, mask, keep=2).tolist() == [4.0, 3.0]
    assert hardest_mean(values, mask, keep=2, always=True).tolist() == [4.0, 1.5]
    assert masked_mean(values, mask).tolist() == [3.0, 3.0]


def test_probabilities_are_not_negative_and_sum_to_one_under_softmax(maps: list[Tensor]) -> None:
    softmax = probabilities(maps[0], loss_config("softmax"))
    torch.testing.assert_close(softmax.sum((2, 3)), torch.ones(2, 4, dtype=torch.float64))
    assert probabilities(maps[0], loss_config("mse")).min() == 0
