"""Sub-pixel registration from what every block of the picture says, noise included.

In a block B the dark picture is modelled as low(x) = a W(x + d) + b + noise, with W the bright picture, a gain `a`, an
offset `b` (flare, black level) and a shift d. Linearised in d this is least squares on W and its gradient (Lucas and
Kanade, IJCAI 1981; Baker and Matthews, IJCV 2004). The gradient is taken from the bright picture only: noise in the
dark one is then uncorrelated with it, which neither hides nor invents a shift. Per block only the score g and the
information matrix I of d are kept (shift = I^-1 g, covariance I^-1), and the homography is fitted to those, so blocks
without texture weigh nothing, and noisy or moving ones little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exlcap.align.luminance import Grey
from exlcap.core.alignment import Matrix, Points, apply_homography

BLOCK_PX = 32
GAIN_SIGMA_BLOCKS = 1.5
"""The gain is pooled over neighbouring blocks: alone, a dark block's gain is mostly noise."""
STUDENT_DOF = 4.0
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Blocks:
    """Evidence on the residual shift of every block, in pixels of the bright picture.

    centres: (N, 2). score: (N, 2), px^-1. information: (N, 2, 2), px^-2. grid: (N, 2), column and row of each block.
    likeness: correlation of both pictures over all blocks, -1 to 1.
    """

    centres: Array
    score: Array
    information: Array
    grid: npt.NDArray[np.intp]
    likeness: float

    def disagreement(self, shifts: Array) -> Array:
        """Squared distance of shifts (N, 2) from each block's own, in standard deviations: (N,), chi^2 with 2 dof."""
        own = np.einsum("nij,nj->ni", _inverse(self.information), self.score)
        off = own - shifts
        chi2: Array = np.einsum("ni,nij,nj->n", off, self.information, off)
        return chi2


@dataclass(frozen=True)
class Fit:
    """A homography's correction fitted to blocks.

    correction: 3 x 3, to be put before the homography that the blocks were measured at. covariance: (8, 8) of its
    entries in `jacobian`'s coordinates, scaled by how far the blocks really scatter. weights: (N,), low for blocks
    that disagree. scatter: the blocks' spread over what their noise explains, 1 at best.
    """

    correction: Matrix
    weights: Array
    scatter: float


def resample(picture: Grey, points_of: Matrix, size: tuple[int, int]) -> Grey:
    """`picture` at the places where `points_of` (3 x 3) takes the pixel centres of a picture of (width, height).

    Cubic B-spline (Unser, IEEE SPM 1999) at exact places: OpenCV's warps round them to 1/32 px. NaN outside.
    """
    from scipy import ndimage

    width, height = size
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)[:, None]
    w = points_of[2, 0] * x + points_of[2, 1] * y + points_of[2, 2]
    places = [(points_of[row, 0] * x + points_of[row, 1] * y + points_of[row, 2]) / w for row in (1, 0)]
    spline = ndimage.spline_filter(picture, order=3, output=np.float32, mode="mirror")
    resampled: Grey = ndimage.map_coordinates(
        spline, places, output=np.float32, order=3, prefilter=False, mode="constant", cval=np.nan
    )
    return resampled


def gradient(picture: Grey) -> tuple[Grey, Grey]:
    """Derivatives along x and y per pixel: 4th-order central differences."""
    import cv2

    kernel = np.array([[1, -8, 0, 8, -1]], np.float32) / 12
    return cv2.filter2D(picture, cv2.CV_32F, kernel), cv2.filter2D(picture, cv2.CV_32F, kernel.T)


