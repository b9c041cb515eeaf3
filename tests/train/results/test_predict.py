"""`exlcap predict`: which pictures, whose boxes, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exlcap.cli import main
from exlcap.core.errors import ExlcapError
from exlcap.train.data.crops import Crop
from exlcap.train.networks.pose_net import build_model
from exlcap.train.prepare import new_config
from exlcap.train.results import picture as picture_module
from exlcap.train.results.inference import Predictions
from exlcap.train.results.photos import find_photos, read_photo, with_boxes
from exlcap.train.runs import save_checkpoint
from exlcap.train.stored import to_toml

Run = Callable[..., tuple[int, str, str]]
TINY = {"height": 64, "width": 64, "base_channels": 8, "head_channels": 8, "backbone_weights": "none"}


def write(path: Path, height: int = 40, width: int = 60, depth: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 90, depth))
    return path


def coco(path: Path, names: list[str], boxes: dict[int, list[list[float]]]) -> Path:
    images = [{"id": 70 + i, "file_name": name, "width": 60, "height": 40} for i, name in enumerate(names)]
    annotations = [{"id": 1, "image_id": 70 + i, "category_id": 1, "bbox": box} for i in boxes for box in boxes[i]]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("set/b.png", "set/low/a.JPG", "one.png"):
        write(tmp_path / name)
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    found = find_photos([tmp_path / "set", tmp_path / "one.png"])
    assert [(p.name, p.image_id) for p in found] == [("b.png", 1), ("low/a.JPG", 2), ("one.png", 3)]
    with pytest.raises(ExlcapError, match="have the same name"):
        find_photos([tmp_path / "one.png", write(tmp_path / "other" / "one.png")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExlcapError, match="no picture in"):
        find_photos([tmp_path / "empty"])


def test_a_coco_file_names_pictures_by_the_end_of_their_paths(tmp_path: Path) -> None:
    for name in ("low/a.png", "well/a.png", "low/b.png"):
        write(tmp_path / "images" / name)
    names = ["well/a.png", "low/a.png", "elsewhere/b.png"]
    path = coco(tmp_path / "c.json", names, {0: [[0, 0, 9, 9]], 1: [[1, 1, 9, 9], [2, 2, 9, 9]], 2: [[3, 3, 9, 9]]})
    found = {str(p.path.relative_to(tmp_path / "images")): p for p in with_boxes(
        find_photos([tmp_path / "images"]), path, None)}  # fmt: skip
    assert {at: (p.name, p.image_id, [box for box, _ in p.boxes or ()]) for at, p in found.items()} == {
        "low/a.png": ("low/a.png", 71, [(1, 1, 9, 9), (2, 2, 9, 9)]),
        "well/a.png": ("well/a.png", 70, [(0, 0, 9, 9)]),
        "low/b.png": ("elsewhere/b.png", 72, [(3, 3, 9, 9)]),
    }


def test_detections_take_the_place_of_the_annotations(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    path = coco(tmp_path / "c.json", ["a.png"], {0: [[0, 0, 9, 9]]})
    entry = {"image_id": 70, "category_id": 1, "bbox": [5, 5, 8, 8], "score": 0.25}
    (tmp_path / "d.json").write_text(json.dumps([entry]))
    (found,) = with_boxes(find_photos([tmp_path / "a.png"]), path, tmp_path / "d.json")
    assert found.boxes == (((5, 5, 8, 8), 0.25),)
    (tmp_path / "d.json").write_text(json.dumps([{**entry, "file_name": "a.png"}]))
    (found,) = with_boxes(find_photos([tmp_path / "a.png"]), None, tmp_path / "d.json")
    assert found.boxes == (((5, 5, 8, 8), 0.25),) and found.image_id == 1


@pytest.mark.parametrize(
    "boxes, named",
    [([[0, 0, 0, 9]], "no area"), ([[0, 0, 9]], "annotation 1"), ([["a", 0, 9, 9]], "could not convert")],
)
def test_a_bad_box_is_named(tmp_path: Path, boxes: list[list[Any]], named: str) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(ExlcapError, match=named):
        with_boxes(find_photos([tmp_path / "a.png"]), coco(tmp_path / "c.json", ["a.png"], {0: boxes}), None)


def test_a_coco_file_of_other_pictures_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(ExlcapError, match="lists none of the 1 pictures"):
        with_boxes(find_photos([tmp_path / "a.png"]), coco(tmp_path / "c.json", ["b.png"], {}), None)


def test_pictures_that_the_network_cannot_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(ExlcapError, match="uint16 values"):
        read_photo(write(tmp_path / "deep.png", depth=np.uint16), turned=False)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(ExlcapError, match="damaged"):
        read_photo(tmp_path / "broken.png", turned=False)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A workspace with a run named `first`, of a network that has learnt nothing."""
    root = tmp_path / "lab"
    root.mkdir()
    (root / "rig.toml").touch()
    config = new_config("small", None, {"data": "sticks", "model": TINY})
    model = build_model(config.model, config.method.lsbn, 0)
    saved = {"config": to_toml(config), "data_checksum": "", "epoch": 1, "val_ap": None, "model": model.state_dict()}
    (root / "runs" / "first").mkdir(parents=True)
    save_checkpoint(root / "runs" / "first" / "best.pt", saved)
    return root


