"""People in a picture, from one or two networks: opinions on every joint, their agreement, our 14 joints.

A network sees each person twice, the second time mirrored; a second network adds an opinion. Where opinions are close,
the place of a joint is their mean, weighted by score; otherwise it is that of the opinion with the higher score. The
distance of the opinions from the place is the joint's spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exlcap.annotate.networks.card import Joints
from exlcap.annotate.networks.choose import Networks
from exlcap.annotate.networks.decode import joints_in_crops
from exlcap.annotate.networks.detect import find_boxes, find_people
from exlcap.annotate.networks.network import Array, Network
from exlcap.annotate.networks.oks import likeness, oks, suppressed
from exlcap.annotate.networks.placing import crop_matrix, placed
from exlcap.annotate.networks.thresholds import CLOSE_LIKENESS, JOINT_SCORE, MIN_JOINTS, SAME_PERSON_OKS
from exlcap.core.develop import Rgb8
from exlcap.core.joints import FLIP_INDICES, JOINTS, N_JOINTS
from exlcap.core.labels import Box


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """A person that networks found.

    joints: float64 (14, 3) of x, y in pixels of the picture and score 0..1; 0, 0, 0 where unknown.
    spread_px: (14,), root mean square distance of the opinions from the place. alike: (14,), how well they agree, 0..1.
    """

    box: Box
    box_score: float
    joints: Array
    spread_px: Array
    alike: Array

    @property
    def score(self) -> float:
        """Score of the person: that of the box times the mean score of the known joints."""
        known = self.joints[:, 2] > 0
        return self.box_score * float(self.joints[known, 2].mean()) if known.any() else 0.0


def people_in(networks: Networks, picture: Rgb8) -> list[PoseEstimate]:
    """Everybody in a picture, uint8 (H, W, 3) sRGB, highest score first; a person found twice is listed once."""
    if networks.detector is not None:
        people = people_in_boxes(networks, picture, find_boxes(networks.detector, picture))
    else:
        people = _people_at_once(networks, picture)
    people = [person for person in people if (person.joints[:, 2] >= JOINT_SCORE).sum() >= MIN_JOINTS]
    return suppressed(people, lambda person: person.score, lambda a, b: oks(a.joints, b.joints, a.box), SAME_PERSON_OKS)


def people_in_boxes(networks: Networks, picture: Rgb8, boxes: Sequence[tuple[Box, float]]) -> list[PoseEstimate]:
    """The person of each box with its score, in the order given."""
    first = _opinions(networks.pose, picture, boxes, networks.flip)
    if networks.second is None:
        return [agreed(first[:, i], box, score) for i, (box, score) in enumerate(boxes)]
    second = _opinions(networks.second, picture, boxes, networks.flip)
    names = networks.pose.card.joints.names if networks.pose.card.joints else ()
    guessed = np.array([name not in names for name in JOINTS])
    people = []
    for i, (box, score) in enumerate(boxes):
        # joints that the first network lacks or only derives come from the second one, if it has them
        swapped = guessed & (second[:, i, :, 2] > 0).any(0)
        views, judges = first[:, i].copy(), second[:, i].copy()
        views[:, swapped], judges[:, swapped, 2] = second[:, i][:, swapped], 0
        people.append(agreed(views, box, score, judges))
    return people


def _opinions(network: Network, picture: Rgb8, boxes: Sequence[tuple[Box, float]], flip: bool) -> Array:
    """Our 14 joints of the person in each box, (views, N, 14, 3) in pixels of the picture: as seen, and mirrored."""
    card = network.card
    if not boxes or card.joints is None:
        return np.zeros((1, 0, N_JOINTS, 3))
    matrices = [crop_matrix(box, card.input) for box, _ in boxes]
    crops = np.stack([placed(picture, matrix, card.input) for matrix in matrices])
    views = [as_ours(joints_in_crops(network, crops), card.joints)]
    if flip:
        mirrored = joints_in_crops(network, np.ascontiguousarray(crops[:, :, ::-1]))
        views.append(_unmirrored(as_ours(mirrored, card.joints), card.input.width))
    opinions = np.stack(views)
    for i, matrix in enumerate(matrices):
        opinions[:, i, :, :2] = (opinions[:, i, :, :2] - matrix[:2, 2]) / np.diag(matrix)[:2]
    return opinions


def _unmirrored(joints: Array, width: int) -> Array:
    """Joints (..., 14, 3) of a mirrored picture as those of the picture."""
    swapped = joints[..., FLIP_INDICES, :]
    swapped[..., 0] = width - 1 - swapped[..., 0]
    return swapped


def as_ours(joints_seen: Array, joints: Joints) -> Array:
    """A network's joints (N, joints, 3) as our 14, float64 (N, 14, 3); those it lacks have score 0."""
    ours = np.zeros((len(joints_seen), N_JOINTS, 3))
    for place, name in enumerate(JOINTS):
        if name in joints.names:
            ours[:, place] = joints_seen[:, joints.names.index(name)]
        elif name in joints.derived:
            rule = joints.derived[name]
            parts = joints_seen[:, [joints.names.index(part) for part in rule.weights]]
            ours[:, place, :2] = np.einsum("npc,p->nc", parts[..., :2], list(rule.weights.values()))
            ours[:, place, 2] = rule.score * parts[..., 2].min(1)
    ours[..., 2] = np.clip(ours[..., 2] / joints.full_score, 0, 1)
    return ours


