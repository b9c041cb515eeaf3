"""What a training run is told: every setting has one name and lives in a TOML file.

The presets in `presets/` are complete and commented; a file given with ``--config`` replaces some of their values;
options of the command line come last. The sum of all is written to the run's config.toml.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from exlcap.core.errors import ExlcapError
from exlcap.core.records import Record, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = Path(__file__).parent / "presets"
Method = Literal[
    "ours", "lsbn", "lupi", "lupi-feat", "unpaired", "baseline-all", "baseline-low", "baseline-well"
]  # fmt: skip
Lights = Literal["low", "well", "both"]
Match = Literal["gram", "features"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Settings = dict[str, Any]
"""Nested tables of TOML values."""


class InputConfig(Record):
    """How a person becomes the network's input."""

    box_scale: tuple[float, float]
    resampling: Literal["area", "bilinear"]
    low_mean: float = Field(gt=0, lt=1)
    normalisation: Literal["equal", "official"]


class ModelConfig(Record):
    """The network. Sizes of the input in pixels; heat maps are a quarter of it."""

    depth: Literal[18, 34, 50, 101]
    height: int = Field(ge=32)
    width: int = Field(ge=32)
    base_channels: int = Field(ge=8)
    head_channels: int = Field(ge=8)
    last_bn: bool
    lsbn: Literal["backbone", "everywhere"]
    shared_bn: Literal["together", "apart"]
    backbone_weights: str

    @field_validator("height", "width")
    @classmethod
    def _strides(cls, value: int) -> int:
        if value % 32:
            raise ValueError("must be a multiple of 32, the stride of the deepest features")
        return value


class LossConfig(Record):
    """The pose loss. Sigmas in heat map pixels, deep level to shallow."""

    kind: Literal["softmax", "mse"]
    targets: Literal["exact", "official"]
    peak: float = Field(gt=0)
    level_sigmas: tuple[float, float, float, float]
    refine_sigma: float = Field(gt=0)
    level_weight: float = Field(ge=0)
    absent: Literal["ignored", "official"]
    hard_joints: int = Field(ge=1, le=14)


class LupiConfig(Record):
    """The loss between the features of both lightings."""

    weight: float = Field(ge=0)
    normalisation: Literal["paper", "relative"]
    batch: Literal["mean", "sum"]


class AugmentConfig(Record):
    """Random changes of a training crop, alike for both images of a pair. Zero switches one off."""

    flip: bool
    rotation_deg: float = Field(ge=0, le=180)
    view: tuple[float, float]
    view_limit: float = Field(gt=0)
    shift: float = Field(ge=0, lt=0.5)
    half_body: float = Field(ge=0, le=1)
    brightness: Fraction
    colour: Fraction

    @field_validator("view")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("must be two positive numbers, the smaller first")
        return value


class OptimConfig(Record):
    """Optimiser and schedule. `minutes` ends training by the clock and is not reproducible."""

    optimiser: Literal["adam", "adamw"]
    batch: int = Field(ge=1)
    epochs: int = Field(ge=1)
    minutes: float | None = Field(default=None, gt=0)
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    schedule: Literal["cosine", "steps"]
    milestones: tuple[int, ...]
    factor: float = Field(gt=0, le=1)
    warmup: Fraction
    ema: Fraction
    clip_norm: float = Field(ge=0)
    validate_every: int = Field(ge=1)
    pictures_every: int = Field(ge=0)


class MachineConfig(Record):
    """How the machine is used. Only `precision` changes what is learnt beyond rounding."""

    precision: Literal["fp32", "bf16", "fp16"]
    compile: bool
    checkpoint_minutes: float = Field(ge=0)


class Config(Record):
    """config.toml of a run: complete, so that ``--config`` with it repeats the run."""

    data: str
    method: Method
    seed: int = Field(ge=0)
    input: InputConfig
    model: ModelConfig
    loss: LossConfig
    lupi: LupiConfig
    augment: AugmentConfig
    optim: OptimConfig
    machine: MachineConfig

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input in pixels."""
        return self.model.height, self.model.width

    @property
    def lights(self) -> Lights:
        """Which images the method trains on."""
        single: dict[str, Lights] = {"baseline-low": "low", "baseline-well": "well"}
        return single.get(self.method, "both")

    @property
    def uses_lsbn(self) -> bool:
        """Whether there is one BatchNorm per lighting."""
        return self.method in ("ours", "lsbn", "lupi-feat", "unpaired")

    @property
    def uses_lupi(self) -> bool:
        """Whether features of both lightings are compared."""
        return self.method in ("ours", "lupi", "lupi-feat", "unpaired")

    @property
    def match(self) -> Match:
        """What of them is compared."""
        return "features" if self.method == "lupi-feat" else "gram"

    @property
    def paired(self) -> bool:
        """Whether those of the same person are compared."""
        return self.method != "unpaired"


def preset(name: str) -> Settings:
    """Values of a preset that comes with exlcap."""
    return read_toml(PRESETS / f"{name}.toml")


def preset_names() -> list[str]:
    """Presets that come with exlcap."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_toml(path: Path) -> Settings:
    """A TOML file as nested tables. Raises ExlcapError when it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExlcapError(f"config not found: {path}", "check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExlcapError(f"{path} is not valid TOML: {error}", "mend that line") from None


def config_from_toml(text: str, source: Path) -> Config:
    """A complete config, as a run and its checkpoints keep it. Raises ExlcapError naming `source` and a bad value."""
    return parse(Config, tomllib.loads(text), source, "it was written by another version of exlcap; start a new run")


def merged(base: Settings, over: Settings) -> Settings:
    """`base` with the values of `over` in place of its own, table by table; None in `over` changes nothing."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        elif value is not None:
            result[key] = value
    return result


def differences(old: Config, new: Config) -> list[str]:
    """Settings that differ, one line each, as ``optim.lr: 0.001 -> 0.002``."""
    before, after = dict(_flat(old.model_dump())), dict(_flat(new.model_dump()))
    return [f"{key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key]]


def _flat(settings: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def to_toml(config: Config) -> str:
    """The config as TOML; `config_from_toml` reads it back equal."""
    settings = config.model_dump(mode="json", exclude_none=True)
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if not isinstance(value, dict)]
    for name, table in settings.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"
