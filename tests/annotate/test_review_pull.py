"""What was reviewed reaches the labels, once, whole, and without touching anything else. No database needed here."""

from dataclasses import replace

import numpy as np
import pytest

from exlcap.annotate.carry import carry
from exlcap.annotate.review.previews import SLICES, pairs_to_review, pictures, write_previews
from exlcap.annotate.review.proxy import DRAWN, Line, standing_proxy, to_proxy
from exlcap.annotate.review.pull import Pulled, Reviewed, pull_into_labels, pull_pair
from exlcap.annotate.review.samples import Imported, lowest_score, shown, widest_spread_px
from exlcap.core.alignment import Photometry, read_alignment
from exlcap.core.files import write_json
from exlcap.core.joints import JOINTS
from exlcap.core.labels import Person, decision, read_labels
from exlcap.core.rig import LIGHTS
from exlcap.dataset.images import encoded, linear_image
from exlcap.dataset.labelled_pairs import collect_labelled_pairs
from exlcap.dataset.manifest import Parameters
from exlcap.simulate.optics import true_alignment
from tests.annotate.reviewing import labelled_workspace, labels_of
from tests.conftest import make_workspace

WRIST = JOINTS.index("left_wrist")
PAIR = "plaza-t001-k01-000000"


@pytest.fixture(scope="module")
def alignment(tmp_path_factory):
    return true_alignment(make_workspace(tmp_path_factory.mktemp("optics")).rig)


def person(name, **facts):
    keypoints = np.column_stack([np.linspace(60, 120, 14), np.linspace(30, 160, 14), np.full(14, 2.0)])
    return Person(**{"id": name, "keypoints": keypoints, "box": (50.0, 20.0, 90.0, 150.0), "origin": "net", **facts})


def imported(people, alignment):
    return Imported(
        decision(people),
        dict.fromkeys(SLICES, decision(people)),
        {p.id: to_proxy(p, alignment.crop) for p in shown(people)},
    )


def lines_of(held):
    return [Line(name, False, proxy) for name, proxy in held.people.items()]


def reviewed(held, reviews=None, lines=None):
    everything = lines_of(held) if lines is None else lines
    slices = dict(zip(SLICES, reviews, strict=True)) if reviews else held.slices
    return Reviewed("sample", PAIR, "plaza", 1, held, slices, everything)


def pulled_from(people, pair, alignment):
    report = Pulled()
    return pull_pair(tuple(people), pair, alignment, report), report


def test_nothing_reviewed_changes_nothing(alignment):
    people = (person("a"), person("b", review="accepted"))
    after, report = pulled_from(people, reviewed(imported(people, alignment)), alignment)
    assert all(x is y for x, y in zip(after, people, strict=True))
    assert (report.changes, report.problems) == ([], [])


@pytest.mark.parametrize(
    ("before", "decision", "after"),
    [
        (["undecided", "undecided"], "accepted", ["accepted", "accepted"]),
        (["undecided", "edited"], "accepted", ["accepted", "edited"]),
        (["undecided", "accepted"], "rejected", ["rejected", "accepted"]),
        (["undecided", "edited"], "rejected", ["rejected", "rejected"]),
        (["accepted", "edited"], "rejected", ["rejected", "rejected"]),
        (["accepted", "edited"], "undecided", ["undecided", "edited"]),
        (["rejected", "rejected"], "accepted", ["accepted", "accepted"]),
        (["accepted", "rejected"], "undecided", ["undecided", "rejected"]),
    ],
)
@pytest.mark.parametrize("where", range(3))
def test_a_decision_on_any_slice_reaches_the_people_of_the_pair(alignment, before, decision, after, where):
    people = [person(str(n), review=review) for n, review in enumerate(before)]
    held = imported(people, alignment)
    reviews = [decision if n == where else held.review for n in range(3)]
    found, report = pulled_from(people, reviewed(held, reviews), alignment)
    assert [p.review for p in found] == after
    assert report.seen[PAIR].review == decision
    again, _ = pulled_from(found, reviewed(report.seen[PAIR], reviews), alignment)
    assert all(x is y for x, y in zip(found, again, strict=True))


def test_slices_that_disagree_decide_nothing(alignment):
    people = [person("a")]
    pair = reviewed(imported(people, alignment), ["accepted", "rejected", "undecided"])
    found, report = pulled_from(people, pair, alignment)
    assert found[0] is people[0]
    assert "decide again" in report.problems[0]
    assert report.broken == {PAIR}


