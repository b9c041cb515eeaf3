"""Labelled pairs as a grouped FiftyOne data set: what is in it, and bringing it up to date with the labels."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from exlcap.alignment import Crop
from exlcap.annotate.review.previews import RECIPE, SLICES, Item
from exlcap.annotate.review.proxy import Proxy, label_schema, to_proxy
from exlcap.files import sha256_bytes
from exlcap.joints import JOINTS, SKELETON
from exlcap.labels import Person
from exlcap.lighting import lighting_split

NAME = "review"
FORMAT = 1
Decision = Literal["undecided", "accepted", "rejected"]
DECISIONS: tuple[Decision, ...] = ("undecided", "accepted", "rejected")


def open_dataset(fo: ModuleType) -> Any:
    """The review data set of the database FiftyOne is attached to, made with all its fields when it is not there."""
    if fo.dataset_exists(NAME):
        dataset = fo.load_dataset(NAME)
        if dataset.info.get("format") == FORMAT:
            return dataset
        dataset.delete()  # its making was cut short, and nothing is put in before that is done
    dataset = fo.Dataset(NAME, persistent=True)
    dataset.add_group_field("group", default="well")
    for part in SLICES:
        dataset.add_group_slice(part, "image")
    for name in ("pair_id", "scene", "lighting", "review", "imported", "key"):
        dataset.add_sample_field(name, fo.StringField)
    for name in ("take", "k", "people"):
        dataset.add_sample_field(name, fo.IntField)
    for name in ("exposure_us", "well_gain_db", "alignment_residual_px", "lowest_score"):
        dataset.add_sample_field(name, fo.FloatField)
    dataset.add_sample_field("pose", fo.EmbeddedDocumentField, embedded_doc_type=fo.Keypoints)
    dataset.add_sample_field("pose.keypoints.person_id", fo.StringField)
    dataset.add_sample_field("pose.keypoints.flags", fo.ListField, subfield=fo.IntField)
    dataset.add_sample_field("pose_edit", fo.EmbeddedDocumentField, embedded_doc_type=fo.Polylines)
    dataset.add_sample_field("pose_edit.polylines.person_id", fo.StringField)
    for name in ("missing", "occluded"):
        dataset.add_sample_field(f"pose_edit.polylines.{name}", fo.ListField, subfield=fo.StringField)
    dataset.skeletons = {"pose": fo.KeypointSkeleton(labels=list(JOINTS), edges=[list(edge) for edge in SKELETON])}
    dataset.set_label_schemas(
        {"pose_edit": label_schema(), "review": {"type": "str", "component": "radio", "values": list(DECISIONS)}}
    )
    dataset.active_label_schemas = ["pose_edit", "review"]
    dataset.create_index("pair_id")
    dataset.create_index("lowest_score")
    _save_views(dataset)
    _sort_sidebar(fo, dataset)
    dataset.info = {"format": FORMAT}
    dataset.save()
    return dataset


def _save_views(dataset: Any) -> None:
    from fiftyone import ViewField

    undecided = dataset.match(ViewField("review") == "undecided")
    dataset.save_view("undecided", undecided)
    dataset.save_view("least certain first", undecided.sort_by("lowest_score"))
    for split in ("LL-N", "LL-H", "LL-E"):
        dataset.save_view(split, dataset.match(ViewField("lighting") == split))


def _sort_sidebar(fo: ModuleType, dataset: Any) -> None:
    """What only this program and the database care for goes to a closed group at the end of the App's side bar."""
    internal = ["imported", "key", "id", "filepath", "created_at", "last_modified_at"]
    groups = fo.DatasetAppConfig.default_sidebar_groups(dataset)
    for group in groups:
        group.paths = [path for path in group.paths if path not in internal]
    groups.append(fo.SidebarGroupDocument(name="internal", paths=internal, expanded=False))
    dataset.app_config.sidebar_groups = groups


def update_dataset(fo: ModuleType, dataset: Any, items: Sequence[Item], media: Path, keep: Collection[str]) -> int:
    """Make the data set say what the labels say, and return how many pairs were new or had changed.

    keep: pairs that hold edits which could not be pulled, and so stay as they are.
    """
    wells = dataset.select_group_slices("well")
    known = dict(zip(*wells.values(["pair_id", "key"]), strict=True))
    todo = {item.pair_id: item for item in items if known.get(item.pair_id) != _key(item, media)}
    for pair_id in keep:
        todo.pop(pair_id, None)
    new = []
    for pair_id, item in todo.items():
        if pair_id not in known:
            group = fo.Group()
            for part in SLICES:
                sample = fo.Sample(filepath=str(item.picture(media, part)), group=group.element(part))
                _fill(fo, sample, item, part, media)
                new.append(sample)
    old = dataset.select_group_slices(list(SLICES)).select_by("pair_id", [p for p in todo if p in known])
    for sample in old.iter_samples(autosave=True):
        _fill(fo, sample, todo[sample.pair_id], sample.group.name, media)
    if new:
        dataset.add_samples(new, validate=False)  # of fields declared above
    return len(todo)


