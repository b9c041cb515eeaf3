"""A take: one run of a schedule on a scene, as a folder of raw frames with everything known about them.

A pair is both frames of one pulse or nothing. A line is added to pairs.jsonl only after both frames are on the disk, so
whatever is listed is whole, and a crash loses at most the pair being written.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from exlcap.core.errors import ExlcapError
from exlcap.core.files import append_jsonl, read_json, read_jsonl, sha256_bytes, write_atomic, write_json
from exlcap.core.records import Record, parse
from exlcap.core.rig import LIGHTS, WHITE_DN, Light, Rig, Setting, StoredLight

FORMAT = 1
REFERENCE = "reference"
"""What stands for the scene in a static reference."""
RESTORE = "restore the file from a copy, or shoot the take again"
Raw = npt.NDArray[np.uint16]


class Step(Record):
    """One step of the schedule: the exposure divisor and the setting of each camera."""

    k: int = Field(ge=1)
    well: Setting
    low: Setting

    def setting(self, light: Light) -> Setting:
        """The setting of one camera."""
        return self.well if light == "well" else self.low


class Frame(Record):
    """One frame on disk. `chunk`, `counter`, device time and temperature are None where the camera reports none."""

    light: StoredLight
    file: str
    sha256: str
    asked: Setting
    read_back: Setting
    chunk: Setting | None = None
    frame_id: int
    counter: int | None = None
    device_time_ns: int | None = None
    device_time_source: str | None = None
    host_time_ns: int
    temperature_c: float | None = None
    clipped_share: float
    mean_dn: float


class Pair(Record):
    """Both frames of one pulse. `index` counts the pulses of the step, guard frames included."""

    k: int = Field(ge=1)
    index: int = Field(ge=0)
    well: Frame
    low: Frame

    def frame(self, light: Light) -> Frame:
        """The frame of one camera."""
        return self.well if light == "well" else self.low


class Orphan(Record):
    """A frame without a partner, or a pulse without a frame, and why."""

    k: int
    index: int
    light: StoredLight
    frame_id: int | None
    reason: str
    host_time_ns: int


class CameraInfo(Record):
    """What a camera reported when it was opened; `absent` lists the features it lacks."""

    serial: str
    model: str
    firmware: str | None = None
    driver: str
    settings: dict[str, str] = {}
    absent: tuple[str, ...] = ()


class TakeHeader(Record):
    """take.json: what was asked, of which cameras, and how it ended.

    missed_triggers: pulses that each camera reported as ignored, once the take has ended; only for cameras that count.
    """

    format: Literal[1] = 1
    kind: Literal["scene", "reference"]
    scene: str
    number: int = Field(ge=1)
    created: str
    status: Literal["recording", "complete", "stopped"]
    reason: str | None = None
    rig: Rig
    steps: tuple[Step, ...]
    pairs_per_step: int = Field(ge=1)
    sync_mode: str
    settings_proof: Literal["chunk", "assumed"]
    cameras: dict[Light, CameraInfo]
    versions: dict[str, str]
    missed_triggers: dict[Light, int] = {}


@dataclass(frozen=True)
class Take:
    """A take as read from its folder. `torn`: a crash cut off the last line of a list, which was skipped."""

    folder: Path
    header: TakeHeader
    pairs: tuple[Pair, ...]
    orphans: tuple[Orphan, ...]
    torn: bool

    @property
    def name(self) -> str:
        """Short name for messages: ``plaza take-001`` or ``ref-001``."""
        return f"{self.header.scene} {self.folder.name}" if self.header.kind == "scene" else self.folder.name

    def pair_id(self, pair: Pair) -> str:
        """Name of a pair in labels and data sets, unique in the workspace: ``plaza-t001-k04-000052``."""
        return pair_id(self.header.scene, self.header.number, pair.k, pair.index)

    def missing(self) -> dict[int, int]:
        """Steps that lack pairs: {k: number of pairs missing}. Empty for a whole take."""
        counts = {step.k: self.header.pairs_per_step for step in self.header.steps}
        for pair in self.pairs:
            counts[pair.k] -= 1
        return {k: count for k, count in counts.items() if count > 0}

    def raw(self, pair: Pair, light: Light) -> Raw:
        """The raw frame of a pair: uint16, H x W, 12-bit Bayer (RGGB)."""
        frame = pair.frame(light)
        sensor = self.header.rig.sensor
        raw = read_raw(self.folder / frame.file)
        if raw.shape != (sensor.height, sensor.width):
            raise ExlcapError(
                f"{self.folder / frame.file} is {raw.shape[1]}x{raw.shape[0]}, the take says "
                f"{sensor.width}x{sensor.height}",
                RESTORE,
            )
        return raw


def pair_id(scene: str, take: int, k: int, index: int) -> str:
    """Name of a pair.

    >>> pair_id("plaza", 1, 4, 52)
    'plaza-t001-k04-000052'
    """
    return f"{scene}-t{take:03d}-k{k:02d}-{index:06d}"


def read_take(folder: Path) -> Take:
    """Read a take folder. A take cut short by a crash reads like any other, with its whole pairs.

    Raises ExlcapError for a missing or damaged header, an unknown format, or a damaged record.
    """
    data = read_json(folder / "take.json", "take header", (FORMAT,))
    header = parse(TakeHeader, data, folder / "take.json", RESTORE)
    pairs, torn_pairs = read_jsonl(folder / "pairs.jsonl")
    orphans, torn_orphans = read_jsonl(folder / "orphans.jsonl")
    known = {step.k for step in header.steps}
    read = tuple(parse(Pair, line, folder / "pairs.jsonl", RESTORE) for line in pairs)
    for pair in read:
        if pair.k not in known:
            raise ExlcapError(f"{folder / 'pairs.jsonl'}: a pair of step k = {pair.k}, which the header lacks", RESTORE)
    return Take(
        folder=folder,
        header=header,
        pairs=read,
        orphans=tuple(parse(Orphan, line, folder / "orphans.jsonl", RESTORE) for line in orphans),
        torn=torn_pairs or torn_orphans,
    )


class TakeWriter:
    """Writes a take: header first, then frames and their lines, then how it ended.

    Raises ExlcapError when the folder exists already: a take is never overwritten.
    """

    def __init__(self, folder: Path, header: TakeHeader) -> None:
        if folder.exists():
            raise ExlcapError(f"{folder} exists already", "a take is never overwritten; shoot a new one")
        self.folder = folder.with_name(f".{folder.name}.new")  # no take folder without a header must ever be visible
        self.folder.mkdir(parents=True, exist_ok=True)
        self.header = header
        self._write_header()
        self.folder.rename(folder)
        self.folder = folder

    @classmethod
    def resume(cls, take: Take) -> TakeWriter:
        """Continue a take that was cut short: its status is "recording" again."""
        writer = cls.__new__(cls)
        writer.folder = take.folder
        writer.header = take.header.model_copy(update={"status": "recording", "reason": None})
        writer._write_header()
        return writer

    def _write_header(self) -> None:
        write_json(self.folder / "take.json", self.header.model_dump(mode="json"))

    def frame(self, raw: Raw, k: int, index: int, **facts: Any) -> Frame:
        """Write one raw frame to the disk and return its record. `facts`: the fields of Frame known only to the camera.

        raw: uint16, H x W, 12-bit Bayer.
        """
        import cv2

        light: Light = facts["light"]
        name = f"raw/k{k:02d}/{index:06d}.{light}.tif"
        black = self.header.rig.sensor.black_level_dn
        about = {
            "exlcap": FORMAT,
            "scene": self.header.scene,
            "take": self.header.number,
            "k": k,
            "index": index,
            "role": light,  # the format's name for it
            "serial": self.header.rig.serial(light),
            "bayer": "RGGB",
            "bits": 12,
            "black_level_dn": black,
            "read_back": facts["read_back"].model_dump(),
        }
        head, pixels = raw_file(raw, about)
        write_atomic(self.folder / name, head, pixels, cached=False)
        return Frame(
            file=name,
            sha256=sha256_bytes(head, pixels),
            clipped_share=np.count_nonzero(raw >= WHITE_DN) / raw.size,
            mean_dn=cv2.sumElems(raw)[0] / raw.size,  # ten times as fast as NumPy's sum, and as exact
            **facts,
        )

    def pair(self, pair: Pair) -> None:
        """List a pair whose two frames are on the disk."""
        append_jsonl(self.folder / "pairs.jsonl", pair.model_dump(mode="json"))

    def orphan(self, orphan: Orphan) -> None:
        """List a frame without a partner."""
        append_jsonl(self.folder / "orphans.jsonl", orphan.model_dump(mode="json"))

    def finish(
        self,
        status: Literal["complete", "stopped"],
        reason: str | None = None,
        missed_triggers: Mapping[Light, int] | None = None,
    ) -> None:
        """Record how the take ended. missed_triggers: since it was started or resumed."""
        before = self.header.missed_triggers
        missed = before | {light: before.get(light, 0) + count for light, count in (missed_triggers or {}).items()}
        self.header = self.header.model_copy(update={"status": status, "reason": reason, "missed_triggers": missed})
        self._write_header()


def raw_file(raw: Raw, about: dict[str, Any]) -> tuple[bytes, memoryview]:
    """A raw frame as an uncompressed 16-bit TIFF whose ImageDescription holds `about` as JSON: head and pixels.

    The pixels are the frame's own memory: copying them would cost more than all the rest of writing a frame.
    """
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise ValueError(f"a raw frame is uint16 of shape (H, W), got {raw.dtype} {raw.shape}")
    description = json.dumps(about).ljust(4).encode("ascii") + b"\0"  # TIFF stores up to 4 bytes inline
    return _tiff_head(raw.shape[0], raw.shape[1], description), np.ascontiguousarray(raw, "<u2").data.cast("B")


def _tiff_head(height: int, width: int, description: bytes) -> bytes:
    """A little-endian TIFF of one 16-bit grey strip, up to the strip itself (TIFF 6.0, section 8)."""
    short, long, text = 3, 4, 2
    count = 10
    description_at = 8 + 2 + 12 * count + 4
    strip_at = -(-(description_at + len(description)) // 16) * 16
    entries = (  # tag, type, count, value
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, 1, 16),  # bits
        (259, short, 1, 1),  # not compressed
        (262, short, 1, 1),  # 0 is black
        (270, text, len(description), description_at),
        (273, long, 1, strip_at),
        (277, short, 1, 1),  # channels
        (278, long, 1, height),  # rows of the strip
        (279, long, 1, 2 * width * height),
    )
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = struct.pack("<2sHIH", b"II", 42, 8, count) + directory + bytes(4) + description
    return head.ljust(strip_at, b"\0")


def encode_raw(raw: Raw, about: dict[str, Any]) -> bytes:
    """The whole file of `raw_file`."""
    return b"".join(raw_file(raw, about))


def read_raw(path: Path) -> Raw:
    """Read a raw frame: uint16, H x W, 12-bit Bayer.

    Raises ExlcapError when the file is missing, cut off, or not such a frame.
    """
    import tifffile

    try:
        raw = np.asarray(tifffile.imread(path))
    except FileNotFoundError:
        raise ExlcapError(f"frame not found: {path}", RESTORE) from None
    except Exception as error:  # tifffile raises whatever its parser meets first in a damaged file
        raise ExlcapError(f"{path} is damaged or cut off ({error})", RESTORE) from None
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise ExlcapError(
            f"{path} is not a 12-bit Bayer frame: {raw.dtype} {raw.shape}, expected uint16 (H, W)", RESTORE
        )
    return raw


__all__ = [
    "LIGHTS",
    "REFERENCE",
    "CameraInfo",
    "Frame",
    "Orphan",
    "Pair",
    "Raw",
    "Setting",
    "Step",
    "Take",
    "TakeHeader",
    "TakeWriter",
    "encode_raw",
    "pair_id",
    "raw_file",
    "read_raw",
    "read_take",
]
