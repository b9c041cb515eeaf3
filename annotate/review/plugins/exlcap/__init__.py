"""Operators of the review in the FiftyOne App, which imports this file itself: accept, reject, add a person."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone import ViewField
from fiftyone.operators import types

from exlcap.annotate.review.previews import SLICES
from exlcap.annotate.review.proxy import standing_proxy
from exlcap.annotate.review.samples import polyline


def chosen_pairs(ctx: Any) -> list[str]:
    """Pair ids of the selected samples, else of the open one."""
    ids = list(ctx.selected) or [ctx.current_sample] * bool(ctx.current_sample)
    return sorted(set(ctx.dataset.select_group_slices(list(SLICES)).select(ids).values("pair_id"))) if ids else []


def decide(ctx: Any, decision: str) -> None:
    """Set the decision on every slice of the chosen pairs."""
    pairs = chosen_pairs(ctx)
    samples = ctx.dataset.select_group_slices(list(SLICES)).match(ViewField("pair_id").is_in(pairs))
    samples.set_values("review", [decision] * len(samples))
    _tell(ctx, f"{len(pairs)} pairs {decision}" if pairs else "select pairs in the grid or open one first")


def add_person(ctx: Any) -> None:
    """Put somebody upright into the middle of the chosen pairs' bright images."""
    pairs = chosen_pairs(ctx)
    for sample in ctx.dataset.select_group_slices("well").match(ViewField("pair_id").is_in(pairs)):
        sample.pose_edit.polylines.append(polyline(fo, standing_proxy(), "new", None))
        sample.save()
    _tell(ctx, "added: drag the joints in the bright image" if pairs else "open a pair first")


def _tell(ctx: Any, message: str) -> None:
    ctx.ops.reload_samples()
    ctx.ops.notify(message)


class Accept(foo.Operator):  # type: ignore[misc]
    """Accept the selected pairs."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Its name in the operator list."""
        return foo.OperatorConfig(name="accept", label="exlcap: accept selected pairs")

    def execute(self, ctx: Any) -> None:
        """Run it."""
        decide(ctx, "accepted")


class Reject(foo.Operator):  # type: ignore[misc]
    """Reject the selected pairs."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Its name in the operator list."""
        return foo.OperatorConfig(name="reject", label="exlcap: reject selected pairs")

    def execute(self, ctx: Any) -> None:
        """Run it."""
        decide(ctx, "rejected")


class AddPerson(foo.Operator):  # type: ignore[misc]
    """Add a person to the open pair."""

    @property
    def config(self) -> foo.OperatorConfig:
        """Its name in the operator list."""
        return foo.OperatorConfig(name="add_person", label="exlcap: add a person to the open pair")

    def execute(self, ctx: Any) -> None:
        """Run it."""
        add_person(ctx)


class Decide(foo.Panel):  # type: ignore[misc]
    """Buttons for the three operators."""

    @property
    def config(self) -> foo.PanelConfig:
        """Its name in the list of panels; shown over the grid and beside an open pair."""
        return foo.PanelConfig(name="decide", label="Accept or reject", surfaces="grid modal")

    def accept(self, ctx: Any) -> None:
        """The button Accept."""
        decide(ctx, "accepted")

    def reject(self, ctx: Any) -> None:
        """The button Reject."""
        decide(ctx, "rejected")

    def add(self, ctx: Any) -> None:
        """The button Add a person."""
        add_person(ctx)

    def render(self, ctx: Any) -> types.Property:
        """The buttons."""
        buttons = types.Object()
        buttons.btn("accept", label="Accept selected pairs", on_click=self.accept)
        buttons.btn("reject", label="Reject selected pairs", on_click=self.reject)
        buttons.btn("add", label="Add a person", on_click=self.add)
        return types.Property(buttons)


def register(plugin: Any) -> None:
    """Called by FiftyOne."""
    for operator in (Accept, Reject, AddPerson, Decide):
        plugin.register(operator)
