"""The real App in a real browser: a person drags a joint, ticks one, decides, and the labels say exactly that."""

import signal
import time

import numpy as np
import pytest

from exlcap.annotate.review.proxy import from_proxy, points_of, standing_proxy
from exlcap.core.alignment import Crop
from exlcap.core.joints import JOINTS
from exlcap.simulate.optics import true_alignment
from tests.annotate.reviewing import Reviewer, labelled_workspace, labels_of, pull
from tests.browser import chromium

UNCERTAIN, OTHER = "plaza-t001-k04-000000", "plaza-t001-k01-000000"
HEAD, WRIST = JOINTS.index("head"), JOINTS.index("left_wrist")
PATIENCE_MS = 90_000

pytestmark = pytest.mark.slow


@pytest.fixture
def page():
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        yield page


def until(condition):
    """Wait until the App has saved something."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline, "the App did not save it"
        time.sleep(0.2)


def test_edits_and_decisions_in_the_app_reach_the_labels(tmp_path, page):
    size = {text: text for text in ("width = 960", "height = 600")}
    workspace = labelled_workspace(tmp_path / "lab", size)
    before = labels_of(workspace)
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        open_grid(page, reviewer)
        assert page.locator("[data-cy=looker]").count() == 2

        page.goto(reviewer.url)
        assert reviewer.key not in page.url
        page.locator("[data-cy=annotate]").click()
        page.locator("[data-cy^=annotate-label-]").first.click()
        person = before[UNCERTAIN].well[0]
        scale = browser_scale(page, workspace)
        drag(page, place_in_browser(page, workspace, person.keypoints[HEAD, :2]), 30, -20)
        until(lambda: head_in_app(reviewer, UNCERTAIN) != head_of(workspace, person))
        page.locator("#root_missing-left_wrist").click()
        until(lambda: edited(reviewer, UNCERTAIN)["missing"] == ["left_wrist"])
        page.get_by_test_id("WestIcon").click()
        page.get_by_text("undecided", exact=True).last.click()
        page.get_by_text("accepted", exact=True).last.click()
        until(lambda: "accepted" in reviews(reviewer, UNCERTAIN))

        report = pull(workspace)
        assert pull(workspace) == {"changes": [], "problems": []}
        assert reviewer.stop(signal.SIGINT) == 0

    after = labels_of(workspace)
    assert report["problems"] == []
    assert len(report["changes"]) == len(before[UNCERTAIN].well)
    edit, *rest = after[UNCERTAIN].well
    others = [joint for joint in range(14) if joint not in (HEAD, WRIST)]
    assert np.array_equal(edit.keypoints[others], person.keypoints[others])
    assert edit.keypoints[WRIST].tolist() == [0, 0, 0]
    assert edit.keypoints[HEAD, :2] - person.keypoints[HEAD, :2] == pytest.approx([30 * scale, -20 * scale], abs=1.5)
    assert np.array_equal(edit.before, person.keypoints)
    assert edit.review == "edited"
    assert {p.review for p in rest} == {"accepted"}
    for old, new in zip(before[UNCERTAIN].well[1:] + before[OTHER].well, (*rest, *after[OTHER].well), strict=True):
        assert np.array_equal(old.keypoints, new.keypoints)
    assert after[UNCERTAIN].low[0].keypoints[WRIST, 2] == 0


def test_people_are_deleted_and_added_in_the_app(tmp_path, page):
    size = {text: text for text in ("width = 960", "height = 600")}
    workspace = labelled_workspace(tmp_path / "lab", size, divisors=(4,))
    before = labels_of(workspace)[UNCERTAIN]
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        page.goto(reviewer.url)
        page.locator("[data-cy=annotate]").click()
        page.locator("[data-cy^=annotate-label-]").first.click()
        page.locator("[data-cy=label-menu-trigger]").click()
        page.locator("[data-cy=label-menu-delete]").click()
        until(lambda: len(lines(reviewer)) == len(before.well) - 1)

        page.get_by_text("person_add", exact=True).click()
        until(lambda: len(lines(reviewer)) == len(before.well))
        page.locator("[data-cy^=annotate-label-]").get_by_text("new", exact=True).click()
        start = from_shares(points_of(standing_proxy(), Crop(0, 0, 1, 1))[HEAD] + 0.5, page)
        scale = browser_scale(page, workspace)
        drag(page, start, 40, -30)
        until(lambda: lines(reviewer)[-1]["points"][0][0] != standing_proxy().paths[0][0])
        report = pull(workspace)
        assert pull(workspace) == {"changes": [], "problems": []}

    gone, *rest = labels_of(workspace)[UNCERTAIN].well
    added = rest.pop()
    assert len(report["changes"]) == 2
    assert (gone.id, gone.review) == (before.well[0].id, "rejected")
    assert all(np.array_equal(x.keypoints, y.keypoints) for x, y in zip(rest, before.well[1:], strict=True))
    assert (added.origin, added.review, added.labelled.sum()) == ("hand: review", "edited", 14)
    standing = from_proxy(standing_proxy(), true_alignment(workspace.rig).crop)
    moved = added.keypoints - standing
    assert moved[HEAD, :2] == pytest.approx([40 * scale, -30 * scale], abs=1.5)
    assert np.abs(np.delete(moved, HEAD, 0)).max() < 1e-6
    assert added.id in {person.id for person in labels_of(workspace)[UNCERTAIN].low}


def test_selected_pairs_are_decided_from_a_button_and_from_the_operator_list(tmp_path, page):
    workspace = labelled_workspace(tmp_path / "lab")
    with Reviewer(workspace, tmp_path / "home") as reviewer:
        open_grid(page, reviewer)
        page.get_by_text("Dismiss", exact=True).click()  # of an advertisement that covers part of the grid
        select(page, 0)
        page.locator("[data-item-id='@exlcap/review/accept']").click()
        until(lambda: reviews(reviewer, OTHER) == ["accepted"] * 3)
        assert set(reviews(reviewer, UNCERTAIN)) == {"undecided"}

        open_grid(page, reviewer)
        select(page, 1)
        page.keyboard.press("`")
        page.get_by_text("exlcap: reject selected pairs").click()
        until(lambda: reviews(reviewer, UNCERTAIN) == ["rejected"] * 3)
        report = pull(workspace)

    after = labels_of(workspace)
    assert report["problems"] == []
    assert {p.review for p in after[OTHER].well} == {"accepted"}
    assert {p.review for p in after[UNCERTAIN].well} == {"rejected"}


def open_grid(page, reviewer):
    page.goto(reviewer.url.split("&")[0])
    page.locator("[data-cy=looker]").nth(1).wait_for()


def select(page, number):
    """Tick a pair of the grid."""
    page.locator("[data-cy=looker]").nth(number).hover()
    page.locator("[data-cy=looker-checkbox-]").nth(number).dispatch_event("click")


def place_in_browser(page, workspace, xy):
    """Where a pixel of the bright frame is on the page."""
    crop = true_alignment(workspace.rig).crop
    return from_shares((xy - (crop.x, crop.y) + 0.5) / (crop.width, crop.height), page)


def from_shares(shares, page):
    """Where shares of the picture's width and height are on the page."""
    box = page.locator("[data-cy=lighter-sample-image]").bounding_box()
    return box["x"] + shares[0] * box["width"], box["y"] + shares[1] * box["height"]


def browser_scale(page, workspace):
    """Pixels of the frame to one of the page."""
    width = page.locator("[data-cy=lighter-sample-image]").bounding_box()["width"]
    return true_alignment(workspace.rig).crop.width / width


def drag(page, start, dx, dy):
    x, y = start
    page.locator("#root_missing-left_wrist").wait_for()  # the form of the selected person: vertices can be dragged now
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2, steps=4)
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()


def lines(reviewer, pair=UNCERTAIN):
    return reviewer.samples().find_one({"pair_id": pair, "group.name": "well"})["pose_edit"]["polylines"]


def edited(reviewer, pair):
    return lines(reviewer, pair)[0]


def head_in_app(reviewer, pair):
    return edited(reviewer, pair)["points"][0][0]


def head_of(workspace, person):
    crop = true_alignment(workspace.rig).crop
    return ((person.keypoints[HEAD, :2] - (crop.x, crop.y) + 0.5) / (crop.width, crop.height)).tolist()


def reviews(reviewer, pair):
    return [sample["review"] for sample in reviewer.samples().find({"pair_id": pair})]
