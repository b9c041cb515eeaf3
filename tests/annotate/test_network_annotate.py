"""`exlcap annotate` with networks, from raw frames to the label files of both cameras."""

import json
import threading
import time
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from exlcap.annotate import automatic
from exlcap.annotate.commands import annotate_command
from exlcap.annotate.hand_labels import iou
from exlcap.annotate.tracks import NEW, with_ids
from exlcap.core.alignment import make_alignment, write_alignment
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file
from exlcap.core.labels import PairLabels, Person, read_coco, read_labels, write_labels
from exlcap.core.rig import LIGHTS, WHITE_DN
from exlcap.core.take import CameraInfo, Pair, TakeHeader, TakeWriter
from exlcap.simulate.optics import true_alignment
from tests.annotate import made_networks as made
from tests.conftest import make_take, make_workspace, steps_of

SIZE = (320, 200)
SHIFT = np.array([[1, 0, 5.0], [0, 1, -3.0], [0, 0, 1]])
PAIRS = 4


def at(frame: int) -> list[np.ndarray]:
    """Two people who walk towards each other, and pass at different heights."""
    return [made.stick(60 + 4 * frame, 20, 12), made.stick(230 - 4 * frame, 40, 12)]


def raw_of(picture, rig):
    """The Bayer frame that develops to a grey picture, uint8 (H, W, 3)."""
    srgb = picture[..., 0] / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    black = rig.dark_level_dn("well")
    return np.rint(black + linear * (WHITE_DN - black)).astype(np.uint16)


@pytest.fixture
def walked(workspace):
    """A take of two painted people in two steps, and an alignment with a mirror in it."""
    rig = workspace.rig
    steps = steps_of(rig, "plaza", (1, 4))
    info = {light: CameraInfo(serial=rig.serial(light), model="painted", driver="none") for light in LIGHTS}
    header = TakeHeader(
        kind="scene", scene="plaza", number=1, created="2026-11-20T00:00:00+00:00", status="recording", rig=rig,
        steps=steps, pairs_per_step=PAIRS, sync_mode="software", settings_proof="assumed", cameras=info, versions={},
    )  # fmt: skip
    writer = TakeWriter(workspace.scene("plaza") / "take-001", header)
    for number, step in enumerate(steps):
        for index in range(PAIRS):
            raw = raw_of(made.painted(at(number * PAIRS + index), SIZE), rig)
            frames = {
                light: writer.frame(
                    raw, step.k, index, light=light, asked=step.setting(light), read_back=step.setting(light),
                    frame_id=index, host_time_ns=time.time_ns(),
                )
                for light in LIGHTS
            }  # fmt: skip
            writer.pair(Pair(k=step.k, index=index, **frames))
    writer.finish("complete")
    alignment = make_alignment(SHIFT, True, SIZE, SIZE, "ref-001", "2026-11-20T00:00:00+00:00")
    write_alignment(workspace.alignments / "align-001.json", alignment)
    return workspace


@pytest.fixture
def cards(tmp_path):
    folder = tmp_path / "cards"
    folder.mkdir()
    boxes = [[[30, 1, 160, 150, 0.9], [160, 20, 290, 180, 0.8]]]
    made.constant_network(folder / "boxes.onnx", *SIZE, boxes=boxes)
    made.card(folder / "boxes.toml", Path("boxes.onnx"), *SIZE, "[detector]")
    made.heatmap_network(folder / "maps.onnx", 192, 256)
    made.card(folder / "maps.toml", Path("maps.onnx"), 192, 256, "[heatmap]", 'detector_card = "boxes.toml"')
    return folder


