"""`exlcap shoot` on pylon's emulated cameras, as a user runs it."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from exlcap.capture.cameras import take_view
from exlcap.capture.cameras.contract import Grab
from exlcap.capture.cameras.open import check_sync
from exlcap.capture.checking.verify import verify_take
from exlcap.capture.takes import shoot as session
from exlcap.capture.takes.plan import Request, plan_take
from exlcap.capture.takes.recorder import Shot, Tally
from exlcap.capture.takes.shoot import run_take
from exlcap.cli import group
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.labels import read_coco
from exlcap.core.rig import LIGHTS, Setting
from exlcap.core.take import Step, read_take
from exlcap.simulate import rendering
from tests.capture.conftest import ask


def test_a_take_holds_what_was_rendered_bit_for_bit(lab):
    """Through cv2, pylon's emulator, the grab result, the recorder and the TIFF."""
    from exlcap.simulate.rendering import render_step

    report = run_take(lab, ask())
    take = report.take
    assert take.header.status == "complete" and take.missing() == {} and take.orphans == ()
    for step in take.header.steps:
        pulses = {pulse.index: pulse for pulse in render_step(lab.rig, "plaza", 1, step, 0, 4)}
        pairs = [pair for pair in take.pairs if pair.k == step.k]
        assert [pair.index for pair in pairs] == [1, 2, 3], "the guard frame has number 0"
        for pair in pairs:
            for light in LIGHTS:
                assert np.array_equal(take.raw(pair, light), getattr(pulses[pair.index], light))


def test_what_the_emulator_lacks_is_none_in_the_take(lab):
    take = run_take(lab, ask(pairs=1)).take
    frame = take.pairs[0].low
    assert (frame.chunk, frame.counter, frame.device_time_ns, frame.temperature_c) == (None,) * 4
    assert take.header.settings_proof == "assumed"
    assert "ChunkSelector" in take.header.cameras["low"].absent


def test_what_was_asked_and_what_was_read_back_are_both_on_record(lab):
    pair = run_take(lab, ask(schedule="12", pairs=1)).take.pairs[0]
    assert pair.well.asked.exposure_us == pytest.approx(1000 / 12)
    assert pair.well.read_back.exposure_us == pair.low.read_back.exposure_us == 83.0
    assert pair.well.read_back.gain_db == pytest.approx(21.5836, abs=1e-3)
    assert pair.low.read_back.gain_db == pytest.approx(3.4, abs=1e-3)


def test_the_truth_names_the_people_of_every_pair_and_of_no_other(lab):
    from exlcap.simulate.rendering import render_step

    take = run_take(lab, ask()).take
    truth = {image.file_name: image.people for image in read_coco(lab.simulated / "plaza" / "take-001.json")}
    assert set(truth) == {f"{take.pair_id(pair)}.png" for pair in take.pairs}
    pulses = render_step(lab.rig, "plaza", 1, take.header.steps[1], 1, 3)
    for pulse in pulses:
        found = truth[f"plaza-t001-k04-{pulse.index:06d}.png"]
        assert [person.id for person in found] == [person.id for person in pulse.people]
        for person, true in zip(found, pulse.people, strict=True):
            assert np.allclose(person.keypoints, true.keypoints, atol=1e-4)
    assert not (lab.simulated / "frames").exists(), "the pictures for the emulator were left behind"


