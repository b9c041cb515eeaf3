"""Which networks work together, and where their weights are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exlcap.annotate.networks.card import Card, read_card
from exlcap.annotate.networks.network import Network, elsewhere, load_network, weights_at_hand, weights_file_name
from exlcap.core.errors import ExlcapError


@dataclass(frozen=True)
class Cards:
    """The cards of the networks that work together."""

    pose: Card
    detector: Card | None = None
    second: Card | None = None

    @property
    def all(self) -> list[Card]:
        """Those that are given."""
        return [card for card in (self.pose, self.detector, self.second) if card is not None]


def choose_cards(network: str | Path, detector: str | Path | None = None, second: str | Path | None = None) -> Cards:
    """A pose network's card with its partners. detector, second: in place of those that the card names.

    Raises ExlcapError when a partner is missing or of a wrong kind.
    """
    pose = read_card(network)
    if pose.detector is not None:
        raise ExlcapError(f"{pose.name} only finds boxes", "pass it with --detector, and a pose network with --network")
    if not pose.crops:
        if detector or second:
            raise ExlcapError(
                f"{pose.name} needs no detector and no second network", "leave out --detector and --second"
            )
        return Cards(pose)
    finder, other = detector or pose.detector_card, second or pose.second_card
    boxes = read_card(finder) if finder else None
    if boxes is None or boxes.detector is None:
        what = "names no detector" if boxes is None else f"was given {boxes.name}, which is not a detector"
        raise ExlcapError(f"{pose.name} sees one person at a time and {what}", "name one with --detector CARD")
    judge = read_card(other) if other else None
    if judge is not None and not judge.crops:
        raise ExlcapError(f"{judge.name} cannot be the second network", "choose one that sees one person at a time")
    return Cards(pose, boxes, judge)


def given_weights(values: Sequence[str], cards: Cards) -> dict[str, Path]:
    """Files of weights by card, from ``FILE`` (called as at its address) or ``CARD=FILE``.

    Raises ExlcapError when a file is missing or belongs to no network.
    """
    wanted = {Path(weights_file_name(card)).stem: card.name for card in cards.all}
    names = {card.name for card in cards.all}
    given = {}
    for value in values:
        name, _, file = value.rpartition("=") if not Path(value).exists() else ("", "", value)
        if not Path(file).is_file():
            raise ExlcapError(f"--weights: no file {file}", "check the path")
        name = name or wanted.get(Path(file).stem, "")
        if name not in names:
            raise ExlcapError(
                f"--weights {value}: no network in use has this name",
                "name the card: " + " or ".join(f"--weights {known}=FILE" for known in sorted(names)),
            )
        given[name] = Path(file)
    return given


@dataclass(frozen=True)
class Networks:
    """The networks that label. detector: None for a one-stage network. flip: run on the mirrored picture as well."""

    pose: Network
    detector: Network | None = None
    second: Network | None = None
    flip: bool = True

    @property
    def origin(self) -> str:
        """What labels record as their origin."""
        parts = [("network", self.pose), ("second", self.second), ("boxes", self.detector)]
        return "; ".join(f"{light}: {network.origin}" for light, network in parts if network is not None)


def load_networks(cards: Cards, given: Mapping[str, Path] | None = None, threads: int = 0) -> Networks:
    """Load networks. given: files of weights by the name of their card. threads: 0 takes one per core.

    Raises ExlcapError when weights are not available.
    """
    files = given or {}
    missing = [card for card in cards.all if card.name not in files and not weights_at_hand(card)]

    def load(card: Card | None) -> Network | None:
        return None if card is None else load_network(card, files.get(card.name), threads, elsewhere(missing or [card]))

    detector, second, pose = load(cards.detector), load(cards.second), load(cards.pose)
    assert pose is not None
    return Networks(pose, detector, second)