def _key(item: Item, media: Path) -> str:
    """Hash of all that the samples of a pair are made from."""
    people = [person.to_json() for person in item.labels.well]
    return sha256_bytes(json.dumps([RECIPE, str(item.picture(media, "well").resolve()), people]).encode())


def _fill(fo: ModuleType, sample: Any, item: Item, part: str, media: Path) -> None:
    """Set every field of one slice of a pair. Only the bright one can be edited: its labels are carried to the dark."""
    crop, people = item.alignment.crop, shown(item.labels.well)
    step = next(step for step in item.take.header.steps if step.k == item.pair.k)
    residual = item.alignment.residual
    sample.filepath = str(item.picture(media, part).resolve())
    sample["pair_id"] = item.pair_id
    sample["scene"] = item.take.header.scene
    sample["take"] = item.take.header.number
    sample["k"] = item.pair.k
    sample["exposure_us"] = item.pair.well.read_back.exposure_us
    sample["well_gain_db"] = step.well.gain_db
    sample["lighting"] = lighting_split(step.well.gain_db)
    sample["alignment_residual_px"] = residual.held_out_median_px if residual else None
    sample["lowest_score"] = lowest_score(people)
    sample["people"] = len(people)
    sample["review"] = state(item.labels.well)
    sample["pose"] = fo.Keypoints(keypoints=[_keypoint(fo, n, person, crop) for n, person in enumerate(people, 1)])
    if part == "well":
        proxies = {person.id: to_proxy(person, crop) for person in people}
        lines = [polyline(fo, proxy, str(number), name) for number, (name, proxy) in enumerate(proxies.items(), 1)]
        sample["pose_edit"] = fo.Polylines(polylines=lines)
        review = state(item.labels.well)
        sample["imported"] = json.dumps(Imported(review, dict.fromkeys(SLICES, review), proxies).to_json())
        sample["key"] = _key(item, media)


@dataclass(frozen=True)
class Imported:
    """What a pair held when it was last imported or pulled: what a person changed since is the difference to it.

    review: the decision on the pair. slices: what each slice says of it; the App changes one slice at a time.
    """

    review: Decision
    slices: dict[str, str]
    people: dict[str, Proxy]

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        people = {name: proxy.to_json() for name, proxy in self.people.items()}
        return {"review": self.review, "slices": self.slices, "people": people}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Imported:
        """Inverse of `to_json`."""
        people = {name: Proxy(**proxy) for name, proxy in data["people"].items()}
        return Imported(data["review"], data["slices"], people)


def polyline(fo: ModuleType, proxy: Proxy, label: str, person_id: str | None) -> Any:
    """A proxy as FiftyOne's polyline. label: what the App shows beside it, short since it covers what lies below."""
    points = [[tuple(point) for point in path] for path in proxy.paths]
    facts = {"missing": list(proxy.missing), "occluded": list(proxy.occluded), "person_id": person_id}
    return fo.Polyline(label=label, points=points, closed=False, filled=False, **facts)


def state(people: Sequence[Person]) -> Decision:
    """Decision on a pair: undecided while anybody in it is; rejected when everybody is."""
    reviews = {person.review for person in people}
    if "undecided" in reviews or not reviews:
        return "undecided"
    return "rejected" if reviews == {"rejected"} else "accepted"


def shown(people: Sequence[Person]) -> list[Person]:
    """The people to show: not those who were rejected (deleted), unless the whole pair was."""
    return [p for p in people if p.review != "rejected"] if state(people) != "rejected" else list(people)


def lowest_score(people: Sequence[Person]) -> float:
    """Lowest score of a labelled joint; hand labels count as 1."""
    scores = [float(p.scores[p.labelled].min(initial=1.0)) for p in people if p.scores is not None]
    return min(scores, default=1.0)


def _keypoint(fo: ModuleType, number: int, person: Person, crop: Crop) -> Any:
    points = (person.keypoints[:, :2] - (crop.x, crop.y) + 0.5) / (crop.width, crop.height)
    points[~person.labelled] = np.nan
    return fo.Keypoint(
        label=str(number),
        points=points.tolist(),
        confidence=None if person.scores is None else person.scores.tolist(),
        person_id=person.id,
        flags=person.keypoints[:, 2].astype(int).tolist(),
    )
