"""From the review back to the labels: the difference between what was imported and what is there now, person by person.

Whatever changed in the labels meanwhile stays, except where somebody edited that very joint. Only after the labels are
on the disk is the review database told what was pulled, so a pull can be cut short, repeated, and run while the App is
open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from exlcap.alignment import Alignment, read_alignment
from exlcap.annotate.carry import carry
from exlcap.annotate.review.previews import SLICES
from exlcap.annotate.review.proxy import Proxy, new_person, with_edits
from exlcap.annotate.review.samples import DECISIONS, Decision, Imported
from exlcap.joints import JOINTS
from exlcap.labels import Person, read_labels, write_labels
from exlcap.workspace import Workspace

DRAWN = "review-"
"""Start of the ids of people who were added in the App."""


@dataclass(frozen=True)
class Line:
    """A polyline found in the App. person: the id of whom it shows, a new one where somebody drew it."""

    person: str
    drawn: bool
    proxy: Proxy


@dataclass(frozen=True)
class Reviewed:
    """A pair as it is in the review database. sample: id of its bright sample. reviews: what each slice says."""

    sample: str
    pair_id: str
    scene: str
    take: int
    imported: Imported
    reviews: dict[str, str]
    lines: Sequence[Line]


@dataclass
class Pulled:
    """What a pull changed, line by line, and what it could not take over.

    broken: pairs of the latter. seen: by bright sample, what a pair held when it was pulled.
    """

    changes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    seen: dict[str, Imported] = field(default_factory=dict)

    def problem(self, pair: Reviewed, text: str) -> None:
        """Note what could not be taken over from a pair."""
        self.problems.append(f"{pair.pair_id}: {text}")
        self.broken.add(pair.pair_id)


def pull(workspace: Workspace, dataset: Any) -> Pulled:
    """Write edits and decisions of the review data set into the label files, carried to the dark frames too."""
    pulled = pull_into_labels(workspace, read_reviewed(dataset))
    seen = {sample: json.dumps(imported.to_json()) for sample, imported in pulled.seen.items()}
    dataset.select_group_slices("well").set_values("imported", seen, key_field="id")
    return pulled


def read_reviewed(dataset: Any) -> list[Reviewed]:
    """All pairs of the review data set."""
    names = ["pair_id", "group.name", "id", "scene", "take", "imported", "review"]
    lines = [f"pose_edit.polylines.{name}" for name in ("id", "person_id", "points", "missing", "occluded")]
    slices: dict[str, list[tuple[Any, ...]]] = {}
    for row in zip(*dataset.select_group_slices(list(SLICES)).values([*names, *lines]), strict=True):
        slices.setdefault(row[0], []).append(row)
    return [_reviewed(pair_id, parts) for pair_id, parts in sorted(slices.items())]


def _reviewed(pair_id: str, parts: list[tuple[Any, ...]]) -> Reviewed:
    _, _, sample, scene, take, imported, *_ = next(part for part in parts if part[1] == "well")
    lines = [
        Line(person or f"{DRAWN}{label}", not person, Proxy(points or (), missing or (), occluded or ()))
        for part in parts
        for label, person, points, missing, occluded in zip(*(column or () for column in part[7:]), strict=True)
    ]
    reviews = {part[1]: part[6] for part in parts}
    return Reviewed(sample, pair_id, scene, take, Imported.from_json(json.loads(imported)), reviews, lines)


def pull_into_labels(workspace: Workspace, reviewed: Sequence[Reviewed]) -> Pulled:
    """Write what was reviewed into the label files; a file in which nothing changed is not written."""
    pulled = Pulled()
    takes: dict[tuple[str, int], list[Reviewed]] = {}
    for pair in reviewed:
        takes.setdefault((pair.scene, pair.take), []).append(pair)
    for (scene, take), pairs in takes.items():
        path = workspace.labels(scene, take)
        if not path.exists():
            for pair in pairs:
                pulled.problem(pair, f"{path} is gone")
            continue
        labels = read_labels(path)
        alignment = read_alignment(workspace.alignments / f"{labels.alignment}.json")
        changed = {}
        for pair in pairs:
            if pair.pair_id not in labels.pairs:
                pulled.problem(pair, "it has no labels any more")
                continue
            before = labels.pairs[pair.pair_id].well
            people = pull_pair(before, pair, alignment, pulled)
            if people != before:
                changed[pair.pair_id] = carry(people, alignment)
        if changed:
            write_labels(path, replace(labels, pairs={**labels.pairs, **changed}))
    return pulled


def pull_pair(people: tuple[Person, ...], pair: Reviewed, alignment: Alignment, pulled: Pulled) -> tuple[Person, ...]:
    """The people of a bright frame after review; those whom nobody changed are the same objects."""
    before = {person.id: person for person in people}
    after, seen = _edited(before, pair, alignment, pulled)
    old = pair.imported
    decision, slices = old.review, pair.reviews
    changed = {review for part, review in slices.items() if review != old.slices[part]}
    if len(changed) > 1 or not changed <= set(DECISIONS):
        pulled.problem(pair, f"its slices say different things ({', '.join(sorted(map(str, changed)))}): decide again")
        slices = old.slices
    elif changed:
        decision = changed.pop()  # type: ignore[assignment]  # one of DECISIONS, as tested above
        after = {name: _decided(person, decision, old.review) for name, person in after.items()}
    pulled.seen[pair.sample] = Imported(decision, slices, seen)
    for name, person in after.items():
        if person is not before.get(name):
            pulled.changes.append(f"{pair.pair_id}: person {name}: {_told(before.get(name), person)}")
    return tuple(after.values())


def _edited(
    people: Mapping[str, Person], pair: Reviewed, alignment: Alignment, pulled: Pulled
) -> tuple[dict[str, Person], dict[str, Proxy]]:
    """People by id with the edits of the App, and the polylines that have been taken over.

    Whoever was deleted in the App is rejected, so that no network labels them again.
    """
    crop, size = alignment.crop, alignment.well_size
    after, imported = dict(people), pair.imported.people
    seen = dict(imported)
    for name in imported.keys() - {line.person for line in pair.lines}:
        del seen[name]
        if name in people and people[name].review != "rejected":
            after[name] = replace(people[name], review="rejected")
    done: set[str] = set()
    for line in pair.lines:
        name = line.person
        try:
            if name in done:
                raise ValueError("is there twice")
            done.add(name)
            if name in imported and name in people:
                after[name] = with_edits(people[name], imported[name], line.proxy, crop, size)
            elif line.drawn:
                after[name] = people.get(name) or new_person(name, line.proxy, crop, size)
            elif name not in imported or line.proxy.to_json() != imported[name].to_json():
                raise ValueError("is not in the labels")
            seen[name] = line.proxy
        except ValueError as error:
            pulled.problem(pair, f"person {name} {error}; left as it was")
    return after, seen


def _decided(person: Person, decision: Decision, before: Decision) -> Person:
    """A person after the decision on the pair.

    It reaches those who are undecided or stand as the pair stood before. Whoever was edited stays so, unless rejected.
    """
    if decision == "rejected":
        reached = person.review in ("undecided", "edited", before)
        return replace(person, review="rejected") if reached else person
    if person.review not in ("undecided", before) or person.review == decision:
        return person
    return replace(person, review=decision if person.before is None else "edited")


def _told(before: Person | None, after: Person) -> str:
    """What changed of a person, in words."""
    if before is None:
        return "added"
    told: list[str] = [after.review] if after.review != before.review else []
    for joint in np.flatnonzero((before.keypoints != after.keypoints).any(1)):
        (x, y, old), (to_x, to_y, flag) = before.keypoints[joint], after.keypoints[joint]
        if flag == 0:
            told.append(f"{JOINTS[joint]} missing")
        elif old == 0:
            told.append(f"{JOINTS[joint]} placed at {to_x:.1f}, {to_y:.1f}")
        else:
            moved = f" moved by {to_x - x:.1f}, {to_y - y:.1f} px" if (x, y) != (to_x, to_y) else ""
            told.append(f"{JOINTS[joint]}{moved}{'' if flag == old else ' hidden' if flag == 1 else ' visible'}")
    return ", ".join(told)
