"""States of cameras as .pfs files: saved, loaded before rig.toml is applied, and never trusted over it."""

import pytest

from exlcap.capture.cameras.pylon import open_pylon_cameras
from exlcap.capture.cameras.pylon_state import pfs_path
from exlcap.capture.takes.plan import Request
from exlcap.capture.takes.shoot import run_take
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS


def ask(**options):
    return Request("plaza", schedule="1", pairs=1, **options)


@pytest.fixture
def saved(lab):
    """NAME of two saved states."""
    run_take(lab, ask(save_state=lab.root / "bench"))
    return lab.root / "bench"


def change(file, light, old, new):
    path = pfs_path(file, light)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_each_camera_has_a_file_of_its_own(tmp_path):
    for name in ("bench", "bench.pfs"):
        assert [pfs_path(tmp_path / name, light).name for light in LIGHTS] == ["bench.well.pfs", "bench.low.pfs"]


def test_what_was_saved_is_loaded_and_on_record(lab, saved):
    change(saved, "low", "GainRaw\t192", "GainRaw\t300")  # rig.toml says nothing of it
    cameras = open_pylon_cameras(lab.rig, saved)
    try:
        assert cameras["low"].device.GainRaw.Value == 300 and cameras["well"].device.GainRaw.Value == 192
        assert cameras["low"].info.settings["pfs"].startswith("bench.low.pfs, sha256 ")
    finally:
        for camera in cameras.values():
            camera.close()


def test_the_rig_goes_before_the_file(lab, saved):
    for light in LIGHTS:
        change(saved, light, "PixelFormat\tBayerRG12", "PixelFormat\tMono8")
        change(saved, light, "Width\t320", "Width\t640")
    take = run_take(lab, ask(load_state=saved)).take
    assert take.header.status == "complete" and take.raw(take.pairs[0], "low").shape == (200, 320)
    assert take.header.cameras["low"].settings["PixelFormat"] == "BayerRG12"


def test_a_file_of_another_firmware_is_told(lab, saved, capsys):
    run_take(lab, ask(load_state=saved))
    assert "belongs to a model and firmware" not in capsys.readouterr().err
    change(saved, "low", "Device version = 1.0.1", "Device version = 2.6.0")
    run_take(lab, ask(load_state=saved))
    assert "bench.low.pfs was saved by Basler::BaslerCamEmu" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("# {05D8C294", "# {00000000", "cannot be loaded"), ("Gamma\t", "NoSuchFeature\t", "'NoSuchFeature' not found")],
)
def test_a_file_the_camera_does_not_take_is_refused(lab, saved, old, new, says):
    change(saved, "low", old, new)
    with pytest.raises(ExlcapError, match=says) as error:
        run_take(lab, ask(load_state=saved))
    assert "belongs to a model and firmware" in error.value.hint
    assert not (lab.scene("plaza") / "take-002").exists()


def test_missing_files_and_files_already_there_are_told_before_anything_is_opened(lab, saved):
    with pytest.raises(ExlcapError, match=r"no file .*other\.well\.pfs"):
        run_take(lab, ask(load_state=lab.root / "other"))
    with pytest.raises(ExlcapError, match=r"bench\.well\.pfs exists already"):
        run_take(lab, ask(save_state=saved))


def test_the_command_saves_and_loads(lab, exlcap):
    one = ("shoot", "--scene", "plaza", "--schedule", "1", "--pairs", "1")
    assert exlcap(lab, *one, "--pfs-save", str(lab.root / "day")).returncode == 0
    done = exlcap(lab, *one, "--pfs-load", str(lab.root / "day.pfs"))
    assert done.returncode == 0, done.stderr
