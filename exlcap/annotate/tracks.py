"""The same person keeps one id through the frames of a take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from exlcap.annotate.hand_labels import iou
from exlcap.annotate.networks.oks import oks
from exlcap.annotate.networks.thresholds import TRACK_GAP, TRACK_OKS
from exlcap.core.labels import Person

NEW = ""
"""The id of a person who has none yet."""


@dataclass
class _Track:
    """Where one person was seen, as (frame, place in it) in order of time; and the last sighting."""

    seen: list[tuple[int, int]] = field(default_factory=list)
    last: Person | None = None


def with_ids(frames: Sequence[Sequence[Person]]) -> list[tuple[Person, ...]]:
    """People of frames, in the order they were shot; those of id NEW get one that nobody else in the frame has.

    People who have an id keep it, and pass it on to the frames around in which the same person is new.
    """
    taken = {person.id for people in frames for person in people}
    fresh = (name for number in range(1, len(taken) + sum(map(len, frames)) + 2) if (name := f"p{number}") not in taken)
    named: list[list[Person]] = [list(people) for people in frames]
    for track in _tracks(frames):
        people = [frames[frame][place] for frame, place in track.seen]
        ids = [person.id for person in people if person.id != NEW]
        name = ids[0] if ids else next(fresh)
        spare = ""
        for (frame, place), person in zip(track.seen, people, strict=True):
            if person.id != NEW:
                continue
            free = all(other.id != name for other in named[frame])
            spare = spare or ("" if free else next(fresh))  # the id's owner was seen apart from this track here
            named[frame][place] = replace(person, id=name if free else spare)
    return [tuple(people) for people in named]


def _tracks(frames: Sequence[Sequence[Person]]) -> list[_Track]:
    """Tracks of all people: each frame's people are assigned to tracks so that the sum of their likeness is largest."""
    from scipy.optimize import linear_sum_assignment

    tracks: list[_Track] = []
    for number, people in enumerate(frames):
        alive = [track for track in tracks if number - track.seen[-1][0] <= TRACK_GAP + 1]
        alike = np.array([[likeness(track.last, person) for person in people] for track in alive])
        pairs = zip(*linear_sum_assignment(-alike), strict=True) if alike.size else ()
        following = {int(place): alive[row] for row, place in pairs if alike[row, place] >= TRACK_OKS}
        for place, person in enumerate(people):
            track = following.get(place) or _Track()
            if not track.seen:
                tracks.append(track)
            track.seen.append((number, place))
            track.last = person
    return tracks


def likeness(a: Person | None, b: Person) -> float:
    """How alike two people are in place and pose, 0..1: the larger of OKS and the boxes' IoU."""
    return 0.0 if a is None else max(oks(a.keypoints, b.keypoints, a.box), iou(a.box, b.box))
