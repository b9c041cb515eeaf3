"""The page in a real browser, before two emulated cameras: what an operator does, and what it looks like to others."""

import re

import pytest

from exlcap.core.alignment import write_alignment
from exlcap.core.take import read_take
from exlcap.simulate.optics import true_alignment
from tests.browser import chromium
from tests.capture.conftest import SMALL, make_lab
from tests.capture.preview.serving import PATIENCE_S, served, until

PATIENCE_MS = 1000 * PATIENCE_S
DESKTOP, TABLET = {"width": 1440, "height": 900}, {"width": 1024, "height": 768}
UPRIGHT, PHONE = {"width": 768, "height": 1024}, {"width": 390, "height": 844}
LOUPE = re.compile(r"loupe=([\d.]+)%2C([\d.]+)")

MEAN = """canvas => { const pen = canvas.getContext("2d"), {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0; for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
  return sum / data.length * 4 / 3; }"""
CENTRE = """canvas => { const pen = canvas.getContext("2d"), {data, width} = pen.getImageData(0, 0, canvas.width, 40);
  let sum = 0, at = 0; for (let i = 3; i < data.length; i += 4) { sum += data[i]; at += data[i] * ((i >> 2) % width); }
  return at / sum / width; }"""
BOXES = """() => [...document.querySelectorAll("button, input, dd, dt, legend, canvas, figcaption")]
  .filter(e => e.offsetParent).map(e => { const b = e.getBoundingClientRect();
    return [e.id || e.textContent, e.tagName, b.left, b.top + scrollY, b.right, b.bottom + scrollY,
            e.scrollWidth - e.clientWidth]; })"""

pytestmark = pytest.mark.slow


@pytest.fixture
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def lab(tmp_path):
    return make_lab(tmp_path / "lab", {**SMALL, "outdoor = [1, 2, 4, 8, 12]": "outdoor = [1, 12]"})


def opened(browser, url, size=DESKTOP):
    """A page with live views; whatever its console says fails the test at its end."""
    page = browser.new_page(viewport=size)
    page.set_default_timeout(PATIENCE_MS)
    page.complaints = []
    page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(url)
    page.wait_for_selector("body[data-phase=live]")
    shows(page, "well", "µs")
    return page


def shows(page, light, text):
    """Wait until the settings above a view hold a text."""
    page.locator(f"#setting-{light}").filter(has_text=text).wait_for()


def mean_of(page, light):
    return page.locator(f"#view-{light} canvas").evaluate(MEAN)


def test_an_operator_exposes_a_scene_shoots_it_and_the_take_verifies(browser, lab, exlcap):
    with served(lab) as (_, url):
        page = opened(browser, url)
        assert 40 < mean_of(page, "well") < 230 and 40 < mean_of(page, "low") < 230, "both views show something"

        histogram = page.locator("#meter-well .histogram")
        before = histogram.evaluate(CENTRE)
        page.locator("#exposure").fill("2000")
        page.keyboard.press("Enter")
        shows(page, "well", "k 1  2000 µs")
        until(lambda: histogram.evaluate(CENTRE) > before + 0.04, "the histogram's move")

        page.get_by_role("button", name="Dark ×30").click()
        page.wait_for_timeout(600)
        bright = mean_of(page, "low")
        page.locator("#steps").get_by_role("button", name="12", exact=True).click()
        shows(page, "low", "k 12")
        until(lambda: mean_of(page, "low") < 0.5 * bright, "a darker dark view")

        page.locator("#scene").fill("quay")
        page.keyboard.press("Enter")
        page.locator("#pairs").fill("2")
        page.get_by_role("button", name="Shoot scene").click()
        page.wait_for_selector("body[data-phase=recording]")
        assert page.locator("#shoot").is_hidden()
        page.locator("#message", has_text="scenes/quay/take-001: complete").wait_for()
        page.wait_for_selector("body[data-phase=live]")

        page.locator("#pairs").fill("9")
        page.get_by_role("button", name="Shoot scene").click()
        page.locator("#progress-text", has_text="pairs").wait_for()
        page.get_by_role("button", name="Cancel after this pair").click()
        page.locator("#message", has_text="scenes/quay/take-002: stopped").wait_for()
        page.get_by_role("button", name="Finish that take").click()
        page.locator("#message", has_text="scenes/quay/take-002: complete").wait_for()
        page.locator("#resume").wait_for(state="hidden")
        page.wait_for_selector("body[data-phase=live]")

        page.get_by_role("button", name="Store").click()
        page.locator("#message", has_text="[scenes.quay] is 2000 us, 0 dB").wait_for()
        assert page.complaints == []
    take = read_take(lab.scene("quay") / "take-001")
    assert len(take.pairs) == 2 * 2 and take.header.steps[0].well.exposure_us == 2000
    assert exlcap(lab, "verify", "quay").returncode == 0
    assert "[scenes.quay]\nexposure_us = 2000.0\n" in (lab.root / "rig.toml").read_text()


def test_a_camera_that_is_unplugged_is_told_and_the_view_comes_back(browser, lab):
    with served(lab) as (live, url):
        page = opened(browser, url)
        live.cameras["low"].device.FirePnPCallback.Execute()
        page.locator("#trouble", has_text="the low camera 0815-0001 was unplugged").wait_for()
        page.wait_for_selector("body[data-phase=live]")
        page.locator("#trouble").wait_for(state="hidden")
        assert page.complaints == []


