"""Pictures and a page that show at a glance whether an alignment is good."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import numpy as np

from exlcap.align.luminance import Grey
from exlcap.align.photometry import remarks
from exlcap.align.quality import BlockShifts, placement
from exlcap.core.alignment import Alignment
from exlcap.core.develop import Rgb8, to_srgb
from exlcap.core.files import write_atomic

TILE_PX = 60
ARROW_PX = 60
CAPTIONS = {
    "checkerboard": "Both views in alternate tiles. Edges must continue from tile to tile.",
    "difference": "Bright minus dark view, both scaled to the same level, amplified four times; grey means no "
    "difference. Outlines that are light on one side and dark on the other show a shift.",
    "residual": "Shift of each part of the picture against a fit that did not see it, drawn at {enlarged} times "
    "its length. The arrows should point in random directions, not follow a pattern.",
}
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>body{{font:15px/1.5 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}}img{{width:100%}}
td,th{{text-align:left;padding:.15em 1.5em .15em 0;vertical-align:top}}</style>
<h1>{name}</h1>
<table>{rows}</table>
{figures}
</html>
"""


def write_report(folder: Path, well: Grey, low: Grey, alignment: Alignment, shifts: BlockShifts,
                 rows: list[tuple[str, str]]) -> None:  # fmt: skip
    """Write the pictures and index.html, which holds them all and needs no network.

    well, low: luminance as the cameras gave it. rows: what the page's table says.
    """
    import cv2

    views = overlaid(well, low, alignment)
    board = checkerboard(*views)
    enlarged = enlargement(shifts)
    pictures = {
        "checkerboard": board,
        "difference": difference(*views),
        "residual": arrows(board, alignment, shifts, enlarged),
    }
    figures = []
    for name, pixels in pictures.items():
        write_atomic(folder / f"{name}.png", cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())
        small = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
        source = f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
        caption = CAPTIONS[name].format(enlarged=enlarged)
        figures.append(f'<figure><img alt="{name}" src="{source}"><figcaption>{caption}</figcaption></figure>')
    table = "".join(f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>\n" for key, value in rows)
    page = PAGE.format(name=html.escape(folder.name), rows=table, figures="\n".join(figures))
    write_atomic(folder / "index.html", page.encode())


def overlaid(well: Grey, low: Grey, alignment: Alignment) -> tuple[Grey, Grey]:
    """Bright and dark view of the common area, each from 0 to 1 between its darkest and brightest parts."""
    import cv2

    size = well.shape[::-1]
    over = cv2.warpPerspective(low, alignment.low_to_well, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    x, y, width, height = alignment.crop
    bright, dark = (_levelled(grey[y : y + height, x : x + width]) for grey in (well, over))
    return bright, dark


def checkerboard(bright: Grey, dark: Grey) -> Rgb8:
    """Two views in alternate tiles: uint8 (H, W, 3)."""
    rows, columns = np.indices(bright.shape) // TILE_PX
    tiles = np.where((rows + columns) % 2, bright, dark)
    return to_srgb(np.repeat(tiles[..., None], 3, axis=2).astype(np.float32))


def difference(bright: Grey, dark: Grey) -> Rgb8:
    """Bright minus dark view about middle grey: uint8 (H, W, 3)."""
    grey = np.clip(128 + 4 * 255 * (bright - dark), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _levelled(grey: Grey) -> Grey:
    low, high = np.percentile(grey, (0.5, 99))
    levelled: Grey = np.clip((grey - low) / max(high - low, 1e-9), 0, 1)
    return levelled


def enlargement(shifts: BlockShifts) -> int:
    """How many times its length each shift is drawn: a power of ten that keeps most arrows below `ARROW_PX`."""
    return int(10 ** np.floor(np.log10(ARROW_PX / max(float(np.percentile(shifts.lengths, 95)), 1e-3))))


def arrows(picture: Rgb8, alignment: Alignment, shifts: BlockShifts, enlarged: int) -> Rgb8:
    """The residual shift of every part, drawn `enlarged` times its length."""
    import cv2

    drawn = picture.copy()
    for centre, shift in zip(shifts.centres - alignment.crop[:2], shifts.shifts, strict=True):
        ends = [tuple(round(16 * v) for v in point) for point in (centre, centre + enlarged * shift)]
        cv2.arrowedLine(drawn, *ends, (255, 60, 60), 2, cv2.LINE_AA, 4, 0.3)
    return drawn


def described(alignment: Alignment) -> list[tuple[str, str]]:
    """An alignment in words: (what, value) for the terminal and the report."""
    x, y, width, height = alignment.crop
    angle, scale, shift = placement(np.array(alignment.homography), alignment.well_size)
    rows = [
        ("dark camera mirrored", "yes" if alignment.mirror else "no"),
        ("dark view on the bright one", f"rotated by {angle:+.3f} degrees (clockwise), scaled by {scale:.5f}, "
         f"centre shifted by ({shift[0]:+.2f}, {shift[1]:+.2f}) px"),
    ]  # fmt: skip
    if residual := alignment.residual:
        sd = ", ".join(f"{value:.3f}" for value in residual.corner_sd_px or ())
        rows += [
            ("corners known to", f"{sd} px (standard deviation; top left, then clockwise)"),
            ("residual", f"median {residual.held_out_median_px:.3f} px, 95 % below {residual.held_out_p95_px:.3f} px "
             f"on {residual.blocks} parts of the picture that the fit did not see"),
            ("agreement", f"two half fits {residual.halves_px:.3f} px apart, fits on either camera's grid "
             f"{residual.back_px or 0:.3f} px; correlation {residual.ecc:.4f}"),
        ]  # fmt: skip
    rows.append(("common area", f"{width} x {height} at ({x}, {y})"))
    if light := alignment.photometry:
        shares = (
            "{} {:.3f} %".format(*pair) for pair in zip("RGB", (100 * t for t in light.transmittance), strict=True)
        )
        gains = (" ".join(f"{gain:.3f}" for gain in camera)
                 for camera in (light.well_white_balance, light.low_white_balance))  # fmt: skip
        rows += [
            ("the ND filter passes", f"{' '.join(shares)} (dark against bright path, beam splitter included)"),
            ("dark camera without light", f"{light.offset_dn:+.2f} DN from its black level"),
            ("white balance, grey world of the reference, R G B", "bright {}; dark {}".format(*gains)),
        ]
    return rows


def doubts(alignment: Alignment, nd_transmittance: float) -> list[str]:
    """What the operator should look at before trusting an alignment."""
    doubtful = [] if alignment.photometry is None else remarks(alignment.photometry, nd_transmittance)
    bent = alignment.residual.structure_px if alignment.residual else None
    if bent is not None and bent > 0.1:
        doubtful.append(f"the residuals follow a pattern of up to {bent:.2f} px that no homography explains: lens "
                    "distortion that differs between the paths, or objects at different distances")  # fmt: skip
    return doubtful
