"""Average precision by object keypoint similarity; pycocotools is the judge."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from exlcap.joints import OKS_SIGMAS
from exlcap.records import Record
from exlcap.train.pairs import Figure, Split
from exlcap.train.predict import Predictions

MAX_PEOPLE = 20
"""People per image that take part, as in COCO and ExLPose."""


class Scores(Record):
    """Average precision and recall of one split, 0..100. `ap` is over OKS .50:.05:.95."""

    images: int
    people: int
    ap: float
    ap50: float
    ap75: float
    ar: float


def score_split(split: Split, predictions: Predictions) -> Scores | None:
    """Scores of predictions for `split.figures`; None for a split without people.

    A person's score is the mean of the joints' scores.
    """
    if not split.figures:
        return None
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = COCO()
        truth.dataset = copy.deepcopy(split.coco)
        truth.createIndex()
        found = COCO()
        found.dataset = {**truth.dataset, "annotations": _detections(split.figures, predictions)}
        found.createIndex()
        judge = COCOeval(truth, found, "keypoints")
        judge.params.kpt_oks_sigmas = np.array(OKS_SIGMAS)
        judge.params.maxDets = [MAX_PEOPLE]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    ap, ap50, ap75, _, _, ar = (100 * float(value) for value in judge.stats[:6])
    return Scores(images=split.images, people=len(split.figures), ap=ap, ap50=ap50, ap75=ap75, ar=ar)


def _detections(figures: Sequence[Figure], predictions: Predictions) -> list[dict[str, Any]]:
    """Predictions in COCO's form."""
    found = []
    for i, figure in enumerate(figures):
        joints = np.concatenate([predictions.joints[i], predictions.scores[i][:, None]], 1)
        low, high = joints[:, :2].min(0), joints[:, :2].max(0)
        width, height = (float(side) for side in high - low)
        found.append(
            {
                "id": i + 1,
                "image_id": figure.image_id,
                "category_id": 1,
                "keypoints": joints.ravel().tolist(),
                "score": float(predictions.scores[i].mean()),
                "bbox": [float(low[0]), float(low[1]), width, height],
                "area": width * height,
                "iscrowd": 0,
            }
        )
    return found
