"""Labels made by networks on the developed bright frames of a take."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from exlcap.alignment import Alignment
from exlcap.annotate.hand import SAME_PERSON_IOU, iou
from exlcap.annotate.networks.choose import Networks
from exlcap.annotate.networks.oks import oks
from exlcap.annotate.networks.people import Found, people_in
from exlcap.annotate.networks.thresholds import (
    JOINT_SCORE,
    MIN_JOINTS,
    SAME_PERSON_OKS,
    SURE_LIKENESS,
    SURE_SCORE,
)
from exlcap.annotate.tracks import NEW, with_ids
from exlcap.develop import Rgb8, develop, development_of, to_srgb
from exlcap.labels import PairLabels, Person, inside
from exlcap.take import Pair, Take


def label_automatically(
    networks: Networks,
    take: Take,
    alignment: Alignment,
    old: Mapping[str, PairLabels],
    step: Callable[[str], None],
) -> dict[str, tuple[Person, ...]]:
    """People of the bright frame of every pair of a take, by pair id.

    old: labels that are there; whoever was labelled or decided on by hand stays as they are. step: called once a pair.
    """
    names, frames = [], []
    for pair in take.pairs:
        name = take.pair_id(pair)
        found = people_in(networks, bright_picture(take, pair, alignment))
        new = [person for each in found if (person := as_person(each, alignment, networks.origin)) is not None]
        kept = by_hand(old.get(name, PairLabels()).well)
        names.append(name)
        frames.append((*kept, *(person for person in new if not any(same_person(k, person) for k in kept))))
        step(f"{name}: {len(new)} people")
    return dict(zip(names, with_ids(frames), strict=True))


def bright_picture(take: Take, pair: Pair, alignment: Alignment) -> Rgb8:
    """The whole bright frame as a network sees it: developed as `build` does, uint8 (H, W, 3) sRGB."""
    return to_srgb(develop(take.raw(pair, "well"), development_of(take.header.rig, "well", alignment)))


def as_person(found: Found, alignment: Alignment, origin: str) -> Person | None:
    """A person found as a label; None for one of whom too little lies in the common area of both frames.

    Joints below JOINT_SCORE get flag 0, those below SURE_SCORE or SURE_LIKENESS flag 1, the others flag 2.
    """
    score = found.joints[:, 2]
    flags = np.where((score < SURE_SCORE) | (found.alike < SURE_LIKENESS), 1, 2)
    keypoints = np.column_stack([found.joints[:, :2], flags])
    keypoints[score < JOINT_SCORE] = 0
    keypoints = inside(keypoints, *alignment.well_size)
    x, y, width, height = alignment.crop
    shared = inside(keypoints - (x, y, 0), width, height)[:, 2] > 0
    if (shared & (keypoints[:, 2] > 0)).sum() < MIN_JOINTS:
        return None
    return Person(NEW, keypoints, found.box, origin, scores=score, spread_px=found.spread_px)


def by_hand(people: tuple[Person, ...]) -> list[Person]:
    """Those whom a person labelled or decided on: no network touches them."""
    return [person for person in people if person.review != "undecided" or person.origin.startswith("hand: ")]


def same_person(a: Person, b: Person) -> bool:
    """Whether two labels of a frame mean the same person: nearly the same box, or nearly the same joints."""
    return iou(a.box, b.box) >= SAME_PERSON_IOU or oks(a.keypoints, b.keypoints, a.box) >= SAME_PERSON_OKS
