"""Operators of the review in the FiftyOne App, which imports this file itself: accept, reject, add a person."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone import ViewField
from fiftyone.operators import types

from exlcap.annotate.review.previews import SLICES
from exlcap.annotate.review.proxy import polyline, standing_proxy


def chosen_pairs(ctx: Any) -> list[str]:
    """Pair ids of the selected samples, or of the open one if none is selected."""
    ids = list(ctx.selected) or [ctx.current_sample] * bool(ctx.current_sample)
    return sorted(set(ctx.dataset.select_group_slices(list(SLICES)).select(ids).values("pair_id"))) if ids else []


def decide(ctx: Any, decision: str) -> None:
    """Set the decision on every slice of the chosen pairs."""
    pairs = chosen_pairs(ctx)
    samples = ctx.dataset.select_group_slices(list(SLICES)).match(ViewField("pair_id").is_in(pairs))
    samples.set_values("review", [decision] * len(samples))
    ctx.ops.clear_selected_samples()  # a reload keeps them selected, and the next decision would apply to them, too
    _tell(ctx, f"{len(pairs)} pairs {decision}" if pairs else "select pairs in the grid or open one first")


def add_person(ctx: Any) -> None:
    """Add a standing person to the middle of the chosen pairs' bright images."""
    pairs = chosen_pairs(ctx)
    for sample in ctx.dataset.select_group_slices("well").match(ViewField("pair_id").is_in(pairs)):
        sample.pose_edit.polylines.append(fo.Polyline(**polyline(standing_proxy(), "new", None)))
        sample.save()
    _tell(ctx, "added: drag the joints in the bright image" if pairs else "open a pair first")
    for part in ("low", "well"):  # the App re-reads an open sample only when the slice changes
        ctx.ops.set_group_slice(part)


def _tell(ctx: Any, message: str) -> None:
    ctx.ops.reload_samples()
    ctx.ops.notify(message)


def _button(place: Any, label: str, icon: str) -> types.Placement:
    return types.Placement(place, types.Button(label=label, icon=icon, prompt=False))


class Accept(foo.Operator):  # type: ignore[misc]
    """Accept the selected pairs."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Its name in the operator list."""
        return foo.OperatorConfig(name="accept", label="exlcap: accept selected pairs")

    def resolve_placement(self, ctx: Any) -> types.Placement:
        """Its button above the grid."""
        return _button(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, "Accept selected pairs", "check")

    def execute(self, ctx: Any) -> None:
        """Run it."""
        decide(ctx, "accepted")


class Reject(foo.Operator):  # type: ignore[misc]
    """Reject the selected pairs."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Its name in the operator list."""
        return foo.OperatorConfig(name="reject", label="exlcap: reject selected pairs")

    def resolve_placement(self, ctx: Any) -> types.Placement:
        """Its button above the grid."""
        return _button(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, "Reject selected pairs", "close")

    def execute(self, ctx: Any) -> None:
        """Run it."""
        decide(ctx, "rejected")


class AddPerson(foo.Operator):  # type: ignore[misc]
    """Add a person to the open pair."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Its name in the operator list."""
        return foo.OperatorConfig(name="add_person", label="exlcap: add a person to the open pair")

    def resolve_placement(self, ctx: Any) -> types.Placement:
        """Its button above an open pair."""
        return _button(types.Places.SAMPLES_VIEWER_ACTIONS, "Add a person", "person_add")

    def execute(self, ctx: Any) -> None:
        """Run it."""
        add_person(ctx)


def register(plugin: Any) -> None:
    """Called by FiftyOne."""
    for operator in (Accept, Reject, AddPerson):
        plugin.register(operator)