def test_a_failed_buffer_becomes_an_orphan_and_its_pulse_is_shot_again(lab, monkeypatch):
    """After its last picture the emulator starts again from the first: the truth must follow."""
    from exlcap.capture.cameras.pylon import PylonCamera

    pulse, fired = PylonCamera.pulse, []

    def spoiled(camera):
        fired.append(camera)
        if camera.info.serial == "0815-0001" and len(fired) in (4, 6):
            camera.device.ForceFailedBufferCount.Value = 1
            camera.device.ForceFailedBuffer.Execute()
        pulse(camera)

    monkeypatch.setattr(PylonCamera, "pulse", spoiled)
    take = run_take(lab, ask(schedule="1", pairs=4)).take
    assert [pair.index for pair in take.pairs] == [3, 4, 5, 6]
    assert {(orphan.index, orphan.light) for orphan in take.orphans} == {(i, r) for i in (1, 2) for r in LIGHTS}
    assert "incomplete" in next(o.reason for o in take.orphans if o.light == "low")
    from exlcap.simulate.rendering import render_step

    truth = {image.file_name: image.people for image in read_coco(lab.simulated / "plaza" / "take-001.json")}
    shown = list(render_step(lab.rig, "plaza", 1, take.header.steps[0], 0, 5))
    for pair in take.pairs:
        pulse_shown = shown[pair.index % 5]
        assert np.array_equal(take.raw(pair, "well"), pulse_shown.well)
        people = truth[f"{take.pair_id(pair)}.png"]
        assert np.allclose(people[0].keypoints, pulse_shown.people[0].keypoints, atol=1e-4)


def test_takes_are_numbered_and_never_overwritten(lab):
    first = run_take(lab, ask(pairs=1)).take
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    second = run_take(lab, ask(pairs=1)).take
    assert (first.folder.name, second.folder.name, second.header.number) == ("take-001", "take-002", 2)
    assert {path: path.read_bytes() for path in before} == before
    assert not np.array_equal(first.raw(first.pairs[0], "well"), second.raw(second.pairs[0], "well"))


def test_a_reference_is_static_and_bright_in_both_cameras(lab):
    report = run_take(lab, Request(scene=None))
    take = report.take
    assert take.folder == lab.references / "ref-001" and take.header.kind == "reference"
    assert len(take.pairs) == lab.rig.reference.frames
    assert all(pair.low.mean_dn > 200 for pair in take.pairs)
    noise = take.raw(take.pairs[0], "well").astype(float) - take.raw(take.pairs[1], "well")
    assert abs(noise.mean()) < 1.0
    assert (lab.simulated / "alignment.json").exists()
    assert run_take(lab, Request(scene=None)).take.folder.name == "ref-002"


def test_a_reference_can_be_shot_at_a_scenes_settings_with_more_frames(lab):
    """In the light of that scene: the bright camera sees as much as at plaza, the dark one as little."""
    report = run_take(lab, Request(None, at_scene="hall", pairs=3))
    (step,) = report.take.header.steps
    assert (step.well.exposure_us, step.well.gain_db) == (1000.0, 6.0)
    assert (step.low.exposure_us, step.low.gain_db) == (1000.0, lab.rig.low.gain_db)
    plaza = run_take(lab, Request(None, at_scene="plaza", pairs=1)).take.pairs[0]
    assert report.take.pairs[0].well.mean_dn == pytest.approx(plaza.well.mean_dn, rel=0.02)
    assert report.take.pairs[0].low.mean_dn - 60 == pytest.approx((plaza.low.mean_dn - 60) / 2, rel=0.1)
    assert plan_take(lab, Request(None, at_scene="hall")).pairs_per_step == 64
    assert plan_take(lab, Request(None)).pairs_per_step == lab.rig.reference.frames


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ()),
        ({"exposure_us = 50000.0\ngain_db = 6.0": "exposure_us = 2000.0\ngain_db = 0.0"}, ("low camera's picture",)),
        ({"[reference.well]\nexposure_us = 1000.0": "[reference.well]\nexposure_us = 9000.0"}, ("well camera's pict",)),
    ],
)  # fmt: skip
def test_a_badly_exposed_reference_is_told(changed_lab, changes, says):
    told = run_take(changed_lab(changes), Request(None)).text().splitlines()
    told = [line for line in told if "picture is" in line]
    assert len(told) == len(says) and all(part in line for part, line in zip(says, told, strict=True))


