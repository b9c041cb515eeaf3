"""What was decided in review chooses the pairs of a data set."""

import json
from dataclasses import replace

import pytest

from exlcap.core.errors import ExlcapError
from exlcap.core.labels import read_labels, write_labels
from exlcap.dataset.build import build
from exlcap.dataset.labelled_pairs import collect_labelled_pairs, through_review
from exlcap.dataset.manifest import Parameters, read_manifest
from tests.dataset.building import exlcap, prepare


def decide(workspace, scene, reviews):
    """Write the decisions on a scene's pairs into its labels: one word for all people of a pair, or one each."""
    path = workspace.labels(scene, 1)
    labels = read_labels(path)
    pairs = {}
    for (pair_id, pair), told in zip(labels.pairs.items(), reviews, strict=True):
        words = [told] * len(pair.well) if isinstance(told, str) else told
        well = tuple(replace(person, review=word) for person, word in zip(pair.well, words, strict=True))
        pairs[pair_id] = replace(pair, well=well)
    write_labels(path, replace(labels, pairs=pairs))


def images_of(workspace, name):
    return {path.stem for path in (workspace.dataset(name) / "images").glob("*/*.png")}


def test_what_was_decided_in_review_chooses_the_pairs(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza",), (1, 2, 4, 8))
    people = len(read_labels(workspace.labels("plaza", 1)).pairs["plaza-t001-k04-000000"].well)
    assert people > 1
    ids = [f"plaza-t001-k{k:02d}-000000" for k in (1, 2, 4, 8)]
    assert exlcap(workspace, "build").returncode == 0
    assert images_of(workspace, "main") == set(ids)

    mixed = ["undecided"] + ["accepted"] * (people - 1)
    decide(workspace, "plaza", ["accepted", "rejected", mixed, "undecided"])
    done = exlcap(workspace, "build", "--json")
    assert json.loads(done.stdout)["pairs_left_out"] == {"rejected in review": 1}
    assert images_of(workspace, "main") == {ids[0], ids[2], ids[3]}  # of the rejected one they are gone
    assert exlcap(workspace, "validate", "main").returncode == 0

    done = exlcap(workspace, "build", "--accepted-only")
    assert (done.returncode, "accepted_only = False, not True" in done.stderr) == (2, True)
    done = exlcap(workspace, "build", "--accepted-only", "--name", "reviewed", "--json")
    assert json.loads(done.stdout)["pairs_left_out"] == {"rejected in review": 1, "not accepted in review": 2}
    assert images_of(workspace, "reviewed") == {ids[0]}
    text = (workspace.dataset("reviewed") / "README.md").read_text()
    assert "- only pairs accepted in review" in text
    assert "- 2 pairs are left out: not accepted in review." in text
    assert read_manifest(workspace.dataset("reviewed")).counts["train"][0] == 2


def test_deleted_people_do_not_keep_an_accepted_pair_out(tmp_path):
    workspace = prepare(tmp_path / "lab", ("plaza",), (1,))
    people = len(next(iter(read_labels(workspace.labels("plaza", 1)).pairs.values())).well)
    decide(workspace, "plaza", [["rejected"] + ["edited"] * (people - 1)])
    items, left_out = through_review(collect_labelled_pairs(workspace, 1), accepted_only=True)
    assert (len(items), left_out) == (1, {})
    manifest = build(workspace, "main", Parameters(accepted_only=True), items, left_out=left_out)
    assert manifest.counts["train"] == (2, 2 * (people - 1))


@pytest.mark.parametrize(("told", "accepted_only", "message"), [
    ("undecided", True, "none of the 1 labelled pairs is accepted"), ("rejected", False, "all of the 1"),
])  # fmt: skip
def test_nothing_left_after_review_says_so(tmp_path, told, accepted_only, message):
    workspace = prepare(tmp_path / "lab", ("plaza",), (1,))
    decide(workspace, "plaza", [told])
    with pytest.raises(ExlcapError, match=message):
        through_review(collect_labelled_pairs(workspace, 1), accepted_only)
