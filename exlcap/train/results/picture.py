"""Joints of the people in one picture, for `exlcap predict` and for notebooks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exlcap.core.drawing import check_picture
from exlcap.core.errors import ExlcapError
from exlcap.core.joints import N_JOINTS
from exlcap.core.labels import Box, as_box
from exlcap.core.rig import LIGHTS, Light
from exlcap.train.data.crops import cut
from exlcap.train.data.people import LabelledPerson, Rgb8
from exlcap.train.results.inference import Flip, Predictions, full_score, predict_crops
from exlcap.train.results.trained import Trained

BOXES = "expected boxes (N, 4) of x, y, width, height"
BOX_HINT = "a box is x, y, width, height in pixels; check that it was made for this picture, at this size"


def predict_people(
    trained: Trained,
    picture: Rgb8,
    boxes: Sequence[Box] | npt.NDArray[np.float64],
    light: Light,
    flip: Flip = "mirror",
    name: str = "the picture",
) -> Predictions:
    """Joints of the people in a picture, in the order of their boxes; scores 0 to 1.

    picture: uint8 (H, W, 3), RGB, sRGB. boxes: (N, 4) of x, y, width, height in pixels. name: of the picture, for
    messages. Raises ValueError for another shape or type or an unknown light, ExlcapError for a box that lies outside.
    """
    check_picture(picture)
    if light not in LIGHTS:
        raise ValueError(f"light must be one of {', '.join(LIGHTS)}, got {light!r}")
    unlabelled = np.zeros((N_JOINTS, 3))
    people = [
        LabelledPerson(name, light, 1, name, str(number), unlabelled, as_box(box.tolist()))
        for number, box in enumerate(_checked(boxes), start=1)
    ]
    config = trained.config
    try:
        crops = [cut(picture, person, config.size, config.input) for person in people]
    except ExlcapError as problem:
        raise ExlcapError(problem.message, BOX_HINT) from None
    predicted = predict_crops(trained.model, crops, config, flip)
    return Predictions(predicted.joints, np.minimum(predicted.scores / full_score(config.loss), 1))


def _checked(boxes: Sequence[Box] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Boxes as float64 (N, 4). Raises ValueError for another shape, or naming the first box that is none."""
    if len(boxes) == 0:
        return np.zeros((0, 4))
    try:
        places = np.asarray(boxes, np.float64)
    except (TypeError, ValueError) as error:  # boxes of different lengths, or not of numbers
        raise ValueError(f"{BOXES}: {error}") from None
    if places.ndim != 2 or places.shape[1] != 4:
        raise ValueError(f"{BOXES}, got shape {places.shape}")
    for number, box in enumerate(places.tolist(), start=1):
        if not np.isfinite(box).all() or min(box[2:]) <= 0:
            raise ValueError(
                f"box {number} of {len(places)} is {tuple(box)}: "
                "x, y, width and height must be finite, width and height above 0"
            )
    return places
