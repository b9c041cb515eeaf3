"""Batches: reproducible from (seed, epoch, index), lights scaled as the paper says, joints under the pixels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from exlcap.core.joints import FLIP_INDICES
from exlcap.train.config import Config
from exlcap.train.data.augment import Change, change_matrix
from exlcap.train.data.batches import Batch, PairCrop, epoch_batches, prefetched, sampled, train_batch, warped
from exlcap.train.methods import method_named
from exlcap.train.prepare import new_config, read_data


@pytest.fixture
def config() -> Config:
    return new_config("small", None, {"data": "sticks", "optim": {"batch": 4}})


@pytest.fixture
def pairs(tmp_path: Path, write_stick_figures: Callable[..., Path], config: Config) -> Sequence[PairCrop]:
    return read_data(write_stick_figures(tmp_path, train=6, val=0, test=0), config).train


def changed(config: Config, **augment: object) -> Config:
    return config.model_copy(update={"augment": config.augment.model_copy(update=augment)})


def unchanged(config: Config) -> Config:
    return changed(config, flip=False, rotation_deg=0.0, view=(1.0, 1.0), shift=0.0, brightness=0.0, colour=0.0)


def test_an_epoch_is_the_same_again_and_the_next_is_not(pairs: Sequence[PairCrop], config: Config) -> None:
    first, again, other = (torch.cat([b.images for b in epoch_batches(pairs, config, e)]) for e in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_person_s_change_depends_on_its_index_and_not_on_its_batch(pairs: Sequence[PairCrop], config: Config) -> None:
    alone = train_batch([(2, pairs[2])], config, epoch=5)
    among = train_batch([(0, pairs[0]), (2, pairs[2])], config, epoch=5)
    assert torch.equal(alone.images[0], among.images[1])
    assert torch.equal(alone.joints, among.joints[[1, 3]])


def test_everybody_comes_once_an_epoch_in_batches_of_nearly_equal_size(
    pairs: Sequence[PairCrop], config: Config
) -> None:
    still = unchanged(config)
    batches = list(epoch_batches(pairs, still, epoch=3))
    sizes = [batch.n_low for batch in batches]
    assert sum(sizes) == len(pairs) and max(sizes) - min(sizes) <= 1
    places = torch.cat([batch.joints[: batch.n_low] for batch in batches]).flatten(1)
    assert len(torch.unique(places, dim=0)) == len(pairs)


def test_dark_images_come_first_and_the_bright_ones_show_the_same_people(
    pairs: Sequence[PairCrop], config: Config
) -> None:
    for batch in epoch_batches(pairs, config, epoch=0):
        assert len(batch.images) == 2 * batch.n_low
        torch.testing.assert_close(batch.joints[: batch.n_low], batch.joints[batch.n_low :])


@pytest.mark.parametrize("method, dark, bright", [("baseline-low", 1, 0), ("baseline-well", 0, 1), ("lsbn", 1, 1)])
def test_a_baseline_sees_its_own_light_only(
    pairs: Sequence[PairCrop], config: Config, method: str, dark: int, bright: int
) -> None:
    batch = train_batch([(0, pairs[0])], config.model_copy(update={"method": method_named(method)}), epoch=0)
    assert (batch.n_low, len(batch.images) - batch.n_low) == (dark, bright)


def test_a_flip_mirrors_the_image_and_swaps_left_and_right(pairs: Sequence[PairCrop], config: Config) -> None:
    still, flips = unchanged(config), changed(unchanged(config), flip=True)
    flipped = 0
    for epoch in range(8):
        plain, drawn = (train_batch([(0, pairs[0])], config, epoch) for config in (still, flips))
        if torch.equal(plain.joints, drawn.joints):
            continue
        flipped += 1
        torch.testing.assert_close(drawn.images, plain.images.flip(3), atol=0.02, rtol=0)
        mirrored = plain.joints[:, list(FLIP_INDICES)]
        width = config.model.width // 4
        torch.testing.assert_close(drawn.joints[..., 0], width - 1 - mirrored[..., 0], atol=1e-3, rtol=0)
        torch.testing.assert_close(drawn.joints[..., 1], mirrored[..., 1], atol=1e-3, rtol=0)
    assert 0 < flipped < 8


def test_joints_that_are_not_labelled_are_masked(pairs: Sequence[PairCrop], config: Config) -> None:
    pairs[0].low.person.keypoints[3, 2] = 0
    batch = train_batch([(0, pairs[0])], unchanged(config), epoch=0)
    assert batch.labelled[0].tolist() == [i != 3 for i in range(14)]
    assert batch.labelled[1].all()


def test_on_a_gpu_crops_are_warped_as_by_opencv(pairs: Sequence[PairCrop], config: Config) -> None:
    """`sampled` is what runs there; it runs anywhere. OpenCV rounds places to 1/32 px and results to whole levels."""
    crops = [pair.well for pair in pairs] + [pair.low for pair in pairs]
    rng = np.random.default_rng(0)
    changes = [Change(rotation_deg=r, scale=s) for r, s in rng.uniform((-180, 0.5), (180, 1.5), (len(crops), 2))]
    to_input = np.stack([change_matrix(c, config.size) @ crop.plain for c, crop in zip(changes, crops, strict=True)])
    by_opencv = warped(crops, to_input, config.size, torch.device("cpu")).float()
    to_pixels = torch.from_numpy(to_input @ np.linalg.inv(np.stack([crop.to_pixels for crop in crops])))
    pixels = torch.from_numpy(np.stack([crop.pixels for crop in crops]))
    found = 255 * sampled(pixels, torch.tensor([crop.border for crop in crops]), to_pixels, config.size)
    difference = (found - by_opencv).abs()
    assert difference.mean() < 1 and difference.quantile(0.99) < 6


def test_batches_made_ahead_are_the_same_in_the_same_order(pairs: Sequence[PairCrop], config: Config) -> None:
    ahead, plain = (list(run(epoch_batches(pairs, config, 0))) for run in (prefetched, iter))
    assert [batch.people for batch in ahead] == [batch.people for batch in plain] and len(ahead) > 1
    assert all(torch.equal(a.images, b.images) for a, b in zip(ahead, plain, strict=True))


def test_an_error_while_making_batches_ahead_is_raised_where_they_are_used(
    pairs: Sequence[PairCrop], config: Config
) -> None:
    def failing() -> Iterator[Batch]:
        yield train_batch([(0, pairs[0])], config, 0)
        raise OSError("disk gone")

    batches = prefetched(failing())
    next(batches)
    with pytest.raises(OSError, match="disk gone"):
        next(batches)


def test_batches_that_nobody_wants_any_more_are_no_longer_made(pairs: Sequence[PairCrop], config: Config) -> None:
    made = 0

    def endless() -> Iterator[Batch]:
        nonlocal made
        while True:
            made += 1
            yield train_batch([(0, pairs[0])], config, 0)

    batches = prefetched(endless())
    next(batches)
    batches.close()
    after = made
    assert after <= 5 and not [thread for thread in threading.enumerate() if thread.name == "batches"]


def test_an_epoch_goes_on_where_it_was_left(pairs: Sequence[PairCrop], config: Config) -> None:
    whole = list(epoch_batches(pairs, config, 1))
    rest = list(epoch_batches(pairs, config, 1, skip=1))
    assert [batch.people for batch in rest] == [batch.people for batch in whole[1:]]
    assert torch.equal(rest[0].images, whole[1].images)
