"""Labels made by networks on the developed bright frames of a take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from exlcap.annotate.hand_labels import SAME_PERSON_IOU, iou
from exlcap.annotate.networks.choose import Networks
from exlcap.annotate.networks.oks import oks
from exlcap.annotate.networks.people import PoseEstimate, people_in
from exlcap.annotate.networks.thresholds import (
    JOINT_SCORE,
    MIN_JOINTS,
    SAME_PERSON_OKS,
    SURE_LIKENESS,
    SURE_SCORE,
)
from exlcap.annotate.tracks import NEW, with_ids
from exlcap.core.alignment import Alignment
from exlcap.core.develop import Rgb8, develop, development_of, to_srgb
from exlcap.core.labels import PairLabels, Person, inside
from exlcap.core.take import Pair, Take


def label_automatically(
    networks: Networks,
    take: Take,
    alignment: Alignment,
    old: Mapping[str, PairLabels],
    step: Callable[[str], None],
) -> Iterator[dict[str, tuple[Person, ...]]]:
    """People of the bright frames of a take, by pair id: after each step of its schedule those of all pairs so far.

    old: existing labels. People labelled or decided on by hand stay as they are, and so do pairs that the same networks
    labelled before. step: called once for each pair.
    """
    frames: dict[str, tuple[Person, ...]] = {}
    for _, pairs in groupby(take.pairs, key=lambda pair: pair.k):
        for pair in pairs:
            name = take.pair_id(pair)
            before = old.get(name, PairLabels()).well
            if labelled_by(before, networks.origin):
                frames[name] = before
            else:
                estimates = people_in(networks, bright_picture(take, pair, alignment))
                people = [as_person(person, alignment, networks.origin) for person in estimates]
                frames[name] = merged(before, [person for person in people if person is not None])
            step(f"{name}: {len(frames[name])} people")
        yield dict(zip(frames, with_ids(list(frames.values())), strict=True))


def labelled_by(people: Sequence[Person], origin: str) -> bool:
    """Whether there are people neither labelled nor decided on by hand, and all of them come from these networks."""
    kept = by_hand(people)
    made = [person for person in people if person not in kept]
    return bool(made) and all(person.origin == origin for person in made)


def merged(old: Sequence[Person], new: Sequence[Person]) -> tuple[Person, ...]:
    """People of a frame after a network ran: those labelled or decided on by hand, and the others that it found."""
    kept = by_hand(old)
    return (*kept, *(person for person in new if not any(same_person(other, person) for other in kept)))


def bright_picture(take: Take, pair: Pair, alignment: Alignment) -> Rgb8:
    """The whole bright frame as a network sees it: developed as `build` does, uint8 (H, W, 3) sRGB."""
    return to_srgb(develop(take.raw(pair, "well"), development_of(take.header.rig, "well", alignment)))


def as_person(estimate: PoseEstimate, alignment: Alignment, origin: str) -> Person | None:
    """An estimate as a label; None if too few of its joints lie in the common area of both frames.

    Joints below JOINT_SCORE get flag 0, those below SURE_SCORE or SURE_LIKENESS flag 1, the others flag 2.
    """
    score = estimate.joints[:, 2]
    flags = np.where((score < SURE_SCORE) | (estimate.alike < SURE_LIKENESS), 1, 2)
    keypoints = np.column_stack([estimate.joints[:, :2], flags])
    keypoints[score < JOINT_SCORE] = 0
    keypoints = inside(keypoints, *alignment.well_size)
    x, y, width, height = alignment.crop
    shared = inside(keypoints - (x, y, 0), width, height)[:, 2] > 0
    if (shared & (keypoints[:, 2] > 0)).sum() < MIN_JOINTS:
        return None
    return Person(NEW, keypoints, estimate.box, origin, scores=score, spread_px=estimate.spread_px)


def by_hand(people: Sequence[Person]) -> list[Person]:
    """People labelled or decided on by hand, whom no network touches."""
    return [person for person in people if person.review != "undecided" or person.origin.startswith("hand: ")]


def same_person(a: Person, b: Person) -> bool:
    """Whether two labels of a frame mean the same person: nearly the same box, or nearly the same joints."""
    return iou(a.box, b.box) >= SAME_PERSON_IOU or oks(a.keypoints, b.keypoints, a.box) >= SAME_PERSON_OKS
