"""The review data set in FiftyOne: its fields, saved views and side bar."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from exlcap.annotate.review import proxy
from exlcap.annotate.review.mongo import fiftyone_on, has_format
from exlcap.annotate.review.previews import SLICES
from exlcap.core.joints import JOINTS, SKELETON
from exlcap.core.labels import Decision

NAME = "review"
FORMAT = 2
"""Raise it when fields change. A data set of another format gets the new fields and keeps all edits and decisions."""
DECISIONS: tuple[Decision, ...] = ("undecided", "accepted", "rejected")
TEXTS = ("pair_id", "scene", "split", "review", "imported", "key")
WHOLE_NUMBERS = ("take", "k", "people")
NUMBERS = ("exposure_us", "well_gain_db", "low_gain_db", "alignment_residual_px", "lowest_score", "widest_spread_px")
SPLITS = ("LL-N", "LL-H", "LL-E")
FORMER = ("lighting",)
"""Fields of earlier formats, to be deleted."""
INTERNAL = ("imported", "key", "id", "filepath", "created_at", "last_modified_at")
VIEWS = {"undecided": "not decided yet", "least certain first": "not decided yet, lowest score first"}


def prepare_dataset(folder: Path, uri: str) -> None:
    """Make sure that the database at `uri`, in `folder`/db, has the review data set with all its fields and views.

    FiftyOne, which takes seconds to import, is imported only if they are missing.
    """
    if has_format(uri, NAME, FORMAT):
        return
    fo = fiftyone_on(folder, uri)
    dataset = fo.load_dataset(NAME) if fo.dataset_exists(NAME) else fo.Dataset(NAME, persistent=True)
    _declare(fo, dataset)  # also if this was interrupted
    dataset.info = {"format": FORMAT}
    dataset.save()


def _declare(fo: ModuleType, dataset: Any) -> None:
    """Declare every field, view and setting; existing ones stay."""
    if dataset.group_field is None:
        dataset.add_group_field("group", default="well")
    for part in SLICES:
        if part not in dataset.group_slices:
            dataset.add_group_slice(part, "image")
    for names, kind in ((TEXTS, fo.StringField), (WHOLE_NUMBERS, fo.IntField), (NUMBERS, fo.FloatField)):
        for name in names:
            dataset.add_sample_field(name, kind)
    dataset.add_sample_field("pose", fo.EmbeddedDocumentField, embedded_doc_type=fo.Keypoints)
    dataset.add_sample_field("pose.keypoints.person_id", fo.StringField)
    dataset.add_sample_field("pose.keypoints.flags", fo.ListField, subfield=fo.IntField)
    proxy.declare(fo, dataset)
    dataset.skeletons = {"pose": fo.KeypointSkeleton(labels=list(JOINTS), edges=[list(edge) for edge in SKELETON])}
    decision = {"type": "str", "component": "radio", "values": list(DECISIONS)}
    dataset.set_label_schemas({proxy.FIELD: proxy.label_schema(), "review": decision})
    dataset.active_label_schemas = [proxy.FIELD, "review"]
    for name in ("pair_id", "lowest_score"):
        dataset.create_index(name)
    for name in FORMER:
        if dataset.has_sample_field(name):
            dataset.delete_sample_field(name)
    _save_views(dataset)
    _sort_sidebar(fo, dataset)


def _save_views(dataset: Any) -> None:
    from fiftyone import ViewField

    undecided = dataset.match(ViewField("review") == "undecided")
    views = {"undecided": undecided, "least certain first": undecided.sort_by("lowest_score")}
    views |= {split: dataset.match(ViewField("split") == split) for split in SPLITS}
    for name, view in views.items():
        dataset.save_view(name, view, description=VIEWS.get(name), overwrite=True)


def _sort_sidebar(fo: ModuleType, dataset: Any) -> None:
    """Move internal fields into a collapsed group at the end of the App's side bar."""
    groups = fo.DatasetAppConfig.default_sidebar_groups(dataset)
    hidden = list(INTERNAL)
    for group in groups:
        if group.name == "metadata":
            hidden += group.paths
        group.paths = [path for path in group.paths if path not in hidden]
    groups = [group for group in groups if group.name != "metadata"]
    groups.append(fo.SidebarGroupDocument(name="internal", paths=hidden, expanded=False))
    dataset.app_config.sidebar_groups = groups
