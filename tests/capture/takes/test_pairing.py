"""A pair is both frames of one pulse or nothing, whatever goes wrong on the way."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exlcap.capture.cameras.contract import Grab
from exlcap.capture.takes.pairing import Match, Pairer, Unpaired
from exlcap.core.rig import LIGHTS

FATES = ("good", "good", "good", "missed", "dropped", "failed", "doubled")


def grab(true_pulse, frame_id, counter=None, failure=None):
    """A grab whose only pixel is the pulse that truly made it."""
    raw = None if failure else np.full((1, 1), true_pulse, np.uint16)
    return Grab(raw=raw, frame_id=frame_id, host_time_ns=0, counter=counter, failure=failure)


def exposures(fates, offset=0):
    """Per pulse, the grabs that a camera with these fates delivers: [] for a missed or dropped one."""
    frame_id, delivered = 0, []
    for pulse, fate in enumerate(fates):
        one = grab(pulse, frame_id, pulse + offset, "incomplete" if fate == "failed" else None)
        delivered.append({"missed": [], "dropped": [], "doubled": [one, one]}.get(fate, [one]))
        frame_id += fate != "missed"
    return delivered


def accounted(outcomes, grabs):
    """Every grab ends up in exactly one pair or orphan."""
    in_pairs = sum(2 for o in outcomes if isinstance(o, Match))
    orphans = sum(isinstance(o, Unpaired) for o in outcomes)
    return in_pairs + orphans == grabs


def assert_of_one_pulse(outcomes):
    for outcome in outcomes:
        if isinstance(outcome, Match):
            assert outcome.well.raw[0, 0] == outcome.low.raw[0, 0] == outcome.pulse
        else:
            assert outcome.reason


fates = st.lists(st.sampled_from(FATES), min_size=1, max_size=30)


@given(well=fates, low=fates, order=st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_pulses_from_outside_pair_by_counter_in_any_order_of_arrival(well, low, order):
    """Any mixture of the two cameras' frames, each displaced by up to a few places."""
    arrivals = [(light, g, at + order.uniform(0, 6)) for light, side in zip(LIGHTS, (well, low), strict=True)
                for at, grabs in enumerate(exposures(side)) for g in grabs]  # fmt: skip
    arrivals.sort(key=lambda arrival: arrival[2])
    pairer = Pairer("counter", window=16)
    outcomes = [o for light, g, _ in arrivals for o in pairer.add(light, g)] + pairer.close()
    assert_of_one_pulse(outcomes)
    assert accounted(outcomes, len(arrivals))
    fit = {"good", "doubled"}
    whole = sum(w in fit and d in fit for w, d in zip(well, low, strict=False))
    assert sum(isinstance(o, Match) for o in outcomes) == whole


@given(well=fates, low=fates, late=st.sets(st.tuples(st.sampled_from(LIGHTS), st.integers(0, 29))),
       key=st.sampled_from(["counter", "frame_id"]))  # fmt: skip
@settings(max_examples=300)
def test_pulses_fired_one_by_one_never_pair_across_pulses(well, low, late, key):
    """`late`: frames that arrive only with the next pulse."""
    pairer, outcomes, arrived = Pairer(key), [], 0
    held = {light: [] for light in LIGHTS}
    sides = dict(zip(LIGHTS, (exposures(well), exposures(low)), strict=True))
    for pulse in range(min(len(well), len(low))):
        for light in LIGHTS:
            now, held[light] = [*held[light], *sides[light][pulse]], []
            if (light, pulse) in late:
                now, held[light] = [], now
            arrived += len(now)
            outcomes += [o for g in now for o in pairer.add(light, g, pulse)]
        outcomes += pairer.settle(pulse)
    assert_of_one_pulse(outcomes)
    assert accounted(outcomes, arrived)


def test_a_missed_pulse_shifts_frame_ids_and_nothing_is_paired_after_it():
    pairer, outcomes = Pairer("frame_id"), []
    sides = exposures(["good", "missed", "good", "good"]), exposures(["good"] * 4)
    for pulse in range(4):
        for light, side in zip(LIGHTS, sides, strict=True):
            outcomes += [o for g in side[pulse] for o in pairer.add(light, g, pulse)]
        outcomes += pairer.settle(pulse)
    assert [o.pulse for o in outcomes if isinstance(o, Match)] == [0]


def test_frame_ids_prove_nothing_about_pulses_from_outside():
    pairer = Pairer("frame_id")
    outcomes = [o for light in LIGHTS for o in pairer.add(light, grab(0, 0))]
    assert [o.reason for o in outcomes] == ["pulses from outside cannot be paired by frame id"] * 2


@given(at=st.integers(1, 20), lost=st.integers(0, 5))
def test_a_counter_that_was_reset_pairs_nothing_any_more(at, lost):
    """The dark camera's counter starts again from 0 at pulse `at`; some of its frames are lost around then."""
    pairer, outcomes = Pairer("counter", window=4), []
    for pulse in range(40):
        counter = pulse if pulse < at else pulse - at
        outcomes += pairer.add("well", grab(pulse, pulse, pulse))
        if not at <= pulse < at + lost:
            outcomes += pairer.add("low", grab(pulse, pulse, counter))
    assert_of_one_pulse(outcomes + pairer.close())


def test_every_orphan_has_its_reason():
    pairer = Pairer("counter")
    assert pairer.add("well", grab(0, 0, 0)) == []
    (match,) = pairer.add("low", grab(0, 0, 0))
    assert isinstance(match, Match)
    (double,) = pairer.add("low", grab(0, 0, 0))
    (failed,) = pairer.add("well", grab(1, 1, 1, failure="incomplete"), 1)
    (blind,) = pairer.add("well", grab(1, 1, None))
    assert pairer.add("low", grab(1, 1, 1)) == []
    (alone,) = pairer.close()
    (late,) = pairer.add("well", grab(1, 1, 1))
    assert [o.reason.split(":")[0] for o in (double, failed, blind, alone, late)] == [
        "duplicate of counter 0",
        "failed buffer",
        "the frame carries no pulse counter",
        "no frame of the other camera",
        "late",
    ]
