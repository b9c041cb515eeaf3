"""A step: its schedule, its averaged weights, the parts of its loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from exlcap.train.config import Config, OptimConfig
from exlcap.train.loop import new_state
from exlcap.train.prepare import new_config
from exlcap.train.settings import preset
from exlcap.train.step import learning_rate, training_progress, update_average


@pytest.fixture
def config(tiny_toml: Path) -> Config:
    return new_config("small", tiny_toml, {"data": "sticks"})


def schedule(**changes: object) -> OptimConfig:
    values = {**preset("small")["optim"], "batch": 4, "epochs": 10, "lr": 1.0, "warmup": 0.2, "milestones": ()}
    return OptimConfig(**{**values, **changes})


def test_the_learning_rate_warms_up_and_falls_as_a_cosine_to_zero() -> None:
    optim = schedule()
    assert learning_rate(0.1, 0, optim) == pytest.approx(0.5)
    assert learning_rate(0.2, 0, optim) == pytest.approx(1.0)
    assert learning_rate(0.6, 0, optim) == pytest.approx(0.5)
    assert learning_rate(1.0, 0, optim) == pytest.approx(0.0)
    assert 0 < learning_rate(0.0, 0, optim) < 0.05


def test_steps_multiply_the_learning_rate_at_each_milestone_that_is_reached() -> None:
    optim = schedule(schedule="steps", milestones=(3, 5), factor=0.5, warmup=0.1)
    rates = [learning_rate(0.5, epoch, optim) for epoch in (2, 3, 4, 5, 9)]
    assert rates == [1.0, 0.5, 0.5, 0.25, 0.25]
    assert learning_rate(0.05, 0, optim) == pytest.approx(0.5)


def test_progress_is_by_steps_or_by_the_clock_whichever_is_ahead() -> None:
    assert training_progress(step=25, steps_per_epoch=5, seconds=1e6, optim=schedule()) == 0.5
    timed = schedule(minutes=1.0)
    assert training_progress(step=25, steps_per_epoch=5, seconds=15.0, optim=timed) == 0.5
    assert training_progress(step=25, steps_per_epoch=5, seconds=45.0, optim=timed) == 0.75
    assert training_progress(step=25, steps_per_epoch=5, seconds=99.0, optim=timed) == 1.0


def test_averaged_weights_follow_their_definition(config: Config) -> None:
    state = new_state(config, torch.device("cpu"), resumed=False)
    before = state.average.backbone.conv1.weight.clone()
    with torch.no_grad():
        state.model.backbone.conv1.weight += 1.0
    update_average(state.average, state.model, decay=0.9, step=10**6)
    torch.testing.assert_close(state.average.backbone.conv1.weight, before + 0.1)
    update_average(state.average, state.model, decay=0.0, step=0)
    assert torch.equal(state.average.backbone.conv1.weight, state.model.backbone.conv1.weight)
