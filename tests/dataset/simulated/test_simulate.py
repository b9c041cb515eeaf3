"""Any labelled photographs as a data set of this rig: dark as physics says, aligned, split, and the same every time."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from exlcap.core.alignment import Photometry, apply_homography, write_alignment
from exlcap.core.develop import cropped, low_on_well
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_json
from exlcap.core.labels import COCO_CATEGORY, Person, coco_annotation
from exlcap.core.light_levels import lighting_split
from exlcap.dataset.checks.validate import find_all, read_subject
from exlcap.dataset.manifest import read_complete, read_manifest
from exlcap.dataset.simulated.photo_pairs import (
    Cameras,
    base_gain_db,
    dark_view,
    developments,
    divisors,
    make_pairs,
    scaled_alignment,
)
from exlcap.dataset.simulated.photo_set import beside_published, find_photos, scene_name, simulate_photos
from exlcap.dataset.table1 import table1
from exlcap.simulate.optics import true_alignment
from exlcap.simulate.sensor import SensorModel
from exlcap.train.data.people import read_split
from tests.conftest import make_workspace


def blobs(size, seed):
    """A smooth colourful picture of (width, height), uint8 RGB."""
    noise = np.random.default_rng([seed]).random((size[1], size[0], 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return (40 + 180 * smooth).astype(np.uint8)


def write_photos(folder, count=12, first=0):
    """Photographs of different sizes, odd ones too, with one person each."""
    images, annotations = [], []
    for i in range(count):
        size = (120 + 7 * i, 161 - 5 * i)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / f"p{first + i}.png"), blobs(size, first + i)[..., ::-1])
        images.append({"id": i + 1, "file_name": f"p{first + i}.png", "width": size[0], "height": size[1]})
        rng = np.random.default_rng([i, 1])
        joints = np.column_stack([rng.uniform((30, 30), (size[0] - 30, size[1] - 30), (14, 2)), np.full(14, 2)])
        low, high = joints[:, :2].min(0), joints[:, :2].max(0)
        person = Person("1", joints, (*low, *(high - low)), "hand")
        annotations.append(coco_annotation(person, i + 1, i + 1, ""))
    path = folder / f"labels{first}.json"
    write_json(path, {"images": images, "annotations": annotations, "categories": [COCO_CATEGORY]})
    return folder / "images", path


@pytest.fixture
def cameras(tmp_path):
    rig = make_workspace(tmp_path / "lab").rig
    return Cameras(rig, true_alignment(rig), seed=3, pairs_per_photo=2)


@pytest.fixture
def made(tmp_path, cameras):
    photos, test = find_photos(*write_photos(tmp_path / "photos"), None)
    return tmp_path / "out", simulate_photos(tmp_path / "out", cameras, photos, test)


def test_the_data_set_is_like_any_of_ours(made):
    folder, manifest = made
    assert {f.check for f in find_all(read_subject(folder))} <= {"one_visibility", "mixed_image_sizes", "swapped_sides"}
    assert {split: len(scenes) for split, scenes in manifest.splits.items()} == {"train": 9, "val": 1, "test": 2}
    assert manifest.counts["train"] == (36, 36)
    assert len(read_split(folder, "train").pairs) == 18
    assert manifest.origin == "simulated"
    rows = {row.split: row for row in table1(manifest)}
    assert rows["WL"].well_mean_level > 40
    assert "LL-E" in beside_published(list(rows.values()))


def test_the_darker_the_scene_the_darker_the_image(made):
    _, manifest = made
    by_gain = sorted(manifest.pairs, key=lambda entry: entry.well_gain_db)
    low = [entry.low_mean_level for entry in by_gain]
    assert np.mean(low[:6]) > 2 * np.mean(low[-6:])
    assert all(entry.well_mean_level > 40 for entry in manifest.pairs)  # the bright gain makes up for every darkness


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made, tmp_path, cameras):
    _, manifest = made
    photos, test = find_photos(tmp_path / "photos" / "images", tmp_path / "photos" / "labels0.json", None)
    again = simulate_photos(tmp_path / "again", cameras, photos, test)
    assert again.pairs == manifest.pairs
    other = Cameras(cameras.rig, cameras.alignment, 4, 2)
    assert (
        simulate_photos(tmp_path / "other", other, photos[:3], ()).pairs[0].low_sha256 != manifest.pairs[0].low_sha256
    )


def test_both_images_of_a_pair_show_the_same_place(made):
    folder, manifest = made
    entry = min(manifest.pairs, key=lambda e: e.well_gain_db)
    well, low = (
        cv2.GaussianBlur(cv2.imread(str(folder / "images" / light / f"{entry.pair_id}.png")).mean(2), (0, 0), 2)
        for light in ("well", "low")
    )
    agree = np.corrcoef(well.ravel(), low.ravel())[0, 1]
    moved = np.corrcoef(well[:, 6:].ravel(), low[:, :-6].ravel())[0, 1]
    assert agree > 0.9
    assert agree > moved + 0.1


@pytest.mark.parametrize("size", [(160, 120), (121, 163), (320, 200)])
def test_the_dark_view_is_undone_by_the_warp_of_the_build(cameras, size):
    light = blobs(size, 5).astype(np.float32) / 255
    alignment = scaled_alignment(cameras.alignment, size)
    back = low_on_well(dark_view(light, alignment), alignment)
    assert np.abs(back - cropped(light, alignment)).max() < 0.02
    assert np.abs(dark_view(light, alignment) - light).mean() > 0.02  # mirrored and moved


def test_the_geometry_is_the_rigs_scaled_about_the_centre(cameras):
    own, half = cameras.alignment, scaled_alignment(cameras.alignment, (160, 100))
    at = np.array([[40.0, 30.0], [200.0, 150.0]])
    scaled = (at + 0.5) / 2 - 0.5
    expected = (own.map_low_to_well(at) + 0.5) / 2 - 0.5
    assert half.map_low_to_well(scaled) == pytest.approx(expected)
    same = scaled_alignment(own, own.well_size)
    corners = np.array([[0.0, 0.0], [319.0, 199.0]])
    assert apply_homography(same.low_to_well, corners) == pytest.approx(own.map_low_to_well(corners))


def test_gains_spread_like_the_published_ones(cameras):
    """Each level of low light gets about a third, as 167 / 169 / 155 there."""
    rng = np.random.default_rng([0])
    gains = []
    for index in range(2000):
        base = base_gain_db(0, index)
        gains.append(base + 20 * np.log10(rng.choice(divisors(cameras.rig, base))))
    assert 0 <= min(gains) < 1
    assert 36 < max(gains) <= 38.8
    shares = [np.mean([lighting_split(g) == level for g in gains]) for level in ("LL-N", "LL-H", "LL-E")]
    assert shares == pytest.approx([0.34, 0.34, 0.32], abs=0.07)


def test_dark_levels_follow_the_filter_and_the_noise(tmp_path, cameras):
    """A grey wall at 0 dB: the dark image's linear level is 1 % times the dark gain, as to_srgb shows it."""
    folder = tmp_path / "grey"
    images, labels = write_photos(folder, 1)
    cv2.imwrite(str(images / "p0.png"), np.full((161, 120, 3), 188, np.uint8))  # half of white in linear light
    index = next(i for i in range(1000) if base_gain_db(3, i) < 0.3)
    photos, _ = find_photos(images, labels, None)
    photo = type(photos[0])(photos[0].path, photos[0].labelled, "grey", index)
    entry = simulate_photos(tmp_path / "out", cameras, [photo], ()).pairs[0]
    white_e = SensorModel(60).full_well_e * 10 ** (-base_gain_db(3, index) / 20) / entry.k
    linear = 0.5 * 0.01 * white_e * 10 ** (3.4 / 20) / SensorModel(60).full_well_e
    assert entry.low_mean_level == pytest.approx(255 * 12.92 * linear, rel=0.35)  # sRGB is a straight line down there
    assert entry.well_mean_level == pytest.approx(188, abs=3)


