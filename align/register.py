"""Registration of two pictures of one static scene: features for a start, then ECC over scales.

At 1/100 of the light features alone are 0.3 to 0.5 px off; the enhanced correlation coefficient (Evangelidis and
Psarakis, PAMI 2008) on local contrast brings that to hundredths. Mirroring is found by trying both ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exlcap.align.pictures import Grey, local_contrast
from exlcap.alignment import Matrix
from exlcap.errors import Refused

WINDOW_PX = 12.0
SCALES = (4, 2, 1)
ECC_STEPS = 60
ECC_STOP = 1e-7
FEWEST_FEATURES = 12
SHOOT_AGAIN = "shoot the reference of a static, well textured scene that fills the frame"
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Registration:
    """homography: un-mirrored dark pixel centres to bright ones. ecc: correlation of the two pictures, at most 1."""

    homography: Matrix
    mirror: bool
    ecc: float
    features: int


def register(well: Grey, low: Grey) -> Registration:
    """Find how `low` lies on `well`.

    well, low: float32 (H, W), linear light. Raises Refused when no way of laying them over each other is found.
    """
    from_features = {mirror: _start_from_features(well, _flip(low, mirror)) for mirror in (False, True)}
    candidates = [(mirror, start) for mirror in (False, True) for start in (from_features[mirror], (np.eye(3), 0))]
    trials = []
    for mirror, (start, features) in candidates:
        if start is None:
            continue
        coarse = _refine(well, _flip(low, mirror), start, SCALES[:1])
        if coarse is not None:
            trials.append(Registration(coarse[0], mirror, coarse[1], features))
    if not trials:
        raise Refused("the two views could not be laid over each other", SHOOT_AGAIN)
    best = max(trials, key=lambda trial: trial.ecc)
    fine = _refine(well, _flip(low, best.mirror), best.homography, SCALES[1:])
    if fine is None:
        raise Refused("the fine alignment did not converge", SHOOT_AGAIN)
    return Registration(fine[0], best.mirror, fine[1], best.features)


def refit(well: Grey, low: Grey, found: Registration, mask: Mask) -> Matrix | None:
    """Fit again on the part of the bright picture where `mask` (uint8, its shape) is set; None when that fails."""
    fine = _refine(well, _flip(low, found.mirror), found.homography, SCALES[-1:], mask)
    return None if fine is None else fine[0]


def _flip(grey: Grey, mirror: bool) -> Grey:
    return np.ascontiguousarray(grey[:, ::-1]) if mirror else grey


def _start_from_features(well: Grey, low: Grey) -> tuple[Matrix | None, int]:
    """Homography from SIFT features and MAGSAC, and how many features agree with it; (None, 0) if there are too few."""
    import cv2

    found = []
    for grey in (well, low):
        contrast = local_contrast(grey, 1.5, WINDOW_PX)
        picture = np.clip(128 + 40 * contrast, 0, 255).astype(np.uint8)
        found.append(cv2.SIFT_create(nfeatures=3000).detectAndCompute(picture, None))
    (well_keys, well_words), (low_keys, low_words) = found
    if well_words is None or low_words is None or min(len(well_keys), len(low_keys)) < FEWEST_FEATURES:
        return None, 0
    matches = cv2.BFMatcher().knnMatch(low_words, well_words, k=2)
    good = [match[0] for match in matches if len(match) == 2 and match[0].distance < 0.8 * match[1].distance]
    if len(good) < FEWEST_FEATURES:
        return None, 0
    source = np.array([low_keys[match.queryIdx].pt for match in good])
    target = np.array([well_keys[match.trainIdx].pt for match in good])
    homography, agree = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 1.5, maxIters=5000, confidence=0.999)
    if homography is None:
        return None, 0
    return np.asarray(homography, np.float64), int(agree.sum())


def _refine(
    well: Grey, low: Grey, start: Matrix, scales: tuple[int, ...], mask: Mask | None = None
) -> tuple[Matrix, float] | None:
    """ECC over scales from `start` (dark to bright); the refined matrix and its correlation, or None."""
    import cv2

    homography, ecc = start, -1.0
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, ECC_STEPS, ECC_STOP)
    for scale in scales:
        shrink = scaling(1 / scale)
        pictures = [local_contrast(shrunk(grey, scale), 1.0, WINDOW_PX) for grey in (well, low)]
        size = pictures[0].shape[::-1]
        inside = None if mask is None else cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        # OpenCV's ECC maps template (bright) points to input (dark) points: the inverse of ours
        warp = (shrink @ np.linalg.inv(homography) @ np.linalg.inv(shrink)).astype(np.float32)
        try:
            # the mask lies on the input (dark) picture
            on_input = None if inside is None else cv2.warpPerspective(
                inside, warp.astype(np.float64), pictures[1].shape[::-1], flags=cv2.INTER_NEAREST)  # fmt: skip
            ecc, warp = cv2.findTransformECC(*pictures, warp / warp[2, 2], cv2.MOTION_HOMOGRAPHY, stop, on_input, 1)
            homography = np.linalg.inv(shrink) @ np.linalg.inv(warp.astype(np.float64)) @ shrink
        except (cv2.error, np.linalg.LinAlgError):  # ECC raises when the pictures do not correlate
            return None
    if not np.isfinite(homography).all() or abs(homography[2, 2]) < 1e-9:
        return None
    return homography / homography[2, 2], float(ecc)


def shrunk(grey: Grey, scale: int) -> Grey:
    """A picture made smaller by averaging blocks of `scale` x `scale` pixels; odd borders are cut off."""
    height, width = grey.shape[0] // scale * scale, grey.shape[1] // scale * scale
    small: Grey = grey[:height, :width].reshape(height // scale, scale, width // scale, scale).mean((1, 3))
    return small


def scaling(factor: float) -> Matrix:
    """Matrix of `shrunk`: with centres at whole numbers, block averaging takes x to (x + 0.5) * factor - 0.5."""
    offset = 0.5 * factor - 0.5
    return np.array([[factor, 0, offset], [0, factor, offset], [0, 0, 1.0]])
