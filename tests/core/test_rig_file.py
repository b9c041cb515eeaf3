"""A base setting stored in rig.toml: two values change, nothing else does."""

import difflib
import re

import pytest

from exlcap.core.errors import ExlcapError
from exlcap.core.rig import Setting, read_rig
from exlcap.core.rig_file import store_base, store_reference

NEW = Setting(exposure_us=2345.6, gain_db=7.25)


def changes(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


@pytest.fixture
def rig_path(workspace):
    return workspace.root / "rig.toml"


@pytest.mark.parametrize("scene", [None, "plaza", "cellar"])
def test_the_two_values_change_and_no_other_character_of_the_file(rig_path, scene):
    before = rig_path.read_text()
    store_base(rig_path, scene, NEW)
    changed = changes(before, rig_path.read_text())
    assert sorted(line for line in changed if line[0] == "+") == ["+ exposure_us = 2345.6", "+ gain_db = 7.25"]
    assert len(changed) == 4
    rig = read_rig(rig_path)
    base = rig.base if scene is None else rig.scenes[scene]
    assert (base.exposure_us, base.gain_db) == (2345.6, 7.25)


def test_both_settings_of_the_reference_are_stored_at_once(rig_path):
    before = rig_path.read_text()
    store_reference(rig_path, NEW, Setting(exposure_us=30000.0, gain_db=1.0))
    reference = read_rig(rig_path).reference
    assert (reference.well, reference.low.exposure_us, reference.low.gain_db) == (NEW, 30000.0, 1.0)
    assert len(changes(before, rig_path.read_text())) == 8


def test_a_new_scene_gets_a_section_and_keeps_the_preset_it_had(rig_path):
    text = rig_path.read_text().replace("[base]  ", '[base]\npreset = "indoor"\n#')
    rig_path.write_text(text)
    store_base(rig_path, "dock", NEW)
    assert rig_path.read_text().startswith(text)
    assert rig_path.read_text().endswith('\n[scenes.dock]\nexposure_us = 2345.6\ngain_db = 7.25\npreset = "indoor"\n')
    assert read_rig(rig_path).divisors("dock") == (1, 2, 3, 4, 6)


def test_comments_keep_their_column_and_line_ends_their_kind(rig_path):
    text = rig_path.read_text().split("# ---- What the cameras see")[0].replace("exposure_us = 1000.0\n", "", 1)
    text = text.replace("[base]  ", "[ base ]\r\n  exposure_us=1e3      # the longest without blur\r\n#")
    rig_path.write_bytes(text.encode())
    store_base(rig_path, None, NEW)
    assert b"\r\n  exposure_us=2345.6   # the longest without blur\r\n" in rig_path.read_bytes()


def test_a_link_to_rig_toml_stays_a_link(rig_path, tmp_path):
    kept = tmp_path / "kept.toml"
    rig_path.rename(kept)
    rig_path.symlink_to(kept)
    store_base(rig_path, "plaza", NEW)
    assert rig_path.is_symlink() and read_rig(kept).scenes["plaza"].gain_db == 7.25


def test_what_cannot_be_edited_by_lines_is_refused_and_left_alone(rig_path):
    text = rig_path.read_text()
    inline = re.sub(r"\[base\].*\nexposure_us = .*\ngain_db = .*\n", "", text)
    inline = inline.replace("format = 1\n", "format = 1\nbase = {exposure_us = 1000.0, gain_db = 0.0}\n")
    rig_path.write_text(inline)
    with pytest.raises(ExlcapError, match="is written in a way") as error:
        store_base(rig_path, None, NEW)
    assert "[base] exposure_us = 2345.6, gain_db = 7.25" in error.value.hint
    assert rig_path.read_text() == inline
