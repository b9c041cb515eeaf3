"""The rig: two cameras behind one lens and a beam splitter, as described by ``rig.toml``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, field_validator, model_validator

from exlcap.core.errors import ExlcapError
from exlcap.core.records import Record, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Light = Literal["well", "low"]
"""Which side of a pair: the well-lit camera and its images, or the low-light one behind the ND filter."""
LIGHTS: tuple[Light, Light] = ("well", "low")
StoredLight = Annotated[Light, Field(validation_alias=AliasChoices("light", "role"), serialization_alias="role")]
"""A field `light` of a record on disk; files have called it "role" since 0.1."""
Driver = Literal["pylon", "simulated"]
"""What drives the cameras of a rig; `exlcap.capture.cameras.open` knows what stands behind each name."""
FaultKind = Literal["miss", "drop", "double", "failed", "late", "stall", "unplug", "counter reset", "noise"]
Row3 = tuple[float, float, float]
Matrix3 = tuple[Row3, Row3, Row3]
DriftPpm = Annotated[float, Field(ge=-1000, le=1000)]
"""How much faster than true time a clock runs, in parts per million; quartz stays within 100."""
WHITE_DN = 4095
"""Largest value of a 12-bit pixel."""
GREY_TOLERANCE = 0.02
"""How far a row of a colour matrix may be from a sum of 1, since matrices are published with few digits."""

MICROSECONDS = "microseconds (1 ms = 1000)"


class Setting(Record):
    """Settings of one camera: exposure time in microseconds and gain in dB."""

    exposure_us: float = Field(ge=1, le=10_000_000, description=MICROSECONDS)
    gain_db: float = Field(ge=0, le=48)


class Colour(Record):
    """Converts a camera's colours to those of sRGB, in linear light after white balance.

    matrix: rows give red, green and blue; each sums to 1, so that grey stays grey.
    """

    matrix: Matrix3

    @field_validator("matrix")
    @classmethod
    def _keeps_grey(cls, matrix: Matrix3) -> Matrix3:
        for row in matrix:
            if abs(sum(row) - 1) > GREY_TOLERANCE:
                raise ValueError(f"row {list(row)} sums to {sum(row):g}; each must sum to 1, or grey would be coloured")
        return matrix


class WellCamera(Record):
    """The bright camera: it sees the transmitted light, unfiltered. dark_level_dn: see `Rig.dark_level_dn`."""

    serial: str = Field(min_length=1)
    dark_level_dn: float | None = Field(default=None, ge=0, le=1023)
    colour: Colour | None = None


class LowCamera(Record):
    """The dark camera: behind the ND filter, usually on the reflected (mirrored) path; its gain never changes.

    dark_level_dn: see `Rig.dark_level_dn`.
    """

    serial: str = Field(min_length=1)
    gain_db: float = Field(ge=0, le=48)
    nd_transmittance: float = Field(gt=0, lt=1)
    mirror: bool
    dark_level_dn: float | None = Field(default=None, ge=0, le=1023)
    colour: Colour | None = None


class Sensor(Record):
    """What both sensors read out. Sizes in pixels; black level in 12-bit digital numbers (DN)."""

    pixel_format: Literal["BayerRG12"] = "BayerRG12"
    width: int = Field(ge=64, le=1936)
    height: int = Field(ge=64, le=1216)
    black_level_dn: int = Field(ge=0, le=1023)

    @field_validator("width", "height")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even: the Bayer pattern repeats every two pixels")
        return value


class Sync(Record):
    """How one pulse opens both shutters, how often, and how many frames are dropped after a change of settings.

    max_skew_us: how far apart the shutters of a pair may open, by the cameras' fitted clocks.
    """

    mode: Literal["external", "timer", "exposure-active", "software"]
    pulse_hz: float = Field(gt=0, le=164)
    timeout_ms: int = Field(default=2000, ge=10, le=60_000)
    guard_frames: int = Field(ge=0, le=100)
    max_skew_us: float = Field(default=50.0, gt=0)


class Limits(Record):
    """What the schedule may ask of the cameras; checked for every step before the first frame."""

    exposure_us_min: float = Field(ge=1)
    exposure_us_max: float = Field(ge=1)
    gain_db_max: float = Field(ge=0, le=48)


class Schedule(Record):
    """Exposure divisors k: both cameras expose base / k, the bright one's gain rises by 20 log10 k dB."""

    preset: str = "outdoor"
    pairs_per_step: int = Field(ge=1, le=100_000)
    presets: dict[str, tuple[int, ...]]

    @field_validator("presets")
    @classmethod
    def _divisors(cls, presets: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        for name, divisors in presets.items():
            if not divisors or any(k < 1 or k > 99 for k in divisors) or len(set(divisors)) != len(divisors):
                raise ValueError(f"preset {name!r} must list different whole exposure divisors from 1 to 99")
        return presets

    @model_validator(mode="after")
    def _known_preset(self) -> Schedule:
        if self.preset not in self.presets:
            raise ValueError(f"preset {self.preset!r} is not one of {', '.join(self.presets)}")
        return self


class SceneBase(Setting):
    """Base exposure and bright gain of a scene at k = 1: nothing lost in highlights or shadows, no motion blur."""

    preset: str | None = None


class Reference(Record):
    """How a static reference for the alignment is shot; since nothing moves, each camera may have its own exposure."""

    frames: int = Field(ge=1, le=1000)
    well: Setting
    low: Setting


class AlignmentLimits(Record):
    """Limits beyond which an alignment is refused. Lengths in pixels; shift_share: of the width.

    correlation_min: of small pictures of both views. rival: how well they match at the best other place, relative to
    the place found. corner_sd_px: standard deviation of the worst corner. halves_px: how far apart fits on two halves
    of the picture put a corner; back_px: fits on the grid of either camera. moved_share: of the bright picture, between
    the first and the last frame.
    """

    correlation_min: float = Field(default=0.4, ge=0, le=1)
    rival: float = Field(default=0.9, gt=0, le=1)
    corner_sd_px: float = Field(default=0.3, gt=0)
    halves_px: float = Field(default=1.0, gt=0)
    back_px: float = Field(default=0.3, gt=0)
    held_out_median_px: float = Field(default=0.3, gt=0)
    held_out_p95_px: float = Field(default=1.5, gt=0)
    rotation_deg: float = Field(default=5.0, gt=0)
    scale_deviation: float = Field(default=0.1, gt=0)
    shift_share: float = Field(default=0.15, gt=0, le=0.5)
    moved_share: float = Field(default=0.05, gt=0, le=1)


class EmulatorScene(Record):
    """A drawn scene. light: 1 fills the bright sensor's wells at white in 1000 us at 0 dB."""

    light: float = Field(gt=0, le=100)


class Emulator(Record):
    """The scenes in front of emulated or simulated cameras, and the optics between. Angles in degrees, shifts in px.

    A rig with this table has no light in front of its cameras.

    photos, labels: a folder of photographs and their COCO keypoint file, used as scenes instead of drawn people.
    """

    seed: int = Field(ge=0)
    rotation_deg: float = Field(ge=-5, le=5)
    scale: float = Field(ge=0.9, le=1.1)
    shift_px: tuple[float, float]
    perspective: tuple[float, float] = (0.0, 0.0)
    people: tuple[int, int] = (3, 5)
    photos: str | None = None
    labels: str | None = None
    scenes: dict[str, EmulatorScene] = {}

    @model_validator(mode="after")
    def _photos_with_labels(self) -> Emulator:
        if (self.photos is None) != (self.labels is None):
            raise ValueError("photos and labels go together: give both or neither")
        if not 1 <= self.people[0] <= self.people[1] <= 20:
            raise ValueError("people must be [fewest, most] with 1 <= fewest <= most <= 20")
        return self


class SimulatedFault(Record):
    """What goes wrong with one simulated camera at a pulse (`exlcap.capture.cameras.simulated.Fault`).

    pulse: counted from 0 since the cameras were opened; the pulses of guard frames count.
    """

    light: Light
    pulse: int = Field(ge=0)
    kind: FaultKind


class Simulated(Record):
    """How simulated cameras behave; values for two cameras are for the bright one, then the dark one.

    clock_drift_ppm: how much faster than true time each clock runs. clock_jitter_us: standard deviation of the moment
    a shutter opens. stale_frames: frames after a change of settings that are still exposed at the former one.
    """

    clock_drift_ppm: tuple[DriftPpm, DriftPpm] = (-12.0, 38.0)
    clock_jitter_us: float = Field(default=1.0, ge=0, le=10_000)
    stale_frames: int = Field(default=0, ge=0, le=100)
    faults: tuple[SimulatedFault, ...] = ()

    @field_validator("faults")
    @classmethod
    def _one_each(cls, faults: tuple[SimulatedFault, ...]) -> tuple[SimulatedFault, ...]:
        places = [(fault.light, fault.pulse) for fault in faults]
        for light, pulse in places:
            if places.count((light, pulse)) > 1:
                raise ValueError(f"two faults of the {light} camera at pulse {pulse}; only one can happen")
        return faults


class Rig(Record):
    """Everything rig.toml says. driver: rigs of exlcap 0.1 do not name it; theirs is pylon."""

    format: Literal[1]
    name: str
    driver: Driver = "pylon"
    well: WellCamera
    low: LowCamera
    sensor: Sensor
    sync: Sync
    limits: Limits
    schedule: Schedule
    base: SceneBase
    scenes: dict[str, SceneBase] = {}
    reference: Reference
    alignment: AlignmentLimits = AlignmentLimits()
    emulator: Emulator | None = None
    simulated: Simulated | None = None

    @model_validator(mode="after")
    def _two_cameras(self) -> Rig:
        if self.well.serial == self.low.serial:
            raise ValueError(f"both cameras have the same serial {self.well.serial!r}")
        for name, scene in self.scenes.items():
            if scene.preset is not None and scene.preset not in self.schedule.presets:
                raise ValueError(f"scene {name!r} asks for the unknown preset {scene.preset!r}")
        return self

    @model_validator(mode="after")
    def _driver_with_its_tables(self) -> Rig:
        if self.driver == "simulated" and self.emulator is None:
            raise ValueError('driver = "simulated" needs an [emulator] table, which says what the cameras see')
        if self.driver != "simulated" and self.simulated is not None:
            raise ValueError(f'the [simulated] table needs driver = "simulated", not {self.driver!r}')
        return self

    def serial(self, light: Light) -> str:
        """Serial number of one camera."""
        return self.well.serial if light == "well" else self.low.serial

    def dark_level_dn(self, light: Light) -> float:
        """A camera's level without light: the measured one where rig.toml has it, else the black level it is set to."""
        measured = (self.well if light == "well" else self.low).dark_level_dn
        return float(self.sensor.black_level_dn) if measured is None else measured

    def colour_matrix(self, light: Light) -> Matrix3 | None:
        """A camera's colour matrix; None where it has none."""
        colour = (self.well if light == "well" else self.low).colour
        return None if colour is None else colour.matrix

    def scene_base(self, scene: str) -> SceneBase:
        """Base setting of a scene: its own where rig.toml has one, else the rig's."""
        return self.scenes.get(scene, self.base)

    def divisors(self, scene: str) -> tuple[int, ...]:
        """The schedule's exposure divisors for a scene."""
        return self.schedule.presets[self.scene_base(scene).preset or self.schedule.preset]


def read_rig(path: Path) -> Rig:
    """Read and check rig.toml.

    Raises ExlcapError that names the key and value that is wrong.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExlcapError(f"no rig.toml at {path}", "run `exlcap init` in the folder of the workspace") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExlcapError(
            f"{path} is not valid TOML: {error}", "correct that line; `exlcap init` writes an example"
        ) from None
    if data.get("format") != 1:
        raise ExlcapError(f"{path}: unknown format {data.get('format')!r}", "this version of exlcap reads format = 1")
    return parse(
        Rig,
        data,
        path,
        "correct the value in rig.toml; times are in microseconds (1 ms = 1000), gains in dB, lengths in pixels",
    )
