"""AP is pycocotools' with our sigmas and areas; perfect heat maps reach 100 all the way through the crops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exlcap.core.joints import FLIP_INDICES, JOINTS, OKS_SIGMAS
from exlcap.train.config import Config
from exlcap.train.data.batches import plain_inputs
from exlcap.train.data.crops import Crop, crop_people
from exlcap.train.data.heatmaps import targets, to_map
from exlcap.train.data.people import Split, read_split
from exlcap.train.networks.pose_net import Output
from exlcap.train.prepare import new_config
from exlcap.train.results import inference
from exlcap.train.results.inference import OFFICIAL_PAIRS, Predictions, heatmaps, predict_crops, unmirrored
from exlcap.train.results.precision import Scores, oks, score_split


@pytest.fixture
def folder(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> Path:
    return write_stick_figures(tmp_path, train=1, val=4, test=4)


@pytest.fixture
def split(folder: Path) -> Split:
    found = read_split(folder, "test_WL")
    assert found is not None
    return found


def truth(split: Split) -> np.ndarray:
    return np.stack([person.keypoints[:, :2] for person in split.people])


def scored(split: Split, joints: np.ndarray) -> Scores:
    found = score_split(split, Predictions(joints, np.ones(joints.shape[:2])))
    assert found is not None
    return found


def test_perfect_predictions_score_100(split: Split) -> None:
    found = scored(split, truth(split))
    assert (found.ap, found.ap50, found.ap75, found.ar) == (100, 100, 100, 100)
    assert (found.images, found.people) == (12, len(split.people))


def test_predictions_beside_every_person_score_0(split: Split) -> None:
    assert scored(split, truth(split) + 500).ap == 0


def test_ap_follows_oks_with_our_sigmas_and_areas(split: Split) -> None:
    """Every joint is moved so that OKS is 0.72 by its definition: AP counts the thresholds .50 to .70, 5 of 10."""
    joints = truth(split)
    for i, person in enumerate(split.people):
        area = person.box[2] * person.box[3] * 0.53
        joints[i, :, 0] += np.sqrt(-np.log(0.72) * 2 * area * (2 * np.array(OKS_SIGMAS)) ** 2)
    found = scored(split, joints)
    assert found.ap == pytest.approx(50) and found.ap50 == pytest.approx(100) and found.ap75 == 0
    assert oks(joints[0], split.people[0].keypoints, split.people[0].box) == pytest.approx(0.72)


def test_the_judge_trusts_neither_area_nor_count_nor_id_of_an_annotation(split: Split) -> None:
    """The published files have no `area`, wrong `num_keypoints`, and an id 0, which pycocotools takes for no match."""
    for number, annotation in enumerate(split.coco["annotations"]):
        annotation.update(id=number, num_keypoints=0)
        del annotation["area"]
    found = scored(split, truth(split))
    assert (found.ap, found.ar) == (100, 100)


def test_a_split_without_people_has_no_score() -> None:
    nobody = Split("test_WL", {"images": [], "annotations": [], "categories": []}, ())
    assert score_split(nobody, Predictions(np.zeros((0, 14, 2)), np.zeros((0, 14)))) is None


def test_scoring_leaves_the_split_as_it_was(split: Split) -> None:
    before = [set(annotation) for annotation in split.coco["annotations"]]
    scored(split, truth(split))
    assert [set(annotation) for annotation in split.coco["annotations"]] == before


class Oracle(nn.Module):
    """Stands for a network that answers with perfect heat maps: of the crops in order, then of their mirror images."""

    def __init__(self, crops: list[Crop], config: Config, batch: int) -> None:
        super().__init__()
        self.anything = nn.Parameter(torch.zeros(1))
        size = (config.model.height, config.model.width)
        map_size = (size[0] // 4, size[1] // 4)
        self.answers: list[tuple[Tensor, Tensor]] = []
        for light in ("well", "low"):
            chosen = [crop for crop in crops if crop.person.light == light]
            for start in range(0, len(chosen), batch):
                part = chosen[start : start + batch]
                images, matrices = plain_inputs(part, size, config.input)
                points = np.stack([crop.person.keypoints[:, :2] for crop in part])
                placed = np.einsum("nij,nkj->nki", matrices[:, :2, :2], points) + matrices[:, None, :2, 2]
                joints = to_map(torch.from_numpy(placed))
                mirrored = joints[:, list(FLIP_INDICES)].clone()
                mirrored[..., 0] = map_size[1] - 1 - mirrored[..., 0]
                self.answers += [(images, joints), (images.flip(3), mirrored)]
        self.map_size = map_size

    def forward(self, images: Tensor, n_low: int) -> Output:
        expected, joints = self.answers.pop(0)
        torch.testing.assert_close(images, expected)
        return Output([], targets(joints, self.map_size, 1.4).clamp_min(1e-30).log(), None)  # type: ignore[arg-type]


def test_perfect_heat_maps_score_100_with_flip_test_and_without_bias(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = read_split(folder, "val")  # both lights
    assert split is not None
    config = new_config("small", None, {"data": "sticks"})
    crops = crop_people(folder, split.people, (config.model.height, config.model.width), config.input)
    monkeypatch.setattr(inference, "BATCH", 3)
    oracle = Oracle(crops, config, batch=3)
    found = predict_crops(oracle, crops, config, "mirror")  # type: ignore[arg-type]
    assert oracle.answers == []
    error_px = found.joints - truth(split)
    assert np.abs(error_px.mean((0, 1))).max() < 0.05
    assert np.abs(error_px).max() < 0.1
    assert scored(split, found.joints).ap == 100


class Echo(nn.Module):
    """Answers with the first channel of its input as every joint's heat map, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def forward(self, images: Tensor, n_low: int) -> Output:
        self.asked.append(images)
        return Output([], images[:, :1].expand(-1, 14, -1, -1), None)  # type: ignore[arg-type]


def test_the_official_flip_test_has_the_official_errors_and_the_right_one_has_not() -> None:
    config = new_config("official", None, {"data": "sticks"})
    images = torch.rand(2, 3, 6, 4)
    for flip, divisor in (("mirror", 1), ("official", 255)):
        echo = Echo()
        heatmaps(echo, images, 0, config, flip)  # type: ignore[arg-type]
        plain, mirrored = echo.asked
        assert torch.equal(plain, images)
        torch.testing.assert_close(mirrored, images.flip(3) / divisor)
    maps = torch.arange(14.0).view(1, 14, 1, 1)
    right, wrong = unmirrored(maps, "mirror").flatten(), unmirrored(maps, "official").flatten()
    assert JOINTS[int(right[JOINTS.index("right_shoulder")])] == "left_shoulder"
    assert JOINTS[int(wrong[JOINTS.index("right_shoulder")])] == "left_elbow"
    assert JOINTS[int(wrong[JOINTS.index("right_ankle")])] == "head"
    assert sorted(OFFICIAL_PAIRS) == list(range(14))
