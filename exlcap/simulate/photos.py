"""Photographs as scenes: real people under this rig's optics and light, with their joints carried exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import pi, sin
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exlcap.core.alignment import Matrix, apply_homography
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import LabelledImage, Person, inside, read_coco
from exlcap.core.rig import Emulator
from exlcap.simulate.canvas import SUPERSAMPLING, Canvas, Irradiance, focus
from exlcap.simulate.optics import name_number
from exlcap.simulate.people import FEWEST_JOINTS

ZOOM, PAN = 0.02, 0.01
"""How far the camera zooms and pans back and forth, as shares of the frame."""
DARKEST_MEAN = 0.01
"""Mean linear light below which a photograph is too dark to serve as a bright frame."""


def photo_view(
    emulator: Emulator, scene: str, canvas: Canvas, size: tuple[int, int], clock: Callable[[int], float]
) -> Callable[[int], tuple[Irradiance, tuple[Person, ...]]]:
    """A photograph that fills the frame of (width, height), seen by a camera that pans and zooms slowly.

    Raises ExlcapError when there is no folder, no photograph with people labelled, or the file cannot be read.
    """
    import cv2

    chosen, photo = choose_photo(emulator, scene)

    def view(index: int) -> tuple[Irradiance, tuple[Person, ...]]:
        to_well = photo_to_well((photo.shape[1], photo.shape[0]), size, clock(index))
        to_canvas = np.array([[1, 0, -canvas.left], [0, 1, -canvas.top], [0, 0, 1 / SUPERSAMPLING]]) @ to_well
        irradiance: Irradiance = cv2.warpPerspective(
            photo, to_canvas, (canvas.width, canvas.height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        moved = (move_person(person, to_well, size) for person in chosen.people)
        return focus(irradiance), tuple(person for person in moved if person is not None)

    return view


def choose_photo(emulator: Emulator, scene: str) -> tuple[LabelledImage, Irradiance]:
    """The photograph of a scene with its people, and its linear light.

    Scenes listed in rig.toml get different ones while there are enough; a photograph too dark to be a bright frame is
    skipped. Raises ExlcapError when the folder is missing or no photograph in it is usable.
    """
    folder, labels = Path(emulator.photos or ""), Path(emulator.labels or "")
    if not folder.is_dir():
        raise ExlcapError(
            f"no folder of photographs at {folder}", "correct `photos` in the [emulator] table of rig.toml"
        )
    labelled = sorted((image for image in read_coco(labels) if image.people), key=lambda image: image.file_name)
    usable = [image for image in labelled if (folder / image.file_name).is_file()]
    if not usable:
        raise ExlcapError(
            f"none of the {len(labelled)} photographs with people in {labels} is in {folder}",
            "`file_name` in the labels must be the name of a file in that folder",
        )
    order = np.random.default_rng([emulator.seed, 4]).permutation(len(usable))
    listed = sorted(emulator.scenes)
    number = listed.index(scene) if scene in listed else len(listed) + name_number(scene)
    stride = max(1, len(listed))  # a photograph that one scene skips is taken by no other listed scene
    for turn in range(len(usable)):
        image = usable[int(order[(number + turn * stride) % len(usable)])]
        irradiance = read_linear(folder / image.file_name, image.size)
        if irradiance.mean() >= DARKEST_MEAN:
            return image, irradiance
    raise ExlcapError(
        f"the photographs tried for scene {scene!r} in {folder} are nearly black",
        "give photographs taken in good light",
    )


def read_linear(path: Path, size: tuple[int, int] | None) -> Irradiance:
    """A photograph as linear light, float32 (H, W, 3) RGB, in the orientation in which its pixels are stored.

    Raises ExlcapError when it cannot be read, or its (width, height) is not what its labels say.
    """
    import cv2

    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    if image is None:
        raise ExlcapError(f"{path} is not an image that can be read", "replace the file or remove it from the labels")
    actual = (image.shape[1], image.shape[0])
    if size not in (None, actual):
        raise ExlcapError(f"{path} is {actual[0]}x{actual[1]}, its labels say {size[0]}x{size[1]}",
                          "its joints would be misplaced; use the photograph that was labelled")  # fmt: skip
    linear: Irradiance = _linear_table()[cv2.cvtColor(image, cv2.COLOR_BGR2RGB)]
    return linear


def _linear_table() -> npt.NDArray[np.float32]:
    """Linear light of every 8-bit sRGB level (IEC 61966-2-1)."""
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def photo_to_well(photo: tuple[int, int], frame: tuple[int, int], time_s: float) -> Matrix:
    """3 x 3 matrix from pixel centres of a photograph to those of the bright frame at a time; sizes (width, height).

    The photograph fills the frame at every moment.
    """
    zoom = 1 + 2 * PAN + ZOOM * (1 + sin(2 * pi * time_s / 7.3)) / 2
    scale = zoom * max(frame[0] / photo[0], frame[1] / photo[1])
    move = [PAN * frame[i] * sin(2 * pi * time_s / period) for i, period in enumerate((5.1, 6.7))]
    shift = [(frame[i] - 1) / 2 + move[i] - scale * (photo[i] - 1) / 2 for i in range(2)]
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])


def move_person(person: Person, matrix: Matrix, size: tuple[int, int]) -> Person | None:
    """A labelled person of a photograph, in pixels of the frame; None when too few joints are inside it."""
    keypoints = person.keypoints.copy()
    keypoints[:, :2] = apply_homography(matrix, keypoints[:, :2])
    keypoints[person.keypoints[:, 2] == 0] = 0
    keypoints = inside(keypoints, *size)
    if (keypoints[:, 2] > 0).sum() < FEWEST_JOINTS:
        return None
    x, y, width, height = person.box
    (left, top), (right, bottom) = apply_homography(matrix, np.array([[x, y], [x + width, y + height]]))
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, size[0] - 1.0), min(bottom, size[1] - 1.0)
    box = (left, top, max(right - left, 0.0), max(bottom - top, 0.0))
    return replace(person, keypoints=keypoints, box=box, origin="simulation")