def measure_blocks(bright: Grey, slopes: tuple[Grey, Grey], dark: Grey, usable: npt.NDArray[np.bool_]) -> Blocks:
    """What each block says of the shift d in dark(x) = a bright(x + d) + b.

    bright, dark: float32 (H, W) on one grid; slopes: of the bright picture; usable: (H, W), pixels to count. Blocks
    with less than half of their pixels usable are left out.
    """
    import cv2

    # slopes reach two pixels to either side
    seen = np.asarray(cv2.erode(usable.astype(np.uint8), np.ones((5, 5), np.uint8)), np.float32)
    count = _sums(seen)
    kept = count > BLOCK_PX**2 / 2
    fields = [np.where(seen > 0, field, 0).astype(np.float32) for field in (bright, dark, *slopes, *gradient(dark))]
    means = [_sums(field) / np.maximum(count, 1) for field in fields]

    def products(i: int, j: int) -> Array:
        """Sum over each block of the product of two fields about their means."""
        result: Array = _sums(fields[i] * fields[j]) - count * means[i] * means[j]
        return result

    ww, wl, ll = products(0, 0), products(0, 1), products(1, 1)
    wg, lg = [np.stack([products(i, 2 + axis) for axis in (0, 1)], -1) for i in (0, 1)]
    xx, xy, yy = products(2, 2), products(2, 3), products(3, 3)
    gg = np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], -2)
    tiny = 1e-12 + 1e-6 * float(ww[kept].mean()) if kept.any() else 1.0
    variance = np.maximum(ll - wl**2 / (ww + tiny), 1e-12 + 1e-6 * ll) / np.maximum(count - 4, 1)
    gain = _pooled(np.where(kept, wl / variance, 0)) / (_pooled(np.where(kept, ww / variance, 0)) + 1e-12)
    gain = np.maximum(gain, 0)
    # Noise in the bright picture adds to its slopes, which would shorten every shift (errors in variables). The dark
    # picture's noise is another one, so the product of both slopes tells the share that is texture.
    both = _pooled(np.where(kept, gain * (products(2, 4) + products(3, 5)) / variance, 0))
    texture = np.clip(both / (_pooled(np.where(kept, gain**2 * (xx + yy) / variance, 0)) + 1e-12), 0, 1)
    # what of the slopes the gain could explain says nothing of a shift
    along = wg / (ww + tiny)[..., None]
    score = (texture * gain / variance)[..., None] * (lg - wl[..., None] * along)
    information = ((texture * gain) ** 2 / variance)[..., None, None] * (gg - along[..., :, None] * wg[..., None, :])
    rows, columns = np.nonzero(kept)
    likeness = wl[kept].sum() / max(np.sqrt(ww[kept].sum() * ll[kept].sum()), 1e-12)
    grid = np.column_stack([columns, rows])
    centres = (grid * BLOCK_PX + (BLOCK_PX - 1) / 2).astype(np.float64)
    return Blocks(centres, score[kept], information[kept], grid, float(likeness))


