"""Pictures of predictions: people as the dark camera saw them, amplified, with prediction and with truth, and the same
people well-lit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from exlcap.core.alignment import apply_homography
from exlcap.core.drawing import draw_people
from exlcap.core.files import write_atomic
from exlcap.core.joints import N_JOINTS
from exlcap.core.labels import Keypoints
from exlcap.train.config import Config
from exlcap.train.data.augment import Matrix
from exlcap.train.data.crops import plain_matrix
from exlcap.train.data.inputs import brightened
from exlcap.train.data.people import LabelledPerson, Rgb8, read_image
from exlcap.train.results.precision import Judged, oks

TILE_HEIGHT = 256
COLUMNS = 8
STRIP = 22
"""Height of a caption in pixels."""
AMPLIFIED_MEAN = 0.4


@dataclass(frozen=True)
class Shown:
    """A person of a split and the prediction for it."""

    split: str
    person: LabelledPerson
    joints: npt.NDArray[np.float64]


def write_gallery(
    path: Path, data_folder: Path, config: Config, dark: Sequence[tuple[str, Judged]], bright: Judged | None
) -> None:
    """A PNG with up to eight people in columns, evenly spread over the dark splits in their order.

    Rows: dark as shot, amplified, predicted, true, then predicted and true well-lit. With detections, the one that fits
    a person best is shown. Without dark people only the well-lit rows are shown; without people nothing is written.
    """
    low = [shown for name, part in dark for shown in _people(name, part)]
    well = [] if bright is None else _people("WL", bright)
    columns = _chosen(low or well, well)
    if not columns:
        return
    partner = {_person(shown.person): shown for shown in well}
    made = []
    for shown in columns:
        tiles = _tiles(data_folder, config, shown)
        if shown.person.light == "low" and well:
            other = partner.get(_person(shown.person))
            tiles += _tiles(data_folder, config, other) if other else [np.zeros_like(tiles[0])] * 2
        made.append(np.vstack(tiles))
    done, data = cv2.imencode(".png", np.hstack(made)[..., ::-1])
    assert done
    write_atomic(path, data.tobytes())


def _people(name: str, part: Judged) -> list[Shown]:
    """The true people of a split, each with the prediction of its own box, else with the one that fits best, if any."""
    own = {(person.file, person.person_id): i for i, person in enumerate(part.people)}
    near: dict[str, list[int]] = {}
    for i, person in enumerate(part.people):
        near.setdefault(person.file, []).append(i)
    shown = []
    for person in part.split.people:
        joints = part.predictions.joints
        index = own.get((person.file, person.person_id))
        if index is None and (rivals := near.get(person.file)):
            index = max(rivals, key=lambda i: oks(joints[i], person.keypoints, person.box))
        if index is not None:
            shown.append(Shown(name, person, joints[index]))
    return shown


def _person(person: LabelledPerson) -> tuple[str, str]:
    return person.pair_id, person.person_id


def _chosen(people: Sequence[Shown], well: Sequence[Shown]) -> list[Shown]:
    """Up to COLUMNS people, evenly spread, of those with a well-lit image too (of all, if none has one)."""
    lit = {_person(shown.person) for shown in well}
    common = [shown for shown in people if _person(shown.person) in lit] or list(people)
    places = np.linspace(0, len(common) - 1, min(COLUMNS, len(common))).round().astype(int)
    return [common[i] for i in places]


def _tiles(data_folder: Path, config: Config, shown: Shown) -> list[Rgb8]:
    """The tiles of a person in one image, from top to bottom."""
    person = shown.person
    zoom = TILE_HEIGHT / config.size[0]
    size = (TILE_HEIGHT, round(config.size[1] * zoom))
    to_tile = plain_matrix(person.box, size, config.input.box_scale)
    plain: Rgb8 = cv2.warpAffine(read_image(data_folder, person.file), to_tile[:2], size[::-1], flags=cv2.INTER_AREA)
    predicted = np.concatenate([shown.joints, np.full((N_JOINTS, 1), 2.0)], 1)
    fit = oks(shown.joints, person.keypoints, person.box)
    visible = amplified(plain) if person.light == "low" else plain
    drawn = [
        _captioned(_drawn(visible, predicted, to_tile), f"predicted, OKS {fit:.2f}"),
        _captioned(_drawn(visible, person.keypoints, to_tile), "true"),
    ]
    if person.light == "well":
        return drawn
    return [_captioned(plain, f"{shown.split}, as shot"), _captioned(visible, "amplified"), *drawn]


def amplified(picture: Rgb8) -> Rgb8:
    """Each channel scaled to a mean of 0.4, as the network sees it."""
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    bright: Rgb8 = (255 * brightened(image, AMPLIFIED_MEAN)[0].permute(1, 2, 0).clamp(0, 1)).round().byte().numpy()
    return bright


def _drawn(picture: Rgb8, keypoints: Keypoints, to_tile: Matrix) -> Rgb8:
    """A skeleton over the dimmed picture; in amplified noise its lines would be lost."""
    placed = np.concatenate([apply_homography(to_tile, keypoints[:, :2]), keypoints[:, 2:]], 1)
    return draw_people(picture // 2, [placed], thickness=2)


def _captioned(picture: Rgb8, text: str) -> Rgb8:
    strip = np.full((STRIP, picture.shape[1], 3), 24, np.uint8)
    cv2.putText(strip, text, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([strip, picture])
