"""From the review back to the labels: the difference between what was imported and what is there now, person by person.

Labels that changed in the meantime keep their changes, except for joints that were edited in review. The review
database records what was pulled only after the labels are on the disk, so a pull can be interrupted, repeated, and run
while the App is open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from exlcap.annotate.carry import carry
from exlcap.annotate.review.proxy import FIELD, Line, Proxy, lines_in, new_person, with_edits
from exlcap.annotate.review.samples import Imported
from exlcap.annotate.review.schema import DECISIONS
from exlcap.core.alignment import Alignment, read_alignment
from exlcap.core.joints import JOINTS
from exlcap.core.labels import Decision, Person, read_labels, write_labels
from exlcap.core.workspace import Workspace


@dataclass(frozen=True)
class Reviewed:
    """A pair as it is in the review database. sample: id of its bright sample. reviews: decision of each slice."""

    sample: Any
    pair_id: str
    scene: str
    take: int
    imported: Imported
    reviews: dict[str, str]
    lines: Sequence[Line]


@dataclass
class Pulled:
    """What a pull changed, line by line, and what it could not take over.

    broken: pairs with such problems. seen: by pair, what it held when it was pulled.
    """

    changes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    seen: dict[str, Imported] = field(default_factory=dict)

    def problem(self, pair: Reviewed, text: str) -> None:
        """Note what could not be taken over from a pair."""
        self.problems.append(f"{pair.pair_id}: {text}")
        self.broken.add(pair.pair_id)

    def text(self) -> str:
        """The pull in words: how much changed, then line by line."""
        lines = [f"  {line}" for line in self.changes] + [f"  problem: {line}" for line in self.problems]
        return "\n".join([f"{len(self.changes)} people changed, {len(self.problems)} problems", *lines])


def pull(workspace: Workspace, samples: Any) -> Pulled:
    """Write edits and decisions into the label files, and carry them to the dark frames.

    samples: the collection of the samples of the review data set, see `mongo.stored`.
    """
    from pymongo import UpdateOne

    reviewed = read_reviewed(samples)
    pulled = pull_into_labels(workspace, reviewed)
    news = [UpdateOne({"_id": pair.sample}, {"$set": {"imported": json.dumps(pulled.seen[pair.pair_id].to_json())}})
            for pair in reviewed if pulled.seen.get(pair.pair_id, pair.imported) != pair.imported]  # fmt: skip
    if news:
        samples.bulk_write(news, ordered=False)
    return pulled


def read_reviewed(samples: Any) -> list[Reviewed]:
    """All pairs in the collection of the samples of the review data set."""
    names = ("pair_id", "group.name", "scene", "take", "imported", "review", FIELD)
    slices: dict[str, dict[str, Any]] = {}
    for sample in samples.find({}, names):
        slices.setdefault(sample["pair_id"], {})[sample["group"]["name"]] = sample
    return [_reviewed(pair_id, parts) for pair_id, parts in sorted(slices.items()) if "well" in parts]


def _reviewed(pair_id: str, parts: Mapping[str, Any]) -> Reviewed:
    well = parts["well"]
    return Reviewed(
        sample=well["_id"],
        pair_id=pair_id,
        scene=well["scene"],
        take=well["take"],
        imported=Imported.from_json(json.loads(well["imported"])),
        reviews={part: sample.get("review") for part, sample in parts.items()},
        lines=[line for sample in parts.values() for line in lines_in(sample.get(FIELD))],
    )


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
                pulled.problem(pair, "it no longer has labels")
                continue
            before = labels.pairs[pair.pair_id].well
            people = pull_pair(before, pair, alignment, pulled)
            if people != before:
                changed[pair.pair_id] = carry(people, alignment)
        if changed:
            write_labels(path, replace(labels, pairs={**labels.pairs, **changed}))
    return pulled


def pull_pair(people: tuple[Person, ...], pair: Reviewed, alignment: Alignment, pulled: Pulled) -> tuple[Person, ...]:
    """The people of a bright frame after review; unchanged ones are the same objects."""
    before = {person.id: person for person in people}
    after, seen = _edited(before, pair, alignment, pulled)
    old = pair.imported
    decision, slices = old.review, pair.reviews
    changed = {review for part, review in slices.items() if review != old.slices[part]}
    if len(changed) > 1 or not changed <= set(DECISIONS):
        pulled.problem(pair, f"its slices disagree ({', '.join(sorted(map(str, changed)))}): decide again")
        slices = old.slices
    elif changed:
        decision = changed.pop()  # type: ignore[assignment]  # one of DECISIONS, as tested above
        after = {name: _decided(person, decision, old.review) for name, person in after.items()}
    pulled.seen[pair.pair_id] = Imported(decision, slices, seen)
    for name, person in after.items():
        if person is not before.get(name):
            pulled.changes.append(f"{pair.pair_id}: person {name}: {_change_in_words(before.get(name), person)}")
    return tuple(after.values())


def _edited(
    people: Mapping[str, Person], pair: Reviewed, alignment: Alignment, pulled: Pulled
) -> tuple[dict[str, Person], dict[str, Proxy]]:
    """People by id with the edits of the App, and the polylines that have been taken over.

    People deleted in the App become rejected, so that no network labels them again.
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
            if name in imported and line.proxy.to_json() == imported[name].to_json():
                continue
            if name in imported and name in people:
                after[name] = with_edits(people[name], imported[name], line.proxy, crop, size)
            elif line.drawn:
                after[name] = people.get(name) or new_person(name, line.proxy, crop, size)
            else:
                raise ValueError("is not in the labels")
            seen[name] = line.proxy
        except ValueError as error:
            pulled.problem(pair, f"person {name} {error}; left as it was")
    return after, seen


def _decided(person: Person, decision: Decision, before: Decision) -> Person:
    """A person after the decision on the pair.

    It applies to people who are undecided, or whose state is the pair's earlier decision. Edited people stay edited,
    unless rejected.
    """
    if decision == "rejected":
        reached = person.review in ("undecided", "edited", before)
        return replace(person, review="rejected") if reached else person
    if person.review not in ("undecided", before) or person.review == decision:
        return person
    return replace(person, review=decision if person.before is None else "edited")


def _change_in_words(before: Person | None, after: Person) -> str:
    """What changed of a person, in words."""
    if before is None:
        return "added"
    changes: list[str] = [after.review] if after.review != before.review else []
    for joint in np.flatnonzero((before.keypoints != after.keypoints).any(1)):
        (x, y, old), (to_x, to_y, flag) = before.keypoints[joint], after.keypoints[joint]
        if flag == 0:
            changes.append(f"{JOINTS[joint]} missing")
        elif old == 0:
            changes.append(f"{JOINTS[joint]} placed at {to_x:.1f}, {to_y:.1f}")
        else:
            moved = f" moved by {to_x - x:.1f}, {to_y - y:.1f} px" if (x, y) != (to_x, to_y) else ""
            changes.append(f"{JOINTS[joint]}{moved}{'' if flag == old else ' hidden' if flag == 1 else ' visible'}")
    return ", ".join(changes)