def annotate(workspace, *arguments):
    done = CliRunner().invoke(annotate_command, [*map(str, arguments), "--json"], obj=workspace.root)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_both_frames_get_labels_where_the_people_are(walked, cards):
    data = annotate(walked, "--network", cards / "maps.toml")
    assert data["takes"] == [{"take": "plaza take-001", "pairs": 8, "labelled": 8, "people": 16}]
    assert data["device"] == "CPU"
    labels = read_labels(walked.labels("plaza", 1))
    for number, pair in enumerate(labels.pairs.values()):
        assert len(pair.well) == len(pair.low) == 2
        for person, true in zip(sorted(pair.well, key=lambda p: p.id), at(number), strict=True):
            assert np.abs(person.keypoints[:, :2] - true).max() < 1.5
            assert (person.keypoints[:, 2] == 2).all()
            assert person.scores is not None and person.scores.min() > 0.5
            assert person.spread_px is not None and person.spread_px.max() < 1.5
            assert f"network: maps 1 sha256:{sha256_file(cards / 'maps.onnx')}" in person.origin
            (carried,) = [p for p in pair.low if p.id == person.id]
            there = carried.labelled
            expected = np.column_stack([319 - (person.keypoints[:, 0] - 5), person.keypoints[:, 1] + 3])
            assert np.allclose(carried.keypoints[there, :2], expected[there])
            assert there.sum() >= 12


def test_ids_hold_through_the_steps_of_a_take(walked, cards):
    annotate(walked, "--network", cards / "maps.toml")
    pairs = read_labels(walked.labels("plaza", 1)).pairs.values()
    ids = [sorted(person.id for person in pair.well) for pair in pairs]
    assert ids == [["p1", "p2"]] * 8


def test_running_again_changes_nobody_decided_on_or_labelled_by_hand(walked, cards):
    annotate(walked, "--network", cards / "maps.toml")
    path = walked.labels("plaza", 1)
    labels = read_labels(path)
    names = list(labels.pairs)
    moved = {}
    for name, review, origin in (
        (names[0], "accepted", "network: old"),
        (names[1], "edited", "network: old"),
        (names[2], "rejected", "network: old"),
        (names[3], "undecided", "hand: a.json"),
    ):
        first, second = labels.pairs[name].well
        keypoints = np.add(first.keypoints, (3, 2, 0))
        moved[name] = Person(first.id, keypoints, first.box, origin, review=review)
        labels.pairs[name] = PairLabels((moved[name], second), ())
    write_labels(path, labels)
    again_toml = (cards / "maps.toml").read_text().replace('version = "1"', 'version = "2"')
    (cards / "maps.toml").write_text(again_toml)
    annotate(walked, "--network", cards / "maps.toml")
    again = read_labels(path)
    for name, kept in moved.items():
        people = {person.id: person for person in again.pairs[name].well}
        assert len(people) == 2
        assert np.array_equal(people[kept.id].keypoints, kept.keypoints)
        assert (people[kept.id].review, people[kept.id].origin) == (kept.review, kept.origin)
    fresh = again.pairs[names[5]].well
    assert all(person.origin.startswith("network: maps 2") for person in fresh)


def test_a_run_that_was_stopped_goes_on_where_it_was(walked, cards, monkeypatch):
    seen = []
    real = automatic.people_in

    def counted(networks, picture):
        if len(seen) == 6:
            raise KeyboardInterrupt
        seen.append(picture)
        return real(networks, picture)

    monkeypatch.setattr(automatic, "people_in", counted)
    with pytest.raises(AssertionError, match="Aborted"):
        annotate(walked, "--network", cards / "maps.toml")
    path = walked.labels("plaza", 1)
    first = read_labels(path)
    assert len(first.pairs) == PAIRS  # the step that was whole
    seen.clear()
    annotate(walked, "--network", cards / "maps.toml")
    assert len(seen) == PAIRS
    whole = read_labels(path)
    assert len(whole.pairs) == 2 * PAIRS
    assert all(
        a.to_json() == b.to_json()
        for name, pair in first.pairs.items()
        for a, b in zip(pair.well, whole.pairs[name].well, strict=True)
    )
    assert {person.id for pair in whole.pairs.values() for person in pair.well} == {"p1", "p2"}