def agreed(views: Array, box: Box, box_score: float, judges: Array | None = None) -> PoseEstimate:
    """One person from the opinions of a network, (views, 14, 3). judges: opinions that affect scores, but no places."""
    joints = views[0].copy()
    for view in views[1:]:
        weight = view[:, 2:] / np.maximum(joints[:, 2:] + view[:, 2:], 1e-9)
        mean = joints[:, :2] + weight * (view[:, :2] - joints[:, :2])
        surer = np.where(weight > 0.5, view[:, :2], joints[:, :2])
        close = likeness(joints, view, box)[:, None] >= CLOSE_LIKENESS
        joints[:, :2], joints[:, 2] = np.where(close, mean, surer), (joints[:, 2] + view[:, 2]) / 2
    opinions = views if judges is None else np.concatenate([views, judges])
    weights = opinions[..., 2] / np.maximum(opinions[..., 2].sum(0), 1e-9)
    spread_px = np.sqrt((weights * ((opinions[..., :2] - joints[:, :2]) ** 2).sum(2)).sum(0))
    alike = (weights * [likeness(joints, opinion, box) for opinion in opinions]).sum(0)
    joints[:, 2] *= (1 + alike) / 2  # a place that others see elsewhere is less certain
    joints[joints[:, 2] <= 0] = 0
    return PoseEstimate(box, box_score, joints, spread_px, alike)


def _people_at_once(networks: Networks, picture: Rgb8) -> list[PoseEstimate]:
    """People of a one-stage network, each matched with the most similar one of the mirrored picture."""
    seen = _seen_at_once(networks.pose, picture)
    mirrored = []
    if networks.flip:
        width = picture.shape[1]
        for (x, y, w, h), score, joints in _seen_at_once(networks.pose, np.ascontiguousarray(picture[:, ::-1])):
            mirrored.append(((width - x - w, y, w, h), score, _unmirrored(joints, width)))
    people = []
    for box, score, joints in seen:
        alike = [oks(joints, other, box) for _, _, other in mirrored]
        views = [joints]
        if alike and max(alike) >= CLOSE_LIKENESS:
            views.append(mirrored[int(np.argmax(alike))][2])
        people.append(agreed(np.stack(views), box, score))
    return people


def _seen_at_once(network: Network, picture: Rgb8) -> list[tuple[Box, float, Array]]:
    assert network.card.joints is not None
    return [
        (box, score, as_ours(joints[None], network.card.joints)[0])
        for box, score, joints in find_people(network, picture)
    ]
