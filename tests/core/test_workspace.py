import pytest
from hypothesis import given
from hypothesis import strategies as st

from exlcap.core.errors import ExlcapError
from exlcap.core.workspace import NAME, check_name, find_workspace, numbered


@pytest.mark.parametrize(
    "name",
    ["a/b", "..", ".", "", "two words", "tab\there", "bell\a", "nul\0", "-x", "CON", "com1", "a" * 65, "naïve", "a\n"],
)
def test_unsafe_names_are_refused(name):
    with pytest.raises(ExlcapError, match="cannot name a scene"):
        check_name(name, "scene")


@given(st.from_regex(NAME, fullmatch=True))
def test_accepted_names_are_plain_file_names(name):
    try:
        assert check_name(name, "scene") == name
    except ExlcapError:
        assert name.lower() in ("con", "prn", "aux", "nul") or name[:3].lower() in ("com", "lpt")


def test_the_workspace_is_found_upwards(workspace):
    deep = workspace.root / "scenes" / "plaza"
    deep.mkdir(parents=True)
    assert find_workspace(deep).root == workspace.root.resolve()


def test_outside_a_workspace_the_error_says_what_to_do(tmp_path):
    with pytest.raises(ExlcapError) as caught:
        find_workspace(tmp_path)
    assert "exlcap init" in caught.value.hint


def test_numbered_entries_come_in_order_and_strangers_are_passed_over(tmp_path):
    for name in ("take-010", "take-002", "take-1000", "take-x", "other-001"):
        (tmp_path / name).mkdir()
    assert [number for number, _ in numbered(tmp_path, "take")] == [2, 10, 1000]


def test_a_scene_folder_cannot_leave_the_workspace(workspace):
    with pytest.raises(ExlcapError):
        workspace.scene("../elsewhere")