def test_test_photos_can_be_named_and_never_leak(tmp_path, cameras):
    images, labels = write_photos(tmp_path / "photos", 5)
    _, test_labels = write_photos(tmp_path / "photos", 2, first=50)
    photos, test = find_photos(images, labels, test_labels)
    manifest = simulate_photos(tmp_path / "out", cameras, photos, test)
    assert manifest.splits["test"] == ("p50", "p51")
    with pytest.raises(ExlcapError, match="the same scene"):
        find_photos(images, labels, labels)


def test_what_cannot_serve_is_left_out_by_reason(tmp_path, cameras, capsys):
    images, labels = write_photos(tmp_path / "photos", 5)
    (images / "p0.png").unlink()
    cv2.imwrite(str(images / "p1.png"), np.zeros((156, 127, 3), np.uint8))
    photos, test = find_photos(images, labels, None)
    manifest = simulate_photos(tmp_path / "out", cameras, photos, test)
    said = capsys.readouterr().err
    assert "1 that are not in" in said
    assert "1 photographs are left out: nearly black" in said
    assert len(manifest.pairs) == 6
    assert "p1" not in [scene for scenes in manifest.splits.values() for scene in scenes]
    cv2.imwrite(str(images / "p2.png"), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(ExlcapError, match="its labels say"):
        simulate_photos(tmp_path / "out2", cameras, photos, test)


def test_scene_names_are_safe():
    assert scene_name("val2017/a b.é.jpg") == "val2017-a-b-"


def exlcap(*arguments):
    command = [sys.executable, "-m", "exlcap", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_makes_a_data_set_and_compares_its_levels(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    images, labels = write_photos(tmp_path / "photos", 6)
    arguments = ("-C", workspace.root, "simulate", "--photos", images, "--labels", labels, "--name", "night")
    done = exlcap(*arguments)
    assert done.returncode == 0, done.stderr
    assert "published" in done.stdout
    sheet = cv2.imread(str(workspace.dataset("night") / "contact_sheet.png"))
    assert sheet.std() > 20
    done = exlcap(*arguments)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    done = exlcap(*arguments[:-1], "other", "--json", "--seed", 1)
    assert json.loads(done.stdout)["published_mean_levels"]["LL-N"] == 3.2


def test_the_card_says_that_it_is_simulated_and_under_which_terms(tmp_path, cameras):
    images, labels = write_photos(tmp_path / "photos", 6)
    photos, test = find_photos(images, labels, None)
    manifest = simulate_photos(tmp_path / "out", cameras, photos, test, "CC BY 4.0")
    card = (tmp_path / "out" / "README.md").read_text()
    for text in ("**Simulated:", "CC BY 4.0", "6 photographs", "| LL-A |", "- development, low: dark level 60 DN"):
        assert text in card, text
    assert [(d.light, d.takes) for d in manifest.developments] == [("well", ()), ("low", ())]


@pytest.mark.slow
def test_kill_9_in_the_middle_and_simulate_again(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    images, labels = write_photos(tmp_path / "photos", 20)
    arguments = ("-C", workspace.root, "simulate", "--photos", images, "--labels", labels, "--name", "night",
                 "--pairs-per-photo", 10)  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "exlcap", *map(str, arguments)], stderr=subprocess.DEVNULL)
    folder = workspace.dataset("night")
    while len(list(folder.glob("images/low/*.png"))) < 3:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert read_manifest(folder).status == "building"
    done = exlcap("-C", workspace.root, "validate", "night")
    assert done.returncode == 2
    assert "run the same `exlcap simulate` again" in done.stderr
    done = exlcap(*arguments)
    assert done.returncode == 0, done.stderr
    whole = exlcap(*arguments[:-4], "--name", "whole", *arguments[-2:])
    assert whole.returncode == 0, whole.stderr
    assert read_complete(folder).pairs == read_complete(workspace.dataset("whole")).pairs


def test_a_real_rig_needs_an_alignment(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    text = (workspace.root / "rig.toml").read_text()
    (workspace.root / "rig.toml").write_text(text[: text.index("# ---- What the cameras see")])
    images, labels = write_photos(tmp_path / "photos", 2)
    done = exlcap("-C", workspace.root, "simulate", "--photos", images, "--labels", labels, "--name", "x")
    assert done.returncode == 2
    assert "no alignment" in done.stderr


def test_real_photographs(shared_data, tmp_path, cameras):
    """Leeds Sports photographs: pictures with people in them, joints where they belong."""
    data = json.loads((shared_data / "people" / "test.json").read_text())
    data["images"] = data["images"][:8]
    ids = {image["id"] for image in data["images"]}
    data["annotations"] = [a for a in data["annotations"] if a["image_id"] in ids]
    write_json(tmp_path / "few.json", data)
    photos, test = find_photos(shared_data / "people" / "images", tmp_path / "few.json", None)
    manifest = simulate_photos(tmp_path / "out", cameras, photos, test)
    assert len(manifest.pairs) == 16
    before = np.array(data["annotations"][0]["keypoints"]).reshape(14, 3)
    scene = scene_name(data["images"][0]["file_name"])
    split = next(name for name, scenes in manifest.splits.items() if scene in scenes)
    files = read_split(tmp_path / "out", split if split != "test" else "test_WL")
    after = next(f.keypoints for f in files.people if f.pair_id.startswith(scene))
    alignment = scaled_alignment(cameras.alignment, (data["images"][0]["width"], data["images"][0]["height"]))
    both = (before[:, 2] > 0) & (after[:, 2] > 0)
    assert np.allclose(before[both, :2] - after[both, :2], alignment.crop[:2], atol=1e-3)


TINTED = Photometry(
    transmittance=(0.02, 0.01, 0.005), transmittance_sd=(0, 0, 0), offset_dn=0,
    well_white_balance=(1.6, 1.0, 2.0), low_white_balance=(0.8, 1.0, 4.0),
)  # fmt: skip
"""A filter that passes red best, and cameras that see green best; the dark one's balance undoes both."""


def grey_pair(tmp_path, cameras):
    """Mean of each colour of the images of a grey wall, half of white in linear light, at 0 dB."""
    folder = tmp_path / f"grey{len(list(tmp_path.iterdir()))}"
    images, labels = write_photos(folder, 1)
    cv2.imwrite(str(images / "p0.png"), np.full((161, 120, 3), 188, np.uint8))
    index = next(i for i in range(1000) if base_gain_db(3, i) < 0.3)
    photos, _ = find_photos(images, labels, None)
    (entry, *_), _ = zip(*make_pairs(folder, cameras, replace(photos[0], index=index)), strict=True)
    levels = {}
    for light in ("well", "low"):
        bgr = cv2.imread(str(folder / "images" / light / f"{entry.pair_id}.png")).reshape(-1, 3)
        levels[light] = (bgr[:, ::-1].mean(0), bgr[:, ::-1].std(0))
    return levels


def exact_linear(level):
    return ((level / 255 + 0.055) / 1.055) ** 2.4


def exact_srgb(linear):
    return 255 * (1.055 * linear ** (1 / 2.4) - 0.055)


def test_measured_light_takes_the_place_of_nominal_light(tmp_path, cameras):
    """Grey stays grey, through both cameras' colours and back; colours that a camera sees badly are noisier."""
    once = replace(cameras, pairs_per_photo=1, rig=only_k1(cameras.rig))
    nominal = grey_pair(tmp_path, once)
    measured = grey_pair(tmp_path, replace(once, photometry=TINTED, measured_by="align-001"))
    assert measured["well"][0] == pytest.approx(nominal["well"][0], abs=1.5)
    lifted = 1 / 0.8  # by the balance, whose smallest factor is applied as 1
    expected = exact_srgb(lifted * exact_linear(nominal["low"][0][1]))
    assert measured["low"][0][1] == pytest.approx(expected, abs=1.5), "green passes as before"
    assert measured["low"][1][0] < nominal["low"][1][0] * 1.2 < measured["low"][1][2]
    assert measured["well"][1][2] > 1.2 * nominal["well"][1][2]


def only_k1(rig):
    return rig.model_copy(update={"schedule": rig.schedule.model_copy(update={"presets": {"outdoor": (1,)}})})


def test_what_a_camera_gets_is_its_share_of_each_colour(cameras):
    assert cameras.sensitivity("low") == pytest.approx([0.01] * 3)
    measured = replace(cameras, photometry=TINTED, measured_by="align-001")
    assert measured.sensitivity("well") == pytest.approx([1 / 1.6, 1.0, 0.5])
    assert measured.sensitivity("low") == pytest.approx([0.02 / 1.6, 0.01, 0.0025])
    assert [how.white_balance for how in developments(measured)] == [(1.6, 1.0, 2.0), (1.0, 1.25, 5.0)]


def test_the_command_uses_the_alignment_in_force_and_the_card_says_so(tmp_path):
    workspace = make_workspace(tmp_path / "lab")
    images, labels = write_photos(tmp_path / "photos", 12)
    for name, says in (
        ("before", "dark path nominal, 1 % of the light (rig.toml)"),
        ("after", "dark path R 2.000 % G 1.000 % B 0.500 % of the light and white balances as align-001 measured them"),
    ):
        options = ["simulate", "--photos", str(images), "--labels", str(labels), "--name", name]
        subprocess.run(
            [sys.executable, "-m", "exlcap", "-C", str(workspace.root), *options], check=True, capture_output=True
        )
        assert says in (workspace.dataset(name) / "README.md").read_text()
        measured = true_alignment(workspace.rig).model_copy(update={"photometry": TINTED})
        (workspace.alignments / "align-001.json").unlink(missing_ok=True)
        write_alignment(workspace.alignments / "align-001.json", measured)
