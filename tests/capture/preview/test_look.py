"""What a page sees of a pair: pictures and numbers that mean what they say, at a rate that costs little."""

import time

import cv2
import numpy as np
import pytest

from exlcap.capture.preview.look import INTERVAL_S, Looker
from exlcap.capture.preview.measure import STOPS, measure, planes_of, sharpness
from exlcap.capture.preview.views import (
    BLACK_MARK,
    WHITE_MARK,
    brightened,
    developments,
    loupe,
    loupe_centres,
    make_small,
    marked,
    overlaid,
)
from exlcap.core.alignment import make_alignment, write_alignment
from exlcap.core.develop import Development, develop, to_srgb
from exlcap.simulate.knock import knocked
from exlcap.simulate.optics import true_alignment
from tests.capture.conftest import SMALL, TINY, make_lab
from tests.capture.preview.serving import Page, served, simulated, until

HOW = Development(60.0)


def flat(level, shape=(64, 96)):
    return np.full(shape, level, np.uint16)


def test_the_histogram_counts_every_pixel_once_by_stops_below_white():
    planes = planes_of(flat(60 + (4095 - 60) // 4))
    found = measure(planes, 60.0)
    red, green, blue = map(np.array, found.histogram)
    assert (red.sum(), green.sum(), blue.sum()) == (1536, 3072, 1536)
    at = np.average(np.arange(len(red)), weights=red) / (len(red) - 1) * STOPS
    assert at == pytest.approx(STOPS - 2, abs=0.1), "two stops below white"
    assert found.mean_dn == pytest.approx(1068)


def test_light_that_doubles_moves_the_histogram_by_a_stop():
    rng = np.random.default_rng([1])
    light = rng.uniform(100, 1500, (64, 64))
    one, two = (measure(planes_of((60 + factor * light).astype(np.uint16)), 60.0) for factor in (1, 2))
    centre = [np.average(np.arange(len(m.histogram[1])), weights=m.histogram[1]) for m in (one, two)]
    assert (centre[1] - centre[0]) / 12 == pytest.approx(1, abs=0.02)


def test_pixels_at_white_and_at_zero_are_counted():
    raw = flat(500)
    raw[0, :10], raw[1, :3] = 4095, 0
    found = measure(planes_of(raw), 60.0)
    assert found.white_share == pytest.approx(10 / raw.size)
    assert found.zero_share == pytest.approx(3 / raw.size)
    assert sum(channel[-1] for channel in found.histogram) == 10


def scene(sigma, noise_dn, gain=1.0):
    """A raw frame of stripes, blurred, with noise."""
    rng = np.random.default_rng([7])
    stripes = np.kron(rng.uniform(200, 900, (20, 20)), np.ones((16, 16)))
    blurred = cv2.GaussianBlur(stripes, (0, 0), sigma)
    return np.clip(60 + gain * blurred + rng.normal(0, noise_dn, blurred.shape), 0, 4095).astype(np.uint16)


def sharp(raw):
    return sharpness(planes_of(raw), float(raw.mean()) - 60)


def test_sharpness_rises_with_focus_and_not_with_light():
    values = [sharp(scene(sigma, 0)) for sigma in (1, 2, 4, 8)]
    assert values == sorted(values, reverse=True) and values[0] > 3 * values[2]
    assert sharp(scene(2, 0, gain=2.0)) == pytest.approx(values[1], rel=0.02)


def test_sharpness_holds_no_noise():
    clean = sharp(scene(4, 0))
    assert sharp(scene(4, 40)) == pytest.approx(clean, rel=0.1)
    noise_alone = np.random.default_rng([2]).normal(300, 40, (320, 320)).astype(np.uint16)
    assert sharp(noise_alone) < clean / 20


def test_clipping_is_shown_where_it_is():
    raw = flat(800, (64, 64))
    raw[10:12, 20:22] = 4095
    raw[32:, 32:] = 60
    small = make_small(planes_of(raw), HOW, 32)
    picture = marked(to_srgb(small.linear), small)
    assert tuple(picture[5, 10]) == WHITE_MARK and tuple(picture[24, 24]) == BLACK_MARK
    assert small.white.sum() == 1 and not small.black[:16].any() and not small.black[:, :16].any()


def test_noise_about_the_dark_level_is_no_light_and_a_little_light_in_noise_is_some():
    rng = np.random.default_rng([5])
    none, some = (np.round(60 + light_dn + rng.normal(0, 3, (200, 320))).astype(np.uint16) for light_dn in (0, 2))
    assert make_small(planes_of(none), HOW, 160).black.mean() > 0.8
    assert not make_small(planes_of(some), HOW, 160).black.any()


def test_one_clipped_pixel_is_still_seen_when_the_view_is_small():
    raw = flat(800, (400, 640))
    raw[101, 201] = 4095
    assert make_small(planes_of(raw), HOW, 80).white.sum() == 1


def test_a_small_view_has_the_colours_of_the_development():
    raw = scene(3, 5)
    how = Development(60.0, (1.5, 1.0, 2.0), ((1.2, -0.1, -0.1), (-0.1, 1.2, -0.1), (0.0, -0.2, 1.2)))
    small = make_small(planes_of(raw), how, 80)
    whole = cv2.resize(develop(raw, how), (80, 80), interpolation=cv2.INTER_AREA)
    assert np.abs(small.linear - whole).mean() < 0.01


def test_the_dark_view_is_amplified_by_30_or_to_a_mean():
    light = np.full((4, 4, 3), 0.01, np.float32)
    assert brightened(light, "x30") == pytest.approx(0.3)
    assert brightened(light, "mean") == pytest.approx(0.4)


def test_both_views_lie_on_each_other_through_the_alignment(tmp_path):
    rig = make_lab(tmp_path / "lab", SMALL).rig
    truth = true_alignment(rig)
    assert truth.mirror
    rng = np.random.default_rng([3])
    well = 0.1 + 6 * np.abs(cv2.GaussianBlur(rng.uniform(-1, 1, (200, 320)).astype(np.float32), (0, 0), 4))
    low = cv2.warpPerspective(well, np.linalg.inv(truth.low_to_well), (320, 200), flags=cv2.INTER_LINEAR) / 50
    well3, low3 = (cv2.merge([view] * 3) for view in (well, low))
    alone = to_srgb(well3)[20:-20, 20:-20].astype(int)
    for mode in ("blend", "checker"):
        both = overlaid(well3, low3, truth, mode)[20:-20, 20:-20].astype(int)
        assert np.abs(both - alone).mean() < 3, mode
    unmirrored = make_alignment(np.eye(3), False, (320, 200), (320, 200), "x", "x")
    assert np.abs(overlaid(well3, low3, unmirrored, "checker")[20:-20, 20:-20].astype(int) - alone).mean() > 5


def test_the_loupe_shows_the_same_place_of_both_frames(tmp_path):
    workspace = make_lab(tmp_path / "lab", {**SMALL, "width = 960": "width = 1920", "height = 600": "height = 1200"})
    truth = true_alignment(workspace.rig)
    how = developments(workspace.rig, truth)
    centres = loupe_centres((0.25, 0.5), (1920, 1200), how)
    assert centres["well"] == (479.5, 599.5)
    assert truth.map_low_to_well(np.array([centres["low"]]))[0] == pytest.approx(centres["well"])
    guess = loupe_centres((0.25, 0.5), (1920, 1200), developments(workspace.rig, None))
    assert guess["low"] == (1919 - 479.5, 599.5)


@pytest.mark.parametrize("centre", [(0, 0), (-50, 2000), (799, 499), (801, 503)])
def test_the_loupe_is_one_to_one_and_stays_inside(centre):
    raw = np.random.default_rng([4]).integers(60, 4095, (1000, 1600)).astype(np.uint16)
    piece, whole = develop(loupe(raw, centre), HOW), develop(raw, HOW)
    assert piece.shape == (400, 640, 3)
    x = int(np.clip(centre[0] - 320, 0, 960)) // 2 * 2
    y = int(np.clip(centre[1] - 200, 0, 600)) // 2 * 2
    assert np.array_equal(piece[4:-4, 4:-4], whole[y + 4 : y + 396, x + 4 : x + 636])


def test_a_page_gets_pictures_and_numbers_of_one_pair(tmp_path):
    lab = make_lab(tmp_path / "lab", SMALL)
    with served(lab) as (live, url):
        until(lambda: live.status.phase == "live")
        page = Page(url)
        state, pictures = page.look()
        assert set(pictures) == {"well", "low"}
        shown = {name: cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for name, jpeg in pictures.items()}
        assert all(picture.shape == (100, 160, 3) for picture in shown.values()), "half of 320 x 200"
        assert 60 < shown["low"].mean() < 220, "the dark view is made visible"
        pair = state["pair"]
        assert pair["well"]["mean_dn"] > 200 > pair["low"]["mean_dn"] > 60
        assert (pair["well"]["exposure_us"], pair["well"]["gain_db"], pair["k"]) == (1000, 0, 1)
        assert (state["skew_us"], pair["low"]["temperature_c"]) == (None, None), "not measurable is not zero"
        assert state["alignment"] is None
        later, _ = page.look(after=pair["number"])
        assert later["pair"]["number"] > pair["number"]

        assert set(page.look(mode="blend")[1]) == {"well", "low"}, "there is no alignment yet"
        write_alignment(lab.alignments / "align-001.json", true_alignment(lab.rig))
        assert until(lambda: set(page.look(mode="blend")[1]) == {"both"}, "the overlay")
        assert page.look()[0]["alignment"] == "align-001"
        assert set(page.look(loupe="0.5,0.5")[1]) == {"well", "low", "loupe-well", "loupe-low"}


def test_more_exposure_is_seen_and_k_12_darkens_the_dark_view(tmp_path):
    lab = make_lab(tmp_path / "lab", SMALL)
    with served(lab) as (live, url):
        until(lambda: live.status.phase == "live")
        page = Page(url)
        before = page.look()[0]["pair"]
        assert page.do("show", scene="scene", exposure_us=2000, gain_db=0, k=1)[0] == 200
        more = page.until(lambda state: state["pair"] and state["pair"]["well"]["exposure_us"] == 2000)["pair"]
        assert (more["well"]["mean_dn"] - 60) / (before["well"]["mean_dn"] - 60) == pytest.approx(2, rel=0.1)
        assert page.do("show", scene="scene", exposure_us=2000, gain_db=0, k=12)[0] == 200
        dark = page.until(lambda state: state["pair"] and state["pair"]["k"] == 12)["pair"]
        assert (dark["low"]["mean_dn"] - 60) / (more["low"]["mean_dn"] - 60) == pytest.approx(1 / 12, rel=0.15)
        assert dark["well"]["mean_dn"] == pytest.approx(more["well"]["mean_dn"], rel=0.1)


def test_steps_that_cannot_be_shot_say_why(tmp_path):
    with served(make_lab(tmp_path / "lab", TINY), simulated()) as (live, url):
        until(lambda: live.status.phase == "live")
        page = Page(url)
        page.do("show", scene="scene", exposure_us=1000, gain_db=20, k=1)
        steps = {step["k"]: step["problem"] for step in page.look()[0]["steps"]}
        assert steps[1] is None and "gain 41.58 dB is above the limit of rig.toml, 40 dB" in steps[12]


def test_the_peak_of_sharpness_is_held_until_it_is_reset(tmp_path):
    with served(make_lab(tmp_path / "lab", SMALL)) as (live, url):
        until(lambda: live.status.phase == "live")
        page = Page(url)
        assert 0.8 < page.look()[0]["pair"]["well"]["focus_of_peak"] <= 1
        page.do("show", scene="scene", exposure_us=1000, gain_db=0, k=None)
        other = page.until(lambda state: state["pair"] and state["pair"]["low"]["exposure_us"] == 50_000)["pair"]
        sharper = max(("well", "low"), key=lambda light: -other[light]["focus_of_peak"])
        held = other[sharper]["focus_of_peak"]
        assert held < 0.95, "another scene is not as sharp in both"
        assert page.do("forget-peaks")[0] == 200
        assert page.look(after=other["number"])[0]["pair"][sharper]["focus_of_peak"] > held


def test_under_the_loupe_the_focus_is_that_of_the_place(tmp_path):
    sizes = {"width = 960": "width = 1600", "height = 600": "height = 1000", "pulse_hz = 20.0": "pulse_hz = 160.0"}
    opened = simulated(size=(1600, 1000))

    def half_sharp(rig):
        """The left half of every frame holds stripes, the right half nothing."""
        cameras = opened(rig)
        for camera in cameras.values():
            grab = camera.grab
            camera.grab = lambda timeout_ms, grab=grab: striped(grab(timeout_ms))
        return cameras

    def striped(grab):
        if grab is not None:
            grab.raw[:, :800] += np.tile(np.repeat([0, 600], 8), 50).astype(np.uint16)
        return grab

    with served(make_lab(tmp_path / "lab", sizes), half_sharp) as (live, url):
        until(lambda: live.status.phase == "live")
        page = Page(url)
        left, right = (page.look(loupe=place)[0]["pair"] for place in ("0.25,0.5", "0.75,0.5"))
        assert left["well"]["focus_of_peak"] > 0.9
        assert right["well"]["focus_of_peak"] is None, "there is nothing to focus on"


def test_pictures_are_made_at_a_bounded_rate_however_many_pages_ask(tmp_path, monkeypatch):
    made, see = [], Looker.see
    monkeypatch.setattr(Looker, "see", lambda *args: made.append(args) or see(*args))
    with served(make_lab(tmp_path / "lab", TINY), simulated()) as (live, url):
        until(lambda: live.status.phase == "live")
        pages = [Page(url) for _ in range(3)]
        began = time.monotonic()
        numbers = [0, 0, 0]
        for _ in range(6):
            for n, page in enumerate(pages):
                numbers[n] = until(lambda page=page, after=numbers[n]: number_of(page.look(after)[0]["pair"]))
        passed_s = time.monotonic() - began  # a busy machine only makes this longer
    assert len(made) > 5
    assert (len(made) - 1) * INTERVAL_S <= passed_s, "ten a second in all"


def number_of(pair):
    """The number of a pair; None where none came in the time that a page waits."""
    return None if pair is None else pair["number"]


def test_nothing_is_made_while_nobody_looks(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(Looker, "see", lambda *args: made.append(args))
    with served(make_lab(tmp_path / "lab", TINY), simulated()) as (live, _):
        until(lambda: live.newest and live.newest.number > 50)
    assert made == []


def test_the_drift_is_measured_on_the_views_that_are_shown(tmp_path):
    lab = make_lab(tmp_path / "lab", {"width = 960": "width = 640", "height = 600": "height = 400"})
    truth = true_alignment(lab.rig)
    with served(lab) as (live, url):
        until(lambda: live.status.phase == "live")
        page = Page(url)
        status, answer = page.do("measure-drift")
        assert status == 400 and answer["message"] == "there is no alignment yet"
        turned = np.linalg.inv(knocked("turn", 3.0, (640, 400), 1)) @ np.array(truth.homography)
        for number, homography in (("001", np.array(truth.homography)), ("002", turned)):
            alignment = make_alignment(homography, truth.mirror, truth.low_size, truth.well_size, "ref-001", "today")
            write_alignment(lab.alignments / f"align-{number}.json", alignment)
            assert page.look()[0]["drift"] is None, "what was measured against another alignment says nothing"
            status, answer = page.do("measure-drift")
            assert status == 200 and f"px from align-{number}" in answer["message"], answer
            drift = page.look()[0]["drift"]
            assert drift["px"] == pytest.approx(3.0 if number == "002" else 0.0, abs=0.3)
            assert 0 < drift["sd_px"] < 0.2
            assert drift["too_far"] == (number == "002")
