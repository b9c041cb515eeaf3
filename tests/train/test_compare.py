"""`exlcap train --compare`: one table over methods and seeds, and no run trained twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from exlcap.cli import main
from exlcap.train import compare as compare_module
from exlcap.train.compare import comparison
from exlcap.train.loop import train
from exlcap.train.results.table import as_text

Run = Callable[..., tuple[int, str, str]]


def test_a_row_is_the_mean_over_seeds_with_its_sample_deviation() -> None:
    table = comparison({"ours": [{"LL-N": 1.0, "WL": 5.0}, {"LL-N": 4.0, "WL": None}], "lsbn": [{"LL-N": 2.0}]})
    ours, lsbn, *paper = table.rows
    assert (ours.name, ours.source, ours.values) == ("ours", "2 seeds", (2.5, None, None, None, 5.0))
    assert ours.spread == (pytest.approx(4.5**0.5), None, None, None, None)
    assert lsbn.source == "1 seed" and lsbn.values[0] == 2.0 and lsbn.spread == (None,) * 5
    assert [row.name for row in paper] == ["ExLPose (ours)", "LSBN only"]
    assert "2.5 ± 2.1" in as_text(table)


def test_the_cameras_of_ocn_are_compared_with_table_5() -> None:
    table = comparison({"ours": [{"A7M3": 1.0, "RICOH3": 2.0}, {"A7M3": 3.0, "RICOH3": 4.0}]})
    assert table.columns == ("A7M3", "RICOH3", "mean")
    assert table.rows[0].values == (2.0, 3.0, 2.5) and table.rows[1].source == "Table 5"


@pytest.fixture
def lab(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> Path:
    write_stick_figures(tmp_path / "lab", train=4, val=1, test=1)
    return tmp_path / "lab"


@pytest.fixture
def exlcap(lab: Path, tiny_toml: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Train in the lab with the smallest of networks for one epoch: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        given = ("--data", "sticks", "--preset", "small", "--config", tiny_toml, "--epochs", 1, *arguments)
        with pytest.raises(SystemExit) as stop:
            main(["-C", str(lab), "train", *map(str, given)])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


def test_every_method_is_trained_with_every_seed_and_what_is_done_is_kept(
    lab: Path, exlcap: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def watched(folder: Path, *rest: object) -> object:
        trained.append(folder.name)
        return train(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(compare_module, "train", watched)
    code, _, err = exlcap("--run", "which", "--compare", "ours,baseline-low", "--seeds", "0")
    assert code == 0, err
    assert trained == ["which-ours-s0", "which-baseline-low-s0"]
    before = (lab / "runs" / "which-ours-s0" / "last.pt").read_bytes()
    (lab / "runs" / "which-ours-s0" / "table.json").unlink()  # as if killed before it was judged
    code, out, err = exlcap("--run", "which", "--compare", "ours,baseline-low", "--seeds", "0,3", "--json")
    assert code == 0 and err.count("already finished, kept") == 2
    assert trained[2:] == ["which-ours-s3", "which-baseline-low-s3"]
    assert (lab / "runs" / "which-ours-s0" / "last.pt").read_bytes() == before
    facts = json.loads(out)
    assert facts == json.loads((lab / "runs" / "which" / "compare.json").read_text())
    assert (facts["methods"], facts["seeds"]) == (["ours", "baseline-low"], [0, 3])
    assert [run["run"] for run in facts["runs"]] == [
        "which-ours-s0", "which-ours-s3", "which-baseline-low-s0", "which-baseline-low-s3",
    ]  # fmt: skip
    ours = [run["splits"]["WL"]["ap"] for run in facts["runs"][:2]]
    assert facts["table"][0]["values"]["WL"] == pytest.approx(sum(ours) / 2)
    assert (lab / "runs" / "which" / "compare.md").read_text().startswith("|  | | LL-N |")


def test_a_run_of_other_settings_is_not_taken_for_one_of_the_comparison(exlcap: Run) -> None:
    assert exlcap("--run", "which", "--compare", "ours", "--seeds", "0")[0] == 0
    code, _, err = exlcap("--run", "which", "--compare", "ours", "--seeds", "0", "--epochs", 2)
    assert code == 2 and "which-ours-s0 was started with other settings (optim.epochs: 1 -> 2)" in err


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("--compare", "ours,theirs"), "no method 'theirs'"),
        (("--compare", "ours", "--seeds", "a"), "whole numbers"),
        (("--compare", "ours", "--method", "lsbn"), "not with --method"),
        (("--compare", "ours", "--seed", 1), "not with --method, --seed"),
        (("--compare", "ours,ours"), "given twice"),
        (("--compare", ","), "name nothing"),
        (("--seeds", "0"), "goes with --compare"),
    ],
)
def test_what_makes_no_comparison_is_told(lab: Path, exlcap: Run, arguments: tuple[object, ...], named: str) -> None:
    code, _, err = exlcap(*arguments)
    assert code == 2 and named in err and len(err.strip().splitlines()) == 2
    assert not (lab / "runs").exists()
