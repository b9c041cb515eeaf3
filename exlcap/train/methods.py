"""The methods that can be trained, one row each, as in the tables of Lee et al., CVPR 2023 ("the paper").

Whatever depends on the method reads it from its row. A new method is a new row, with its own losses in a new file of
`losses/`. This module is read before torch is loaded, so losses are imported when they are first called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from exlcap.train.config import Config
    from exlcap.train.data.batches import Batch
    from exlcap.train.networks.pose_net import Output

Lights = Literal["low", "well", "both"]
Match = Literal["gram", "features"]
Layer = Literal["conv1", "r1", "r2", "r3", "r4"]
EVERY_LAYER: tuple[Layer, ...] = ("conv1", "r1", "r2", "r3", "r4")
"""conv1 and the four stages of the backbone, as `networks.resnet.Features` names them."""


class MethodLoss(Protocol):
    """A loss that a method has besides the pose losses."""

    def __call__(self, output: Output, batch: Batch, config: Config) -> tuple[Tensor, float]:
        """The loss of a batch, a scalar in float32 at least, and its weight in the total."""


def _lupi(output: Output, batch: Batch, config: Config) -> tuple[Tensor, float]:
    from exlcap.train.losses.lupi import batch_lupi

    return batch_lupi(output.features, batch.n_low, config), config.lupi.weight


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper: the table it stands in and its name there."""

    table: str
    name: str


@dataclass(frozen=True)
class Method:
    """One method.

    name: as in `--method` and config.toml. lights: the images it trains on. lsbn: one BatchNorm per light (section
    4.2). match: what the LUPI loss compares between the lights, Gram matrices (eq. 3) or the features themselves, at
    `layers`; None without LUPI. paired: it compares the two images of one person, else those of different people.
    losses: beside the pose losses; each name becomes the column ``loss_<name>`` of log.csv and a curve.
    """

    name: str
    lights: Lights
    lsbn: bool
    paper: PaperRow | None
    match: Match | None = None
    layers: tuple[Layer, ...] = ()
    paired: bool = True
    losses: Mapping[str, MethodLoss] = field(default_factory=dict, hash=False)


LUPI: Mapping[str, MethodLoss] = {"lupi": _lupi}
TABLE: tuple[Method, ...] = (
    Method("ours", "both", True, PaperRow("Table 2", "ExLPose (ours)"), "gram", EVERY_LAYER, losses=LUPI),
    Method("lsbn", "both", True, PaperRow("Table 4", "LSBN only")),
    Method("lupi", "both", False, PaperRow("Table 4", "LUPI only"), "gram", EVERY_LAYER, losses=LUPI),
    Method("lupi-feat", "both", True, PaperRow("Table 4", "LSBN + feature matching"), "features", EVERY_LAYER,
           losses=LUPI),
    Method("unpaired", "both", True, PaperRow("Table 3", "without pairing"), "gram", EVERY_LAYER, paired=False,
           losses=LUPI),
    Method("baseline-all", "both", False, PaperRow("Table 2", "Baseline-all")),
    Method("baseline-low", "low", False, PaperRow("Table 2", "Baseline-low")),
    Method("baseline-well", "well", False, PaperRow("Table 2", "Baseline-well")),
)  # fmt: skip
METHOD_NAMES: tuple[str, ...] = tuple(method.name for method in TABLE)


def method_named(name: str) -> Method:
    """The row of a method. Raises ValueError naming the known ones."""
    for method in TABLE:
        if method.name == name:
            return method
    raise ValueError(f"must be one of {', '.join(METHOD_NAMES)}")