def test_another_slice_may_decide_anew_after_a_pull(alignment):
    people = [person("a")]
    once, report = pulled_from(
        people, reviewed(imported(people, alignment), ["accepted", "undecided", "undecided"]), alignment
    )
    pair = reviewed(report.seen[PAIR], ["accepted", "rejected", "undecided"])
    twice, _ = pulled_from(once, pair, alignment)
    assert [p.review for p in (*once, *twice)] == ["accepted", "rejected"]


def test_a_deleted_person_is_rejected_and_a_drawn_one_is_added(alignment):
    people = [person("a"), person("b")]
    held = imported(people, alignment)
    lines = [lines_of(held)[0], Line(f"{DRAWN}6b00", True, standing_proxy())]
    found, report = pulled_from(people, reviewed(held, lines=lines), alignment)
    assert [(p.id, p.review) for p in found] == [("a", "undecided"), ("b", "rejected"), ("review-6b00", "edited")]
    assert found[2].origin == "hand: review"
    assert [p.id for p in shown(found)] == ["a", "review-6b00"]
    assert len(report.changes) == 2


def test_a_second_pull_changes_nothing_and_a_later_edit_of_a_drawn_person_is_seen(alignment):
    people = [person("a")]
    held = imported(people, alignment)
    drawn = Line(f"{DRAWN}6b00", True, standing_proxy())
    once, report = pulled_from(people, reviewed(held, lines=[*lines_of(held), drawn]), alignment)
    pair = reviewed(report.seen[PAIR], lines=[*lines_of(held), drawn])
    twice, second = pulled_from(once, pair, alignment)
    assert all(x is y for x, y in zip(once, twice, strict=True))
    assert second.changes == []
    again = replace(drawn, proxy=replace(drawn.proxy, missing=("head",)))
    later, _ = pulled_from(once, reviewed(report.seen[PAIR], lines=[*lines_of(held), again]), alignment)
    assert not later[1].labelled[JOINTS.index("head")]
    gone, _ = pulled_from(once, reviewed(report.seen[PAIR], lines=lines_of(held)), alignment)
    assert [p.review for p in gone] == ["undecided", "rejected"]


def test_a_pull_that_was_cut_short_can_be_repeated(alignment):
    """Labels written, but the database not told: the same edits arrive a second time."""
    people = [person("a")]
    held = imported(people, alignment)
    line = Line("a", False, replace(held.people["a"], missing=("left_wrist",)))
    drawn = Line(f"{DRAWN}6b00", True, standing_proxy())
    pair = reviewed(held, ["accepted"] * 3, [line, drawn])
    once, _ = pulled_from(people, pair, alignment)
    twice, report = pulled_from(once, pair, alignment)
    assert all(x is y for x, y in zip(once, twice, strict=True))
    assert report.changes == []


def test_an_edit_taken_back_after_a_pull_is_taken_back_in_the_labels(alignment):
    people = [person("a")]
    held = imported(people, alignment)
    hidden = Line("a", False, replace(held.people["a"], occluded=("left_wrist",)))
    once, report = pulled_from(people, reviewed(held, lines=[hidden]), alignment)
    assert once[0].keypoints[WRIST, 2] == 1
    twice, _ = pulled_from(once, reviewed(report.seen[PAIR], lines=lines_of(held)), alignment)
    assert twice[0].keypoints[WRIST, 2] == 2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: [replace(a, proxy=replace(a.proxy, paths=[*a.proxy.paths, [[0.5, 0.5]]]))], "points instead of"),
        (lambda a: [a, Line("stranger", False, a.proxy)], "person stranger is not in the labels"),
        (lambda a: [a, a], "person a is there twice"),
    ],
    ids=["broken", "unknown", "twice"],
)
def test_what_is_broken_is_reported_and_left_while_the_rest_is_taken(alignment, spoil, message):
    people = [person("a"), person("b")]
    held = imported(people, alignment)
    a, b = lines_of(held)
    edit = replace(b, proxy=replace(b.proxy, missing=("left_wrist",)))
    found, report = pulled_from(people, reviewed(held, lines=[*spoil(a), edit]), alignment)
    assert found[0] is people[0]
    assert len(found) == 2
    assert found[1].keypoints[WRIST, 2] == 0
    assert message in report.problems[0]
    assert report.broken == {PAIR}
    assert report.seen[PAIR].people["a"] == held.people["a"]  # seen as before: mended later, it is still an edit


def test_labels_that_changed_meanwhile_keep_all_but_the_edited_joint(alignment):
    old = person("a")
    held = imported([old], alignment)
    newer = replace(old, keypoints=old.keypoints + np.array([5.0, 5.0, 0.0]), origin="better net")
    line = Line("a", False, replace(held.people["a"], missing=("left_wrist",)))
    (found,), _ = pulled_from([newer], reviewed(held, lines=[line]), alignment)
    others = np.arange(14) != WRIST
    assert np.array_equal(found.keypoints[others], newer.keypoints[others])
    assert not found.labelled[WRIST]
    assert np.array_equal(found.before, newer.keypoints)


