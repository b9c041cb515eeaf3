"""Pictures for cameras without light before them: rendered pulses in a folder, which the cameras expose one by one.

A picture is a 16-bit grey PNG of `raw << 4`. Pylon's emulator reads it as the 12-bit frame `raw`, and starts again from
the first name at each start of grabbing; so frame n of a grab is render n, bit for bit.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from exlcap.capture.cameras.contract import PictureCamera
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import Person
from exlcap.core.rig import LIGHTS, Light, Rig
from exlcap.core.take import Raw
from exlcap.simulate.rendering import Pulse

PNG_UNCOMPRESSED = 0
"""The pictures live for one step: time matters, space does not."""
UNUSED_BITS = 4
"""Below the 12 bits of a pixel."""


def put_before(
    cameras: Mapping[Light, PictureCamera], folder: Path, pulses: Iterable[Pulse]
) -> list[tuple[Person, ...]]:
    """Write the pictures of both cameras and have them exposed from the next start on; return the people of each."""
    people = []
    for pulse in pulses:
        for light, raw in zip(LIGHTS, (pulse.well, pulse.low), strict=True):
            write_picture(folder / light / f"{pulse.index:06d}.png", raw)
        people.append(pulse.people)
    for light in LIGHTS:
        cameras[light].show(folder / light)
    return people


def take_away(folder: Path) -> None:
    """Delete the pictures, after grabbing has stopped."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another run may have its pictures there
        folder.parent.rmdir()


def write_picture(path: Path, raw: Raw) -> None:
    """Write a raw frame, uint16 (H, W) of 12 bits, as a picture."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), raw << UNUSED_BITS, [cv2.IMWRITE_PNG_COMPRESSION, PNG_UNCOMPRESSED]):
        raise OSError(f"could not write {path}")


def read_picture(path: Path) -> Raw:
    """The raw frame of a picture. Raises OSError when it is gone or damaged."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise OSError(f"could not read {path}")
    raw: Raw = np.right_shift(picture, UNUSED_BITS, dtype=np.uint16)
    return raw


def with_absolute_photos(rig: Rig, root: Path) -> Rig:
    """The rig with the paths of its photographs made absolute: in rig.toml they are relative to the workspace."""
    if rig.emulator is None:
        raise ExlcapError(
            "rig.toml has no [emulator] table", "make a workspace with `exlcap init --emulated` or `--simulated`"
        )
    paths = {"photos": rig.emulator.photos, "labels": rig.emulator.labels}
    absolute = {key: str((root / path).resolve()) for key, path in paths.items() if path is not None}
    return rig.model_copy(update={"emulator": rig.emulator.model_copy(update=absolute)})