def test_a_reference_is_resumed_at_the_settings_it_was_begun_with(lab):
    recorded = []
    impatient = session.Operator(lambda: len(recorded) > 0, lambda shot, waiting: recorded.append(shot))
    report = run_take(lab, Request(None, at_scene="hall", pairs=3), lambda pairs: nullcontext(impatient))
    assert report.stopped and report.go_on == "exlcap shoot --reference --at-scene hall --resume"
    for scene in (None, "plaza"):
        with pytest.raises(Refused, match="ref-001 was shot with another rig or schedule: it was shot with --at-scene"):
            run_take(lab, Request(None, at_scene=scene, resume=True))
    assert len(run_take(lab, Request(None, at_scene="hall", resume=True)).take.pairs) == 3


def test_a_reference_in_which_something_moved_is_kept_and_marked(changed_lab, monkeypatch):
    """Shot of people, as if somebody had walked through the static scene."""
    lab = changed_lab({"[emulator]": "[alignment]\nmoved_share = 0.01\n[emulator]"})
    monkeypatch.setattr(take_view, "render_step", lambda *a, reference, **kw: rendering.render_step(*a, **kw))
    done = CliRunner().invoke(group, ["-C", str(lab.root), "shoot", "--reference"], obj=lab.root)
    assert done.exit_code == 3, done.output
    assert "not fit for `exlcap align`, but kept: ref-001:" in done.output
    assert "camera's picture moved between its first and its last frame" in done.output
    assert "try: shoot the reference of a scene without people" in done.output
    take = read_take(lab.references / "ref-001")
    assert take.header.status == "complete" and len(take.pairs) == 8
    (problem,) = verify_take(take.folder, "ref-001").problems
    assert "picture moved" in problem


def test_emulated_optics_that_change_are_refused(lab):
    run_take(lab, Request(scene=None))
    rig = lab.root / "rig.toml"
    rig.write_text(rig.read_text().replace("rotation_deg = 0.3", "rotation_deg = 0.4"))
    with pytest.raises(ExlcapError, match="are not those of"):
        run_take(type(lab)(lab.root), Request(scene=None))
    assert not (lab.references / "ref-002").exists()


def test_the_result_tells_levels_and_rates(lab, exlcap):
    done = exlcap(lab, "shoot", "--scene", "plaza", "--schedule", "1,4", "--pairs", "2", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["take"], data["pairs"], data["orphans"], data["skew"]) == ("scenes/plaza/take-001", 4, 0, None)
    assert [row["k"] for row in data["steps"]] == [1, 4]
    assert data["steps"][0]["well_mean_dn"] > 200 > data["steps"][0]["low_mean_dn"] > data["steps"][1]["low_mean_dn"]
    assert data["pairs_per_s"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "give either --scene NAME or --reference"),
        (("--scene", "plaza", "--reference"), 2, "give either --scene NAME or --reference"),
        (("--reference", "--gain-db", "3"), 2, "from [reference] in rig.toml, or from --at-scene NAME"),
        (("--scene", "x", "--at-scene", "plaza"), 2, "--at-scene goes with --reference"),
        (("--reference", "--at-scene", "a/b"), 2, "'a/b' cannot name a scene"),
        (("--scene", "a/b"), 2, "'a/b' cannot name a scene"),
        (("--scene", ".."), 2, "'..' cannot name a scene"),
        (("--scene", "x", "--schedule", "fast"), 2, "neither a preset nor a list"),
        (("--scene", "x", "--schedule", "1,1"), 2, "different divisors"),
        (("--scene", "x", "--exposure-us", "0.5"), 2, "--exposure-us 0.5 is not between 1 and 1e+07"),
        (("--scene", "x", "--gain-db", "20"), 2, "step k = 12: well camera: gain 41.58 dB is above the limit"),
        (("--scene", "x", "--resume"), 2, "no unfinished take of x"),
        (("--scene", "x", "--pairs", "0"), 2, "0 is not in the range"),
    ],
)  # fmt: skip
def test_what_cannot_be_shot_is_told_in_two_lines(lab, exlcap, arguments, code, says):
    done = exlcap(lab, "shoot", *arguments)
    assert done.returncode == code and says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not lab.scene("x").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({'serial = "0815-0001"': 'serial = "40715749"'}, "is not connected; serials found: 0815-0000"),
        ({'serial = "0815-0001"': 'serial = "0815-0000"'}, "both cameras have the same serial"),
        ({'mode = "software"': 'mode = "external"'}, "emulated cameras have none"),
    ],
)  # fmt: skip
def test_a_rig_that_cannot_shoot_is_told(changed_lab, exlcap, changes, says):
    lab = changed_lab(changes)
    done = exlcap(lab, "shoot", "--scene", "plaza")
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert not lab.scene("plaza").exists()


