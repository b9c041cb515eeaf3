"""Shutters that disagree by more than the rig allows are flagged, pair by pair and take by take."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from exlcap.capture.cameras.simulated import Clock, SimulatedCamera
from exlcap.capture.checking.verify import verdict_table, verify_take
from exlcap.capture.takes import shoot as session
from exlcap.capture.takes.skew import measure_skew, skew_text
from exlcap.capture.takes.summary import Report
from exlcap.cli import group
from exlcap.core.files import append_jsonl


@pytest.fixture
def take(simulated):
    """Clocks of unrelated origins that drift, with a jitter of 1 us."""
    well = SimulatedCamera("0815-0000", clock=Clock(origin_ns=7_000_000_000_000, jitter_ns=1000))
    low = SimulatedCamera("0815-0001", clock=Clock(origin_ns=5, drift_ppm=-70.0, jitter_ns=1000))
    return simulated(well, low, pairs=20)


def late(take, late_us):
    """The take with the dark shutter late in some pairs: {number of the pair: us}."""
    pairs = list(take.pairs)
    for number, shift_us in late_us.items():
        low = pairs[number].low
        moved = low.model_copy(update={"device_time_ns": low.device_time_ns + 1000 * shift_us})
        pairs[number] = pairs[number].model_copy(update={"low": moved})
    return replace(take, pairs=tuple(pairs))


def test_one_late_shutter_is_flagged_and_accuses_no_other(take):
    skew = measure_skew(late(take, {3: 5000}))
    (flag,) = skew.beyond
    assert flag.startswith(f"k = 1 pulse {take.pairs[3].index}: shutters ")
    assert skew.drift_ppm == pytest.approx(-70.0, abs=2.0)


def test_a_jitter_beyond_the_tolerance_condemns_the_take(take):
    skew = measure_skew(late(take, {number: 80 * (-1) ** number for number in range(40)}))
    assert not skew.ok and len(skew.beyond) == 40 and "BEYOND the tolerance of 50 us" in skew.text()
    assert measure_skew(take).ok


def test_the_tolerance_is_that_of_the_rig_the_take_was_shot_with(simulated):
    clocks = [SimulatedCamera(f"0815-000{n}", clock=Clock(origin_ns=n, jitter_ns=1000)) for n in range(2)]
    changes = [("# max_skew_us = 50.0 ", "max_skew_us = 0.5 ")]
    skew = measure_skew(simulated(*clocks, pairs=20, changes=changes))
    assert not skew.ok and skew.tolerance_us == 0.5


def test_one_late_pair_in_many_does_not_condemn_a_take(take):
    many = replace(take, pairs=tuple(_spread(take.pairs[0], 400)))
    skew = measure_skew(late(many, {200: 5000}))
    assert skew.ok and len(skew.beyond) == 1


def _spread(pair, count):
    for number in range(count):
        frames = {
            light: pair.frame(light).model_copy(update={"device_time_ns": 50_000_000 * number})
            for light in ("well", "low")
        }
        yield pair.model_copy(update={"index": number, **frames})


def test_verify_ends_with_3_when_only_the_skew_is_wrong(take):
    root = take.folder.parents[2]
    run = CliRunner()
    assert run.invoke(group, ["-C", str(root), "verify", "plaza"], obj=root).exit_code == 0
    (take.folder / "pairs.jsonl").unlink()
    for pair in late(take, {number: 80 * (-1) ** number for number in range(40)}).pairs:
        append_jsonl(take.folder / "pairs.jsonl", pair.model_dump(mode="json"))
    done = run.invoke(group, ["-C", str(root), "verify", "plaza"], obj=root)
    assert done.exit_code == 3 and "SKEW" in done.output and "note: k = 1 pulse" in done.output
    (take.folder / take.pairs[0].well.file).unlink()
    assert run.invoke(group, ["-C", str(root), "verify", "plaza"], obj=root).exit_code == 1


@pytest.mark.parametrize(("late_us", "code", "ok"), [(0, 0, True), (80, 3, False)])
def test_shoot_ends_with_3_when_the_shutters_disagree(take, monkeypatch, late_us, code, ok):
    shot = late(take, {number: late_us * (-1) ** number for number in range(40)})
    root = take.folder.parents[2]
    monkeypatch.setattr(session, "run_take", lambda *_: Report(shot, root, 40, 10.0, "exlcap shoot"))
    done = CliRunner().invoke(group, ["-C", str(root), "shoot", "--scene", "plaza", "--json"], obj=root)
    assert done.exit_code == code
    assert json.loads(done.output)["skew"]["ok"] is ok


def test_where_frames_carry_no_time_nothing_is_condemned_and_no_number_is_told(simulated):
    take = simulated(SimulatedCamera("0815-0000"), SimulatedCamera("0815-0001"), pairs=20)
    report = Report(take, take.folder.parents[2], 40, 10.0, "exlcap shoot")
    assert measure_skew(take) is None and not report.beyond
    assert report.data()["skew"] is None and "skew of the shutters: not measurable here" in report.text()


def test_where_the_skew_is_not_measured_the_reason_is_told(take, simulated):
    def text(pairs):
        few = replace(take, pairs=tuple(pairs))
        assert measure_skew(few) is None
        return skew_text(None, few)

    assert text(take.pairs[:9]) == "not measurable here: needs at least 10 pairs, the take has 9"
    assert text([]) == "not measurable here: needs at least 10 pairs, the take has 0"
    assert text([*take.pairs[20:], *take.pairs[:20]]).endswith("a camera's clock started anew during the take")
    other = [p.model_copy(update={"low": p.low.model_copy(update={"device_time_source": "x"})}) for p in take.pairs]
    assert text(other).endswith("the cameras' times mark different moments of a frame")
    bare = simulated(SimulatedCamera("0815-0000"), SimulatedCamera("0815-0001"), pairs=5, schedule="1")
    assert skew_text(measure_skew(bare), bare).endswith("not every frame carries a time of its camera's clock")
    assert "not measurable here: not every frame" in verdict_table([verify_take(bare.folder, "take")])
    report = Report(replace(take, pairs=take.pairs[:9]), take.folder.parents[2], 9, 10.0, "exlcap shoot")
    assert "skew of the shutters: not measurable here: needs at least 10 pairs" in report.text()
