"""The operator reads why there are orphans, in one line, at the end of `exlcap shoot` and in `exlcap verify`."""

from dataclasses import replace

import pytest

from exlcap.capture.cameras.simulated import Fault, SimulatedCamera
from exlcap.capture.checking.verify import verify_take
from exlcap.capture.takes.orphan_causes import orphan_causes, orphan_remarks
from exlcap.capture.takes.summary import Report
from exlcap.core.take import Orphan

LINE = (
    "4 orphans: 2 x low: no frame came within 2000 ms; 2 x well: no frame of the other camera "
    "(see orphans.jsonl in take-001)"
)


@pytest.fixture
def take(simulated):
    """Two frames of the dark camera were lost on the way."""
    low = SimulatedCamera("0815-0001", faults=[Fault(3, "drop"), Fault(5, "drop")])
    return simulated(SimulatedCamera("0815-0000"), low, pairs=5, schedule="1")


def orphans(take, *reasons):
    listed = [
        Orphan(k=1, index=i, light=light, frame_id=i, reason=reason, host_time_ns=i)
        for i, (light, reason) in enumerate(reasons)
    ]
    return replace(take, orphans=tuple(listed))


def test_shoot_and_verify_say_why_there_are_orphans(take):
    report = Report(take, take.folder.parents[2], 5, 10.0, "exlcap shoot")
    assert LINE in report.text().splitlines() and "5 pairs whole, 4 orphans, " in report.text()
    assert {(c["light"], c["reason"], c["count"]) for c in report.data()["orphan_causes"]} == {
        ("low", "no frame came within 2000 ms", 2), ("well", "no frame of the other camera", 2)
    }  # fmt: skip
    verdict = verify_take(take.folder, "take")
    assert verdict.remarks[0] == LINE and verdict.problems == []


def test_a_take_without_orphans_says_nothing_of_causes(take):
    assert orphan_remarks(orphans(take)) == [] and orphan_causes(orphans(take)) == []


def test_reasons_that_differ_only_in_numbers_are_one_cause(take):
    late = orphans(take, ("low", "late: counter 3 after 3"), ("low", "late: counter 14 after 15"))
    (remark,) = orphan_remarks(late)
    assert remark.startswith("2 orphans: 2 x low: late: counter N after N (see")


def test_at_most_three_causes_are_listed_and_the_rest_is_counted(take):
    reasons = [("low", reason) for reason in "aaabbbbccdef"]
    (remark,) = orphan_remarks(orphans(take, *reasons))
    assert remark.startswith("12 orphans: 4 x low: b; 3 x low: a; 2 x low: c; and 3 more (see")
    assert len(orphan_causes(orphans(take, *reasons))) == 6


def test_one_is_not_called_many(take):
    lonely = replace(orphans(take, ("well", "a")), pairs=take.pairs[:1])
    header = take.header.model_copy(update={"missed_triggers": {"well": 0, "low": 1}})
    text = Report(replace(lonely, header=header), take.folder.parents[2], 1, 10.0, "exlcap shoot").text()
    assert "1 pair whole, 1 orphan, " in text and "1 orphan: 1 x well: a (see" in text
    assert "the low camera ignored 1 pulse, which came" in text
