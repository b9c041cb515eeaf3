import pytest

from exlcap.core.errors import ExlcapError
from exlcap.core.rig import read_rig
from exlcap.init import rig_toml


def test_both_templates_are_valid(tmp_path):
    for emulated in (True, False):
        (tmp_path / "rig.toml").write_text(rig_toml(emulated))
        rig = read_rig(tmp_path / "rig.toml")
        assert (rig.emulator is not None) == emulated
        assert rig.divisors("anywhere") == (1, 2, 4, 8, 12)


def test_a_scene_may_have_its_own_base(tmp_path):
    (tmp_path / "rig.toml").write_text(
        rig_toml(False) + '\n[scenes.cave]\nexposure_us = 500.0\ngain_db = 9.0\npreset = "indoor"\n'
    )
    rig = read_rig(tmp_path / "rig.toml")
    assert rig.scene_base("cave").gain_db == 9
    assert rig.divisors("cave") == (1, 2, 3, 4, 6)
    assert rig.scene_base("street") == rig.base


def test_measured_properties_of_a_camera_are_optional(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text(rig_toml(False))
    plain = read_rig(path)
    assert (plain.dark_level_dn("well"), plain.colour_matrix("well")) == (60.0, None)
    commented = ("# dark_level_dn = 60.2", "# [well.colour]", "# matrix = ")
    text = rig_toml(False)
    for line in commented:  # what the template shows is valid
        assert text.count(line) == 1
        text = text.replace(line, line[2:])
    path.write_text(text)
    rig = read_rig(path)
    assert (rig.dark_level_dn("well"), rig.dark_level_dn("low")) == (60.2, 60.0)
    assert rig.colour_matrix("well")[1] == (-0.2, 1.5, -0.3)
    assert rig.colour_matrix("low") is None


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("exposure_us = 50000.0", "exposure_ms = 50", "unknown key 'reference.low.exposure_ms'", "exposure_us"),
        ("exposure_us = 50000.0", "exposure_us = 0.05", "reference.low.exposure_us", "microseconds"),
        ("gain_db = 3.4", 'gain_db = "3.4 dB"', "low.gain_db", "dB"),
        ("gain_db = 3.4", "gain_db = nan", "low.gain_db", "dB"),
        ("nd_transmittance = 0.01", "nd_transmittance = 1", "low.nd_transmittance", "rig.toml"),
        ('serial = "0815-0001"', 'serial = "0815-0000"', "both cameras have the same serial", "rig.toml"),
        ("width = 960", "width = 961", "must be even", "rig.toml"),
        ("[sensor]", "[low.colour]\nmatrix = [[1,0,0],[0,1,0],[0,0,2]]\n[sensor]", "sums to 2", "rig.toml"),
        ("[sensor]", "[low.colour]\nmatrix = [[1,0,0]]\n[sensor]", "low.colour.matrix", "rig.toml"),
        ("[sync]", "[syncs]", "unknown key 'syncs'", "sync"),
        ('preset = "outdoor"', 'preset = "moonlight"', "preset 'moonlight' is not one of outdoor, indoor", "rig.toml"),
        ("outdoor = [1, 2, 4, 8, 12]", "outdoor = [1, 0]", "exposure divisors", "rig.toml"),
        ("format = 1", "format = 9", "unknown format 9", "format = 1"),
        ("format = 1", "format = ", "not valid TOML", "exlcap init"),
    ],
)
def test_a_bad_value_is_named_with_its_place_and_a_remedy(tmp_path, old, new, message, hint):
    text = rig_toml(True)
    assert old in text
    (tmp_path / "rig.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ExlcapError) as caught:
        read_rig(tmp_path / "rig.toml")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_missing_rig_says_how_to_make_one(tmp_path):
    with pytest.raises(ExlcapError) as caught:
        read_rig(tmp_path / "rig.toml")
    assert "exlcap init" in caught.value.hint