@pytest.fixture
def predict(lab: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["-C", str(lab), "predict", "--run", "first", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


def middles(model: object, crops: list[Crop], config: object, flip: str) -> Predictions:
    """Stands for a network that puts every joint into the middle of its box."""
    boxes = np.array([crop.person.box for crop in crops])
    places = boxes[:, :2] + boxes[:, 2:] / 2
    return Predictions(np.repeat(places[:, None], 14, 1), np.full((len(crops), 14), 1.0))


def test_results_are_coco_keypoint_results_with_pictures_beside_them(
    lab: Path, predict: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_module, "predict_crops", middles)
    for name in ("low/a.png", "low/b.png", "low/c.png"):
        write(tmp_path / "images" / name)
    path = coco(tmp_path / "c.json", ["low/a.png", "low/b.png"], {0: [[10, 10, 20, 20], [0, 0, 8, 8]]})
    code, out, err = predict("--light", "low", "--coco", path, "--json", tmp_path / "images")
    assert code == 0 and "2 of 3 pictures have no box" in err
    facts = json.loads(out)
    folder = lab / "runs" / "first" / "predict-001"
    assert facts == {"folder": str(folder), "pictures": 1, "people": 2}
    first, second = json.loads((folder / "results.json").read_text())
    assert (first["image_id"], first["file_name"], first["category_id"]) == (70, "low/a.png", 1)
    assert first["keypoints"] == [20, 20, 1] * 14 and second["bbox"] == [0, 0, 8, 8] and first["score"] == 1
    assert cv2.imread(str(folder / "pictures" / "low" / "a.png")).shape == (40, 60, 3)
    assert json.loads((folder / "about.json").read_text())["light"] == "low"


def test_without_boxes_a_picture_is_one_person_and_every_run_gets_a_new_folder(
    lab: Path, predict: Run, tmp_path: Path
) -> None:
    photo = write(tmp_path / "a.jpg")
    for number in (1, 2):
        code, out, _ = predict("--light", "well", photo)
        assert code == 0 and "1 people in 1 pictures" in out
        folder = lab / "runs" / "first" / f"predict-{number:03d}"
        (person,) = json.loads((folder / "results.json").read_text())
        assert person["bbox"] == [0, 0, 60, 40] and len(person["keypoints"]) == 42 and 0 < person["score"] <= 1
        assert (folder / "pictures" / "a.jpg.png").exists()


def test_a_damaged_picture_is_told_and_left_out(lab: Path, predict: Run, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"\x89PNG")
    code, out, err = predict("--light", "well", tmp_path / "in")
    assert code == 0 and "1 people in 1 pictures" in out and "left out" in err and "b.png" in err
    code, _, err = predict("--light", "well", tmp_path / "in" / "b.png")
    assert code == 2 and "none of the pictures can be read" in err
    assert not (lab / "runs" / "first" / "predict-002").exists()


def test_a_folder_with_something_in_it_is_not_written_to(predict: Run, tmp_path: Path) -> None:
    photo = write(tmp_path / "out" / "a.png")
    code, _, err = predict("--light", "well", "--out", tmp_path / "out", photo)
    assert code == 2 and "exists already" in err
    code, _, _ = predict("--light", "well", "--out", tmp_path / "new", photo)
    assert code == 0 and (tmp_path / "new" / "results.json").exists()


def test_names_in_a_coco_file_never_lead_out_of_the_folder(predict: Run, tmp_path: Path) -> None:
    photo = write(tmp_path / "deep" / "a.png")
    path = coco(tmp_path / "c.json", ["../../../a.png"], {0: [[0, 0, 9, 9]]})
    code, _, _ = predict("--light", "well", "--coco", path, "--out", tmp_path / "x" / "y" / "z", photo)
    assert code == 0
    assert [p.relative_to(tmp_path / "x" / "y" / "z").as_posix() for p in tmp_path.glob("x/**/*.png")] == [
        "pictures/a.png"
    ]
