"""`exlcap verify` finds whatever is wrong with a take, and nothing in a take that is right."""

import json

import numpy as np
import pytest

from exlcap.capture.cameras.simulated import Fault, SimulatedCamera
from exlcap.capture.checking.verify import verify_take
from exlcap.core.alignment import write_alignment
from exlcap.core.drift import Drift, write_drift
from exlcap.core.files import append_jsonl, read_jsonl
from exlcap.core.take import encode_raw
from exlcap.simulate.knock import knocked
from exlcap.simulate.optics import true_alignment


@pytest.fixture
def take(simulated):
    return simulated(SimulatedCamera("0815-0000"), SimulatedCamera("0815-0001"), pairs=3)


def problems(take):
    return verify_take(take.folder, "take").problems


def rewrite(take, change):
    """Change the listed pairs (as JSON) in place."""
    lines, _ = read_jsonl(take.folder / "pairs.jsonl")
    change(lines)
    (take.folder / "pairs.jsonl").unlink()
    for line in lines:
        append_jsonl(take.folder / "pairs.jsonl", line)


def replace_frame(take, raw, **about):
    """Put another frame in the place of the first bright one, with its checksum listed."""
    from exlcap.core.files import sha256_bytes

    frame = take.pairs[0].well
    told = {"k": 1, "index": take.pairs[0].index, "role": "well", "serial": "0815-0000", **about}
    data = encode_raw(raw, told)
    (take.folder / frame.file).write_bytes(data)
    rewrite(take, lambda lines: lines[0]["well"].update(sha256=sha256_bytes(data)))


def test_a_good_take_is_right(take):
    verdict = verify_take(take.folder, "take")
    assert verdict.problems == [] and verdict.remarks == []
    assert (verdict.pairs, verdict.missing, verdict.orphans) == (6, 0, 0)


def test_one_flipped_bit_is_found(take):
    path = take.folder / take.pairs[2].low.file
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    (problem,) = problems(take)
    assert problem.startswith("k = 1 pulse 3: low: raw/k01/000003.low.tif: checksum differs")


def test_a_frame_that_is_gone_is_found(take):
    (take.folder / take.pairs[0].well.file).unlink()
    (problem,) = problems(take)
    assert "000001.well.tif: No such file" in problem


@pytest.mark.parametrize(
    ("raw", "about", "says"),
    [
        (np.full((64, 64), 4096, np.uint16), {}, "level 4096 is beyond 12 bits"),
        (np.zeros((64, 32), np.uint16), {}, "32x64, expected 64x64"),
        (np.zeros((64, 64), np.uint16), {"role": "low"}, "says that it is"),
        (np.zeros((64, 64), np.uint16), {"serial": "1"}, "says that it is"),
    ],
)
def test_a_frame_that_is_not_what_was_recorded_is_found(take, raw, about, says):
    replace_frame(take, raw, **about)
    (problem,) = problems(take)
    assert says in problem


