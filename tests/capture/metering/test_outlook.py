"""`exlcap plan` predicts what simulated takes then show."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from exlcap.capture.metering.expected_levels import Paths, predict, rates_of_frame, rates_of_level
from exlcap.capture.metering.outlook import outlook
from exlcap.capture.takes.plan import Request
from exlcap.capture.takes.schedule import steps_for_scene
from exlcap.capture.takes.shoot import run_take
from exlcap.cli import group
from exlcap.core.develop import Development, develop, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Setting
from exlcap.core.take import Step
from exlcap.simulate.rendering import render_step
from exlcap.simulate.sensor import SensorModel, expose

MODEL = SensorModel(black_level_dn=60)
BASE = Setting(exposure_us=1000.0, gain_db=0.0)
NOMINAL = Paths((0.01, 0.01, 0.01), "nominal")


@pytest.mark.parametrize("scene", ["plaza", "hall", "cellar"])
def test_the_dark_level_is_predicted_within_10_percent_from_frames_and_from_their_mean(lab, scene):
    base = lab.rig.scene_base(scene)
    steps = steps_for_scene(lab.rig, base, (1, 2, 4, 8, 12))
    shot = [next(render_step(lab.rig, scene, 1, step, 0, 1)) for step in steps]
    level = (float(shot[0].well.mean()) - 60) / (4095 - 60)
    lights = (
        rates_of_frame(shot[0].well, 60.0, steps[0].well, MODEL),
        rates_of_level(level, base, MODEL),
    )
    for step, pulse in zip(steps, shot, strict=True):
        found = float(to_srgb(develop(pulse.low, Development(60))).mean())
        for rates in lights:
            assert predict(step, rates, NOMINAL, MODEL, None, None).low_mean == pytest.approx(found, rel=0.10)


def test_noise_and_clipping_follow_the_model():
    """10,700 e- of a full well give the 40.3 dB that the constants came from; 18 % of it 32.8 dB."""
    (step,) = steps_for_scene_of(gain_db=0.0)
    full = predict(step, rates_of_level(0.999, BASE, MODEL), NOMINAL, MODEL, None, None)
    assert full.well_snr_db == pytest.approx(40.3, abs=0.1)
    grey = predict(step, rates_of_level(0.18, BASE, MODEL), NOMINAL, MODEL, None, None)
    assert grey.well_snr_db == pytest.approx(32.8, abs=0.1)
    assert grey.well_clipped_share < 0.02 < full.well_clipped_share
    (amplified,) = steps_for_scene_of(gain_db=21.6)
    assert predict(amplified, rates_of_level(0.18, BASE, MODEL), NOMINAL, MODEL, None, None).well_clipped_share > 0.5


def steps_for_scene_of(gain_db):
    well = Setting(exposure_us=1000.0, gain_db=gain_db)
    return (Step(k=1, well=well, low=Setting(exposure_us=1000.0, gain_db=3.4)),)


def test_a_take_is_metered_and_its_dark_frames_stand_beside_the_prediction(lab):
    take = run_take(lab, Request("plaza", schedule="1,4", pairs=1)).take
    found = outlook(lab, Request(""), None, take.folder)
    assert [step.k for step in found.steps] == [1, 4]
    assert all(step.low_mean == pytest.approx(step.low_mean_found, rel=0.10) for step in found.steps)
    brighter = outlook(lab, Request("", exposure_us=2000.0), None, take.folder)
    assert all(step.low_mean_found is None for step in brighter.steps)
    assert brighter.steps[0].low_mean > 1.6 * found.steps[0].low_mean


def test_what_the_rig_cannot_shoot_is_named(lab):
    found = outlook(lab, Request("", gain_db=20.0), 0.18, None)
    assert [step.problem is None for step in found.steps] == [True, True, True, True, False]
    assert "cannot be shot: step k = 12: well camera: gain 41.58 dB is above the limit of rig.toml" in found.text()
    assert [step.split for step in found.steps] == ["LL-H", "LL-E", "LL-E", "LL-E", "LL-E"]


def test_the_measured_transmittance_goes_before_the_nominal_one(lab):
    from exlcap.core.alignment import Photometry, write_alignment
    from exlcap.simulate.optics import true_alignment

    nominal = outlook(lab, Request(""), None, None)
    assert nominal.paths.transmittance == (0.01, 0.01, 0.01)
    assert "R 1.000 % G 1.000 % B 1.000 % of the light, nominal value of rig.toml" in nominal.text()
    photometry = Photometry(
        transmittance=(0.012, 0.010, 0.008), transmittance_sd=(0, 0, 0), offset_dn=0,
        well_white_balance=(1, 1, 1), low_white_balance=(1, 1, 2),
    )  # fmt: skip
    measured = true_alignment(lab.rig).model_copy(update={"photometry": photometry})
    write_alignment(lab.alignments / "align-001.json", measured)
    found = outlook(lab, Request(""), None, None)
    assert found.paths == Paths(
        (0.012, 0.010, 0.008), "measured by align-001, with its white balance", (1, 1, 1), (1, 1, 2)
    )
    assert found.data()["transmittance"] == [0.012, 0.010, 0.008]
    assert "R 1.200 % G 1.000 % B 0.800 % of the light, measured by align-001" in found.text()


def test_the_command_speaks_json_and_refuses_what_makes_no_sense(lab):
    def run(*arguments):
        return CliRunner().invoke(group, ["-C", str(lab.root), "plan", *arguments], obj=lab.root)

    data = json.loads(run("--scene", "cellar", "--json").output)
    assert data["steps"][0]["well_gain_db"] == 17.0 and data["steps"][0]["low_mean_found"] is None
    assert run("--take", "scenes/plaza/take-001", "--level", "0.2").exit_code == 2
    for arguments, says in (
        (("--level", "1.5"), "--level 1.5 is not between 0 and 1"),
        (("--take", "scenes/plaza/take-009"), "take header not found"),
    ):
        error = run(*arguments).exception
        assert isinstance(error, ExlcapError) and says in error.message


def test_each_colour_passes_its_own_share_and_is_balanced():
    """Against frames of a grey scene exposed by the simulator, through cameras that see colours differently."""
    paths = Paths((0.03, 0.01, 0.006), "measured", (1.5, 1.0, 2.0), (0.5, 1.0, 10 / 3))
    rng = np.random.default_rng([1])
    grey = np.minimum(0.15 * rng.lognormal(-0.32, 0.8, (400, 400)), 1)[..., None].astype(np.float32)
    seen = (grey / np.array(paths.well_balance)).astype(np.float32)
    for k in (1, 4, 12):
        step = step_of(k)
        well = expose(seen, 10.7, BASE, 1.0, MODEL, rng)
        low = expose((seen * paths.transmittance).astype(np.float32), 10.7, step.low, 1.0, MODEL, rng)
        found = float(to_srgb(develop(low, Development(60, paths.low_balance))).mean())
        level = (float(well.mean()) - 60) / (4095 - 60)
        for rates in (rates_of_frame(well, 60.0, BASE, MODEL), rates_of_level(level, BASE, MODEL, paths.well_balance)):
            assert predict(step, rates, paths, MODEL, None, None).low_mean == pytest.approx(found, rel=0.1)


def step_of(k):
    well, low = (Setting(exposure_us=1000.0 / k, gain_db=gain_db) for gain_db in (20 * math.log10(k), 3.4))
    return Step(k=k, well=well, low=low)
