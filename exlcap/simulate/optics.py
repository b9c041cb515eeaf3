"""What defines an emulated rig: its seeds, and the true geometry of the dark view on the bright one."""

from __future__ import annotations

import math
import zlib

import numpy as np

from exlcap.core.alignment import Alignment, Matrix, make_alignment
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Emulator, Rig


def emulator_of(rig: Rig) -> Emulator:
    """The [emulator] table of a rig. Raises ExlcapError for a rig without [emulator]."""
    if rig.emulator is None:
        raise ExlcapError(
            f"rig {rig.name!r} has no [emulator] table, so there is nothing to simulate",
            "make an emulated workspace with `exlcap init --emulated`",
        )
    return rig.emulator


def name_number(scene: str) -> int:
    """The number that a scene's name contributes to seeds."""
    return zlib.crc32(scene.encode())


def true_homography(rig: Rig) -> Matrix:
    """3 x 3 matrix from pixel centres of the un-mirrored dark image to those of the bright one.

    About the image centre c: scale and rotation (clockwise on the screen for positive angles), then division by
    1 + g u + h v, then shift. `perspective` = (g, h); u and v run from -1 to 1 over the width and the height, so the
    denominator changes by g over half the width and by h over half the height.
    """
    optics = emulator_of(rig)
    centre_x, centre_y = (rig.sensor.width - 1) / 2, (rig.sensor.height - 1) / 2
    cos, sin = (optics.scale * f(math.radians(optics.rotation_deg)) for f in (math.cos, math.sin))
    g, h = optics.perspective[0] / centre_x, optics.perspective[1] / centre_y
    about_centre = np.array([[cos, -sin, 0], [sin, cos, 0], [g, h, 1]])
    to_centre = np.array([[1, 0, -centre_x], [0, 1, -centre_y], [0, 0, 1]])
    back = np.array([[1, 0, centre_x + optics.shift_px[0]], [0, 1, centre_y + optics.shift_px[1]], [0, 0, 1]])
    matrix: Matrix = back @ about_centre @ to_centre
    return matrix


def true_alignment(rig: Rig) -> Alignment:
    """The alignment of an emulated rig, known by construction.

    Raises ExlcapError for a rig without [emulator], or when the views do not overlap.
    """
    size = (rig.sensor.width, rig.sensor.height)
    return make_alignment(
        true_homography(rig),
        mirror=rig.low.mirror,
        low_size=size,
        well_size=size,
        reference="simulation truth",
        created="known by construction",
    )
