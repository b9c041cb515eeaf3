"""A data set is sound only with its whole data card, and a mended copy gets the files that are missing."""

import json

import pytest

from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_json
from exlcap.dataset.checks.fix import fix_dataset
from exlcap.dataset.checks.validate import find_all, read_subject
from exlcap.dataset.manifest import read_manifest, write_manifest


@pytest.mark.parametrize("name", ["README.md", "table1.json", "contact_sheet.png"])
def test_a_data_set_without_its_card_is_not_sound(small, name):
    (small / name).unlink()
    (finding,) = find_all(read_subject(small))
    assert (finding.check, finding.severity, finding.file) == ("card_missing", "error", name)
    assert "run the same `exlcap build` again" in finding.text


def other_people(rows):
    rows[0]["people"] += 1


def edit_table(folder, change):
    rows = json.loads((folder / "table1.json").read_text())
    change(rows)
    write_json(folder / "table1.json", rows)


CARD_HARM = {
    "README.md is empty": ("README.md", lambda f: (f / "README.md").write_bytes(b"\n"), "is empty"),
    "the sheet is empty": ("contact_sheet.png", lambda f: (f / "contact_sheet.png").write_bytes(b""), "decoded"),
    "the sheet is no image": ("contact_sheet.png", lambda f: (f / "contact_sheet.png").write_bytes(b"x"), "decoded"),
    "the table is empty": ("table1.json", lambda f: (f / "table1.json").write_bytes(b""), "is not valid JSON"),
    "the table is no table": ("table1.json", lambda f: write_json(f / "table1.json", {}), "is not a list of rows"),
    "the table lacks a split": ("table1.json", lambda f: edit_table(f, lambda rows: rows.pop()), "lists the splits"),
    "the table lacks a column": ("table1.json", lambda f: edit_table(f, lambda rows: rows[1].pop("pairs")), "no pairs"),
    "the table counts otherwise": ("table1.json", lambda f: edit_table(f, other_people), "by dataset.json"),
}


@pytest.mark.parametrize("harm", CARD_HARM)
def test_a_data_set_with_a_damaged_card_is_not_sound(small, harm):
    name, damage, says = CARD_HARM[harm]
    damage(small)
    (finding,) = find_all(read_subject(small))
    assert (finding.check, finding.severity, finding.file) == ("card_damaged", "error", name)
    assert says in finding.text and "run the same `exlcap build` again" in finding.text


def adopted(folder, **changes):
    """The data set, as if it had been simulated or written by another version."""
    write_manifest(folder, read_manifest(folder).model_copy(update=changes))


def test_the_table_of_a_set_of_0_1_needs_only_its_rows_and_columns(small):
    """Its numbers may have been rounded or counted by another rule; it had no column `linear_levels`."""
    adopted(small, exlcap="0.1.0")
    edit_table(small, lambda rows: [row.pop("linear_levels") for row in rows])
    edit_table(small, other_people)
    assert find_all(read_subject(small)) == []
    edit_table(small, lambda rows: rows[0].pop("scenes"))
    assert [f.check for f in find_all(read_subject(small))] == ["card_damaged"]


def test_a_mended_copy_of_an_adopted_set_gets_a_new_card(small):
    adopted(small, origin="simulated", source="photographs")
    (small / "README.md").unlink()
    (small / "contact_sheet.png").write_bytes(b"")
    write_json(small / "table1.json", {})
    changes = fix_dataset(small, read_subject(small).files, small.with_name("mended"))
    assert [c.place() for c in changes] == ["README.md", "table1.json", "contact_sheet.png"]
    assert find_all(read_subject(small.with_name("mended"))) == []


def test_a_mended_copy_of_a_built_set_gets_its_table_but_only_the_build_writes_the_rest(small):
    write_json(small / "table1.json", {})
    (change,) = fix_dataset(small, read_subject(small).files, small.with_name("mended"))
    assert (change.place(), change.text) == ("table1.json", "written anew")
    assert find_all(read_subject(small.with_name("mended"))) == []
    (small / "README.md").unlink()
    with pytest.raises(ExlcapError, match=r"README\.md; a copy would not be complete") as refused:
        fix_dataset(small, read_subject(small).files, small.with_name("another"))
    assert "`exlcap build`" in refused.value.hint and not small.with_name("another").exists()
