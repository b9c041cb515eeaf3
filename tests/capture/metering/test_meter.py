"""`exlcap meter` finds the base setting that brute force on the simulator finds, and says what gives way."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from exlcap.capture.cameras.contract import CameraLimits
from exlcap.capture.metering.base_setting import Bounds, bounds_of, find_base, look
from exlcap.capture.metering.meter import meter_scene
from exlcap.capture.metering.text import scene_text
from exlcap.capture.takes.plan import Request
from exlcap.capture.takes.shoot import run_take
from exlcap.cli import group
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import LIGHTS, Setting, read_rig
from exlcap.core.take import Step
from exlcap.simulate import rendering
from exlcap.simulate.sensor import SensorModel, expose

SMALL = {"width = 320": "width = 160", "height = 200": "height = 100"}
CAMERA = CameraLimits(1.0, 1e6, 48.0)
CAMERAS = {"well": CAMERA, "low": CAMERA}
START = Setting(exposure_us=1000.0, gain_db=0.0)
LAST_K, GAIN_DB_MAX, EXPOSURE_US_MIN = 12, 40.0, 20.0  # of the rig's template


@pytest.fixture
def scene_of(changed_lab):
    """A lab whose plaza has so much light."""
    return lambda light: changed_lab({**SMALL, "light = 1.0000": f"light = {light}"})


def brute_force(lab, monkeypatch, longest_us, percentile=99.5):
    """The setting with most light, on a grid of all that the limits leave, at which no colour's highlights exceed 90 %
    of white; of those with as much light, the longest exposure.
    """
    seen = []  # the light of a pulse does not depend on the setting: it is rendered once

    def once(*arguments):
        if not seen:
            seen.append(view(*arguments)(0))
        return lambda index: seen[0]

    view = rendering._view
    monkeypatch.setattr(rendering, "_view", once)
    best, found = 0.0, None
    for exposure_us in longest_us * 10 ** (-0.1 * np.arange(40)):
        for gain_db in np.arange(0, GAIN_DB_MAX - 20 * math.log10(LAST_K), 0.3):
            light = exposure_us * 10 ** (gain_db / 20)
            if exposure_us / LAST_K < EXPOSURE_US_MIN or light <= best:
                continue
            well = Setting(exposure_us=exposure_us, gain_db=gain_db)
            (pulse,) = rendering.render_step(lab.rig, "plaza", 0, Step(k=1, well=well, low=well), 0, 1)
            levels = (pulse.well - 60.0) / (4095 - 60)
            planes = levels[::2, ::2], levels[::2, 1::2], levels[1::2, ::2], levels[1::2, 1::2]
            if max(np.percentile(plane, percentile) for plane in planes) <= 0.9:
                best, found = light, well
    monkeypatch.undo()
    return found


@pytest.mark.parametrize(("light", "longest_us"), [(5.0, 2000.0), (1.0, 4000.0), (0.3, 1000.0), (0.1, 3000.0)])
def test_what_is_found_is_within_a_fifth_of_a_stop_of_brute_force(scene_of, monkeypatch, light, longest_us):
    lab = scene_of(light)
    found = meter_scene(lab, "plaza", longest_us, "blur", 99.5).metered
    best = brute_force(lab, monkeypatch, longest_us)
    stops = math.log2(found.setting.exposure_us / best.exposure_us) + (found.setting.gain_db - best.gain_db) / 6.0206
    assert abs(stops) <= 0.2
    assert found.setting.exposure_us >= 0.79 * best.exposure_us, "as much of it exposure as brute force found"
    assert found.gives_way is None and found.measurements <= 6


def test_too_little_light_makes_every_step_darker_and_that_is_said(scene_of):
    found = meter_scene(scene_of(0.02), "plaza", 2000.0, "1 px of blur", 99.5)
    setting = found.metered.setting
    assert setting.exposure_us == 2000.0
    assert setting.gain_db == pytest.approx(GAIN_DB_MAX - 20 * math.log10(LAST_K), abs=0.01)
    stops = math.log2(0.9 / found.metered.seen.highlights)
    text = scene_text(found, 99.5)
    assert f"brightness: the gain of step k = 12 is at its limit, so every step is {stops:.2f} stops darker" in text
    assert "as long as may be: 1 px of blur" in text


def test_a_bright_scene_gets_a_shorter_exposure_and_no_gain(scene_of):
    found = meter_scene(scene_of(4.0), "plaza", 2000.0, "blur", 99.5)
    assert found.metered.setting.gain_db < 0.01 and found.metered.setting.exposure_us < 1000
    assert "shorter than the 2000 us allowed" in scene_text(found, 99.5)


def test_a_higher_percentile_asks_for_less_light(scene_of):
    lab = scene_of(1.0)
    dark, bright = (meter_scene(lab, "plaza", 2000.0, "blur", p).metered.setting for p in (100, 90))
    assert dark.gain_db < bright.gain_db or dark.exposure_us < bright.exposure_us


def flat_scene(light):
    """What a camera sees of a grey card with a white corner, at any setting: no rig, no picture, only the sensor."""
    picture = np.full((64, 64, 3), 0.2 * light, np.float32)
    picture[:16, :16] = light
    model = SensorModel(black_level_dn=60)
    seeds = iter(range(1000))

    def measure(setting):
        frames = [
            expose(picture, model.electrons_per_us(), setting, 1.0, model, np.random.default_rng([next(seeds)]))
            for _ in range(2)
        ]
        return look(frames, 60.0, 99.5)

    return measure


BOUNDS = Bounds(exposure_us_min=240.0, exposure_us_max=5000.0, gain_db_max=18.4, longest="blur", last_k=12)


def test_a_lens_cap_is_told_from_a_dark_scene():
    with pytest.raises(Refused, match="sees next to nothing at 5000 us") as error:
        find_base(flat_scene(0.0), BOUNDS, START)
    assert "lens cap" in error.value.hint
    assert find_base(flat_scene(0.003), BOUNDS, START).gives_way is not None


def test_a_scene_that_clips_at_the_shortest_exposure_is_refused():
    with pytest.raises(Refused, match=r"clipped even at 240 us, .* the least that step k = 12 leaves"):
        find_base(flat_scene(10.0), BOUNDS, START)


@pytest.mark.parametrize("start", [(240.0, 0.0), (5000.0, 18.4), (1e6, 48.0)])
@pytest.mark.parametrize("light", [0.03, 0.3, 3.0])
def test_the_start_does_not_matter(light, start):
    found = find_base(flat_scene(light), BOUNDS, Setting(exposure_us=start[0], gain_db=start[1]))
    light_found = found.setting.exposure_us * 10 ** (found.setting.gain_db / 20)
    assert abs(math.log2(light_found * light / 900)) < 0.1
    assert found.measurements <= 6


def test_light_that_never_settles_is_refused():
    lights = iter([1.0, 0.3] * 10)
    with pytest.raises(Refused, match="the light changes from measurement to measurement"):
        find_base(lambda setting: flat_scene(next(lights))(setting), BOUNDS, START)


def test_the_level_is_that_of_the_brightest_colour():
    frames = [np.full((64, 64), 500, np.uint16) for _ in range(2)]
    for frame in frames:
        frame[1::2, 1::2] = 4095 if frame is frames[0] else 4094  # blue
    seen = look(frames, 60.0, 99.5)
    assert seen.highlights == pytest.approx(1.0, abs=0.001) and seen.clipped_share == 0.125


@pytest.mark.parametrize(
    ("divisors", "cameras", "longest_us", "says"),
    [
        ((1, 12), CAMERAS, 200.0, "blur: at most 200 us, but step k = 12 needs a base of 240 us or more"),
        ((1, 99), CAMERAS, 1e5, "pulses/s .* but step k = 99 needs a base of 1980 us"),
        ((1, 12), {"well": CameraLimits(1.0, 1e6, 20.0), "low": CAMERA}, 1e4, "needs 21.6 dB more than the base"),
    ],
)
def test_a_schedule_that_no_base_fits_is_named(changed_lab, divisors, cameras, longest_us, says):
    rig = changed_lab({"pulse_hz = 60.0": "pulse_hz = 164.0"} if 99 in divisors else {}).rig
    if 99 in divisors:
        rig = rig.model_copy(update={"sync": rig.sync.model_copy(update={"pulse_hz": 900.0})})
    with pytest.raises(ExlcapError, match=says):
        bounds_of(rig, divisors, cameras, longest_us, "blur")


def test_what_limits_the_exposure_is_named(changed_lab):
    rig = changed_lab({}).rig
    assert bounds_of(rig, (1, 12), CAMERAS, 1000.0, "blur").longest == "blur"
    pulses = bounds_of(rig, (1, 12), CAMERAS, 1e9, "blur")
    assert pulses.longest.startswith("60 pulses/s") and pulses.exposure_us_max == pytest.approx(1e6 / 60 - 500)


def run(lab, *arguments):
    return CliRunner().invoke(group, ["-C", str(lab.root), "meter", *arguments], obj=lab.root)


def test_the_command_writes_the_base_of_the_scene_or_only_prints_it(scene_of):
    lab = scene_of(1.0)
    path = lab.root / "rig.toml"
    before = path.read_text()
    dry = run(lab, "--scene", "plaza", "--blur-px", "2", "--speed-px-s", "1000", "--dry-run", "--json")
    found = json.loads(dry.stdout)
    assert dry.exit_code == 0 and found["written"] is False and path.read_text() == before
    assert found["exposure_limited_by"] == "2 px of blur at 1000 px/s" and found["exposure_us"] <= 2000
    assert [step["k"] for step in found["plan"]["steps"]] == [1, 2, 4, 8, 12]
    assert found["plan"]["steps"][0]["well_clipped_share"] < 0.01

    done = run(lab, "--scene", "plaza", "--max-exposure-us", "2000")
    assert done.exit_code == 0 and "wrote [scenes.plaza]" in done.output
    base = read_rig(path).scenes["plaza"]
    assert (base.exposure_us, base.gain_db) == (found["exposure_us"], found["gain_db"])
    assert len(path.read_text().splitlines()) == len(before.splitlines())
    assert not (lab.simulated / "plaza").exists(), "metering leaves no truth about a take"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--scene", "plaza"), "give --blur-px with --speed-px-s, or --max-exposure-us"),
        (("--scene", "plaza", "--blur-px", "2"), "give --blur-px with --speed-px-s"),
        (("--scene", "plaza", "--blur-px", "2", "--speed-px-s", "9", "--max-exposure-us", "9"), "give --blur-px"),
        (("--scene", "plaza", "--blur-px", "0", "--speed-px-s", "9"), "--blur-px 0 is not above 0"),
        (("--scene", "plaza", "--max-exposure-us", "nan"), "--max-exposure-us nan is not above 0"),
        (("--max-exposure-us", "1000"), "give either --scene NAME or --reference"),
        (("--scene", "plaza", "--reference"), "give either --scene NAME or --reference"),
        (("--reference", "--max-exposure-us", "1000"), "nothing moves in a reference"),
    ],
)
def test_bad_options_are_named(lab, arguments, says):
    done = run(lab, *arguments)
    assert done.exit_code == 2 and says in done.output


def test_a_bad_scene_name_and_a_missing_camera_are_told(changed_lab, exlcap):
    lab = changed_lab({'serial = "0815-0001"': 'serial = "0815-0007"'})
    before = (lab.root / "rig.toml").read_text()
    for scene, says in (("../x", "cannot name a scene"), ("plaza", "0815-0007")):
        done = exlcap(lab, "meter", "--scene", scene, "--max-exposure-us", "1000")
        assert done.returncode == 2 and says in done.stderr and "try:" in done.stderr
    assert (lab.root / "rig.toml").read_text() == before


def test_a_refusal_leaves_rig_toml_alone(scene_of, exlcap):
    lab = scene_of(20.0)
    before = (lab.root / "rig.toml").read_text()
    done = exlcap(lab, "meter", "--scene", "plaza", "--max-exposure-us", "1000")
    assert done.returncode == 3 and "the highlights are clipped even at 240 us" in done.stderr
    assert (lab.root / "rig.toml").read_text() == before


def test_each_camera_of_a_reference_gets_its_own_setting(changed_lab):
    """From settings that are both wrong; the reference shot then is well exposed in both."""
    settings = {
        "[reference.well]\nexposure_us = 1000.0": "[reference.well]\nexposure_us = 30.0",
        "exposure_us = 50000.0\ngain_db = 6.0": "exposure_us = 100.0\ngain_db = 30.0",
    }
    lab = changed_lab(SMALL | settings)
    done = run(lab, "--reference", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0 and found["low"]["exposure_limited_by"] == "limits.exposure_us_max of rig.toml"
    reference = read_rig(lab.root / "rig.toml").reference
    assert reference.well.gain_db < 0.01 and reference.low.exposure_us == 100_000
    times = reference.low.exposure_us * 10 ** (reference.low.gain_db / 20) / reference.well.exposure_us
    assert times == pytest.approx(100, rel=0.1), "the filter passes 1 %"
    report = run_take(type(lab)(lab.root), Request(None))
    assert report.badly_exposed == []
    assert all(pair.frame(light).clipped_share < 0.005 for pair in report.take.pairs for light in LIGHTS)


def test_a_camera_of_a_reference_without_light_is_named(changed_lab):
    lab = changed_lab(SMALL | {"nd_transmittance = 0.01": "nd_transmittance = 0.0000001"})
    error = run(lab, "--reference").exception
    assert isinstance(error, Refused) and error.message.startswith("low camera: the camera sees next to nothing at")
    assert "rig.toml leaves" in error.message
