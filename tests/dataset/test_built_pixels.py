"""What the images of a built data set hold: which of them is warped, how deep they are, how they were developed."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from exlcap.core.alignment import Photometry, apply_homography
from exlcap.core.develop import Development, develop, low_crop, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_json
from exlcap.core.rig import LIGHTS, Colour
from exlcap.dataset import table1 as table1_module
from exlcap.dataset.annotations import OUTSIDE, people_left_out, people_of
from exlcap.dataset.build import build
from exlcap.dataset.checks.validate import find_all, read_subject
from exlcap.dataset.data_card.built_card import built_card
from exlcap.dataset.formats.export import export_coco, export_fiftyone
from exlcap.dataset.formats.export_exlpose import export_exlpose
from exlcap.dataset.formats.export_mmpose import export_mmpose
from exlcap.dataset.images import linear_image, read_linear
from exlcap.dataset.manifest import Parameters, read_complete, read_manifest
from exlcap.dataset.table1 import table1
from exlcap.train.data.people import read_split
from tests.dataset.building import BRIGHT, exlcap


def test_unwarped_dark_images_keep_every_pixel_and_their_labels_follow(built):
    workspace, items, _ = built
    parameters = Parameters(warp="none", test=("plaza", "alley"), val=("arcade",))
    manifest = build(workspace, "unwarped", parameters, items)
    folder = workspace.dataset("unwarped")
    item = items[0]
    picture = cv2.imread(str(folder / "images" / "low" / f"{item.pair_id}.png"))[..., ::-1]
    untouched = to_srgb(develop(item.take.raw(item.pair, "low"), Development(60)))
    assert np.array_equal(picture, untouched[:, ::-1])  # turned back, since this camera sees mirrored
    assert manifest.pairs[0].low_size == (320, 200)

    coco = json.loads((folder / "annotations" / "train.json").read_text())
    images = {image["id"]: image for image in coco["images"]}
    size = {image["lighting"]: (image["width"], image["height"]) for image in coco["images"]}
    assert size == {"well": tuple(item.alignment.crop[2:]), "low": (320, 200)}
    joints = {(a["pair_id"], a["person_id"], images[a["image_id"]]["lighting"]): np.array(a["keypoints"]).reshape(14, 3)
              for a in coco["annotations"]}  # fmt: skip
    compared = 0
    for (pair, person, light), low in joints.items():
        if light != "low" or (pair, person, "well") not in joints:
            continue
        well = joints[pair, person, "well"]
        both = (low[:, 2] > 0) & (well[:, 2] > 0)
        mirrored = np.column_stack([319 - low[both, 0], low[both, 1]])
        there = item.alignment.map_low_to_well(mirrored) - item.alignment.crop[:2]
        assert np.allclose(there, well[both, :2], atol=1e-3)
        compared += both.sum()
    assert compared > 30


def test_a_bright_image_laid_onto_the_dark_one_leaves_its_pixels_and_the_labels_follow(built):
    workspace, items, _ = built
    splits = {"test": ("plaza", "alley"), "val": ("arcade",)}
    manifest = build(workspace, "onlow", Parameters(warp="well", **splits), items)
    folder = workspace.dataset("onlow")
    item = next(i for i in items if i.labels.low and i.pair.k == 1)
    x, y, width, height = low_crop(item.alignment)
    picture = cv2.imread(str(folder / "images" / "low" / f"{item.pair_id}.png"))[..., ::-1]
    whole = to_srgb(develop(item.take.raw(item.pair, "low"), Development(60)))[:, ::-1]  # this camera sees mirrored
    assert np.array_equal(picture, whole[y : y + height, x : x + width])
    assert {(e.width, e.height, e.low_size) for e in manifest.pairs} == {(width, height, None)}
    assert cv2.imread(str(folder / "images" / "well" / f"{item.pair_id}.png")).shape == (height, width, 3)

    bright, dark = (
        linear_image(item.take.raw(item.pair, light), light, Development(60), item.alignment, "well").mean(2)
        for light in LIGHTS
    )
    blur = [cv2.GaussianBlur(picture, (0, 0), 2.0)[20:-20, 20:-20] for picture in (bright, dark)]
    assert np.corrcoef(blur[0].ravel(), blur[1].ravel())[0, 1] > 0.9

    people = people_of(item.labels, item.alignment, "well")
    assert people["well"] == people["low"]
    assert people_left_out(item.labels, item.alignment, "well")[OUTSIDE] == len(item.labels.well) - len(people["well"])
    original = {person.id: person.keypoints for person in item.labels.well}
    compared = 0
    for person in people["well"]:
        both = person.labelled & (original[person.id][:, 2] > 0)
        upright = person.keypoints[both, :2] + (x, y)
        on_well = apply_homography(np.array(item.alignment.homography), upright)
        assert np.allclose(on_well, original[person.id][both, :2], atol=1e-6)
        compared += both.sum()
    assert compared > 10
    assert [f for f in find_all(read_subject(folder)) if f.severity == "error"] == []
    assert export_exlpose(folder, folder.parent / "exported") == 2 * len(manifest.pairs)
    assert "bright image warped onto the dark one" in built_card(manifest, items)


@pytest.mark.slow
def test_train_and_eval_read_an_unwarped_data_set_and_refuse_a_16_bit_one(built):
    workspace, items, manifest = built
    splits = {"test": ("plaza", "alley"), "val": ("arcade",)}
    build(workspace, "unwarped", Parameters(warp="none", **splits), items)
    build(workspace, "deep", Parameters(depth=16, **splits), items)
    done = exlcap(workspace, "train", "--data", "deep", "--epochs", "1")
    assert (done.returncode, "16-bit linear" in done.stderr) == (2, True)
    done = exlcap(workspace, "train", "--data", "unwarped", "--run", "r", "--epochs", "1", "--preset", "small")
    assert done.returncode == 0, done.stderr
    done = exlcap(workspace, "eval", "--run", "r")
    assert done.returncode == 0, done.stderr
    assert "no people in" not in done.stdout
    pairs = read_split(workspace.dataset("unwarped"), "train").pairs
    assert len(pairs) * 2 == manifest.counts["train"][1]
    assert all(not np.allclose(pair.low.keypoints, pair.well.keypoints, atol=1) for pair in pairs)


def test_16_bit_images_keep_linear_light(built):
    workspace, items, manifest = built
    deep = build(workspace, "deep", Parameters(depth=16, test=("plaza", "alley"), val=("arcade",)), items)
    item = items[0]
    path = workspace.dataset("deep") / "images" / "well" / f"{item.pair_id}.png"
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
    x, y, width, height = item.alignment.crop
    linear = develop(item.take.raw(item.pair, "well"), BRIGHT)[y : y + height, x : x + width]
    assert picture.dtype == np.uint16
    assert deep.pedestal == read_complete(workspace.dataset("deep")).pedestal == 4096
    assert np.abs((picture - 4096.0) / 61439 - np.clip(linear, None, 1)).max() < 1 / 65535
    assert np.array_equal(read_linear(path, deep.pedestal), ((picture.astype(np.float32) - 4096) / np.float32(61439)))
    assert deep.pairs[0].well_mean_level == pytest.approx(255 * np.clip(linear, None, 1).mean(), abs=0.01)
    for entry in deep.pairs:  # at every exposure: no noise is lost below black, so the mean is that of the light
        ratio = 0.01 * 10 ** ((entry.low_gain_db - entry.well_gain_db) / 20)  # the filter and both gains
        assert entry.low_mean_level / entry.well_mean_level == pytest.approx(ratio, rel=0.1)
    assert {e.key for e in deep.pairs}.isdisjoint(e.key for e in manifest.pairs)


def test_means_and_checks_of_a_16_bit_set_know_its_pedestal(built):
    workspace, items, _ = built
    manifest = build(workspace, "deep", Parameters(depth=16, test=("plaza", "alley"), val=("arcade",)), items)
    folder = workspace.dataset("deep")
    subject = read_subject(folder)
    assert [f for f in find_all(subject) if f.check in ("black_image", "saturated_image")] == []
    for entry in manifest.pairs:
        assert subject.pictures[f"low/{entry.pair_id}.png"].mean_level == pytest.approx(entry.low_mean_level, abs=1e-3)
    rows = table1(manifest)
    assert all(row.linear_levels for row in rows)
    assert "of linear light" in table1_module.table1_text(rows)
    assert "plus 4096 at black" in (folder / "README.md").read_text()


@pytest.mark.parametrize("export", [export_coco, export_exlpose, export_mmpose, export_fiftyone])
def test_forms_of_8_bit_refuse_16_bit_images(built, tmp_path, export):
    workspace, items, _ = built
    build(workspace, "deep", Parameters(depth=16, test=("plaza", "alley"), val=("arcade",)), items)
    with pytest.raises(ExlcapError, match="16-bit linear images; other tools would take them for sRGB"):
        export(workspace.dataset("deep"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_white_balance_comes_from_the_alignment_of_each_camera(built):
    _, items, _ = built
    light = Photometry(
        transmittance=(0.01, 0.01, 0.01), transmittance_sd=(0, 0, 0), offset_dn=0,
        well_white_balance=(1.5, 1.0, 2.0), low_white_balance=(1.2, 1.0, 1.1),
    )  # fmt: skip
    item = replace(items[0], alignment=items[0].alignment.model_copy(update={"photometry": light}))
    assert item.development("well", Parameters()).white_balance == (1.5, 1.0, 2.0)
    assert item.development("low", Parameters()).white_balance == (1.2, 1.0, 1.1)
    assert item.development("low", Parameters(white_balance="none")).white_balance == (1.0, 1.0, 1.0)
    assert items[0].development("well", Parameters()).white_balance == (1.0, 1.0, 1.0)
    keys = {i.key(Parameters(white_balance=w)) for i in (item, items[0]) for w in ("reference", "none")}
    assert len(keys) == 2  # the same pixels for an unmeasured balance and for none


def test_every_parameter_of_the_development_is_in_the_record_and_in_the_key(built):
    _, items, manifest = built
    assert [(d.light, d.black_level_dn, d.colour_matrix, d.demosaic, len(d.takes)) for d in manifest.developments] == [
        ("well", 60.0, None, "malvar", 4), ("low", 60.0, None, "bilinear", 4)
    ]  # fmt: skip
    matrix = ((1.5, -0.5, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    header = items[0].take.header
    low = header.rig.low.model_copy(update={"colour": Colour(matrix=matrix), "dark_level_dn": 61.5})
    rig = header.rig.model_copy(update={"low": low})
    item = replace(items[0], take=replace(items[0].take, header=header.model_copy(update={"rig": rig})))
    assert item.development("low", Parameters()) == Development(61.5, colour_matrix=matrix)
    assert item.development("well", Parameters()) == BRIGHT
    assert item.key(Parameters()) != items[0].key(Parameters())


def test_a_record_from_before_demosaicing_was_recorded_reads_as_bilinear(built, tmp_path):
    _, _, manifest = built
    old = manifest.model_dump(mode="json")
    for how in old["developments"]:
        del how["demosaic"]
    write_json(tmp_path / "dataset.json", old)
    assert [how.demosaic for how in read_manifest(tmp_path).developments] == ["bilinear", "bilinear"]


def test_a_balance_below_1_is_recorded_as_it_was_applied(built):
    _, items, _ = built
    light = Photometry(
        transmittance=(0.01, 0.01, 0.01), transmittance_sd=(0, 0, 0), offset_dn=0,
        well_white_balance=(0.8, 1.0, 1.6), low_white_balance=(1.2, 1.0, 1.1),
    )  # fmt: skip
    alignment = items[0].alignment.model_copy(update={"photometry": light})
    assert replace(items[0], alignment=alignment).development("well", Parameters()).white_balance == (1.0, 1.25, 2.0)
