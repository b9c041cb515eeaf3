"""Networks on pictures: made ones with known answers here, real ones on real photographs where those are at hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.annotate.networks.card import read_card
from exlcap.annotate.networks.choose import Cards, choose_cards, given_weights, load_networks
from exlcap.annotate.networks.detect import find_boxes
from exlcap.annotate.networks.network import load_network
from exlcap.annotate.networks.oks import oks, suppressed_boxes
from exlcap.annotate.networks.people import agreed, people_in, people_in_boxes
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file
from exlcap.core.joints import FLIP_INDICES, JOINTS
from exlcap.core.labels import read_coco
from tests.annotate import made_networks as made

TEST_CARDS = Path(__file__).parent / "cards"
BOX = (20.0, 30.0, 80.0, 160.0)
PICTURE = (320, 240)


@pytest.fixture
def stick_cards(tmp_path):
    """A heat map network of painted joints, and a detector that always says the same two boxes."""
    boxes = [[0.1, 0.1, 150, 239, 0.9], [2, 0, 151, 240, 0.8], [160, 20, 300, 220, 0.7], [0, 0, 9, 9, 0.1]]
    made.constant_network(tmp_path / "boxes.onnx", *PICTURE, boxes=[boxes])
    made.card(tmp_path / "boxes.toml", Path("boxes.onnx"), *PICTURE, "[detector]")
    made.heatmap_network(tmp_path / "maps.onnx", 192, 256)
    partner = 'detector_card = "boxes.toml"'
    made.card(tmp_path / "maps.toml", Path("maps.onnx"), 192, 256, "[heatmap]", partner)
    return tmp_path


def test_painted_joints_are_found_where_they_are(stick_cards):
    networks = load_networks(choose_cards(stick_cards / "maps.toml"))
    people = [made.stick(60, 60), made.stick(220, 50)]
    found = people_in(networks, made.painted(people, PICTURE))
    assert len(found) == 2  # the boxes overlap, or are unsure
    for person, true in zip(sorted(found, key=lambda f: f.joints[0, 0]), people, strict=True):
        assert np.abs(person.joints[:, :2] - true).max() < 1.0
        assert person.joints[:, 2].min() > 0.5
        assert person.spread_px.max() < 1.0
    assert networks.origin.startswith("network: maps 1 sha256:" + sha256_file(stick_cards / "maps.onnx"))
    assert "boxes: boxes 1 sha256:" in networks.origin


@pytest.mark.parametrize("batch", ["N", 1, 3])
def test_crops_go_through_in_batches_that_the_network_takes(tmp_path, batch):
    made.heatmap_network(tmp_path / "maps.onnx", 96, 128, batch)
    card = read_card(made.card(tmp_path / "m.toml", Path("maps.onnx"), 96, 128, "[heatmap]"))
    true = made.stick(120, 60)
    picture = made.painted([true], PICTURE)
    boxes = [((90.0 + 5 * i, 40.0, 80.0, 140.0 + i), 1.0) for i in range(5)]
    found = people_in_boxes(load_networks(Cards(card)), picture, boxes)
    assert [person.box for person in found] == [box for box, _ in boxes]
    for person in found:
        assert np.abs(person.joints[:, :2] - true).max() < 2.0


def test_simcc_and_heat_maps_say_the_same(tmp_path):
    made.heatmap_network(tmp_path / "maps.onnx", 192, 256)
    made.simcc_network(tmp_path / "simcc.onnx", 192, 256)
    heat = read_card(made.card(tmp_path / "a.toml", Path("maps.onnx"), 192, 256, "[heatmap]"))
    simcc = read_card(made.card(tmp_path / "b.toml", Path("simcc.onnx"), 192, 256, "[simcc]\nsplit = 1.0"))
    true = made.stick(60, 60)
    picture, boxes = made.painted([true], PICTURE), [((30.0, 40.0, 100.0, 150.0), 1.0)]
    for card in (heat, simcc):
        (found,) = people_in_boxes(load_networks(Cards(card)), picture, boxes)
        assert np.abs(found.joints[:, :2] - true).max() < 1.5


def test_a_one_stage_network_is_read_whole_and_looked_at_mirrored(tmp_path):
    person = np.column_stack([made.stick(60, 40), np.full(14, 0.9)])
    symmetric = np.column_stack([np.full(14, 159.5), made.stick(0, 40)[:, 1], np.full(14, 0.6)])
    boxes = [[[30, 30, 110, 160, 0.9], [140, 30, 180, 160, 0.8], [5, 5, 9, 9, 0.1]]]
    joints = [np.stack([person, symmetric, symmetric])]
    made.constant_network(tmp_path / "rtmo.onnx", *PICTURE, dets=boxes, keypoints=joints)
    path = made.card(tmp_path / "rtmo.toml", Path("rtmo.onnx"), *PICTURE, "[onestage]")
    networks = load_networks(choose_cards(path))
    large = np.zeros((2 * PICTURE[1], 2 * PICTURE[0], 3), np.uint8)
    found = sorted(people_in(networks, large), key=lambda f: f.joints[0, 0])
    assert len(found) == 2
    # pixel x of the network lies at 2 x + 0.5 of a picture twice as large
    assert found[0].joints[:, :2] == pytest.approx(2 * person[:, :2] + 0.5)
    assert found[0].box == pytest.approx((60, 60, 160, 260))
    assert found[1].alike.min() > 0.999  # the mirrored picture agrees on the one in the middle
    with pytest.raises(ExlcapError, match="needs no detector"):
        choose_cards(path, detector="yolox-m")


def test_a_second_network_gives_what_the_first_lacks_and_judges_the_rest(tmp_path):
    made.heatmap_network(tmp_path / "all.onnx", 192, 256)
    made.heatmap_network(tmp_path / "limbs.onnx", 192, 256, names=JOINTS[:12])
    made.card(tmp_path / "all.toml", Path("all.onnx"), 192, 256, "[heatmap]\noffset = 3.5")
    limbs = made.card(
        tmp_path / "limbs.toml", Path("limbs.onnx"), 192, 256, "[heatmap]", 'second_card = "all.toml"', JOINTS[:12]
    )
    card = read_card(limbs)
    true = made.stick(60, 60)
    picture, boxes = made.painted([true], PICTURE), [((30.0, 40.0, 100.0, 150.0), 1.0)]
    (alone,) = people_in_boxes(load_networks(Cards(card)), picture, boxes)
    assert not alone.joints[12:].any()
    (both,) = people_in_boxes(load_networks(Cards(card, second=read_card(tmp_path / "all.toml"))), picture, boxes)
    assert np.array_equal(both.joints[:12, :2], alone.joints[:12, :2])
    # the second one's wrong convention puts it off by (4 - 1) * 3 input pixels, 6.6 of the picture, to the right and
    # down; seen mirrored to the left and down
    assert np.abs(both.joints[12:, 0] - true[12:, 0]).max() < 1
    assert both.joints[12:, 1] - true[12:, 1] == pytest.approx(6.6, abs=1.5)
    assert both.spread_px[:12].mean() == pytest.approx(6.6, abs=1)
    assert (both.joints[:12, 2] < alone.joints[:12, 2]).all()


def opinion(**moved):
    joints = np.column_stack([np.linspace(30, 90, 14), np.linspace(40, 180, 14), np.full(14, 0.8)])
    for name, (dx, dy, score) in moved.items():
        joints[JOINTS.index(name)] += (dx, dy, score - 0.8)
    return joints


def test_close_opinions_are_averaged_by_score_and_far_ones_are_not():
    a, b = opinion(head=(0, 0, 0.9), neck=(0, 0, 0.3)), opinion(head=(4, 0, 0.3), neck=(60, 0, 0.6))
    found = agreed(np.stack([a, b]), BOX, 1.0)
    head, neck, knee = (JOINTS.index(name) for name in ("head", "neck", "left_knee"))
    assert found.joints[head, 0] == pytest.approx(a[head, 0] + 4 * 0.3 / 1.2)
    assert found.joints[neck, 0] == pytest.approx(b[neck, 0])
    assert found.alike[knee] == 1
    assert found.spread_px[knee] == 0
    assert found.joints[knee, 2] == pytest.approx(0.8)
    assert found.alike[neck] < 0.7
    assert found.spread_px[neck] == pytest.approx(60 * np.sqrt(0.3 / 0.9))
    assert found.joints[neck, 2] < 0.45 * 0.9


@given(st.lists(st.floats(-30, 30), min_size=14, max_size=14), st.floats(0.05, 1), st.floats(0.05, 1))
def test_it_does_not_matter_which_opinion_comes_first(shifts, one, other):
    a, b = opinion(), opinion()
    b[:, 0] += shifts
    a[:, 2], b[:, 2] = one, other + 1e-3
    first, second = agreed(np.stack([a, b]), BOX, 1.0), agreed(np.stack([b, a]), BOX, 1.0)
    if abs(one - other - 1e-3) > 1e-6:
        assert np.allclose(first.joints, second.joints)
    assert np.allclose(first.joints[:, 2], second.joints[:, 2])


def test_oks_is_that_of_coco():
    a, b = opinion(), opinion(head=(10, 0, 0.8))
    assert oks(a, a, BOX) == 1
    expected = np.exp(-100 / (2 * 80 * 160 * 0.53 * (2 * 0.079) ** 2))
    assert oks(a, b, BOX) == pytest.approx((13 + expected) / 14)
    assert oks(a, np.zeros((14, 3)), BOX) == 0


def test_boxes_that_overlap_give_way_to_the_surest():
    rows = np.array([[0, 0, 10, 10, 0.5], [0, 0, 10, 11, 0.9], [50, 0, 60, 10, 0.4]])
    assert suppressed_boxes(rows, 0.6)[:, 4].tolist() == [0.9, 0.4]
    assert len(suppressed_boxes(rows[:0], 0.6)) == 0


def test_weights_are_those_of_the_card(stick_cards, tmp_path):
    path = stick_cards / "maps.toml"
    text = path.read_text()
    pinned = text.replace("[weights]", f'[weights]\nsha256 = "{"0" * 64}"')
    path.write_text(pinned)
    with pytest.raises(ExlcapError, match="has SHA-256"):
        load_network(read_card(path))
    path.write_text(text.replace("width = 192", "width = 200"))
    with pytest.raises(ExlcapError, match=r"takes \['N', 3, 256, 192\]"):
        load_network(read_card(path))
    path.write_text(text.replace("maps.onnx", "gone.onnx"))
    with pytest.raises(ExlcapError, match="are not at") as caught:
        load_network(read_card(path))
    assert "--weights maps=FILE" in caught.value.hint
    card = read_card(path)
    given = given_weights([f"maps={stick_cards / 'maps.onnx'}"], Cards(card))
    assert load_network(card, given["maps"]).batch > 1
    path.write_text(text)
    assert given_weights([str(stick_cards / "maps.onnx")], Cards(read_card(path))) == {
        "maps": stick_cards / "maps.onnx"
    }
    with pytest.raises(ExlcapError, match="no network in use"):
        given_weights([str(stick_cards / "boxes.onnx")], Cards(read_card(path)))
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    with pytest.raises(ExlcapError, match="not a network that ONNX Runtime can open"):
        load_network(card, tmp_path / "bad.onnx")


def test_outputs_and_joints_that_the_card_gets_wrong_are_named(stick_cards):
    path = stick_cards / "maps.toml"
    text = path.read_text()
    path.write_text(text.replace("[heatmap]", '[heatmap]\noutput = "heat"'))
    picture = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(ExlcapError, match="no output 'heat'") as caught:
        people_in_boxes(load_networks(Cards(read_card(path))), picture, [(BOX, 1.0)])
    assert "maps" in caught.value.hint
    path.write_text(text.replace('"neck"', '"neck", "tail"'))
    with pytest.raises(ExlcapError, match="gives 14 joints, its card names 15"):
        people_in_boxes(load_networks(Cards(read_card(path))), picture, [(BOX, 1.0)])


def test_partners_of_a_wrong_kind_are_refused(stick_cards):
    with pytest.raises(ExlcapError, match="only finds boxes"):
        choose_cards(stick_cards / "boxes.toml")
    with pytest.raises(ExlcapError, match="was given maps, which is not a detector"):
        choose_cards(stick_cards / "maps.toml", stick_cards / "maps.toml")
    with pytest.raises(ExlcapError, match="cannot be the second"):
        choose_cards(stick_cards / "maps.toml", second=stick_cards / "boxes.toml")


@pytest.fixture(scope="module")
def real(request):
    """The small networks of ../shared/data, loaded once."""
    if not (Path(__file__).parents[2].parent / "shared" / "data" / "models").is_dir():
        pytest.skip("no ../shared/data/models beside the checkout")
    return load_networks(choose_cards(TEST_CARDS / "movenet.toml"), threads=1)


def photos(folder: Path, name: str, count: int, start: int = 0):
    import cv2

    for image in read_coco(folder / f"{name}.json")[start : start + count]:
        picture = cv2.imread(str(folder / "images" / image.file_name))
        assert picture is not None
        yield image, np.ascontiguousarray(picture[..., ::-1])


def share_right(networks, images) -> float:
    right = []
    for image, picture in images:
        person = image.people[0]
        (found,) = people_in_boxes(networks, picture, [(person.box, 1.0)])
        distance = np.linalg.norm(found.joints[:, :2] - person.keypoints[:, :2], axis=1)
        right += (distance <= 0.1 * max(person.box[2:]))[person.labelled].tolist()
    return float(np.mean(right))


def test_real_networks_find_joints_of_real_people(real, shared_data):
    images = list(photos(shared_data / "people", "test", 24))
    assert share_right(real, images) >= 0.62


@pytest.mark.slow
def test_movenet_with_cpm_reaches_what_was_asked(shared_data):
    networks = load_networks(choose_cards(TEST_CARDS / "movenet-with-cpm.toml"), threads=2)
    assert share_right(networks, list(photos(shared_data / "people", "test", 60))) >= 0.62


def test_the_real_detector_finds_the_people_of_a_crowd(real, shared_data):
    found, wanted = 0, 0
    for image, picture in photos(shared_data / "crowd", "annotations", 4, start=3):
        boxes = [box for box, _ in find_boxes(real.detector, picture)]
        wanted += len(image.people)
        for person in image.people:
            centre = np.add(person.box[:2], np.array(person.box[2:]) / 2)
            found += any(x <= centre[0] <= x + w and y <= centre[1] <= y + h for x, y, w, h in boxes)
        for x, y, width, height in boxes:
            assert x >= 0 and y >= 0 and x + width <= picture.shape[1] and y + height <= picture.shape[0]
    assert found >= 0.8 * wanted > 0


def test_a_mirrored_photograph_gives_mirrored_people(real, shared_data):
    ((image, picture),) = photos(shared_data / "people", "test", 1)
    x, y, width, height = image.people[0].box
    (one,) = people_in_boxes(real, picture, [(image.people[0].box, 1.0)])
    size = picture.shape[1]
    flipped = np.ascontiguousarray(picture[:, ::-1])
    (other,) = people_in_boxes(real, flipped, [((size - x - width, y, width, height), 1.0)])
    back = other.joints[list(FLIP_INDICES)]
    back[:, 0] = size - 1 - back[:, 0]
    assert np.linalg.norm(one.joints[:, :2] - back[:, :2], axis=1).max() < 0.02 * max(width, height)
    assert np.allclose(one.joints[:, 2], back[:, 2], atol=0.1)
