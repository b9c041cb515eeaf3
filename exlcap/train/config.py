"""The settings of a training run: every setting has one name and lives in a TOML file.

The presets in `presets/` are complete and commented; a file given with ``--config`` replaces some of their values;
options of the command line come last. The result is written to the run's config.toml.

A new setting gets a default that trains as before the setting existed: runs of older versions are read with it
(`stored`). Presets name every setting all the same; a test holds them to it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, field_validator

from exlcap.core.records import Record
from exlcap.train.methods import Method, method_named

Fraction = Annotated[float, Field(ge=0, lt=1)]
MethodRow = Annotated[Method, PlainValidator(method_named), PlainSerializer(lambda method: method.name, str)]
"""A row of the table of methods; files hold its name."""


class InputConfig(Record):
    """How a person is cropped and normalised for the network."""

    box_scale: tuple[float, float]
    resampling: Literal["area", "bilinear"]
    low_mean: float = Field(gt=0, lt=1)
    normalisation: Literal["equal", "official"]


class ModelConfig(Record):
    """The network. height, width: of the input in pixels; heat maps are a quarter of that."""

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
    """The loss between the features of the two lights."""

    weight: float = Field(ge=0)
    normalisation: Literal["paper", "relative"]
    batch: Literal["mean", "sum"]


class AugmentConfig(Record):
    """Random changes of a training crop, the same for both images of a pair. Zero switches a change off."""

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
    """Optimiser and schedule. With `minutes`, training ends by the clock and is not reproducible."""

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
    """How the machine is used. Beyond rounding, only `precision` changes the result."""

    precision: Literal["fp32", "bf16", "fp16"]
    compile: bool
    checkpoint_minutes: float = Field(ge=0)


class Config(Record):
    """The config.toml of a run. It is complete, so ``--config`` with it repeats the run."""

    data: str
    method: MethodRow
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