def test_cameras_in_each_others_roles_are_noticed(changed_lab):
    """Their pictures are swapped by swapping what the emulated sensors do: no light for the bright one."""
    right = run_take(changed_lab({}), ask(pairs=1))
    assert not right.swapped and "swapped" not in right.text()
    dark = {"gain_db = 3.4 ": "gain_db = 40.0 ", "nd_transmittance = 0.01": "nd_transmittance = 0.9"}
    wrong = run_take(changed_lab(dark), ask(pairs=1, exposure_us=100.0))
    assert wrong.swapped and "are the serials swapped in rig.toml?" in wrong.text()


def test_photographs_are_looked_for_beside_rig_toml(lab):
    from exlcap.capture.cameras.pictures import with_absolute_photos

    emulator = lab.rig.emulator.model_copy(update={"photos": "pictures", "labels": "pictures/coco.json"})
    rig = with_absolute_photos(lab.rig.model_copy(update={"emulator": emulator}), lab.root)
    assert rig.emulator.photos == str(lab.root.resolve() / "pictures")
    assert rig.emulator.labels == str(lab.root.resolve() / "pictures" / "coco.json")


def test_photographs_that_are_not_there_are_told_before_a_take_is_begun(lab, exlcap):
    rig = lab.root / "rig.toml"
    rig.write_text(rig.read_text().replace("[emulator]", '[emulator]\nphotos = "none"\nlabels = "none.json"'))
    done = exlcap(lab, "shoot", "--scene", "plaza")
    assert done.returncode == 2 and "no folder of photographs" in done.stderr
    assert not lab.scene("plaza").exists()


def test_software_triggers_on_real_cameras_must_be_asked_for(lab):
    real = lab.rig.model_copy(update={"emulator": None})
    with pytest.raises(ExlcapError, match=r"0\.5 to 1 ms apart"):
        check_sync(real, allow_software=False)
    check_sync(real, allow_software=True)


def test_a_disk_too_small_is_told_before_the_first_frame(lab, monkeypatch):
    monkeypatch.setattr(session, "shutil", SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=10_000_000)))
    with pytest.raises(ExlcapError, match=r"has 0\.01 GB free, this take needs 0\.06 GB"):
        run_take(lab, ask())
    assert not lab.scene("plaza").exists()


def test_the_line_of_progress_tells_rate_queue_orphans_and_clipping(lab, capsys, monkeypatch):
    from exlcap.core import console

    clock = iter(range(0, 10_000, 11))
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # a line for every pair
    with session.at_terminal(9) as operator:
        for number in range(3):
            grab = Grab(raw=None, frame_id=number, host_time_ns=number * 50_000_000)
            step = Step(k=4, well=Setting(exposure_us=1, gain_db=0), low=Setting(exposure_us=1, gain_db=0))
            operator.recorded(Shot(step, number, grab, grab, {}), Tally(waiting=7, orphans=2, clipped_share=0.0125))
    last = capsys.readouterr().err.splitlines()[-1]
    assert "3/9" in last and "k = 4, 20.0 pairs/s, 7 wait for the disk, 2 orphans, 1.25% clipped" in last
