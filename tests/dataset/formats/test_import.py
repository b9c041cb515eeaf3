"""The published annotation files, with generated images, as data sets of ours that train and eval read."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file, write_json
from exlcap.dataset.checks.validate import counts, find_all, read_subject
from exlcap.dataset.formats.exlpose_names import ExlposeName, parse_name
from exlcap.dataset.formats.import_exlpose import import_exlpose
from exlcap.dataset.formats.import_ocn import import_ocn
from exlcap.dataset.manifest import read_complete, read_manifest
from exlcap.train.data.people import other_tests, read_image, read_split
from tests.dataset.small import standing

LONG = "imgs_0212_hwangridan_vid000020_exp1200_dark_000052__gain_3.40_exposure_417.png"


def test_the_parts_of_a_published_name():
    assert parse_name("dark/" + LONG) == ExlposeName(
        "0212", "hwangridan", "000020", "1200", "dark", "000052", "3.40", "417"
    )
    name = parse_name("imgs_0119_3_vid000026_exp100_bright_000052__gain_0.00_exposure_1000.png")
    assert (name.place, name.k, name.scene) == ("3", 1, "0119-3-vid000026")
    assert parse_name("imgs_0211_vid000022_exp600_bright_000052__gain_32.66_exposure_2500.png").place == ""


@pytest.mark.parametrize(
    "name",
    ["photo.png", LONG.replace("imgs_", "img_"), LONG.replace("__", "_"), LONG.replace("vid", "vod"), LONG + "x"],
)
def test_other_names_are_no_names(name):
    assert parse_name(name) is None


NAMES = st.builds(
    ExlposeName,
    date=st.from_regex(r"[0-9]{4}", fullmatch=True),
    place=st.sampled_from(["", "3", "hwangridan", "bulguksa", "manridang"]),
    video=st.from_regex(r"[0-9]{6}", fullmatch=True),
    divisor=st.sampled_from(["100", "200", "1200", "1600"]),
    light=st.sampled_from(["bright", "dark"]),
    frame=st.from_regex(r"[0-9]{6}", fullmatch=True),
    gain_db=st.from_regex(r"[0-9]{1,2}\.[0-9]{2}", fullmatch=True),
    exposure_us=st.from_regex(r"[1-9][0-9]{1,4}", fullmatch=True),
)


@given(NAMES)
def test_long_names_round_trip_and_short_ones_have_the_same_key(name):
    assert parse_name(name.long()) == name
    assert parse_name(name.short()).key == name.key


def path_in_the_official_loader(annotated):
    """Where it looks, by what its source does with the parts between underscores."""
    parts = annotated.split("/")[-1].split("_")
    if "3" in parts:
        head, rest = parts[:2], parts[3:]
    elif any(place in annotated for place in ("manridang", "hwangridan", "bulguksa")):
        head, rest = [parts[0], parts[1] + parts[2]], parts[3:]
    else:
        head, rest = parts[:2], parts[2:]
    return "_".join([*head, rest[0], rest[1], "img", rest[3]]) + "__" + "_".join(rest[-2:])


def test_short_names_are_where_the_official_loader_looks(shared_data):
    names = [i["file_name"] for i in published_json(shared_data)["images"]]
    assert all(parse_name(name).short() == path_in_the_official_loader(name) for name in names)
    assert len({parse_name(name).key for name in names}) == len(names) == 491
    assert all("bright/" + parse_name(name).long() == name for name in names)


# ---- imports ----


def published_json(shared_data, name="LL-All"):
    path = shared_data / "exlpose_annotations" / "ExLPose" / f"ExLPose_test_{name}.json"
    return json.loads(path.read_text())


def write_images(source, names_and_sizes, short):
    """Flat images of the listed sizes: grey for bright, nearly black for dark, each value its own."""
    cache = {}
    for name, size in names_and_sizes:
        for folder, level in (("bright", 90), ("dark", 2)):
            file = parse_name(name).short() if short else name.split("/")[-1].replace("_bright_", f"_{folder}_")
            path = source / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if (size, level) not in cache:
                picture = np.full((size[1], size[0], 3), level, np.uint8)
                cache[size, level] = cv2.imencode(".png", picture)[1].tobytes()
            path.write_bytes(cache[size, level])


def part_of(data, wanted):
    """The images of a published file that `wanted` picks by number, and their people."""
    images = [image for i, image in enumerate(data["images"]) if wanted(i)]
    ids = {image["id"] for image in images}
    return {**data, "images": images, "annotations": [a for a in data["annotations"] if a["image_id"] in ids]}


def shrunk(data):
    """The same with images of a tenth of the size, which keeps the tests quick."""
    for image in data["images"]:
        image.update(width=image["width"] // 10, height=image["height"] // 10)
    for annotation in data["annotations"]:
        annotation["bbox"] = [v / 10 for v in annotation["bbox"]]
        annotation["keypoints"] = [v / 10 if i % 3 < 2 else v for i, v in enumerate(annotation["keypoints"])]
    return data


def source_of(tmp_path, data, name="test_LL-All", short=False):
    source = tmp_path / "published"
    write_json(source / "Annotations" / f"ExLPose_{name}.json", data)
    write_images(source, [(i["file_name"], (i["width"], i["height"])) for i in data["images"]], short)
    return source


def test_the_whole_published_test_set_has_the_published_counts(shared_data, tmp_path):
    source = source_of(tmp_path, shrunk(published_json(shared_data)), short=True)
    for level in ("Normal", "Hard", "Extreme"):  # list the same pairs again
        name = f"ExLPose_test_LL-{level}.json"
        write_json(source / "Annotations" / name, published_json(shared_data, f"LL-{level}"))
    manifest = import_exlpose(source, tmp_path / "exlpose")
    assert manifest.counts == {
        "train": (0, 0), "val": (0, 0), "test_LL-N": (167, 1028), "test_LL-H": (169, 945), "test_LL-E": (155, 837),
        "test_LL-A": (491, 2810), "test_WL": (491, 2810),
    }  # fmt: skip
    assert len(manifest.splits["test"]) == 50
    assert {e.well_mean_level for e in manifest.pairs} == {90.0}
    split = read_split(tmp_path / "exlpose", "test_LL-E")
    assert len(split.people) == 837 - 7  # seven have no joint


@pytest.mark.parametrize("short", [False, True])
def test_labels_and_images_come_out_as_they_were(shared_data, tmp_path, short):
    data = shrunk(part_of(published_json(shared_data), lambda i: i % 40 == 0))
    source = source_of(tmp_path, data, short=short)
    manifest = import_exlpose(source, tmp_path / "exlpose")
    assert manifest.counts["test_LL-A"] == (len(data["images"]), len(data["annotations"]))
    entry = next(e for e in manifest.pairs if e.scene == "0212-hwangridan-vid000005")
    assert (entry.k, entry.index, entry.exposure_us, entry.well_gain_db) == (8, 52, 625.0, 22.56)
    assert entry.low_gain_db == (None if short else 22.56)  # our generated dark names keep the bright one's number
    assert sha256_file(tmp_path / "exlpose" / "images" / "low" / f"{entry.pair_id}.png") == entry.low_sha256
    wl = json.loads((tmp_path / "exlpose" / "annotations" / "test_WL.json").read_text())
    before = [a["keypoints"] for a in data["annotations"] if a["image_id"] == 38]
    image = next(i for i in wl["images"] if i["pair_id"] == entry.pair_id)
    after = [a["keypoints"] for a in wl["annotations"] if a["image_id"] == image["id"]]
    assert np.allclose(before, after, atol=1e-4)
    assert read_image(tmp_path / "exlpose", image["file_name"]).mean() == 90


def test_the_card_and_the_pictures_of_an_import(shared_data, tmp_path):
    data = shrunk(part_of(published_json(shared_data), lambda i: i % 40 == 0))
    source = source_of(tmp_path, data)
    import_exlpose(source, tmp_path / "exlpose", "as its authors say")
    card = (tmp_path / "exlpose" / "README.md").read_text()
    for text in ("Lee et al., CVPR 2023", "| LL-A | 13 | 13 |", "as its authors say", "| exposure (us) | pairs |"):
        assert text in card, text
    assert cv2.imread(str(tmp_path / "exlpose" / "contact_sheet.png")).shape[0] > 900


def test_an_import_that_was_cut_short_starts_anew_but_not_over_something_else(shared_data, tmp_path):
    data = shrunk(part_of(published_json(shared_data), lambda i: i < 3))
    source = source_of(tmp_path, data)
    dark = sorted((source / "dark").iterdir())[-1]
    whole = dark.read_bytes()
    dark.write_bytes(whole[:40])
    with pytest.raises(ExlcapError, match="damaged or cut off"):
        import_exlpose(source, tmp_path / "a")
    assert read_manifest(tmp_path / "a").status == "building"
    with pytest.raises(ExlcapError, match="unfinished data set from another source"):
        import_ocn_into(tmp_path, "a")
    dark.write_bytes(whole)
    assert len(import_exlpose(source, tmp_path / "a").pairs) == 3
    assert read_complete(tmp_path / "a").status == "complete"


def import_ocn_into(tmp_path, name):
    write_ocn(tmp_path / "ocn")
    return import_ocn(tmp_path / "ocn", tmp_path / name)


def test_training_pairs_are_read_by_train(shared_data, tmp_path):
    data = published_json(shared_data)
    train = shrunk(part_of(data, lambda i: i < 3))
    scenes = {parse_name(image["file_name"]).scene for image in train["images"]}
    test = shrunk(
        part_of(data, lambda i: i % 60 == 7 and parse_name(data["images"][i]["file_name"]).scene not in scenes)
    )
    for image in train["images"]:  # the release that MMPose uses lists the dark images
        image["file_name"] = image["file_name"].replace("bright", "dark")
    source = source_of(tmp_path, test)
    write_json(source / "Annotations" / "ExLPose_train_LL.json", train)
    bright = [(i["file_name"].replace("dark", "bright"), (i["width"], i["height"])) for i in train["images"]]
    write_images(source, bright, short=False)
    manifest = import_exlpose(source, tmp_path / "exlpose")
    assert manifest.counts["train"] == (6, 2 * len(train["annotations"]))
    assert len(read_split(tmp_path / "exlpose", "train").pairs) == len(train["annotations"])
    assert {round(e.well_gain_db, 2) for e in manifest.pairs if e.scene in scenes} == {22.56, 16.54, 10.52}


def test_a_flat_list_alone_is_enough(shared_data, tmp_path):
    name = "ExLPose_test_LL-Hard_trans.json"
    people = json.loads((shared_data / "exlpose_annotations" / "ExLPose" / name).read_text())
    names = list(dict.fromkeys(p["imgInfo"]["img_paths"] for p in people))[:3]
    source = tmp_path / "published"
    write_json(source / name, [p for p in people if p["imgInfo"]["img_paths"] in names])
    write_images(source, [(n, (1919, 1199)) for n in names], short=False)
    manifest = import_exlpose(source, tmp_path / "exlpose")
    assert manifest.counts["test_LL-H"][0] == 3
    first = read_split(tmp_path / "exlpose", "test_LL-H").people[0]
    found = next(p["unit"] for p in people if p["imgInfo"]["img_paths"] == names[0])
    assert first.keypoints.ravel() == pytest.approx(found["keypoints"])
    left, top, right, bottom = found["GT_bbox"]
    assert first.box == (left, top, right - left, bottom - top)


def test_the_imported_set_has_only_the_published_defects(shared_data, tmp_path):
    data = shrunk(part_of(published_json(shared_data), lambda i: i % 40 == 0))
    import_exlpose(source_of(tmp_path, data), tmp_path / "exlpose")
    found = counts(find_all(read_subject(tmp_path / "exlpose")))
    assert set(found) <= {"joint_outside_box", "no_joints", "one_visibility", "mixed_image_sizes", "swapped_sides"}


def test_what_is_missing_or_wrong_is_named(shared_data, tmp_path, capsys):
    data = shrunk(part_of(published_json(shared_data), lambda i: i < 3))
    source = source_of(tmp_path, data)
    dark = sorted((source / "dark").iterdir())
    dark[0].unlink()
    assert len(import_exlpose(source, tmp_path / "a").pairs) == 2
    assert "1 of 3 annotated pairs lack an image" in capsys.readouterr().err
    with pytest.raises(ExlcapError, match="exists already"):
        import_exlpose(source, tmp_path / "a")
    cv2.imwrite(str(dark[1]), np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(ExlcapError, match=r"\(5, 5\), expected"):
        import_exlpose(source, tmp_path / "b")
    with pytest.raises(ExlcapError, match="not finished"):
        read_complete(tmp_path / "b")
    for path in dark[1:]:
        path.unlink()
    with pytest.raises(ExlcapError, match="none of the 3 annotated pairs"):
        import_exlpose(source, tmp_path / "c")
    with pytest.raises(ExlcapError, match="below"):
        import_exlpose(source / "bright", tmp_path / "d")


def write_ocn(source):
    """Two cameras in the published layout; one photograph carries an EXIF turn."""
    for camera, count in (("A7M3", 2), ("RICOH3", 1)):
        images, annotations = [], []
        for number in range(count):
            name = f"PID_{camera}/0829_DSC0805{number}.JPG"
            (source / f"PID_{camera}").mkdir(parents=True, exist_ok=True)
            picture = np.random.default_rng([number]).integers(0, 9, (48, 64, 3)).astype(np.uint8)
            data = cv2.imencode(".jpg", picture)[1].tobytes()
            if number == 1:  # an EXIF block that says: turn by half a circle
                exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"
                data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
            (source / name).write_bytes(data)
            images.append({"file_name": name, "id": number, "height": 48, "width": 64, "crowdIndex": 0})
            keypoints = [float(v) for v in standing().keypoints.ravel()]
            annotations.append({"num_keypoints": 14, "iscrowd": 0, "keypoints": keypoints, "image_id": number,
                                "bbox": [22, 3, 20, 42], "category_id": 1, "id": number})  # fmt: skip
        write_json(source / f"ExLPose-OC_test_{camera}.json", {"images": images, "annotations": annotations})


def test_ocn_is_read_by_eval(tmp_path):
    write_ocn(tmp_path / "published")
    manifest = import_ocn(tmp_path / "published", tmp_path / "ocn")
    assert manifest.counts == {"test_A7M3": (2, 2), "test_RICOH3": (1, 1), "test_LL-A": (3, 3)}
    split = read_split(tmp_path / "ocn", "test_LL-A")
    assert [person.light for person in split.people] == ["low"] * 3
    card = (tmp_path / "ocn" / "README.md").read_text()
    assert "| test_A7M3 | 2 | 2 |" in card
    assert "the terms of its publishers apply" in card
    assert other_tests(tmp_path / "ocn") == ["A7M3", "RICOH3"]  # scored beside the paper's five
    for person in split.people:
        assert read_image(tmp_path / "ocn", person.file).shape == (48, 64, 3)
    assert {f.check for f in find_all(read_subject(tmp_path / "ocn"))} == {"one_visibility"}


def test_a_photograph_with_an_exif_turn_is_stored_as_its_pixels_lie(tmp_path):
    write_ocn(tmp_path / "published")
    import_ocn(tmp_path / "published", tmp_path / "ocn")
    path = tmp_path / "published" / "PID_A7M3" / "0829_DSC08051.JPG"
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert not np.array_equal(stored, cv2.imread(str(path)))
    assert np.array_equal(cv2.imread(str(tmp_path / "ocn" / "images" / "low" / "A7M3-0829_DSC08051.png")), stored)
