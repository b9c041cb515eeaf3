import pytest

from exlcap.errors import ExlcapError
from exlcap.init import rig_toml
from exlcap.rig import read_rig


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


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("exposure_us = 50000.0", "exposure_ms = 50", "unknown key 'reference.low.exposure_ms'", "exposure_us"),
        ("exposure_us = 50000.0", "exposure_us = 0.05", "reference.low.exposure_us", "microseconds"),
        ("gain_db = 3.4", 'gain_db = "3.4 dB"', "low.gain_db", "dB"),
        ("gain_db = 3.4", "gain_db = nan", "low.gain_db", "dB"),
        ("nd_transmittance = 0.01", "nd_transmittance = 1", "low.nd_transmittance", "rig.toml"),
        ('serial = "0815-0001"', 'serial = "0815-0000"', "both roles name the same serial", "rig.toml"),
        ("width = 960", "width = 961", "must be even", "rig.toml"),
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
