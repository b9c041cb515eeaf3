"""`exlcap train` and `exlcap eval` as typed: what they write, and what they refuse with which words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from exlcap.cli import main
from exlcap.train.stored import config_from_toml

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(tmp_path: Path, write_stick_figures: Callable[..., Path]) -> Path:
    write_stick_figures(tmp_path / "lab", train=4, val=1, test=1)
    return tmp_path / "lab"


@pytest.fixture
def exlcap(lab: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in the lab: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["-C", str(lab), *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run named `first` is kept once it was trained."""
    return tmp_path_factory.mktemp("trained") / "first"


@pytest.fixture
def trained(lab: Path, exlcap: Run, tiny_toml: Path, keep: Path) -> None:
    """A run named `first`."""
    if not keep.exists():
        code, _, err = exlcap("train", "--data", "sticks", "--run", "first", "--preset", "small", "--config", tiny_toml)
        assert code == 0, err
        shutil.copytree(lab / "runs" / "first", keep)
    else:
        shutil.copytree(keep, lab / "runs" / "first")


def test_train_then_eval_gives_a_table_of_every_split_and_pictures(lab: Path, exlcap: Run, trained: None) -> None:
    code, out, _ = exlcap("eval", "--run", "first")
    folder = lab / "runs" / "first"
    assert code == 0 and out.strip() == (folder / "table.txt").read_text().strip()
    table = json.loads((folder / "table.json").read_text())
    assert table["missing"] == [] and all(0 <= s["ap"] <= 100 for s in table["splits"].values())
    assert table["splits"]["LL-A"]["images"] == 3 and (table["flip"], table["boxes"]) == ("mirror", "ground truth")
    assert (folder / "table.md").read_text().startswith("|  | | LL-N | LL-H | LL-E | LL-A | WL |")
    assert (folder / "predictions.png").read_bytes().startswith(b"\x89PNG")


def test_the_paper_s_rows_stand_beside_and_are_marked_as_not_comparable(exlcap: Run, trained: None) -> None:
    _, out, _ = exlcap("eval", "--run", "first")
    lines = out.splitlines()
    assert lines[1].split()[:2] == ["first", "AP"]
    (ours,) = [line for line in lines if line.startswith("ExLPose (ours)")]
    assert ours.split()[-7:] == ["Table", "2", "42.3", "34.0", "18.6", "32.7", "68.5"]
    assert "not comparable" in out and "real ExLPose" in out


