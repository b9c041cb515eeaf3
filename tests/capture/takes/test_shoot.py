"""The take, shot with simulated cameras: whatever goes wrong, a pair is of one pulse and the rest is accounted for."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exlcap.capture.cameras.contract import CameraLost
from exlcap.capture.cameras.simulated import Clock, Fault, FaultKind, Line, SimulatedCamera, true_pulse
from exlcap.capture.takes.session import Session, StepWork, shoot_step
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Setting, Sync
from exlcap.core.take import Step, read_take

FAULTS: tuple[FaultKind, ...] = ("miss", "drop", "double", "failed", "late", "stall", "counter reset", "noise")


def pair_of_cameras(well=(), low=(), **about):
    """Two simulated cameras that are fired by software, with faults."""
    return SimulatedCamera("0815-0000", faults=well, **about), SimulatedCamera("0815-0001", faults=low, **about)


def on_a_line(well=(), low=(), outside=False, **about):
    """Two simulated cameras on one trigger line."""
    line = Line()
    return tuple(
        SimulatedCamera(serial, faults=faults, line=line, outside=outside, **about)
        for serial, faults in (("0815-0000", well), ("0815-0001", low))
    )


def cameras_for(sync, well=(), low=(), **about):
    if sync == "software":
        return pair_of_cameras(well, low, **about)
    return on_a_line(well, low, outside=sync == "external", **about)


def test_a_take_without_faults_is_whole(simulated):
    take = simulated(*pair_of_cameras(), pairs=5, schedule="1,4")
    assert take.header.status == "complete" and take.missing() == {} and take.orphans == ()
    assert [(pair.k, pair.index) for pair in take.pairs] == [(k, i) for k in (1, 4) for i in range(1, 6)]
    assert take.header.settings_proof == "chunk"
    assert all(pair.low.chunk == pair.low.read_back for pair in take.pairs)


def test_both_frames_have_the_steps_setting(simulated):
    take = simulated(*pair_of_cameras(), pairs=2, schedule="1,12")
    last = take.pairs[-1]
    assert last.well.asked.exposure_us == pytest.approx(1000 / 12)
    assert last.well.read_back.exposure_us == last.low.read_back.exposure_us == 83.0
    assert last.well.read_back.gain_db == pytest.approx(21.5836, abs=1e-4)
    assert last.low.read_back.gain_db == 3.4


@pytest.mark.parametrize("sync", ["software", "timer", "external"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_costs_its_pulse_and_no_wrong_pair(simulated, sync, kind):
    """`simulated` checks that every pair is of one pulse."""
    well, low = cameras_for(sync, well=[Fault(9, kind)], low=[Fault(3, kind)])
    take = simulated(well, low, pairs=6, sync=sync)
    assert take.header.status == "complete" and take.missing() == {}
    waited_for = (kind, sync) == ("late", "external")  # the next pulse need not wait for it
    assert bool(take.orphans) != waited_for, "the fault left no trace"
    assert all(orphan.reason for orphan in take.orphans)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind not in ("counter reset", "noise")])
def test_without_counters_frame_ids_prove_the_pairs(simulated, kind):
    well, low = pair_of_cameras(low=[Fault(3, kind)], counts=False, chunks=False)
    take = simulated(well, low, pairs=6)
    assert take.header.status == "complete" and take.orphans
    assert take.header.settings_proof == "assumed"


@pytest.mark.parametrize("sync", ["timer", "external"])
@pytest.mark.parametrize("first_count", [0, 1])
def test_a_counter_may_show_0_or_1_with_the_first_pulse(simulated, sync, first_count):
    take = simulated(*cameras_for(sync, low=[Fault(0, "failed"), Fault(4, "drop")], first_count=first_count), sync=sync)
    assert take.missing() == {} and {o.reason.split(":")[0] for o in take.orphans} >= {"no frame of the other camera"}


@pytest.mark.parametrize("light", ["well", "low"])
def test_noise_on_the_line_of_the_one_camera_that_counts_is_noticed(simulated, light):
    """As in sync mode `exposure-active`, where frame ids alone would take the noise's frame for a pulse's."""
    line = Line()
    cameras = {
        name: SimulatedCamera(
            serial, line=line, counts=name == light, faults=[Fault(3, "noise")] if name == light else ()
        )
        for name, serial in (("well", "0815-0000"), ("low", "0815-0001"))
    }
    take = simulated(**cameras, sync="exposure-active")
    assert take.missing() == {} and "the cameras counted different pulses" in {o.reason for o in take.orphans}


def test_two_cameras_that_count_differently_are_never_paired(simulated):
    """By pulses from the host this shows at once; for pulses from outside they must be of one kind."""
    line = Line()
    well, low = (SimulatedCamera(f"0815-000{n}", line=line, first_count=n) for n in (0, 1))
    with pytest.raises(ExlcapError, match="10 pulses in a row gave no pair"):
        simulated(well, low, sync="timer")

    class Other(SimulatedCamera):
        @property
        def info(self):
            return super().info.model_copy(update={"firmware": "2.6.0"})

    line = Line()
    well, low = (kind("1", line=line, outside=True) for kind in (SimulatedCamera, Other))
    with pytest.raises(ExlcapError, match=r"two cameras of one kind; these are simulated, firmware 2.6.0 and"):
        simulated(well, low, sync="external")


@pytest.mark.parametrize("kind", ["drop", "failed", "late", "double"])
def test_a_long_row_of_faults_is_survived(simulated, kind):
    well, low = pair_of_cameras(low=[Fault(pulse, kind) for pulse in range(1, 30, 3)])
    assert simulated(well, low, pairs=20, schedule="1").missing() == {}


def test_pulses_from_outside_are_not_paired_without_counters(simulated):
    with pytest.raises(ExlcapError, match="needs a pulse counter"):
        simulated(*on_a_line(outside=True, counts=False), sync="external")


@pytest.mark.parametrize(("guard", "orphans"), [(1, 4), (3, 0)])
def test_frames_still_exposed_at_the_former_setting_never_pair(simulated, guard, orphans):
    """Chunks tell; guard frames would have hidden it."""
    changes = [("guard_frames = 1", f"guard_frames = {guard}")]
    well, low = pair_of_cameras(stale_frames=3)
    take = simulated(well, low, pairs=5, schedule="4", changes=changes)
    assert len(take.pairs) == 5 and len(take.orphans) == orphans
    assert all("wrong settings: the well frame reports 1000.00 us" in orphan.reason for orphan in take.orphans)


def test_a_dead_camera_ends_the_take_with_the_reason(simulated):
    dead = [Fault(pulse, "miss") for pulse in range(3, 100)]
    with pytest.raises(
        ExlcapError, match=r"10 pulses in a row gave no pair.*low camera: no frame came within"
    ) as error:
        simulated(*pair_of_cameras(low=dead), pairs=6, schedule="1")
    assert "2 pairs are safe" in error.value.hint
    assert "exlcap shoot --scene plaza --resume" in error.value.hint


def test_a_camera_that_misses_every_second_pulse_does_not_go_on_for_ever(simulated):
    """Each new start would see its first guard frame, and never a pair."""
    changes = [("guard_frames = 1", "guard_frames = 2")]
    misses = [Fault(pulse, "miss") for pulse in range(1, 100, 2)]
    with pytest.raises(ExlcapError, match="10 pulses in a row gave no pair"):
        simulated(*pair_of_cameras(low=misses), pairs=6, schedule="1", changes=changes)


def test_many_lost_frames_of_one_camera_do_not_overrun_the_buffers_of_the_other(simulated):
    """Pulses from outside: fetching by turns would leave a frame more in the other camera with every loss."""
    lost = [Fault(pulse, "drop") for pulse in range(5, 100, 2)]
    take = simulated(*on_a_line(well=lost, outside=True), pairs=40, schedule="1", sync="external")
    assert take.missing() == {}


class Kept:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.shots, self.orphans = [], []
        self.pair, self.orphan = self.shots.append, self.orphans.append


def faults(*kinds):
    fault = st.builds(Fault, st.integers(0, 40), st.sampled_from([kind for kind in FAULTS if kind not in kinds]))
    return st.lists(fault, max_size=12)


def work_without_pause(sync):
    """A step of ten pairs, pulse upon pulse."""
    setting = Setting(exposure_us=500.0, gain_db=3.0)
    pace = Sync(mode=sync, pulse_hz=100.0, guard_frames=0).model_copy(update={"pulse_hz": 1e9})
    return StepWork(Step(k=1, well=setting, low=setting), missing=10), pace


@pytest.mark.parametrize("sync", ["software", "timer"])
def test_no_pair_is_lost_that_was_fetched_before_a_camera_was_unplugged(sync):
    """It waits to be recorded while the next pulse is exposed."""
    well, low = cameras_for(sync, low=[Fault(4, "unplug")])
    kept = Kept()
    work, pace = work_without_pause(sync)
    with pytest.raises(CameraLost):
        shoot_step(Session({"well": well, "low": low}, pace, kept, None, lambda: False, lambda _: None), work)
    assert [shot.index for shot in kept.shots] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("sync", "counts"), [("software", False), ("software", True), ("timer", True), ("external", True)]
)
@given(data=st.data())
@settings(max_examples=60)
def test_any_pattern_of_faults_on_both_sides_gives_pairs_of_one_pulse_or_none(sync, counts, data):
    """Noise and resets of counters need counters to be seen. Guard frames are off: the first pair counts, too."""
    sides = [data.draw(faults(*(() if counts else ("noise", "counter reset"))), light) for light in LIGHTS]
    well, low = cameras_for(sync, *sides, counts=counts, first_count=data.draw(st.integers(0, 1)))
    cameras, kept = {"well": well, "low": low}, Kept()
    work, pace = work_without_pause(sync)
    with suppress(ExlcapError):  # too many faults in a row
        shoot_step(Session(cameras, pace, kept, None, lambda: False, lambda _: None), work)
        assert len(kept.shots) == 10
    pulses = [(true_pulse(shot.well.raw), true_pulse(shot.low.raw)) for shot in kept.shots]
    assert all(one == other for one, other in pulses), pulses
    assert len(set(pulses)) == len({shot.index for shot in kept.shots}) == len(pulses)
    assert all(orphan.reason for orphan in kept.orphans)


def test_unplugging_ends_the_take_cleanly(simulated, tmp_path):
    with pytest.raises(ExlcapError, match="was unplugged") as error:
        simulated(*pair_of_cameras(low=[Fault(4, "unplug")]), pairs=6)
    assert "3 pairs are safe" in error.value.hint
    take = read_take(next(tmp_path.glob("simulated*/scenes/plaza/take-001")))
    assert take.header.status == "stopped" and "unplugged" in take.header.reason
    assert len(take.pairs) == 3 and not take.torn


def test_the_skew_of_drifting_clocks_is_measured(simulated):
    from exlcap.capture.takes.skew import measure_skew

    well = SimulatedCamera("0815-0000", clock=Clock(origin_ns=7_000_000_000_000, jitter_ns=200))
    low = SimulatedCamera("0815-0001", clock=Clock(origin_ns=5, drift_ppm=80.0, jitter_ns=200))
    skew = measure_skew(simulated(well, low, pairs=40))
    assert skew is not None
    assert skew.drift_ppm == pytest.approx(80.0, abs=1.0)
    data = skew.data()
    assert 0 < data["residual_us_p50"] < data["residual_us_p99"] <= data["residual_us_max"] < 2.0
    assert skew.ok and data["beyond"] == []


def test_no_skew_is_told_without_timestamps(simulated):
    from exlcap.capture.takes.skew import measure_skew, skew_text

    take = simulated(*pair_of_cameras(), pairs=20)
    skew = measure_skew(take)
    assert skew is None and skew_text(skew, take).startswith("not measurable here: ")
