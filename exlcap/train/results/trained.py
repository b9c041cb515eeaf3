"""A trained network, ready for use: the best weights of a run and their config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from exlcap.core.errors import ExlcapError
from exlcap.core.joints import N_JOINTS
from exlcap.train.config import Config
from exlcap.train.data.crops import by_image, crop_people
from exlcap.train.data.people import LabelledPerson
from exlcap.train.networks.pose_net import PoseNet
from exlcap.train.results.inference import Flip, Predictions, predict_crops
from exlcap.train.runs import load_checkpoint
from exlcap.train.stored import config_from_toml

AT_ONCE = 256
"""People whose crops are in memory at the same time."""


@dataclass(frozen=True)
class Trained:
    """The best weights of a run. epoch: after which they were saved."""

    model: PoseNet
    config: Config
    epoch: int
    data_checksum: str


def load_best(folder: Path) -> Trained:
    """The best weights of a run, ready to predict. Raises ExlcapError when there are none."""
    saved = load_checkpoint(folder / "best.pt")
    config = config_from_toml(saved["config"], folder / "best.pt")
    model = PoseNet(config.model, config.method.lsbn)
    try:
        model.load_state_dict(saved["model"])
    except RuntimeError:  # torch lists every name
        raise ExlcapError(
            f"{folder / 'best.pt'}: its weights do not fit the network of this version of exlcap", "train again"
        ) from None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trained(model.eval(), config, int(saved["epoch"]), str(saved["data_checksum"]))


def predict_in_images(trained: Trained, images: Path, people: Sequence[LabelledPerson], flip: Flip) -> Predictions:
    """Joints of people in the images of a data set, in the order given; each image is decoded once.

    images: the data set's folder. Raises ExlcapError when an image is missing or damaged.
    """
    joints, scores = np.zeros((len(people), N_JOINTS, 2)), np.zeros((len(people), N_JOINTS))
    for places in _parts(people):
        crops = crop_people(images, [people[i] for i in places], trained.config.size, trained.config.input)
        part = predict_crops(trained.model, crops, trained.config, flip)
        joints[places], scores[places] = part.joints, part.scores
    return Predictions(joints, scores)


def _parts(people: Sequence[LabelledPerson]) -> Iterator[list[int]]:
    """Indices of people in parts of about AT_ONCE; the people of one image stay together."""
    part: list[int] = []
    for places in by_image(people).values():
        part += places
        if len(part) >= AT_ONCE:
            yield part
            part = []
    if part:
        yield part