def test_detections_and_other_flip_tests_have_tables_of_their_own(
    lab: Path, exlcap: Run, trained: None, tmp_path: Path
) -> None:
    annotations = json.loads((lab / "datasets" / "sticks" / "annotations" / "test_WL.json").read_text())["annotations"]
    entries = [{"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.5} for a in annotations]
    (tmp_path / "wl.json").write_text(json.dumps(entries))
    code, out, _ = exlcap("eval", "--run", "first", "--detections", f"WL={tmp_path / 'wl.json'}", "--official-flip")
    assert code == 0 and "Table 6" in out and "Table 2 " not in out.split("\n\n")[0]
    assert "no detections given for: LL-N, LL-H, LL-E, LL-A" in out and "broken: for comparison only" in out
    run = lab / "runs" / "first"
    assert (run / "table-detected-official-flip.json").exists() and not (run / "table.json").exists()
    code, _, err = exlcap("eval", "--run", "first", "--official-flip", "--no-flip")
    assert code == 2 and "exclude each other" in err


def test_weights_of_another_network_are_told(lab: Path, exlcap: Run, trained: None) -> None:
    path = lab / "runs" / "first" / "best.pt"
    saved = torch.load(path, weights_only=True)
    saved["model"].popitem()
    torch.save(saved, path)
    code, _, err = exlcap("eval", "--run", "first")
    assert code == 2 and "do not fit the network" in err and len(err.splitlines()) == 2


def test_missing_and_empty_splits_are_named_and_have_no_number(lab: Path, exlcap: Run, trained: None) -> None:
    annotations = lab / "datasets" / "sticks" / "annotations"
    (annotations / "test_LL-E.json").unlink()
    (annotations / "test_WL.json").write_text('{"images": [], "annotations": [], "categories": []}')
    code, out, _ = exlcap("eval", "--run", "first")
    assert code == 0 and "no people in: LL-E, WL" in out
    cells = out.splitlines()[1].split()[2:]
    assert cells[2] == "-" and cells[4] == "-" and cells[3] != "-"
    table = json.loads((lab / "runs" / "first" / "table.json").read_text())
    assert table["missing"] == ["LL-E", "WL"] and table["splits"]["WL"] is None


def test_a_data_set_without_any_test_people_is_an_error(lab: Path, exlcap: Run, trained: None) -> None:
    for path in (lab / "datasets" / "sticks" / "annotations").glob("test_*.json"):
        path.unlink()
    code, _, err = exlcap("eval", "--run", "first")
    assert code == 2 and "no test split" in err


def test_another_data_set_s_table_is_named_after_it(
    lab: Path, exlcap: Run, trained: None, write_stick_figures: Callable[..., Path]
) -> None:
    write_stick_figures(lab, name="other", train=1, val=0, test=1, seed=1)
    code, out, _ = exlcap("eval", "--run", "first", "--data", "other", "--no-flip", "--json")
    assert code == 0 and json.loads(out)["data"] == "other" and json.loads(out)["flip"] == "none"
    assert (lab / "runs" / "first" / "table-other-no-flip.json").exists()
    assert not (lab / "runs" / "first" / "table.json").exists()


def test_train_says_what_it_did_as_one_json_object(exlcap: Run, tiny_toml: Path) -> None:
    code, out, _ = exlcap(
        "train", "--data", "sticks", "--preset", "small", "--config", tiny_toml, "--method", "lsbn", "--seed", 3,
        "--epochs", 1, "--json",
    )  # fmt: skip
    facts = json.loads(out)
    assert code == 0 and (facts["run"], facts["method"], facts["epochs"]) == ("sticks-lsbn", "lsbn", 1)


def test_the_config_of_a_run_repeats_it(lab: Path, exlcap: Run, trained: None) -> None:
    config = lab / "runs" / "first" / "config.toml"
    code, _, _ = exlcap("train", "--config", config, "--run", "second")
    assert code == 0
    first, second = (torch.load(lab / "runs" / run / "best.pt", weights_only=True) for run in ("first", "second"))
    assert all(torch.equal(first["model"][name], second["model"][name]) for name in first["model"])
    assert config_from_toml(config.read_text(), config).optim.epochs == 2


def test_the_environment_names_versions_seed_and_data(lab: Path, trained: None) -> None:
    found = json.loads((lab / "runs" / "first" / "environment.json").read_text())
    assert found["packages"]["torch"] and found["seed"] == 0 and len(found["data_checksum"]) == 64


def test_an_existing_run_is_refused_with_both_ways_out(exlcap: Run, trained: None) -> None:
    code, _, err = exlcap("train", "--data", "sticks", "--run", "first", "--preset", "small")
    assert code == 2 and "first exists already" in err and "--run" in err and "--resume" in err


def test_resuming_a_finished_run_changes_nothing(lab: Path, exlcap: Run, trained: None) -> None:
    before = (lab / "runs" / "first" / "last.pt").read_bytes()
    code, out, _ = exlcap("train", "--run", "first", "--resume")
    assert code == 0 and "2 epochs" in out
    assert (lab / "runs" / "first" / "last.pt").read_bytes() == before


@pytest.mark.parametrize(
    "option, named",
    [(("--epochs", 7), "optim.epochs: 2 -> 7"), (("--method", "lsbn"), "method: ours -> lsbn"),
     (("--data", "other"), "data: sticks -> other"), (("--seed", 1), "seed: 0 -> 1")],
)  # fmt: skip
def test_resuming_with_another_setting_names_the_difference(
    exlcap: Run, trained: None, option: tuple[str, object], named: str
) -> None:
    code, _, err = exlcap("train", "--run", "first", "--resume", *option)
    assert code == 2 and named in err and "new run" in err


def test_resuming_after_config_toml_was_edited_names_the_difference(lab: Path, exlcap: Run, trained: None) -> None:
    config = lab / "runs" / "first" / "config.toml"
    config.write_text(config.read_text().replace("batch = 4", "batch = 5"))
    code, _, err = exlcap("train", "--run", "first", "--resume")
    assert code == 2 and "optim.batch: 4 -> 5" in err


def test_resuming_after_the_data_changed_is_refused(lab: Path, exlcap: Run, trained: None) -> None:
    path = lab / "datasets" / "sticks" / "dataset.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    code, _, err = exlcap("train", "--run", "first", "--resume")
    assert code == 2 and "data set sticks has changed" in err


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("train",), "no data set is named"),
        (("train", "--data", "none"), "no data set at"),
        (("train", "--data", "../up", "--run", "first"), "cannot name a data set"),
        (("train", "--run", "none", "--resume"), "no run to resume"),
        (("train", "--resume"), "--run"),
        (("eval", "--run", "none"), "no checkpoint"),
    ],
)
def test_what_is_missing_is_named_in_two_lines_with_exit_code_2(
    exlcap: Run, arguments: tuple[str, ...], named: str
) -> None:
    code, out, err = exlcap(*arguments)
    assert code == 2 and out == "" and named in err
    assert len(err.strip().splitlines()) == 2 and "try: " in err


def test_a_data_set_without_training_pairs_leaves_no_run_behind(lab: Path, exlcap: Run) -> None:
    (lab / "datasets" / "sticks" / "annotations" / "train.json").unlink()
    code, _, err = exlcap("train", "--data", "sticks", "--run", "first", "--preset", "small")
    assert code == 2 and "train.json" in err
    assert not (lab / "runs" / "first").exists()


@pytest.mark.parametrize("size", [0, 100, 5000], ids=["empty", "cut in its header", "cut in its weights"])
def test_a_damaged_checkpoint_is_named(lab: Path, exlcap: Run, trained: None, size: int) -> None:
    path = lab / "runs" / "first" / "best.pt"
    path.write_bytes(path.read_bytes()[:size])
    code, _, err = exlcap("eval", "--run", "first")
    assert code == 2 and "best.pt is damaged" in err


def test_a_checkpoint_that_would_run_code_is_refused(lab: Path, exlcap: Run, trained: None) -> None:
    torch.save({"format": 1, "config": Path("anything")}, lab / "runs" / "first" / "best.pt")
    code, _, err = exlcap("eval", "--run", "first")
    assert code == 2 and "best.pt is damaged or not a checkpoint" in err
