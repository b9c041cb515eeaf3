"""The labelled pairs of all takes, and which of them review admits to a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from exlcap.align.measure_drift import noted_drift
from exlcap.core.alignment import Alignment
from exlcap.core.console import say
from exlcap.core.contents import read_alignment_named, read_labels_of, read_takes
from exlcap.core.develop import Development, development_of
from exlcap.core.drift import describe_drift
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_bytes
from exlcap.core.labels import Decision, PairLabels, decision
from exlcap.core.rig import LIGHTS, Light
from exlcap.core.take import Pair, Take
from exlcap.core.workspace import Workspace
from exlcap.dataset.annotations import REJECTED
from exlcap.dataset.manifest import Parameters

RECIPE = "4"
"""Part of every key. Raise it when the same inputs give other pixels."""
UNDECIDED = "not accepted in review"


@dataclass(frozen=True)
class LabelledPair:
    """A pair to build: its take, its labels, and the alignment that carried them."""

    take: Take
    pair: Pair
    labels: PairLabels
    alignment_name: str
    alignment: Alignment

    @property
    def pair_id(self) -> str:
        """Name of the pair."""
        return self.take.pair_id(self.pair)

    def development(self, light: Light, parameters: Parameters) -> Development:
        """How the frame of a camera is developed."""
        balanced = parameters.white_balance == "reference"
        return development_of(self.take.header.rig, light, self.alignment if balanced else None)

    def key(self, parameters: Parameters) -> str:
        """SHA-256 of everything that its images depend on."""
        alignment = (self.alignment.homography, self.alignment.mirror, self.alignment.crop)
        frames = (self.pair.well.sha256, self.pair.low.sha256)
        developments = tuple(self.development(light, parameters) for light in LIGHTS)
        facts = (RECIPE, parameters.warp, parameters.depth, frames, developments, alignment)
        return sha256_bytes(repr(facts).encode())


def collect_labelled_pairs(workspace: Workspace, every: int) -> list[LabelledPair]:
    """Labelled pairs of all takes, every n-th of each step.

    Takes without labels are skipped with a note. Raises ExlcapError when nothing is left.
    """
    labelled: list[LabelledPair] = []
    alignments: dict[str, Alignment] = {}
    for take in read_takes(workspace):
        labels = read_labels_of(workspace, take)
        if labels is None:
            say(f"note: {take.name} has no labels and is skipped; label it with `exlcap annotate`")
            continue
        if missing := take.missing():
            count = sum(missing.values())
            say(f"note: {take.name} is incomplete: {count} pairs are missing, {len(take.pairs)} are used")
        if labels.alignment not in alignments:
            alignments[labels.alignment] = read_alignment_named(workspace, labels.alignment)
        lean = replace(take, pairs=(), orphans=())  # of many long takes, only the chosen pairs stay in memory
        name, alignment = labels.alignment, alignments[labels.alignment]
        for step in take.header.steps:
            for pair in [pair for pair in take.pairs if pair.k == step.k][::every]:
                if (people := labels.pairs.get(take.pair_id(pair))) is not None:
                    labelled.append(LabelledPair(lean, pair, people, name, alignment))
    if not labelled:
        raise ExlcapError("no labelled pairs in this workspace", "shoot scenes, then label them with `exlcap annotate`")
    return labelled


def through_review(
    labelled: Sequence[LabelledPair], accepted_only: bool
) -> tuple[list[LabelledPair], dict[str, list[str]]]:
    """The pairs that go into a data set, and the ids of those that do not, by reason.

    Rejected pairs are left out, and with `accepted_only` pairs with an undecided person, too: with only its accepted
    people labelled, the others would count as background. Raises ExlcapError when no pair is left.
    """
    refused: dict[Decision, str] = {"rejected": REJECTED, **({"undecided": UNDECIDED} if accepted_only else {})}
    kept: list[LabelledPair] = []
    left_out: dict[str, list[str]] = {}
    for item in labelled:
        decided = decision(item.labels.well)
        if decided in refused:
            left_out.setdefault(refused[decided], []).append(item.pair_id)
        else:
            kept.append(item)
    if not kept:
        raise ExlcapError(
            f"{'none' if accepted_only else 'all'} of the {len(labelled)} labelled pairs "
            f"{'is accepted' if accepted_only else 'are rejected'}",
            "decide in `exlcap review`, then run `exlcap review pull`",
        )
    return kept, left_out


def drift_remarks(labelled: Iterable[LabelledPair]) -> list[str]:
    """A line for every take that is too far off the alignment that carried its labels, or perhaps is: it was shot after
    the rig was touched. A take whose frames cannot tell gets none.
    """
    remarks = []
    for item in {item.take.folder: item for item in labelled}.values():
        drift = noted_drift(item.take.folder, item.alignment_name, item.alignment)
        if drift.too_far or (drift.px is not None and drift.judgement == "open"):
            remarks.append(f"{item.take.name}: {describe_drift(drift)}")
    return remarks
