"""Photographs as pairs of this rig: what both cameras would have recorded in the dark, developed and aligned.

With sRGB undone, a photograph counts as linear light, and each of its pixels as one of the sensor. The bright camera
sees it as it is; the dark one through the rig's geometry and its filter. Both frames are 12-bit Bayer with the sensor's
noise, and pass through the same development, warp and crop as real ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from exlcap.core.alignment import Alignment, Matrix, Photometry, make_alignment
from exlcap.core.develop import Development, development_of, to_srgb, white_keeping
from exlcap.core.files import sha256_bytes
from exlcap.core.labels import LabelledImage, Person
from exlcap.core.rig import LIGHTS, Light, Rig, Setting
from exlcap.core.take import Raw, pair_id
from exlcap.dataset.annotations import in_crop
from exlcap.dataset.images import linear_image, write_png
from exlcap.dataset.manifest import Developed, PairEntry
from exlcap.simulate.photos import DARKEST_MEAN, read_linear
from exlcap.simulate.sensor import Irradiance, SensorModel, expose

BASE_GAIN_DB = (0.0, 4.3, 6.2, 11.6, 19.1)
"""Minimum, quartiles and maximum of the well-lit gain at k = 1 over the 50 published test scenes of ExLPose."""
MOST_GAIN_DB = 38.8
"""Largest well-lit gain of the published set."""
SMALLEST_PX = 64


@dataclass(frozen=True)
class Photo:
    """A labelled photograph. index: its place among all, which seeds its random numbers."""

    path: Path
    labelled: LabelledImage
    scene: str
    index: int


@dataclass(frozen=True)
class Cameras:
    """What all photographs share. alignment: of the rig's own sensor size.

    photometry: the light of both cameras as a reference showed it, and measured_by, the alignment it is of; None: the
    filter's nominal transmittance, and colours that are balanced already.
    """

    rig: Rig
    alignment: Alignment
    seed: int
    pairs_per_photo: int
    photometry: Photometry | None = None
    measured_by: str = ""

    @property
    def sensor(self) -> SensorModel:
        """The sensor of both cameras."""
        return SensorModel(black_level_dn=self.rig.sensor.black_level_dn)

    @property
    def light(self) -> str:
        """Where the light of the dark path comes from, in words."""
        if self.photometry is None:
            return f"dark path nominal, {100 * self.rig.low.nd_transmittance:g} % of the light (rig.toml)"
        shares = " ".join(f"{c} {100 * t:.3f} %" for c, t in zip("RGB", self.photometry.transmittance, strict=True))
        return f"dark path {shares} of the light and white balances as {self.measured_by} measured them"

    def sensitivity(self, light: Light) -> Irradiance:
        """Share of red, green and blue light a camera gets, float32 (3,); 1: the bright camera's most sensitive colour.

        A camera's white balance undoes its own colours, so its inverse is their strength.
        """
        if self.photometry is None:
            return np.full(3, 1.0 if light == "well" else self.rig.low.nd_transmittance, np.float32)
        balance = np.array(self.photometry.well_white_balance)
        path = 1.0 if light == "well" else np.array(self.photometry.transmittance)
        sensitivity: Irradiance = (balance.min() / balance * path).astype(np.float32)
        return sensitivity

    def development(self, light: Light) -> Development:
        """How simulated frames are developed: as `build` does, but the colours are those of the photograph already."""
        as_built = development_of(self.rig, light, None)
        how = replace(as_built, black_level_dn=float(self.rig.sensor.black_level_dn), colour_matrix=None)
        if self.photometry is None:
            return how
        measured = self.photometry
        balance = measured.well_white_balance if light == "well" else measured.low_white_balance
        return replace(how, white_balance=white_keeping(balance))


Made = tuple[PairEntry, tuple[Person, ...]]


def base_gain_db(seed: int, index: int) -> float:
    """Well-lit gain of a photograph at k = 1, spread as over the published scenes."""
    shares = np.linspace(0, 1, len(BASE_GAIN_DB))
    return round(float(np.interp(np.random.default_rng([seed, index]).random(), shares, BASE_GAIN_DB)), 1)


def developments(cameras: Cameras) -> tuple[Developed, ...]:
    """How the simulated frames of both cameras are developed, for the record."""
    return tuple(Developed(light=light, **asdict(cameras.development(light))) for light in LIGHTS)


def divisors(rig: Rig, base_db: float) -> list[int]:
    """Exposure divisors of the rig's schedule that keep the gain within the published range and the rig's limit."""
    most_db = min(MOST_GAIN_DB, rig.limits.gain_db_max)
    preset = rig.schedule.presets[rig.schedule.preset]
    return [k for k in preset if base_db + 20 * math.log10(k) <= most_db] or [min(preset)]


def scaled_alignment(alignment: Alignment, size: tuple[int, int]) -> Alignment:
    """How the dark view lies on the bright one when both have another size: the same about the centre, by the width.

    Raises ExlcapError when the views do not overlap.
    """
    to_rig = _about_centre(size, alignment.well_size)
    homography: Matrix = np.linalg.inv(to_rig) @ np.array(alignment.homography) @ to_rig
    return make_alignment(homography, alignment.mirror, size, size, alignment.reference, alignment.created)


def _about_centre(size: tuple[int, int], other: tuple[int, int]) -> Matrix:
    """3 x 3 matrix from pixels of a picture of `size` to one of `other`: centre on centre, width on width."""
    scale = other[0] / size[0]
    shift = [(other[i] - 1) / 2 - scale * (size[i] - 1) / 2 for i in range(2)]
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])


def dark_view(light: Irradiance, alignment: Alignment) -> Irradiance:
    """What the dark camera sees of the light on the bright one: float32 (H, W, 3), not below 0."""
    import cv2

    seen: Irradiance = cv2.warpPerspective(
        light, alignment.low_to_well, alignment.low_size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    return np.maximum(seen, 0)


def make_pairs(folder: Path, cameras: Cameras, photo: Photo) -> list[Made] | str:
    """Write the images of a photograph's pairs; their entries and people, or why the photograph is unusable.

    Raises ExlcapError when it cannot be read, or is not of the size its labels say.
    """
    light = read_linear(photo.path, photo.labelled.size)
    size = (light.shape[1], light.shape[0])
    if min(size) < SMALLEST_PX:
        return f"smaller than {SMALLEST_PX} pixels"
    if light.mean() < DARKEST_MEAN:
        return "nearly black"
    alignment = scaled_alignment(cameras.alignment, size)
    people = tuple(moved for person in photo.labelled.people if (moved := in_crop(person, alignment)))
    if not people:
        return "without people in the common area of both views"
    views: dict[Light, Irradiance] = {
        "well": light * cameras.sensitivity("well"),
        "low": dark_view(light, alignment) * cameras.sensitivity("low"),
    }
    return [(entry, people) for entry in _pairs(folder, cameras, photo, views, alignment)]


def _pairs(
    folder: Path, cameras: Cameras, photo: Photo, views: dict[Light, Irradiance], alignment: Alignment
) -> Iterator[PairEntry]:
    rig, base_db = cameras.rig, base_gain_db(cameras.seed, photo.index)
    rng = np.random.default_rng([cameras.seed, photo.index, 1])
    schedule = rng.permutation(divisors(rig, base_db))
    for number in range(cameras.pairs_per_photo):
        k = int(schedule[number % len(schedule)])
        name = pair_id(photo.scene, 1, k, number)
        exposure_us = rig.base.exposure_us / k
        settings = {
            "well": Setting(exposure_us=exposure_us, gain_db=base_db + 20 * math.log10(k)),
            "low": Setting(exposure_us=exposure_us, gain_db=rig.low.gain_db),
        }
        made = {}
        for light in LIGHTS:
            raw = _expose(cameras, views[light], settings[light], base_db, rng)
            picture = to_srgb(linear_image(raw, light, cameras.development(light), alignment, "low"))
            made[light] = write_png(folder / "images" / light / f"{name}.png", picture)
        yield PairEntry(
            pair_id=name,
            scene=photo.scene,
            take=1,
            k=k,
            index=number,
            exposure_us=exposure_us,
            well_gain_db=settings["well"].gain_db,
            low_gain_db=rig.low.gain_db,
            alignment="simulated",
            width=alignment.crop.width,
            height=alignment.crop.height,
            well_sha256=made["well"].sha256,
            low_sha256=made["low"].sha256,
            well_mean_level=made["well"].mean_level,
            low_mean_level=made["low"].mean_level,
            key=sha256_bytes(repr((photo.labelled.file_name, cameras.seed, photo.index, number)).encode()),
        )


def _expose(cameras: Cameras, view: Irradiance, setting: Setting, base_db: float, rng: np.random.Generator) -> Raw:
    """A raw frame of what a camera gets. At k = 1 white is what the base gain lifts to the sensor's white."""
    sensor = cameras.sensor
    electrons_per_us = sensor.full_well_e * 10 ** (-base_db / 20) / cameras.rig.base.exposure_us
    return expose(view, electrons_per_us, setting, 1.0, sensor, rng)