def test_unsure_joints_are_flagged_and_missing_ones_left_out(walked, cards):
    text = (cards / "maps.toml").read_text()
    # what these maps reach counts for little: every joint is unsure, then unknown
    (cards / "maps.toml").write_text(text.replace("[joints]", "[joints]\nfull_score = 2.5"))
    annotate(walked, "--network", cards / "maps.toml")
    people = [p for pair in read_labels(walked.labels("plaza", 1)).pairs.values() for p in pair.well]
    assert len(people) == 16
    assert all((person.keypoints[:, 2] == 1).all() for person in people)
    (cards / "maps.toml").write_text(text.replace("[joints]", "[joints]\nfull_score = 20"))
    assert annotate(walked, "--network", cards / "maps.toml")["takes"][0]["people"] == 0


def test_weights_from_a_server_and_from_a_file(walked, cards, tmp_path, monkeypatch):
    monkeypatch.setenv("EXLCAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = tmp_path / "served"
    served.mkdir()
    with zipfile.ZipFile(served / "maps-1.zip", "w") as archive:
        archive.write(cards / "maps.onnx", "20260101/maps/end2end.onnx")
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/maps-1.zip"
    card = cards / "maps.toml"
    card.write_text(card.read_text().replace('file = "maps.onnx"', f'url = "{url}"\nmember = "end2end.onnx"'))
    assert annotate(walked, "--network", card)["takes"][0]["people"] == 16
    assert (tmp_path / "cache" / "weights" / "maps-1.zip").is_file()
    server.shutdown()
    server.server_close()
    assert annotate(walked, "--network", card)["takes"][0]["people"] == 16  # from the cache
    monkeypatch.setenv("EXLCAP_CACHE", str(tmp_path / "other"))
    with pytest.raises(ExlcapError, match="cannot be downloaded") as caught:
        annotate(walked, "--network", card)
    assert url in caught.value.hint
    assert "--weights maps=FILE" in caught.value.hint
    boxes = (cards / "boxes.toml").read_text()
    (cards / "boxes.toml").write_text(boxes.replace('file = "boxes.onnx"', f'url = "{url}"\nmember = "end2end.onnx"'))
    with pytest.raises(ExlcapError) as caught:
        annotate(walked, "--network", card)
    assert "--weights maps=FILE --weights boxes=FILE" in caught.value.hint  # all that is missing at once
    (cards / "boxes.toml").write_text(boxes)
    for given in (served / "maps-1.zip", f"maps={cards / 'maps.onnx'}"):
        data = annotate(walked, "--network", card, "--weights", given)
        assert sha256_file(cards / "maps.onnx") in data["origin"]


def test_hand_labels_and_networks_do_not_go_together(walked, cards, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ExlcapError, match="--from labels without a network"):
        annotate(walked, "--from", tmp_path / "a.json", "--network", cards / "maps.toml")


def test_a_scene_that_is_not_there_is_told(walked, cards):
    with pytest.raises(ExlcapError, match="no takes to label of scene 'hall'"):
        annotate(walked, "--network", cards / "maps.toml", "--scene", "hall")


def someone(x: float, name: str = NEW) -> Person:
    joints = made.stick(x, 40)
    return Person(name, np.column_stack([joints, np.full(14, 2.0)]), (x - 20, 30.0, 50.0, 140.0), "network: a")


def ids_of(frames):
    return [[person.id for person in people] for people in with_ids(frames)]


def test_people_are_followed_by_where_they_are_not_by_their_order():
    frames = [[someone(50 + 3 * i), someone(200 - 3 * i)][:: 1 if i % 2 else -1] for i in range(4)]
    assert ids_of(frames) == [["p1", "p2"], ["p2", "p1"]] * 2


def test_somebody_hidden_for_a_while_comes_back_as_the_same():
    frames = [[someone(50)], [], [], [someone(55)], *[[]] * 6, [someone(55)]]
    assert [ids for ids in ids_of(frames) if ids] == [["p1"], ["p1"], ["p2"]]


def test_an_id_given_by_hand_spreads_to_the_frames_around_and_is_nobody_elses():
    frames = [[someone(50)], [someone(53, "anna"), someone(200)], [someone(56), someone(203, "p1")]]
    assert ids_of(frames) == [["anna"], ["anna", "p1"], ["anna", "p1"]]


def test_simulated_people_keep_their_ids_though_found_roughly_and_in_any_order(workspace, shot):
    shot("plaza", (1,), 8)
    rng = np.random.default_rng([5])
    frames, truth = [], []
    for image in read_coco(workspace.simulated / "plaza" / "take-001.json"):
        people = [image.people[i] for i in rng.permutation(len(image.people))]
        noise = [0.02 * max(person.box[2:]) for person in people]
        moved = [p.keypoints + np.column_stack([rng.normal(0, s, (14, 2)), np.zeros(14)])
                 for p, s in zip(people, noise, strict=True)]  # fmt: skip
        frames.append([Person(NEW, k, p.box, "network: a") for p, k in zip(people, moved, strict=True)])
        truth.append([person.id for person in people])
    pairs = {(name, true) for names, ids in zip(ids_of(frames), truth, strict=True)
             for name, true in zip(names, ids, strict=True)}  # fmt: skip
    assert len(pairs) == len({true for _, true in pairs}) >= 2


def test_an_id_is_never_twice_in_a_frame():
    # the same hand-given id on two people who are far apart: the second person's frames get another
    frames = [[someone(50, "anna"), someone(200)], [someone(52), someone(201, "anna")], [someone(54), someone(203)]]
    named = ids_of(frames)
    assert all(len(set(ids)) == len(ids) for ids in named)
    assert named[0][0] == named[1][1] == "anna"


@pytest.mark.slow
def test_a_lab_of_photographs_is_labelled_by_real_networks(shared_data, tmp_path):
    photos, labels = shared_data / "crowd" / "images", shared_data / "crowd" / "annotations.json"
    shown = f'people = [2, 3]\nphotos = "{photos.as_posix()}"\nlabels = "{labels.as_posix()}"'
    full = {"width = 320": "width = 960", "height = 200": "height = 600", "people = [2, 3]": shown}
    lab = make_workspace(tmp_path / "lab", full)
    for scene in ("one", "three"):
        make_take(lab, scene, (1, 4), 1)
    write_alignment(lab.alignments / "align-001.json", true_alignment(lab.rig))
    annotate(lab, "--network", Path(__file__).parent / "cards" / "movenet.toml")
    truth = true_alignment(lab.rig)
    right, low_off = [], []
    for scene in ("one", "three"):
        made_labels = read_labels(lab.labels(scene, 1)).pairs
        for image in read_coco(lab.simulated / scene / "take-001.json"):
            pair = made_labels[image.file_name.removesuffix(".png")]
            for true in image.people:
                found = max(pair.well, key=lambda p: iou(p.box, true.box), default=None)
                if found is None or iou(found.box, true.box) < 0.5:
                    continue
                both = true.labelled & (found.keypoints[:, 2] == 2)
                off = np.linalg.norm(found.keypoints[both, :2] - true.keypoints[both, :2], axis=1)
                right += (off <= 0.1 * max(true.box[2:])).tolist()
            for carried in pair.low:
                (source,) = [p for p in pair.well if p.id == carried.id]
                there = carried.labelled
                place = truth.map_well_to_low(source.keypoints[there, :2])
                low_off += np.linalg.norm(carried.keypoints[there, :2] - place, axis=1).tolist()
    assert len(right) >= 20
    assert np.mean(right) >= 0.8
    assert max(low_off) < 0.01
