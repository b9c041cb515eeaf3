"""`exlcap predict`: joints of the people in any pictures, as COCO keypoint results and drawings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from exlcap import __version__
from exlcap.core.console import progress, say
from exlcap.core.drawing import draw_people
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_atomic, write_json
from exlcap.core.joints import N_JOINTS
from exlcap.core.labels import Box
from exlcap.core.rig import Light
from exlcap.core.workspace import numbered
from exlcap.train.data.people import Rgb8
from exlcap.train.results.gallery import amplified
from exlcap.train.results.inference import Flip, Predictions
from exlcap.train.results.photos import Photo, find_photos, read_photo, with_boxes
from exlcap.train.results.picture import predict_people
from exlcap.train.results.precision import coco_keypoints
from exlcap.train.results.trained import Trained, load_best


def new_folder(out: Path | None, run: Path) -> Path:
    """The folder of the results: `out`, which must be new or empty, or the next runs/<run>/predict-NNN."""
    if out is None:
        used = numbered(run, "predict")
        return run / f"predict-{used[-1][0] + 1 if used else 1:03d}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExlcapError(f"{out} exists already", "choose a new folder with --out, or leave --out away")
    return out


@dataclass(frozen=True)
class Predicted:
    """Output of `predict_run`. people: in COCO's results format. pictures: how many of them show somebody."""

    folder: Path
    people: list[dict[str, Any]]
    pictures: int


def predict_run(
    run: Path, pictures: Sequence[Path], light: Light, flip: Flip, out: Path | None = None,
    coco: Path | None = None, detections: Path | None = None,
) -> Predicted:  # fmt: skip
    """Joints of the people in pictures by the best weights of the run in folder `run`; to `out`, or to a new folder.

    pictures: files and folders. coco, detections: files of the people's boxes (`with_boxes`); a picture without a box
    is then left out. Raises ExlcapError when there are no weights, `out` is not empty, or no picture can be used.
    """
    trained = load_best(run)
    folder = new_folder(out, run)
    given = find_photos(pictures)
    photos = with_boxes(given, coco, detections)
    if not photos:
        raise ExlcapError(f"no box of a person in the {len(given)} pictures", "check the file of boxes")
    if len(photos) < len(given):
        say(f"{len(given) - len(photos)} of {len(given)} pictures have no box and are left out")
    with progress("predict", len(photos)) as step:
        people = predict_photos(trained, photos, light, flip, folder, step)
    return Predicted(folder, people, len({person["image_id"] for person in people}))


def predict_photos(
    trained: Trained, photos: Sequence[Photo], light: Light, flip: Flip, folder: Path, step: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Joints of all people in the pictures, returned and written to `folder`: results.json, pictures/ and about.json.

    A picture that cannot be read is reported and left out. `step` is called once per picture. Raises ExlcapError when
    no picture can be read.
    """
    results: list[dict[str, Any]] = []
    unread = 0
    for photo in photos:
        try:
            picture = read_photo(photo.path, turned=photo.boxes is None)
        except ExlcapError as problem:
            unread += 1
            say(f"left out: {problem.message}")
            continue
        height, width = picture.shape[:2]
        boxes = photo.boxes or (((0.0, 0.0, float(width), float(height)), 1.0),)
        predictions = predict_people(trained, picture, [box for box, _ in boxes], light, flip, photo.name)
        results += [_result(photo, predictions, i, box, score) for i, (box, score) in enumerate(boxes)]
        _write_picture(folder / "pictures" / _safe(photo.name), picture, light, predictions)
        step(photo.name)
    if unread == len(photos):
        raise ExlcapError("none of the pictures can be read", "exlcap's networks read pictures of 8-bit sRGB")
    write_json(folder / "results.json", results)
    config = trained.config
    about = {
        "format": 1,
        "exlcap": __version__,
        "method": config.method.name,
        "data": config.data,
        "epoch": trained.epoch,
        "light": light,
        "flip": flip,
        "pictures": len(photos) - unread,
        "people": len(results),
    }
    write_json(folder / "about.json", about)
    return results


def _safe(name: str) -> Path:
    """A relative path of a PNG that stays inside its folder, whatever file names a COCO file contains."""
    parts = [part for part in Path(name).parts if part != ".." and part != Path(name).anchor]
    path = Path(*parts)
    return path if path.suffix.lower() == ".png" else path.with_name(f"{path.name}.png")


def _result(photo: Photo, predictions: Predictions, person: int, box: Box, score: float) -> dict[str, Any]:
    """One person in COCO's results format, with the name of the picture beside its number."""
    return {
        "image_id": photo.image_id,
        "file_name": photo.name,
        "category_id": 1,
        "keypoints": [round(value, 4) for value in coco_keypoints(predictions, person)],
        "score": score * float(predictions.scores[person].mean()),
        "bbox": [round(value, 4) for value in box],
    }


def _write_picture(path: Path, picture: Rgb8, light: Light, predictions: Predictions) -> None:
    """The picture, amplified if it is dark, with the joints of all people."""
    people = [np.concatenate([joints, np.full((N_JOINTS, 1), 2.0)], 1) for joints in predictions.joints]
    visible = amplified(picture) if light == "low" else picture
    thickness = max(1, round(max(picture.shape[:2]) / 600))
    done, data = cv2.imencode(".png", draw_people(visible, people, thickness)[..., ::-1])
    assert done
    write_atomic(path, data.tobytes())
