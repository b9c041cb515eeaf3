"""Registration of two pictures of one static scene: coarse by features and ECC, fine by the shifts of blocks.

At 1/100 of the light features alone are 0.3 to 0.5 px off. From them, and from no shift at all, the enhanced
correlation coefficient (Evangelidis and Psarakis, PAMI 2008) on small pictures of local contrast finds the place to
within a pixel; the blocks then bring that to hundredths. Mirroring is found by trying both ways.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exlcap.align.blocks import Blocks, fit_blocks, gradient, measure_blocks, resample
from exlcap.align.luminance import NEARLY_WHITE, Grey, local_contrast
from exlcap.core.alignment import Matrix, Points, apply_homography, image_corners
from exlcap.core.errors import Refused

WINDOW_PX = 12.0
FEATURE_SCALE = 2
COARSEST_SCALE = 8
COARSEST_SIDE_PX = 100
"""A picture smaller than that leaves a homography too much freedom."""
FINE_SCALES = (2, 1)
FINE_STEPS = 8
FINE_STOP_PX = 0.002
ECC_STEPS = 60
ECC_STOP = 1e-5
FEWEST_FEATURES = 12
SHOOT_AGAIN = "shoot the reference of a static, well textured scene that fills the frame"
SAME_VIEW = "check that both views overlap and are in focus, use more light or frames; " + SHOOT_AGAIN

Features = tuple[Points, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Registration:
    """homography: un-mirrored dark pixel centres to bright ones. ecc: correlation of the two pictures, at most 1."""

    homography: Matrix
    mirror: bool
    ecc: float
    features: int


def register(well: Grey, low: Grey) -> Registration:
    """Find how `low` lies on `well`.

    well, low: float32 (H, W), linear light. Raises Refused when they cannot be registered.
    """
    well_features = _features(well)
    trials = []
    for mirror in (False, True):
        flipped = flip(low, mirror)
        for start, agreed in (_start_from_features(well_features, _features(flipped)), (np.eye(3), 0)):
            laid = None if start is None else coarse(well, flipped, start)
            if laid is not None:
                trials.append(Registration(laid[0], mirror, laid[1], agreed))
    if not trials:
        raise Refused("the two views could not be registered", SAME_VIEW)
    best = max(trials, key=lambda trial: trial.ecc)
    homography = fine(well, flip(low, best.mirror), best.homography)
    if homography is None:
        raise Refused("the fine alignment did not converge", SAME_VIEW)
    return Registration(homography, best.mirror, best.ecc, best.features)


def fine(well: Grey, low: Grey, start: Matrix) -> Matrix | None:
    """Refine a homography (un-mirrored `low` to `well`) by the shifts of blocks, or None when that fails."""
    homography = start
    for scale in FINE_SCALES:
        shrink = scaling(1 / scale)
        pair = shrunk(well, scale), shrunk(low, scale)
        size = (pair[0].shape[1], pair[0].shape[0])
        local: Matrix = shrink @ homography @ np.linalg.inv(shrink)
        for _ in range(FINE_STEPS):
            fit = fit_blocks(blocks_at(*pair, local), size)
            if fit is None:
                return None
            before = apply_homography(local, image_corners(size))
            local = fit.correction @ local
            moved = np.abs(apply_homography(local, image_corners(size)) - before).max()
            if not np.isfinite(moved) or moved > 0.1 * size[0]:
                return None
            if moved < FINE_STOP_PX:
                break
        homography = np.linalg.inv(shrink) @ local @ shrink
    refined: Matrix = homography / homography[2, 2]
    return refined


def blocks_at(well: Grey, low: Grey, homography: Matrix) -> Blocks:
    """What the blocks of `well` say of the shift that is left after `homography` (un-mirrored `low` to `well`)."""
    to_low: Matrix = np.linalg.inv(homography).astype(np.float64)
    dark = resample(low, to_low, (well.shape[1], well.shape[0]))
    usable = np.isfinite(dark) & (well < NEARLY_WHITE)
    return measure_blocks(well, gradient(well), np.nan_to_num(dark), usable)


def blocks_back(well: Grey, low: Grey, homography: Matrix) -> Blocks:
    """The same the other way round: on the pixels of un-mirrored `low`, with `well` and its slopes brought there."""
    size = (low.shape[1], low.shape[0])
    bright, along_x, along_y = (resample(field, homography, size) for field in (well, *gradient(well)))
    usable = np.isfinite(bright) & (bright < NEARLY_WHITE)
    bright, along_x, along_y = (np.nan_to_num(field) for field in (bright, along_x, along_y))
    blocks = measure_blocks(bright, (along_x, along_y), low, usable)
    return replace(blocks, centres=apply_homography(homography, blocks.centres))


def flip(grey: Grey, mirror: bool) -> Grey:
    """A picture un-mirrored, or as it is."""
    return np.ascontiguousarray(grey[:, ::-1]) if mirror else grey


def _features(grey: Grey) -> Features:
    """SIFT features of a picture: places (N, 2) and descriptors (N, 128). Half its size is enough for a start."""
    import cv2

    small = shrunk(grey, FEATURE_SCALE)
    picture = np.clip(128 + 40 * local_contrast(small, 1.5, WINDOW_PX), 0, 255).astype(np.uint8)
    keys, words = cv2.SIFT_create(nfeatures=3000).detectAndCompute(picture, None)
    places = np.array([key.pt for key in keys], np.float64).reshape(-1, 2)
    return apply_homography(scaling(FEATURE_SCALE), places), np.zeros((0, 128), np.float32) if words is None else words


def _start_from_features(
    well: Features,
    low: Features,
) -> tuple[Matrix | None, int]:
    """Homography by MAGSAC (Barath et al., CVPR 2019) and how many features agree; (None, 0) if there are too few."""
    import cv2

    if min(len(well[0]), len(low[0])) < FEWEST_FEATURES:
        return None, 0
    matches = cv2.BFMatcher().knnMatch(low[1], well[1], k=2)
    good = [match[0] for match in matches if len(match) == 2 and match[0].distance < 0.8 * match[1].distance]
    if len(good) < FEWEST_FEATURES:
        return None, 0
    source, target = low[0][[match.queryIdx for match in good]], well[0][[match.trainIdx for match in good]]
    homography, agree = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 1.5, maxIters=5000, confidence=0.999)
    if homography is None:
        return None, 0
    return np.asarray(homography, np.float64), int(agree.sum())


def coarse(well: Grey, low: Grey, start: Matrix) -> tuple[Matrix, float] | None:
    """ECC on small pictures from `start` (dark to bright); the better matrix and its correlation, or None."""
    import cv2

    homography, ecc = start, -1.0
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, ECC_STEPS, ECC_STOP)
    for scale in _coarse_scales(min(well.shape)):
        shrink = scaling(1 / scale)
        pictures = [local_contrast(shrunk(grey, scale), 1.0, WINDOW_PX) for grey in (well, low)]
        # OpenCV's ECC maps template (bright) points to input (dark) points: the inverse of ours
        try:
            warp = (shrink @ np.linalg.inv(homography) @ np.linalg.inv(shrink)).astype(np.float32)
            ecc, warp = cv2.findTransformECC(*pictures, warp / warp[2, 2], cv2.MOTION_HOMOGRAPHY, stop, None, 1)
            homography = np.linalg.inv(shrink) @ np.linalg.inv(warp.astype(np.float64)) @ shrink
        except (cv2.error, np.linalg.LinAlgError):  # ECC raises when the pictures do not correlate
            return None
    if not np.isfinite(homography).all() or abs(homography[2, 2]) < 1e-9:
        return None
    return homography / homography[2, 2], float(ecc)


def _coarse_scales(side_px: int) -> tuple[int, int]:
    """By what pictures of that shorter side are made smaller: (first, then)."""
    scale = COARSEST_SCALE
    while scale > 2 and side_px / scale < COARSEST_SIDE_PX:
        scale //= 2
    return scale, scale // 2


def shrunk(grey: Grey, scale: int) -> Grey:
    """A picture made smaller by averaging blocks of `scale` x `scale` pixels; odd borders are cut off."""
    height, width = grey.shape[0] // scale * scale, grey.shape[1] // scale * scale
    small: Grey = grey[:height, :width].reshape(height // scale, scale, width // scale, scale).mean((1, 3))
    return small


def scaling(factor: float) -> Matrix:
    """Matrix of `shrunk`: with centres at whole numbers, block averaging takes x to (x + 0.5) * factor - 0.5."""
    offset = 0.5 * factor - 0.5
    return np.array([[factor, 0, offset], [0, factor, offset], [0, 0, 1.0]])
