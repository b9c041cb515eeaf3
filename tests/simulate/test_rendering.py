"""Frames: repeatable, well exposed, and both lights are those of the physics."""

from __future__ import annotations

import json

import numpy as np
import pytest

from exlcap.core.develop import Development, develop, to_srgb
from exlcap.core.errors import ExlcapError
from exlcap.core.labels import read_coco
from exlcap.core.rig import Setting
from exlcap.core.take import Step
from exlcap.simulate.rendering import render_step, truth_coco

HOW = Development(black_level_dn=60)


def test_a_pulse_is_the_same_whenever_and_from_wherever_it_is_asked_for(rig, step):
    whole = list(render_step(rig, "plaza", 1, step, 0, 4))
    rest = list(render_step(rig, "plaza", 1, step, 2, 2))
    assert [pulse.index for pulse in whole] == [0, 1, 2, 3]
    for a, b in zip(whole[2:], rest, strict=True):
        assert a.index == b.index
        assert np.array_equal(a.well, b.well) and np.array_equal(a.low, b.low)
        assert [p.to_json() for p in a.people] == [p.to_json() for p in b.people]


def test_scene_take_step_and_seed_each_make_another_frame(rig, make_rig, step):
    def first(rig=rig, scene="plaza", take=1, step=step):
        return next(render_step(rig, scene, take, step, 0, 1)).well

    others = [
        first(scene="yard"),
        first(take=2),
        first(step=step.model_copy(update={"k": 2})),
        first(rig=make_rig(seed=8)),
    ]
    for other in others:
        assert not np.array_equal(other, first())


def test_frames_are_raw_12_bit_frames_of_the_sensor(rig, step):
    pulse = next(render_step(rig, "plaza", 1, step, 0, 1))
    for raw in (pulse.well, pulse.low):
        assert raw.shape == (200, 320) and raw.dtype == np.uint16 and raw.max() <= 4095


@pytest.mark.parametrize("scene", ["plaza", "yard", "bar", "hall", "office"])
def test_at_the_base_setting_the_bright_picture_is_well_exposed(rig, step, scene):
    pulse = next(render_step(rig, scene, 1, step, 0, 1))
    picture = to_srgb(develop(pulse.well, HOW))
    assert 80 < picture.mean() < 130
    assert (pulse.well >= 4095).mean() < 0.01
    assert picture.std() > 25


def test_a_dim_scene_with_more_gain_is_as_bright(make_rig, step):
    rig = make_rig(scenes={"bar": {"light": 0.05}})
    dim = step.model_copy(update={"well": Setting(exposure_us=1000, gain_db=20 * np.log10(20))})
    bright = next(render_step(rig.model_copy(update={"emulator": make_rig().emulator}), "bar", 1, step, 0, 1)).well
    made_up = next(render_step(rig, "bar", 1, dim, 0, 1)).well
    assert made_up.mean() == pytest.approx(bright.mean(), rel=0.02)


def test_the_dark_frame_holds_the_transmitted_hundredth(make_rig, step):
    optics = {"rotation_deg": 0.0, "scale": 1.0, "shift_px": [0, 0], "perspective": [0, 0]}
    rig = make_rig(mirror=True, **optics)
    pulse = next(render_step(rig, "plaza", 1, step, 0, 1))
    bright, dark = pulse.well.astype(float) - 60, pulse.low.astype(float) - 60
    assert dark.mean() / bright.mean() == pytest.approx(0.01 * 10 ** (3.4 / 20), rel=0.02)
    # mirrored as its camera gives it: the bright frame turned over is like it, the bright frame is not
    coarse = [v.reshape(20, 10, 32, 10).mean((1, 3)).ravel() for v in (dark, bright[:, ::-1], bright)]
    assert np.corrcoef(coarse[0], coarse[1])[0, 1] > 0.9 > np.corrcoef(coarse[0], coarse[2])[0, 1]


def test_a_reference_is_grey_on_average_so_that_its_white_balance_is_none(rig):
    step = Step(k=1, well=rig.reference.well, low=rig.reference.low)
    (pulse,) = render_step(rig, "reference", 1, step, 0, 1, reference=True)
    black = rig.sensor.black_level_dn
    for raw in (pulse.well, pulse.low):
        red, green, blue = (float(raw[y::2, x::2].mean()) - black for y, x in ((0, 0), (0, 1), (1, 1)))
        assert red == pytest.approx(green, rel=0.05)
        assert blue == pytest.approx(green, rel=0.05)


def test_a_reference_is_static_and_empty_and_only_its_noise_differs(rig):
    step = Step(k=1, well=rig.reference.well, low=rig.reference.low)
    a, b = render_step(rig, "reference", 1, step, 0, 2, reference=True)
    assert a.people == b.people == ()
    for one, other, gain_db in ((a.well, b.well, 0.0), (a.low, b.low, 14.0)):
        kept = (one < 4000) & (other < 4000)
        level = (one[kept].astype(float) + other[kept]) / 2 - 60
        dn_per_electron = 10 ** (gain_db / 20) * 4035 / 10_700
        variance = dn_per_electron * level.mean() + (dn_per_electron * 2.4) ** 2 + 1 / 12
        difference = one[kept].astype(float) - other[kept]
        assert difference.mean() == pytest.approx(0, abs=5 * np.sqrt(2 * variance / kept.sum()))
        assert difference.var() == pytest.approx(2 * variance, rel=0.06)
        assert level.mean() > 150  # both cameras see it well


def test_people_are_several_keep_their_names_and_move(make_rig, step):
    rig = make_rig(people=[5, 5])
    pulses = list(render_step(rig, "plaza", 1, step, 0, 6))
    names = [{p.id for p in pulse.people} for pulse in pulses]
    assert set.union(*names) <= {"p1", "p2", "p3", "p4", "p5"}
    assert len(names[0]) >= 3
    first, last = ({p.id: p for p in pulses[i].people} for i in (0, 5))
    moved = [
        np.linalg.norm(first[name].keypoints[:, :2] - last[name].keypoints[:, :2], axis=1)[
            first[name].labelled & last[name].labelled
        ].max()
        for name in first.keys() & last.keys()
    ]
    assert max(moved) > 5
    assert min(moved) > 0.3


def test_the_truth_is_a_coco_file_that_reads_back(rig, step, tmp_path):
    pulses = list(render_step(rig, "plaza", 1, step, 0, 2))
    truth = {f"plaza-t001-k01-{pulse.index:06d}": pulse.people for pulse in pulses}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth_coco(truth, (320, 200))))
    images = read_coco(path)
    assert [image.file_name for image in images] == [f"{name}.png" for name in truth]
    for image, people in zip(images, truth.values(), strict=True):
        assert image.size == (320, 200)
        assert [p.id for p in image.people] == [p.id for p in people]
        for read, true in zip(image.people, people, strict=True):
            assert np.allclose(read.keypoints, true.keypoints, atol=1e-4)
            assert read.box == pytest.approx(true.box, abs=1e-4)
    ids = [annotation["id"] for annotation in truth_coco(truth, (320, 200))["annotations"]]
    assert ids == list(range(1, len(ids) + 1))


def test_a_rig_with_real_cameras_renders_nothing(rig, step):
    with pytest.raises(ExlcapError, match="emulator"):
        next(render_step(rig.model_copy(update={"emulator": None}), "plaza", 1, step, 0, 1))
