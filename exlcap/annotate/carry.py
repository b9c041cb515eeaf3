"""Labels carried from the bright frame to the dark one through the alignment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exlcap.core.alignment import Alignment
from exlcap.core.labels import PairLabels, Person, inside

CARRIED = "carried from well"


def carry(people: tuple[Person, ...], alignment: Alignment) -> PairLabels:
    """Labels of a pair from those of its bright frame.

    A joint outside the dark frame gets flag 0 there; a person wholly outside it is left out of it.
    """
    return PairLabels(well=people, low=tuple(p for p in (_carried(person, alignment) for person in people) if p))


def _carried(person: Person, alignment: Alignment) -> Person | None:
    width, height = alignment.low_size
    box = _carried_box(person, alignment)
    if box is None:
        return None
    keypoints = np.zeros_like(person.keypoints)
    labelled = person.labelled
    if labelled.any():
        keypoints[labelled, :2] = alignment.map_well_to_low(person.keypoints[labelled, :2])
        keypoints[labelled, 2] = person.keypoints[labelled, 2]
    return replace(person, keypoints=inside(keypoints, width, height), box=box, origin=CARRIED, before=None)


def _carried_box(person: Person, alignment: Alignment) -> tuple[float, float, float, float] | None:
    """Upright box around the carried corners, cut to the dark frame; None if nothing is left."""
    x, y, width, height = person.box
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    carried = alignment.map_well_to_low(corners)
    left, top = np.maximum(carried.min(0), -0.5)
    right, bottom = np.minimum(carried.max(0), np.array(alignment.low_size) - 0.5)
    if right <= left or bottom <= top:
        return None
    return float(left), float(top), float(right - left), float(bottom - top)