def test_loupe_grid_and_snapshot_by_mouse_and_keyboard(browser, lab):
    with served(lab) as (_, url):
        page = opened(browser, url)
        canvas = page.locator("#view-well canvas")
        canvas.click(position={"x": 100, "y": 100})
        until(lambda: page.locator("#loupe").get_attribute("aria-pressed") == "true")
        width = canvas.evaluate("canvas => canvas.clientWidth")
        until(lambda: canvas.evaluate("canvas => canvas.width") == width, "the loupe's picture")
        places = []
        page.on("request", lambda request: places.append(LOUPE.search(request.url)))

        def looks_at(x, y):
            page.wait_for_timeout(50)
            found = places[-1] if places else None  # none yet: the page asks a few times a second
            return found and abs(float(found[1]) - x) < 0.02 and abs(float(found[2]) - y) < 0.02

        box = canvas.bounding_box()
        canvas.click(position={"x": 0.86 * box["width"], "y": 0.86 * box["height"]})
        until(lambda: looks_at(0.5, 0.5), "the place pointed at in the corner")
        page.keyboard.press("ArrowLeft")
        until(lambda: looks_at(0.45, 0.5), "the way to the left")
        page.keyboard.press("Escape")
        until(lambda: canvas.evaluate("canvas => canvas.width") == 160, "the whole view")
        page.keyboard.press("g")
        assert page.locator("#grid").get_attribute("aria-pressed") == "true"
        page.keyboard.press("s")
        kept = page.locator("#message", has_text="kept as snapshots/")
        kept.wait_for()
        folder = lab.root / re.search(r"snapshots/\S+", kept.inner_text())[0]
        assert {path.name for path in folder.iterdir()} == {
            "well.tif", "low.tif", "well.jpg", "low.jpg", "snapshot.json"}  # fmt: skip
        assert page.complaints == []


def test_a_second_page_watches_until_it_takes_over(browser, lab):
    with served(lab) as (_, url):
        first = opened(browser, url)
        second = opened(browser, url)
        second.locator("#control", has_text="watching").wait_for()
        assert second.locator("#exposure").is_disabled() and second.locator("#shoot").is_disabled()
        second.get_by_role("button", name="Take over").click()
        second.locator("#control", has_text="this page controls").wait_for()
        first.locator("#control", has_text="watching").wait_for()
        assert first.locator("#exposure").is_disabled()


@pytest.mark.parametrize(
    ("size", "scrolls"),
    [(DESKTOP, False), (TABLET, False), (UPRIGHT, False), (PHONE, True)],
    ids=["desktop", "tablet", "upright", "phone"],
)
def test_nothing_overlaps_or_is_cut_off_in_any_mode(browser, tmp_path, size, scrolls):
    slow = {"pulse_hz = 20.0": "pulse_hz = 4.0"}  # a take that lasts until it has been looked at
    lab = make_lab(tmp_path / "lab", {**SMALL, **slow})
    write_alignment(lab.alignments / "align-001.json", true_alignment(lab.rig))
    with served(lab) as (_, url):
        page = opened(browser, url, size)
        assert_nothing_overlaps_or_is_cut_off(page, scrolls)
        page.get_by_role("button", name="Loupe").click()
        until(lambda: page.locator("#loupe").get_attribute("aria-pressed") == "true")
        assert_nothing_overlaps_or_is_cut_off(page, scrolls)
        for mode in ("Blend", "Checker"):
            page.get_by_role("button", name=mode).click()
            page.locator("#both-alignment", has_text=" px").wait_for()
            assert_nothing_overlaps_or_is_cut_off(page, scrolls)
        page.get_by_role("button", name="Shoot scene").click()
        page.locator("#progress-text", has_text="pairs").wait_for()
        assert_nothing_overlaps_or_is_cut_off(page, scrolls)
        page.get_by_role("button", name="Cancel after this pair").click()
        page.locator("#resume").wait_for()
        page.get_by_role("button", name="Two views").click()
        assert_nothing_overlaps_or_is_cut_off(page, scrolls)


def assert_nothing_overlaps_or_is_cut_off(page, scrolls):
    """No two controls, numbers or pictures share a place, nothing is wider than the window, or higher unless it may."""
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    whole_width, whole_height = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert whole_width == width and (whole_height == height or scrolls), (whole_width, whole_height)
    boxes = page.evaluate(BOXES)
    assert len(boxes) > 40
    for n, (name, tag, left, top, right, bottom, cut) in enumerate(boxes):
        assert left >= 0 and top >= 0 and right <= width and bottom <= whole_height, name
        assert tag not in ("BUTTON", "FIGCAPTION") or cut <= 0, f"{name} is too small for its words"
        assert tag != "BUTTON" or bottom - top >= 40, f"{name} is too small for a finger"
        for other, _, left2, top2, right2, bottom2, _ in boxes[n + 1 :]:
            apart = right <= left2 + 1.5 or right2 <= left + 1.5 or bottom <= top2 + 1.5 or bottom2 <= top + 1.5
            assert apart, f"{name} overlaps {other}"


def test_a_page_finds_a_preview_that_was_started_anew(browser, lab):
    with served(lab) as (_, url):
        page = opened(browser, url)
    page.locator("#phase", has_text="no answer").wait_for()
    with served(lab, port=int(url.rpartition(":")[2])):  # its keys are new, so the page must load itself again
        page.wait_for_selector("body[data-phase=live]")


def test_a_secret_does_not_stay_in_the_address(browser, lab):
    with served(lab, access="secret") as (_, url):
        page = opened(browser, f"{url}/?token=secret")
        assert page.url == f"{url}/"
