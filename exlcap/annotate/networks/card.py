"""A card: a small TOML file that describes the input and output of a network's ONNX file.

Every field is explained in the class of its table below, and in docs/networks.md of the sources. Exactly one of the
tables [detector], [heatmap], [simcc], [coordinates] and [onestage] says what kind of network it is. Lengths are in
pixels of the network's input, where pixel (x, y) with whole numbers is the centre of a pixel.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from exlcap.core.errors import ExlcapError
from exlcap.core.joints import JOINTS
from exlcap.core.records import Record, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).parents[1] / "cards"
HINT = f"compare it with the cards that come with exlcap, in {SHIPPED}"
Output = str | int
"""An output of the network: its name, or its place counted from 0."""
Three = tuple[float, float, float]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
KINDS = ("detector", "heatmap", "simcc", "coordinates", "onestage")


class Weights(Record):
    """Where the ONNX file is: `url`, or `file` (relative to the card). `member`: its name inside a zip.

    sha256: of the file at the address, or of `file`; without it the sum of the first download is recorded.
    """

    url: str | None = None
    file: str | None = None
    member: str | None = None
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Weights:
        if (self.url is None) == (self.file is None):
            raise ValueError("give either `url` or `file`")
        return self


class Input(Record):
    """What the network sees: (value 0..255 - mean) / std, in the order of `colour`.

    place: how a whole picture is put into the input: scaled to fit at the top left or in the middle with `pad` around
    it, or stretched. box_scale: how much wider and higher than the person's box a crop is at least. pad: level of
    what lies outside the picture; "mean" is the mean colour of the part that is shown.
    """

    width: int = Field(ge=16, le=4096)
    height: int = Field(ge=16, le=4096)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float16", "uint8", "int32"] = "float32"
    colour: Literal["RGB", "BGR"] = "RGB"
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)
    pad: Annotated[float, Field(ge=0, le=255)] | Literal["mean"] = 0.0
    place: Literal["top-left", "middle", "stretch"] = "top-left"
    box_scale: tuple[Annotated[float, Field(ge=1, le=4)], Annotated[float, Field(ge=1, le=4)]] = (1.25, 1.25)

    @field_validator("std")
    @classmethod
    def _not_zero(cls, std: Three) -> Three:
        if min(std) <= 0:
            raise ValueError("every std must be above 0")
        return std


class Detector(Record):
    """Boxes of people.

    decoding "corners": rows of x0, y0, x1, y1, score; class numbers in the output `labels` where it is given.
    "yolox": the raw grid of strides 8, 16, 32 with cx, cy, log w, log h, objectness, and a score per class.
    """

    boxes: Output = 0
    labels: Output | None = None
    person: int = 0
    decoding: Literal["corners", "yolox"] = "corners"
    nms_iou: float = Field(default=0.6, gt=0, le=1)


class Heatmap(Record):
    """A map per joint. Pixel x of a map lies at (x + offset) * stride - offset of the input.

    offset 0.5: both grids share their outer edges; 0: their first pixels. stride: input over map where not given.
    blur: side of the Gaussian kernel (odd) laid over the maps before the maximum is taken; 0 none. refine: "gaussian"
    takes the vertex of the parabola through the logarithms, "quarter" a quarter pixel to the higher neighbour.
    """

    output: Output = 0
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    offset: float = 0.5
    stride: float | None = Field(default=None, gt=0)
    blur: int = Field(default=0, ge=0, le=31)
    refine: Literal["gaussian", "quarter", "none"] = "gaussian"

    @field_validator("blur")
    @classmethod
    def _odd(cls, blur: int) -> int:
        if blur and blur % 2 == 0:
            raise ValueError("the side of a kernel must be odd")
        return blur


class Simcc(Record):
    """Two lines of scores per joint, along x and along y; bin b lies at b / split of the input."""

    x: Output = 0
    y: Output = 1
    split: float = Field(default=2.0, gt=0)


class Coordinates(Record):
    """Coordinates and a score per joint, [..., joints, 3]; of one person per crop, as of MoveNet.

    unit "share": of the input's width and height; a coordinate c lies at pixel c - offset.
    """

    output: Output = 0
    order: Literal["yxs", "xys"] = "yxs"
    unit: Literal["share", "pixel"] = "share"
    offset: float = 0.5


class Onestage(Record):
    """Boxes and joints of everybody at once, as of RTMO: rows of x0, y0, x1, y1, score, and [N, joints, 3] of x, y,
    score, both in pixels of the input.
    """

    boxes: Output = 0
    keypoints: Output = 1


class Derived(Record):
    """A joint that the network lacks: a weighted sum of others, with weights that add up to 1.

    score: factor on the lowest score of those others; below 1, because the place is a guess.
    """

    weights: dict[str, float] = Field(min_length=1)
    score: float = Field(gt=0, lt=1)

    @field_validator("weights")
    @classmethod
    def _whole(cls, weights: dict[str, float]) -> dict[str, float]:
        if abs(sum(weights.values()) - 1) > 1e-3:
            raise ValueError(f"the weights add up to {sum(weights.values()):g}, not 1")
        return weights


class Joints(Record):
    """The network's joints by name, in its order: those with names of ours are ours, others only serve to derive.

    full_score: raw score of a joint that this network is certain of; scores are divided by it and clipped at 1.
    """

    names: tuple[str, ...] = Field(min_length=1)
    full_score: float = Field(default=1.0, gt=0)
    derived: dict[str, Derived] = {}

    @model_validator(mode="after")
    def _known(self) -> Joints:
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise ValueError(f"the joint {twice[0]!r} is named twice")
        if not set(self.names) & set(JOINTS):
            raise ValueError(f"none of the names is one of ours: {', '.join(JOINTS)}")
        for name, rule in self.derived.items():
            if name not in JOINTS or name in self.names:
                raise ValueError(f"derived.{name}: derive only joints of ours that are not among the names")
            missing = set(rule.weights) - set(self.names)
            if missing:
                raise ValueError(f"derived.{name}: {min(missing)!r} is not among the names")
        return self

    @property
    def lacking(self) -> tuple[str, ...]:
        """Those of our joints that the network neither has nor derives."""
        return tuple(name for name in JOINTS if name not in self.names and name not in self.derived)


class Card(Record):
    """A card. `detector_card` and `second_card`: names of shipped cards, or files relative to this one.

    detector_card: detects the people that a network of crops then sees. second_card: a network that sees the same
    crops; it supplies the joints that this one lacks or only derives, and its disagreement makes joints uncertain.
    """

    format: Literal[1] = 1
    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str = Field(min_length=1, max_length=64)
    about: str = ""
    weights: Weights
    input: Input
    detector: Detector | None = None
    heatmap: Heatmap | None = None
    simcc: Simcc | None = None
    coordinates: Coordinates | None = None
    onestage: Onestage | None = None
    joints: Joints | None = None
    detector_card: str | None = None
    second_card: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Card:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of the tables {', '.join(KINDS)}; found {', '.join(given) or 'none'}")
        if (self.joints is None) != (given == ["detector"]):
            raise ValueError("a table [joints] belongs to every network but a detector")
        if not self.crops and (self.detector_card or self.second_card):
            raise ValueError("only a network of crops can have a detector_card or a second_card")
        return self

    @property
    def crops(self) -> bool:
        """Whether the network looks at one person at a time."""
        return self.detector is None and self.onestage is None


def read_card(name: str | Path) -> Card:
    """A card: a file, or the name of one that comes with exlcap. Relative paths in it are resolved.

    Raises ExlcapError when there is none, or naming the field that is wrong.
    """
    path = _find(str(name), Path())
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExlcapError(f"{path} is not valid TOML ({error})", HINT) from None
    if data.get("format", 1) != 1:
        raise ExlcapError(f"{path}: unknown format {data['format']!r} of card", "this version of exlcap reads format 1")
    card = parse(Card, data, path, HINT)
    whole: dict[str, Any] = {
        key: str(_find(other, path.parent))
        for key in ("detector_card", "second_card")
        if (other := getattr(card, key)) is not None
    }
    if card.weights.file is not None:
        file = (path.parent / card.weights.file).resolve()
        whole["weights"] = card.weights.model_copy(update={"file": str(file)})
    return card.model_copy(update=whole)


def _find(name: str, folder: Path) -> Path:
    """The file of a card: a path from `folder`, or the name of one that comes with exlcap."""
    for path in (folder / name, SHIPPED / f"{name}.toml"):
        if path.is_file():
            return path.resolve()
    known = ", ".join(sorted(card.stem for card in SHIPPED.glob("*.toml")))
    raise ExlcapError(f"no card {name!r} here", f"give the file of a card, or one of {known}")