def other_setting(exposure_us):
    return {"exposure_us": exposure_us, "gain_db": 0.0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: lines[1]["low"].update(counter=9), "pulse counters differ: well 3, low 9"),
        (lambda lines: [lines[1][r].update(counter=None, frame_id=n) for n, r in enumerate(("well", "low"))],
         "frame ids differ: well 0, low 1"),
        (lambda lines: lines[0]["well"].update(asked=other_setting(900.0)), "but the step is 1000.00 us"),
        (lambda lines: lines[0]["well"].update(read_back=other_setting(900.0)), "read back 900.00 us"),
        (lambda lines: lines[0]["well"].update(chunk=other_setting(500.0)), "its chunk says 500.00 us"),
        (lambda lines: lines[0]["well"].update(chunk=None), "carries no chunk data"),
        (lambda lines: lines.pop(), "step k = 4 lacks 1 pair"),
        (lambda lines: lines.append(lines[-1]), "k = 4 pulse 3 is listed 2 times"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_right_is_found(take, change, says):
    rewrite(take, change)
    found = problems(take)
    assert any(says in problem for problem in found), found


def test_a_torn_line_and_a_stray_frame_are_noted(take):
    (take.folder / "raw" / "k01" / "000099.well.tif").write_bytes(b"half")
    with (take.folder / "orphans.jsonl").open("ab") as stream:
        stream.write(b'{"k": 1')
    verdict = verify_take(take.folder, "take")
    assert verdict.problems == [] and len(verdict.remarks) == 2


def test_pulses_that_a_camera_ignored_are_noted_with_what_to_do(simulated):
    take = simulated(SimulatedCamera("0815-0000"), SimulatedCamera("0815-0001", faults=[Fault(3, "miss")]), pairs=3)
    assert take.header.missed_triggers == {"well": 0, "low": 1}
    verdict = verify_take(take.folder, "take")
    assert verdict.problems == []
    (orphans, remark) = verdict.remarks
    assert orphans.startswith("2 orphans: ")
    assert remark.startswith("the low camera ignored 1 pulse,") and "lower sync.pulse_hz" in remark


def test_the_command_tells_all_takes_and_fails_when_one_is_wrong(lab, exlcap):
    assert exlcap(lab, "verify", "--all").returncode == 2
    for arguments in (("--reference",), ("--scene", "plaza", "--schedule", "1", "--pairs", "2")):
        assert exlcap(lab, "shoot", *arguments).returncode == 0
    good = exlcap(lab, "verify", "--all", "--json")
    assert good.returncode == 0, good.stderr
    takes = json.loads(good.stdout)["takes"]
    assert [(take["take"], take["ok"]) for take in takes] == [
        ("references/ref-001", True), ("scenes/plaza/take-001", True)
    ]  # fmt: skip
    (lab.scene("plaza") / "take-001" / "raw" / "k01" / "000001.low.tif").write_bytes(b"")
    bad = exlcap(lab, "verify", "plaza")
    assert bad.returncode == 1 and "WRONG" in bad.stdout and "checksum differs" in bad.stdout
    assert "not measurable here" in bad.stdout
    assert exlcap(lab, "verify").returncode == 2
    assert exlcap(lab, "verify", "nowhere").returncode == 2


def drift_by(x, y):
    """A shift of all corners."""
    return Drift(alignment="align-001", corners_px=((x, y),) * 4, corner_sd_px=0.05, shift_px=(x, y), turn_deg=0.0,
                 zoom=1.0, cells=20)  # fmt: skip


def test_a_drift_noted_by_align_is_told_and_too_much_of_it_is_wrong(take):
    write_drift(take.folder, drift_by(0.06, 0.08))
    verdict = verify_take(take.folder, "plaza")
    assert any("0.100 +- 0.050 px from align-001" in remark for remark in verdict.remarks)
    assert verdict.problems == []
    write_drift(take.folder, drift_by(0.6, 0.8))
    verdict = verify_take(take.folder, "plaza")
    assert any("1.000 +- 0.050 px from align-001" in problem for problem in verdict.problems)
    assert verdict.data()["drift_px"] == pytest.approx(1.0)


def test_the_drift_of_a_take_is_measured_where_none_is_noted(changed_lab, exlcap):
    lab = changed_lab({"width = 320": "width = 640", "height = 200": "height = 400"})
    assert exlcap(lab, "shoot", "--scene", "plaza", "--schedule", "1", "--pairs", "1").returncode == 0
    truth = true_alignment(lab.rig)
    write_alignment(lab.alignments / "align-001.json", truth)
    good = exlcap(lab, "verify", "plaza", "--json")
    assert good.returncode == 0 and json.loads(good.stdout)["takes"][0]["drift_px"] < 0.1
    rows = np.linalg.inv(knocked("turn", 5.0, (640, 400), 1)) @ np.array(truth.homography)
    touched = truth.model_copy(update={"homography": tuple(map(tuple, rows.tolist()))})
    write_alignment(lab.alignments / "align-002.json", touched)
    bad = exlcap(lab, "verify", "plaza")
    assert bad.returncode == 1 and "px from align-002" in bad.stdout and "the rig was touched" in bad.stdout
    (lab.alignments / "align-002.json").write_text("{")
    assert "align-002.json is not valid JSON" in exlcap(lab, "verify", "plaza").stdout