def _sums(field: Grey) -> Array:
    """Sum over each block, (H // BLOCK_PX, W // BLOCK_PX)."""
    rows, columns = (length // BLOCK_PX for length in field.shape)
    cut = field[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    sums: Array = cut.sum((1, 3), dtype=np.float64)
    return sums


def _pooled(values: Array) -> Array:
    from scipy import ndimage

    pooled: Array = ndimage.gaussian_filter(values, GAIN_SIGMA_BLOCKS, mode="nearest")
    return pooled


def _inverse(information: Array) -> Array:
    """Inverses of 2 x 2 information matrices; a direction without texture stays undetermined instead of infinite."""
    return np.linalg.pinv(information, rcond=1e-3, hermitian=True).astype(np.float64)


def jacobian(points: Points, size: tuple[int, int]) -> Array:
    """How the entries of a correction 1 + E move points (N, 2): (N, 2, 8), E in coordinates from -1 to 1 (`unit`)."""
    x, y = apply_homography(unit(size), points).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    along_x = np.stack([x, y, one, zero, zero, zero, -x * x, -x * y], -1)
    along_y = np.stack([zero, zero, zero, x, y, one, -x * y, -y * y], -1)
    moves = np.stack([along_x, along_y], 1).astype(np.float64) * (size[0] / 2)
    return moves


def unit(size: tuple[int, int]) -> Matrix:
    """Matrix from pixels of a picture of (width, height) to coordinates about its centre, -1 to 1 over the width."""
    half = size[0] / 2
    return np.array([[1 / half, 0, -(size[0] - 1) / size[0]], [0, 1 / half, -(size[1] - 1) / size[0]], [0, 0, 1.0]])


def fit_blocks(blocks: Blocks, size: tuple[int, int], use: npt.NDArray[np.bool_] | None = None) -> Fit | None:
    """Homography that best explains the blocks' shifts, or None when they do not determine one. use: (N,)."""
    solved = solve_robustly(blocks, jacobian(blocks.centres, size), use)
    if solved is None:
        return None
    change = np.eye(3) + np.append(solved[0], 0).reshape(3, 3)
    to_unit = unit(size)
    correction: Matrix = np.linalg.inv(to_unit) @ change @ to_unit
    return Fit(correction, *solved[1:])


def solve_robustly(
    blocks: Blocks, basis: Array, use: npt.NDArray[np.bool_] | None = None
) -> tuple[Array, Array, float] | None:
    """Coefficients (K,) of a field of shifts, basis (N, 2, K), with the blocks' weights and scatter (see `Fit`).

    Student-t weights (Lange, Little and Taylor, JASA 1989): moving things and parallax lose their say.
    """
    strength = np.trace(blocks.information, axis1=1, axis2=2)
    chosen = strength > 1e-4 * np.max(strength, initial=0)
    if use is not None:
        chosen &= use
    if chosen.sum() < basis.shape[2]:
        return None
    weights, scatter = chosen.astype(np.float64), 1.0
    try:
        for _ in range(10):
            normal, right = normal_equations(blocks, basis, weights)
            entries = np.linalg.solve(normal, right).astype(np.float64)
            chi2 = blocks.disagreement(basis @ entries)
            scatter = max(float(np.median(chi2[chosen])) / 1.386, 1e-6)  # the median of chi^2 with 2 dof
            weights = chosen * (STUDENT_DOF + 2) / (STUDENT_DOF + chi2 / scatter)
    except np.linalg.LinAlgError:
        return None
    return entries, weights, scatter**0.5


def normal_equations(blocks: Blocks, basis: Array, weights: Array) -> tuple[Array, Array]:
    """Matrix (K, K) and right side (K,) of the weighted least squares on all blocks."""
    normal = np.einsum("n,nki,nkl,nlj->ij", weights, basis, blocks.information, basis, optimize=True)
    return normal, np.einsum("n,nki,nk->i", weights, basis, blocks.score, optimize=True)


def cells_of(blocks: Blocks, across: int) -> npt.NDArray[np.intp]:
    """Column and row of the square cell that each block falls in, `across` cells over the width: (N, 2)."""
    step = max(1, round((int(blocks.grid[:, 0].max(initial=0)) + 1) / across))
    cells: npt.NDArray[np.intp] = blocks.grid // step
    return cells


def pooled_shifts(blocks: Blocks, weights: Array, cells: npt.NDArray[np.intp]) -> tuple[Array, Array, Array]:
    """Shift of each cell of blocks: centres (M, 2), shifts (M, 2) in px and covariances (M, 2, 2) in px^2.

    Cells whose blocks do not determine a shift are left out.
    """
    _, index = np.unique(cells, axis=0, return_inverse=True)
    index = index.reshape(-1)
    count = int(index.max(initial=-1)) + 1
    score, information, centres = np.zeros((count, 2)), np.zeros((count, 2, 2)), np.zeros((count, 2))
    np.add.at(score, index, weights[:, None] * blocks.score)
    np.add.at(information, index, weights[:, None, None] * blocks.information)
    np.add.at(centres, index, blocks.centres)
    centres /= np.bincount(index, minlength=count)[:, None]
    kept = np.linalg.eigvalsh(information)[:, 0] > 1e-9
    covariance = np.linalg.inv(information[kept]).astype(np.float64)
    shifts: Array = np.einsum("nij,nj->ni", covariance, score[kept])
    return centres[kept], shifts, covariance
