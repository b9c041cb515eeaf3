"""Photometry of both cameras from one reference: transmittance of the dark path, black level, white balance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exlcap.align.luminance import NEARLY_WHITE, Mean
from exlcap.core.alignment import Matrix, Photometry
from exlcap.core.errors import Refused
from exlcap.core.rig import WHITE_DN, Setting

BLOCK_QUADS = 16
FEWEST_BLOCKS = 20
Array = npt.NDArray[np.float64]
Three = tuple[float, float, float]


def light_scale(setting: Setting) -> float:
    """DN that one unit of light per microsecond gives: exposure time by gain."""
    return float(setting.exposure_us * 10 ** (setting.gain_db / 20))


def quads(mean_dn: Mean, black_level_dn: float) -> npt.NDArray[np.float32]:
    """Red, green and blue of every 2 x 2 cell of an RGGB mosaic: DN above black, float32 (H / 2, W / 2, 3)."""
    light = mean_dn - np.float32(black_level_dn)
    green = (light[::2, 1::2] + light[1::2, ::2]) / 2
    return np.stack([light[::2, ::2], green, light[1::2, 1::2]], axis=-1)


def check_not_swapped(well: Mean, low: Mean, settings: tuple[Setting, Setting], black_level_dn: float) -> None:
    """Raise Refused when the dark camera gets more light than the bright one, after allowing for their settings."""
    rates = [
        float(np.mean(mean) - black_level_dn) / light_scale(setting)
        for mean, setting in zip((well, low), settings, strict=True)
    ]
    if rates[1] > rates[0]:
        raise Refused(f"the low camera gets {rates[1] / max(rates[0], 1e-12):.3g} times the light of the well camera",
                      "the serials of [well] and [low] in rig.toml look swapped")  # fmt: skip


def photometry(
    well: Mean, low: Mean, low_to_well: Matrix, settings: tuple[Setting, Setting], black_level_dn: float
) -> Photometry:
    """Compare the light of both cameras block by block.

    well, low: mean raw frames as the cameras gave them; settings: of (well, low). Per colour a line is fitted through
    the blocks: its slope is the transmittance, its offset what the dark camera shows without light. White balance is
    grey-world: right for a reference that is grey on average, such as one that holds a grey card.
    Raises Refused when too few blocks are neither black nor saturated.
    """
    import cv2

    # a quad's centre is at 2 i + 0.5 in pixels
    to_pixels = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
    low_quads, well_quads = quads(low, black_level_dn), quads(well, black_level_dn)
    matrix = np.linalg.inv(to_pixels) @ low_to_well @ to_pixels
    size = (well_quads.shape[1], well_quads.shape[0])
    over = cv2.warpPerspective(low_quads, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(np.nan,) * 3)
    white = NEARLY_WHITE * (WHITE_DN - black_level_dn)
    clear = (np.max(well_quads, 2) < white) & (np.max(over, 2) < white)  # NaN, too, is not clear
    whole = _block_means(clear[..., None].astype(np.float64))[:, 0] == 1
    if whole.sum() < FEWEST_BLOCKS:
        raise Refused("nearly all of the reference is saturated", "lower exposure_us in [reference] of rig.toml")
    bright, dark = (_block_means(picture)[whole] for picture in (well_quads, np.nan_to_num(over)))
    rates = bright / light_scale(settings[0]), dark / light_scale(settings[1])
    lines = [_line(rates[0][:, channel], rates[1][:, channel]) for channel in range(3)]
    return Photometry(
        transmittance=_three([line[0] for line in lines]),
        transmittance_sd=_three([line[2] for line in lines]),
        offset_dn=float(np.mean([line[1] for line in lines])) * light_scale(settings[1]),
        well_white_balance=_grey_world(bright),
        low_white_balance=_grey_world(dark),
    )


def remarks(measured: Photometry, nominal: float) -> list[str]:
    """What looks wrong in a photometry, for the operator. nominal: the ND filter's transmittance."""
    lines = []
    mean = float(np.mean(measured.transmittance))
    if abs(mean / nominal - 1) > 0.2:
        lines.append(f"the dark path passes {100 * mean:.3g} %, rig.toml says {100 * nominal:.3g} %")
    if abs(measured.offset_dn) > 2:
        lines.append(
            f"the dark camera is {measured.offset_dn:+.1f} DN off its black level: stray light, or black_level_dn"
        )
    return lines


def _line(x: Array, y: Array) -> tuple[float, float, float]:
    """Slope, offset and the slope's standard deviation of y = slope x + offset; weights as in `fit_blocks`.

    Errors grow with the light (vignetting, texture at block edges), so they are taken relative to it.
    """
    trust = 1 / (x + 0.1 * np.median(x)) ** 2
    terms = np.column_stack([x, np.ones_like(x)])
    weights = trust
    for _ in range(10):
        normal = (terms * weights[:, None]).T @ terms
        slope, offset = np.linalg.solve(normal, (terms * weights[:, None]).T @ y)
        chi2 = trust * (y - slope * x - offset) ** 2
        spread = max(float(np.median(chi2)) / 0.455, 1e-30)  # the median of chi^2 with 1 dof
        weights = trust * 5 / (4 + chi2 / spread)
    return float(slope), float(offset), float(np.sqrt(spread * np.linalg.inv(normal)[0, 0]))


def _grey_world(blocks: Array) -> Three:
    means = np.maximum(blocks.mean(0), 1e-9)
    return _three(list(means[1] / means))


def _three(values: list[float]) -> Three:
    return float(values[0]), float(values[1]), float(values[2])


def _block_means(picture: npt.NDArray[np.generic]) -> Array:
    """Mean of each whole block of a picture (H, W, C): (N, C)."""
    rows, columns = picture.shape[0] // BLOCK_QUADS, picture.shape[1] // BLOCK_QUADS
    cut = picture[: rows * BLOCK_QUADS, : columns * BLOCK_QUADS]
    parts = cut.reshape(rows, BLOCK_QUADS, columns, BLOCK_QUADS, -1)
    means: Array = parts.mean((1, 3), dtype=np.float64).reshape(rows * columns, -1)
    return means
