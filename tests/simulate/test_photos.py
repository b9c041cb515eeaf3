"""Photographs as scenes: their joints lie where the photograph's own pixels went."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from exlcap.core.develop import Development, develop, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.joints import JOINTS, N_JOINTS
from exlcap.core.labels import COCO_CATEGORY
from exlcap.simulate.photos import choose_photo, photo_to_well
from exlcap.simulate.rendering import render_step

HOW = Development(black_level_dn=60)


def write_photos(folder, names=("a.png",), size=(160, 120), joints=None):
    """Photographs of white dots on dark grey at the joints, and their labels; returns both paths."""
    folder.mkdir(exist_ok=True)
    width, height = size
    if joints is None:
        rng = np.random.default_rng(0)
        grid = np.array([(x, y) for y in (40, 60, 80) for x in (20, 45, 70, 95, 120)], float)[:N_JOINTS]
        joints = np.column_stack([np.rint(grid + rng.uniform(-4, 4, grid.shape)), np.full(N_JOINTS, 2)])
    image = np.full((height, width, 3), 40, np.uint8)
    for x, y, flag in joints:
        if flag:
            image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 200
    for name in names:
        cv2.imwrite(str(folder / name), image)
    labels = folder / "labels.json"
    annotations = [
        {"id": i, "image_id": i, "category_id": 1, "keypoints": joints.ravel().tolist(), "bbox": [10, 20, 120, 80]}
        for i, _ in enumerate(names, start=1)
    ]
    images = [{"id": i, "file_name": name, "width": width, "height": height} for i, name in enumerate(names, start=1)]
    labels.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]}))
    return {"photos": str(folder), "labels": str(labels)}


def test_every_joint_lies_on_its_dot_while_the_camera_pans_and_zooms(make_rig, step, tmp_path):
    rig = make_rig(640, 400, **write_photos(tmp_path / "photos"))
    places = []
    for pulse in render_step(rig, "plaza", 1, step, 0, 3):
        grey = develop(pulse.well, HOW).mean(2)
        grey = np.clip(grey - np.median(grey), 0, None)
        (person,) = pulse.people
        inner = [(x, y) for x, y, flag in person.keypoints if flag and 15 < x < 625 and 15 < y < 385]
        assert len(inner) >= 10
        for x, y in inner:
            column, row = round(x), round(y)
            window = grey[row - 12 : row + 13, column - 12 : column + 13]
            rows, columns = np.mgrid[row - 12 : row + 13, column - 12 : column + 13]
            found = np.array([(window * columns).sum(), (window * rows).sum()]) / window.sum()
            assert np.linalg.norm(found - (x, y)) < 0.15
        places.append(person.keypoints[0, :2])
    assert 0.1 < np.linalg.norm(places[0] - places[2]) < 20


@pytest.mark.parametrize("photo", [(640, 425), (300, 900), (2000, 500)])
def test_a_photograph_fills_the_frame_at_every_time(photo):
    for time_s in np.linspace(0, 40, 41):
        scale, left, top = photo_to_well(photo, (320, 200), time_s)[[0, 0, 1], [0, 2, 2]]
        assert left <= 0 and top <= 0
        assert left + scale * (photo[0] - 1) >= 319 and top + scale * (photo[1] - 1) >= 199


def test_joints_outside_the_crop_are_not_labelled(make_rig, step, tmp_path):
    joints = np.zeros((N_JOINTS, 3))
    joints[:5] = [[80, 60, 2], [90, 70, 1], [70, 65, 2], [60, 55, 2], [80, 3, 2]]  # the last is above the crop
    rig = make_rig(320, 200, **write_photos(tmp_path / "photos", joints=joints))
    (person,) = next(render_step(rig, "plaza", 1, step, 0, 1)).people
    assert person.keypoints[:6, 2].tolist() == [2, 1, 2, 2, 0, 0]
    x, y, width, height = person.box
    assert x >= 0 and y >= 0 and x + width <= 319 and y + height <= 199
    assert person.origin == "simulation"


def test_a_scene_keeps_its_photograph_and_listed_scenes_get_different_ones(make_rig, tmp_path):
    names = [f"{letter}.png" for letter in "abcd"]
    scenes = {name: {"light": 1.0} for name in ("plaza", "yard", "bar", "hall")}
    emulator = make_rig(**write_photos(tmp_path / "photos", names), scenes=scenes).emulator
    chosen = [choose_photo(emulator, scene)[0].file_name for scene in scenes]
    assert sorted(chosen) == names
    assert chosen == [choose_photo(emulator, scene)[0].file_name for scene in scenes]
    assert choose_photo(emulator, "not listed")[0].file_name in names


def test_a_photograph_that_is_itself_dark_is_passed_over(make_rig, tmp_path):
    names = [f"{letter}.png" for letter in "abc"]
    emulator = make_rig(**write_photos(tmp_path / "photos", names)).emulator
    first = choose_photo(emulator, "plaza")[0].file_name
    black = np.ones((120, 160, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photos" / first), black)
    assert choose_photo(emulator, "plaza")[0].file_name != first
    for name in names:
        cv2.imwrite(str(tmp_path / "photos" / name), black)
    with pytest.raises(ExlcapError, match="nearly black"):
        choose_photo(emulator, "plaza")


def test_a_reference_is_drawn_since_people_in_photographs_would_not_be_there_twice(make_rig, step, tmp_path):
    rig = make_rig(**write_photos(tmp_path / "photos"))
    pulse = next(render_step(rig, "reference", 1, step, 0, 1, reference=True))
    assert pulse.people == ()
    assert to_srgb(develop(pulse.well, HOW)).std() > 25


def test_what_is_wrong_with_photographs_is_said(make_rig, step, tmp_path):
    def render(**emulator):
        next(render_step(make_rig(**emulator), "plaza", 1, step, 0, 1))

    good = write_photos(tmp_path / "photos")
    with pytest.raises(ExlcapError, match="no folder of photographs"):
        render(**{**good, "photos": str(tmp_path / "nowhere")})
    with pytest.raises(ExlcapError, match=r"not found.*none\.json"):
        render(**{**good, "labels": str(tmp_path / "none.json")})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExlcapError, match="none of the 1 photographs"):
        render(**{**good, "photos": str(tmp_path / "empty")})
    photo = tmp_path / "photos" / "a.png"
    whole = photo.read_bytes()
    for broken in (b"", b"not an image", whole[:40]):
        photo.write_bytes(broken)
        with pytest.raises(ExlcapError, match=r"a\.png is not an image"):
            render(**good)
    cv2.imwrite(str(photo), np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(ExlcapError, match="80x60, its labels say 160x120"):
        render(**good)


def test_real_photographs_of_crowds(make_rig, step, shared_data):
    crowd = shared_data / "crowd"
    scenes = {f"s{i}": {"light": 1.0} for i in range(12)}
    rig = make_rig(photos=str(crowd / "images"), labels=str(crowd / "annotations.json"), scenes=scenes)
    shown = [next(render_step(rig, scene, 1, step, 0, 1)) for scene in scenes]
    people = [person for pulse in shown for person in pulse.people]
    assert len(people) >= 6
    assert min(to_srgb(develop(pulse.well, HOW)).mean() for pulse in shown) > 20  # the dark ExLPose frames are left out
    for person in people:
        assert person.labelled.sum() >= 3
        assert len(person.keypoints) == len(JOINTS)
