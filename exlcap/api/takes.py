"""A take opened for reading: its pairs as arrays, with the labels and the alignment that go with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from exlcap.core.alignment import Alignment
from exlcap.core.contents import alignment_name_of, read_alignment_named, read_labels_of
from exlcap.core.develop import Linear, Rgb8, develop_aligned, develop_frame, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import PairLabels, TakeLabels
from exlcap.core.rig import Light
from exlcap.core.take import Frame, Pair, Raw, Take, TakeHeader
from exlcap.core.workspace import Workspace


class AlignedPair(NamedTuple):
    """Both images of a pair on one grid, in linear light: float32 (h, w, 3) each, RGB, 1 at the sensor's white."""

    well: Linear
    low: Linear


@dataclass(frozen=True)
class LabTake:
    """A take of a workspace. Made by `Lab.takes` and `Lab.take`.

    Labels and alignment are read when first asked for and kept; open the take again to see later changes.

    Attributes:
        workspace: The workspace it lies in.
        stored: The take as its folder tells it.

    Examples:
        >>> take = lab.take("plaza", 1)
        >>> take.name, take.header.pairs_per_step
        ('plaza take-001', 1)
        >>> [step.k for step in take.header.steps]
        [1, 12]
    """

    workspace: Workspace
    stored: Take

    def __repr__(self) -> str:
        return f"LabTake({self.scene!r}, {self.number}, pairs={len(self.stored.pairs)}, status={self.header.status!r})"

    @property
    def name(self) -> str:
        """Short name for messages: ``plaza take-001``."""
        return self.stored.name

    @property
    def scene(self) -> str:
        """Name of the scene."""
        return self.stored.header.scene

    @property
    def number(self) -> int:
        """Number of the take within its scene, from 1."""
        return self.stored.header.number

    @property
    def header(self) -> TakeHeader:
        """What was asked of which cameras, and how the take ended."""
        return self.stored.header

    @cached_property
    def pairs(self) -> tuple[LabPair, ...]:
        """The whole pairs of the take, in the order they were shot."""
        return tuple(LabPair(self, pair) for pair in self.stored.pairs)

    @cached_property
    def labels(self) -> TakeLabels | None:
        """The labels of the take; None where it has none. Raises ExlcapError when they are damaged."""
        return read_labels_of(self.workspace, self.stored)

    @cached_property
    def alignment(self) -> Alignment | None:
        """The alignment that carried the labels; before there are labels the newest; None where there is none.

        Raises ExlcapError when it is missing or damaged.
        """
        name = alignment_name_of(self.workspace, self.labels)
        return None if name is None else read_alignment_named(self.workspace, name)


@dataclass(frozen=True)
class LabPair:
    """Both frames of one pulse.

    Examples:
        >>> pair = take.pairs[0]
        >>> pair.id, pair.k
        ('plaza-t001-k01-000000', 1)
        >>> pair.well.raw().shape, pair.well.raw().dtype
        ((200, 320), dtype('uint16'))
        >>> pair.low.srgb().shape, pair.low.srgb().dtype
        ((200, 320, 3), dtype('uint8'))
    """

    take: LabTake
    stored: Pair

    def __repr__(self) -> str:
        return f"LabPair({self.id!r}, k={self.k})"

    @property
    def id(self) -> str:
        """Name of the pair in labels and data sets: ``plaza-t001-k04-000052``."""
        return self.take.stored.pair_id(self.stored)

    @property
    def k(self) -> int:
        """Exposure divisor of its step: the base exposure was divided by it."""
        return self.stored.k

    @property
    def index(self) -> int:
        """Number of its pulse within the step, from 0, guard frames included."""
        return self.stored.index

    @property
    def well(self) -> LabFrame:
        """The frame of the bright camera."""
        return LabFrame(self, "well")

    @property
    def low(self) -> LabFrame:
        """The frame of the dark camera."""
        return LabFrame(self, "low")

    @property
    def labels(self) -> PairLabels | None:
        """The people in both frames, in pixel centres of each raw frame; None where the pair is not labelled.

        Examples:
            >>> person = pair.labels.well[0]
            >>> person.keypoints.shape  # x, y and flag of the 14 joints
            (14, 3)
            >>> person.review
            'undecided'
        """
        labels = self.take.labels
        return None if labels is None else labels.pairs.get(self.id)

    def aligned(self, warp: Light = "well") -> AlignedPair:
        """Both images on one grid, as ``exlcap build`` makes them before it rounds them to 8 bits.

        Args:
            warp: Which image is resampled: "well" warps the bright one onto the dark one, whose pixels stay as they
                are (the default of ``exlcap build``), "low" does the opposite. Both are cropped to the area that both
                cameras see.

        Returns:
            Linear light, float32 (h, w, 3) each, RGB, 0 at black and 1 at the sensor's white, not clipped.

        Raises:
            ExlcapError: The workspace has no alignment, or a frame is missing or damaged.

        Examples:
            >>> well, low = pair.aligned()
            >>> well.shape == low.shape, well.dtype
            (True, dtype('float32'))
            >>> exlcap.to_srgb(exlcap.amplified(low)).dtype
            dtype('uint8')
        """
        if self.take.alignment is None:
            raise ExlcapError(
                f"no alignment in {self.take.workspace.alignments}",
                "shoot a static reference with `exlcap shoot --reference`, then run `exlcap align`",
            )
        return AlignedPair(*develop_aligned(self.take.stored, self.stored, self.take.alignment, warp))


@dataclass(frozen=True)
class LabFrame:
    """One frame of a pair: what one camera saw. Pixels are read from the disk at every call.

    All three arrays share the geometry of the raw frame, so labels and `Alignment` fit each of them. The dark frame is
    mirrored where the rig's is.

    Attributes:
        pair: The pair it belongs to.
        light: "well" or "low".

    Examples:
        >>> frame = pair.low
        >>> frame.exposure_us, frame.gain_db
        (1000.0, 3.4)
        >>> frame.linear().shape, frame.linear().dtype
        ((200, 320, 3), dtype('float32'))
    """

    pair: LabPair
    light: Light

    def __repr__(self) -> str:
        settings = f"exposure_us={self.exposure_us:g}, gain_db={self.gain_db:g}"
        return f"LabFrame({self.pair.id!r}, {self.light!r}, {settings})"

    @property
    def stored(self) -> Frame:
        """The frame's record: file, checksum, settings asked and read back, counters, times."""
        return self.pair.stored.frame(self.light)

    @property
    def exposure_us(self) -> float:
        """Exposure time in microseconds, as read back from the camera."""
        return self.stored.read_back.exposure_us

    @property
    def gain_db(self) -> float:
        """Gain in dB, as read back from the camera."""
        return self.stored.read_back.gain_db

    def raw(self) -> Raw:
        """The raw frame: uint16 (H, W), 12-bit Bayer (RGGB). Raises ExlcapError when it is missing or damaged."""
        return self.pair.take.stored.raw(self.pair.stored, self.light)

    def linear(self) -> Linear:
        """Linear light: float32 (H, W, 3), RGB, 0 at black and 1 at the sensor's white, not clipped.

        White-balanced by the take's alignment where there is one. Raises ExlcapError when the frame is missing or
        damaged.
        """
        return develop_frame(self.pair.take.stored, self.pair.stored, self.light, self.pair.take.alignment)

    def srgb(self) -> Rgb8:
        """8-bit sRGB for the eye: uint8 (H, W, 3), RGB. Raises ExlcapError when the frame is missing or damaged."""
        return to_srgb(self.linear())