def test_edits_reach_the_file_and_the_dark_frame(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab")
    alignment = true_alignment(workspace.rig)
    path = workspace.labels("plaza", 1)
    people = labels_of(workspace)[PAIR].well
    held = imported(people, alignment)
    line = Line(people[0].id, False, replace(held.people[people[0].id], missing=("left_wrist",)))
    pair = reviewed(held, ["accepted"] * 3, [line, *lines_of(held)[1:]])
    report = pull_into_labels(workspace, [pair])
    assert f"{PAIR}: person {people[0].id}: edited, left_wrist missing" in report.changes
    after = read_labels(path).pairs[PAIR]
    expected = carry(after.well, alignment)
    for light in ("well", "low"):
        assert not getattr(after, light)[0].labelled[WRIST]
    assert all(np.array_equal(x.keypoints, y.keypoints) for x, y in zip(after.low, expected.low, strict=True))
    stamp = path.stat().st_mtime_ns
    assert pull_into_labels(workspace, [replace(pair, imported=report.seen[PAIR])]).changes == []
    assert path.stat().st_mtime_ns == stamp


def test_a_label_file_that_is_gone_is_reported(tmp_path, alignment):
    workspace = make_workspace(tmp_path / "lab")
    report = pull_into_labels(workspace, [reviewed(imported([person("a")], alignment))])
    assert "is gone" in report.problems[0]


def test_the_least_certain_joint_of_those_not_decided_counts():
    scores, spread = np.full(14, 0.9), np.full(14, 2.0)
    scores[WRIST], spread[WRIST] = 0.3, 7.0
    unsure = person("a", scores=scores, spread_px=spread)
    sure = person("b", scores=np.full(14, 0.8))
    unlabelled = unsure.keypoints * (np.arange(14) != WRIST)[:, None]
    assert lowest_score([unsure, sure]) == 0.3
    assert lowest_score([replace(unsure, review="accepted"), sure]) == 0.8
    assert lowest_score([replace(unsure, keypoints=unlabelled), sure]) == 0.8
    assert lowest_score([person("hand")]) == lowest_score([]) == 1
    assert widest_spread_px([unsure, sure]) == 7
    assert widest_spread_px([replace(unsure, keypoints=unlabelled)]) == 2
    assert widest_spread_px([sure]) is None


def test_pictures_show_what_the_data_set_will_hold(tmp_path):
    """The same dark level, white balance and colours as `exlcap build`."""
    workspace = labelled_workspace(
        tmp_path / "lab", {"nd_transmittance": "dark_level_dn = 66\nnd_transmittance"}, divisors=(1,)
    )
    path = workspace.alignments / "align-001.json"
    balanced = read_alignment(path).model_copy(update={"photometry": Photometry(
        transmittance=(0.01,) * 3, transmittance_sd=(0.0,) * 3, offset_dn=0.0, well_white_balance=(1.8, 1.0, 1.4),
        low_white_balance=(1.7, 1.0, 1.5))})  # fmt: skip
    write_json(path, balanced.model_dump(mode="json"))
    shown = pictures(pairs_to_review(workspace, None)[0])
    (item,) = collect_labelled_pairs(workspace, 1)
    for light in LIGHTS:
        how = item.development(light, Parameters())
        built = encoded(linear_image(item.take.raw(item.pair, light), light, how, item.alignment, "low"), 8)
        assert np.array_equal(shown[light], built)
        assert how.black_level_dn == {"well": 60, "low": 66}[light]
        assert how.white_balance != (1, 1, 1)


def test_pictures_have_the_size_of_the_common_area_and_are_made_once(tmp_path):
    workspace = labelled_workspace(tmp_path / "lab", divisors=(1,))
    media = tmp_path / "media"
    items = pairs_to_review(workspace, None)
    crop = items[0].alignment.crop
    made = pictures(items[0])
    assert {picture.shape for picture in made.values()} == {(crop.height, crop.width, 3)}
    assert made["low"].mean() < made["low_amplified"].mean()
    assert len(np.unique(made["low_amplified"])) > len(np.unique(made["low"]))  # from 12 bits: no banding
    write_previews(media, items)
    stamps = {path: path.stat().st_mtime_ns for path in media.glob("*/*.jpg")}
    assert len(stamps) == len(SLICES)
    (media / "well" / f"{items[0].pair_id}.0ld.jpg").touch()
    write_previews(media, items)
    assert {path: path.stat().st_mtime_ns for path in media.glob("*/*.jpg")} == stamps
