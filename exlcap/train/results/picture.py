"""Joints of the people in one picture, for `exlcap predict` and for notebooks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exlcap.core.joints import N_JOINTS
from exlcap.core.labels import Box, as_box
from exlcap.core.rig import LIGHTS, Light
from exlcap.train.data.crops import cut
from exlcap.train.data.people import LabelledPerson, Rgb8
from exlcap.train.results.inference import Flip, Predictions, full_score, predict_crops
from exlcap.train.results.trained import Trained


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
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"expected a picture uint8 (H, W, 3), got {picture.dtype} {picture.shape}")
    if light not in LIGHTS:
        raise ValueError(f"light must be one of {', '.join(LIGHTS)}, got {light!r}")
    places = np.asarray(boxes, np.float64).reshape(-1, 4) if len(boxes) == 0 else np.asarray(boxes, np.float64)
    if places.ndim != 2 or places.shape[1] != 4 or not np.isfinite(places).all() or (places[:, 2:] <= 0).any():
        raise ValueError(f"expected boxes (N, 4) of x, y, width > 0, height > 0, got shape {places.shape}")
    unlabelled = np.zeros((N_JOINTS, 3))
    people = [
        LabelledPerson(name, light, 1, name, str(number), unlabelled, as_box(box.tolist()))
        for number, box in enumerate(places, start=1)
    ]
    config = trained.config
    crops = [cut(picture, person, config.size, config.input) for person in people]
    predicted = predict_crops(trained.model, crops, config, flip)
    return Predictions(predicted.joints, np.minimum(predicted.scores / full_score(config.loss), 1))
