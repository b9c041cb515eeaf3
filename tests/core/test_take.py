import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Setting
from exlcap.core.take import CameraInfo, Pair, Step, TakeHeader, TakeWriter, encode_raw, pair_id, read_raw, read_take

SETTING = Setting(exposure_us=250.0, gain_db=12.0412)


def start(workspace, folder=None, **changes):
    rig = workspace.rig
    facts = {
        "kind": "scene", "scene": "plaza", "number": 1, "created": "2026-11-20T00:00:00+00:00", "status": "recording",
        "rig": rig, "steps": (Step(k=4, well=SETTING, low=SETTING),), "pairs_per_step": 2, "sync_mode": "software",
        "settings_proof": "assumed", "versions": {},
        "cameras": {r: CameraInfo(serial=rig.serial(r), model="m", driver="d") for r in LIGHTS},
    }  # fmt: skip
    return TakeWriter(folder or workspace.scene("plaza") / "take-001", TakeHeader(**{**facts, **changes}))


def add_pair(writer, index, seed=0):
    raw = np.random.default_rng([seed, index]).integers(0, 4096, (200, 320)).astype(np.uint16)
    frames = {
        light: writer.frame(
            raw, 4, index, light=light, asked=SETTING, read_back=SETTING, frame_id=index, host_time_ns=1
        )
        for light in LIGHTS
    }
    writer.pair(Pair(k=4, index=index, **frames))
    return raw


@given(arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4095)))
def test_a_raw_frame_comes_back_bit_for_bit(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("raw") / "x.tif"
    path.write_bytes(encode_raw(raw, {"k": 4}))
    assert np.array_equal(read_raw(path), raw)


def test_a_take_comes_back_as_written(workspace):
    writer = start(workspace)
    raw = add_pair(writer, 2)
    add_pair(writer, 3)
    writer.finish("complete")
    take = read_take(writer.folder)
    assert take.header.status == "complete"
    assert [take.pair_id(pair) for pair in take.pairs] == ["plaza-t001-k04-000002", "plaza-t001-k04-000003"]
    assert take.missing() == {}
    assert np.array_equal(take.raw(take.pairs[0], "low"), raw)
    assert take.pairs[0].well.mean_dn == pytest.approx(raw.mean())


def test_a_frame_carries_its_own_metadata(workspace):
    import tifffile

    writer = start(workspace)
    add_pair(writer, 2)
    with tifffile.TiffFile(writer.folder / "raw/k04/000002.low.tif") as file:
        about = json.loads(file.pages[0].description)
    assert (about["scene"], about["k"], about["role"], about["bayer"]) == ("plaza", 4, "low", "RGGB")
    assert about["read_back"] == {"exposure_us": 250.0, "gain_db": 12.0412}


def test_a_crash_between_frames_and_line_leaves_the_pair_out(workspace):
    writer = start(workspace)
    add_pair(writer, 2)
    writer.frame(
        np.zeros((200, 320), np.uint16),
        4,
        3,
        light="well",
        asked=SETTING,
        read_back=SETTING,
        frame_id=3,
        host_time_ns=1,
    )
    with (writer.folder / "pairs.jsonl").open("ab") as stream:
        stream.write(b'{"k": 4, "index": 3, "well": {"ro')
    take = read_take(writer.folder)
    assert take.torn
    assert [pair.index for pair in take.pairs] == [2]
    assert take.header.status == "recording"
    assert take.missing() == {4: 1}


def test_a_take_is_never_overwritten(workspace):
    start(workspace)
    with pytest.raises(ExlcapError, match="exists already"):
        start(workspace)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_frame_cut_off_anywhere_is_named(workspace, share):
    writer = start(workspace)
    add_pair(writer, 2)
    path = writer.folder / "raw/k04/000002.well.tif"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    take = read_take(writer.folder)
    with pytest.raises(ExlcapError, match=r"000002\.well\.tif is damaged or cut off"):
        take.raw(take.pairs[0], "well")


def test_a_frame_of_another_size_or_kind_is_refused(workspace, tmp_path):
    writer = start(workspace)
    add_pair(writer, 2)
    take = read_take(writer.folder)
    path = writer.folder / "raw/k04/000002.well.tif"
    path.write_bytes(encode_raw(np.zeros((10, 20), np.uint16), {}))
    with pytest.raises(ExlcapError, match="is 20x10, the take says 320x200"):
        take.raw(take.pairs[0], "well")
    path.unlink()
    with pytest.raises(ExlcapError, match="frame not found"):
        take.raw(take.pairs[0], "well")
    with pytest.raises(ValueError, match=r"uint16 of shape \(H, W\), got float64 \(2, 2\)"):
        encode_raw(np.zeros((2, 2)), {})


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("take.json", '"format": 1', '"format": 3', "unknown format 3"),
        ("take.json", '"status": "recording"', '"status": "fine"', "status"),
        ("take.json", '"number": 1', '"number": 0', "number"),
        ("take.json", '"kind"', '"sort"', "unknown key 'sort'"),
        ("pairs.jsonl", '"index": 2', '"index": -2', "index"),
        ("pairs.jsonl", '"k": 4', '"k": 5', "k = 5, which the header lacks"),
        ("pairs.jsonl", '"exposure_us": 250.0', '"exposure_us": "250"', "exposure_us"),
    ],
)
def test_a_damaged_record_names_file_and_field(workspace, file, old, new, message):
    writer = start(workspace)
    add_pair(writer, 2)
    text = (writer.folder / file).read_text()
    assert old in text
    (writer.folder / file).write_text(text.replace(old, new))
    with pytest.raises(ExlcapError) as caught:
        read_take(writer.folder)
    assert message in caught.value.message
    assert file in caught.value.message


def test_a_folder_without_a_header_is_no_take(tmp_path):
    with pytest.raises(ExlcapError, match="take header not found"):
        read_take(tmp_path)


@given(st.integers(1, 999), st.integers(1, 99), st.integers(0, 999999))
def test_pair_ids_tell_every_pair_apart(take, k, index):
    name = pair_id("a-b", take, k, index)
    assert name.startswith("a-b-t")
    assert name != pair_id("a-b", take, k, index + 1)
    assert name != pair_id("a-b", take + 1, k, index)
