"""Average precision by object keypoint similarity (OKS); pycocotools is the judge."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from exlcap.core.joints import OKS_AREA_FACTOR, OKS_SIGMAS
from exlcap.core.labels import Box, Keypoints
from exlcap.core.records import Record
from exlcap.train.data.people import LabelledPerson, Split
from exlcap.train.results.inference import Predictions

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


@dataclass(frozen=True)
class Judged:
    """A split with the people that were evaluated in it, the predictions for them, and their scores."""

    split: Split
    people: tuple[LabelledPerson, ...]
    predictions: Predictions
    scores: Scores


def score_split(split: Split, predictions: Predictions) -> Scores | None:
    """Scores of predictions in the true boxes, for `split.people`; None for a split without people.

    A person's score is the mean of the joints' scores.
    """
    return score_people(split, split.people, predictions, [1.0] * len(split.people))


def score_people(
    split: Split, people: Sequence[LabelledPerson], predictions: Predictions, box_scores: Sequence[float]
) -> Scores | None:
    """Scores of predictions for any people in the images of a split, such as a detector's; None if no person is true.

    A person's score is that of the box times the mean of the joints' scores. Predictions without a true person count
    as false positives, true people without a prediction as misses.
    """
    if not split.people:
        return None
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = COCO()
        truth.dataset = {**split.coco, "annotations": _truth(split)}
        truth.createIndex()
        predicted = COCO()
        predicted.dataset = {**truth.dataset, "annotations": _predicted(people, predictions, box_scores)}
        predicted.createIndex()
        judge = COCOeval(truth, predicted, "keypoints")
        judge.params.kpt_oks_sigmas = np.array(OKS_SIGMAS)
        judge.params.maxDets = [MAX_PEOPLE]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    ap, ap50, ap75, _, _, ar = (100 * float(value) for value in judge.stats[:6])
    return Scores(images=split.images, people=len(split.people), ap=ap, ap50=ap50, ap75=ap75, ar=ar)


def oks(joints: npt.NDArray[np.float64], truth: Keypoints, box: Box) -> float:
    """Object keypoint similarity of one prediction, 0..1: mean over the labelled joints of exp(-d^2 / (2 area k^2)).

    joints: (14, 2). truth: (14, 3), at least one joint labelled. box: of the true person; k is twice COCO's sigma.
    """
    labelled = truth[:, 2] > 0
    squared = ((joints - truth[:, :2]) ** 2).sum(1)
    spread = 2 * OKS_AREA_FACTOR * box[2] * box[3] * (2 * np.array(OKS_SIGMAS)) ** 2
    return float(np.exp(-squared / spread)[labelled].mean())


def _truth(split: Split) -> list[dict[str, Any]]:
    """The split's annotations in the form that pycocotools needs: ids from 1 (0 means "no match" there), the area of
    ExLPose, and the number of joints.
    """
    made = []
    for number, annotation in enumerate(split.coco["annotations"], start=1):
        _, _, width, height = annotation["bbox"]
        made.append(
            {
                **annotation,
                "id": number,
                "area": width * height * OKS_AREA_FACTOR,
                "num_keypoints": sum(flag > 0 for flag in annotation["keypoints"][2::3]),
                "iscrowd": annotation.get("iscrowd", 0),
            }
        )
    return made


def _predicted(
    people: Sequence[LabelledPerson], predictions: Predictions, box_scores: Sequence[float]
) -> list[dict[str, Any]]:
    """Predictions in COCO's form."""
    made = []
    for i, (person, box_score) in enumerate(zip(people, box_scores, strict=True)):
        low, high = predictions.joints[i].min(0), predictions.joints[i].max(0)
        width, height = (float(side) for side in high - low)
        made.append(
            {
                "id": i + 1,
                "image_id": person.image_id,
                "category_id": 1,
                "keypoints": coco_keypoints(predictions, i),
                "score": box_score * float(predictions.scores[i].mean()),
                "bbox": [float(low[0]), float(low[1]), width, height],
                "area": width * height,
                "iscrowd": 0,
            }
        )
    return made


def coco_keypoints(predictions: Predictions, person: int) -> list[float]:
    """Joints of one person as COCO results have them: x, y, score of each."""
    joints: list[float] = (
        np.concatenate([predictions.joints[person], predictions.scores[person][:, None]], 1).ravel().tolist()
    )
    return joints
