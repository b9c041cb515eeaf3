"""Runs outlive versions: what 0.1 wrote is read, used and gone on with, and a new setting orphans no run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, create_model

from exlcap.cli import main
from exlcap.core.errors import ExlcapError
from exlcap.core.records import Record
from exlcap.train import stored
from exlcap.train.config import Config
from exlcap.train.methods import METHOD_NAMES
from exlcap.train.prepare import new_config
from exlcap.train.runs import load_checkpoint, read_log
from exlcap.train.settings import preset, preset_names, read_toml
from exlcap.train.stored import FORMAT, MIGRATIONS, config_from_toml, migrated, to_toml

Run = Callable[..., str]
OLD = Path(__file__).parent / "data_0_1"
EXPECTED = json.loads((OLD / "expected.json").read_text())
HERE = Path("config.toml")
TABLES = tuple(name for name, field in Config.model_fields.items() if name not in ("data", "method", "seed"))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The workspace that version 0.1 left behind, its run `first` killed between two batches."""
    with zipfile.ZipFile(OLD / "lab.zip") as archive:
        archive.extractall(tmp_path / "lab")
    return tmp_path / "lab"


@pytest.fixture
def exlcap(lab: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in the old workspace; its standard output."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["-C", str(lab), *map(str, arguments)])
        out, err = capsys.readouterr()
        assert not stop.value.code, err
        return out

    return run


def test_eval_judges_a_run_of_version_0_1_as_that_version_did(lab: Path, exlcap: Run) -> None:
    exlcap("eval", "--run", "first")
    table = json.loads((lab / "runs" / "first" / "table.json").read_text())
    assert (table["method"], table["epoch"]) == ("ours", 10)
    for split, scores in EXPECTED["splits"].items():
        assert table["splits"][split] == pytest.approx(scores, abs=0.1)


def test_predict_finds_the_joints_that_version_0_1_found(lab: Path, exlcap: Run, tmp_path: Path) -> None:
    images = lab / "datasets" / "sticks" / "images" / "well"
    exlcap("predict", "--run", "first", "--light", "well", "--out", tmp_path / "out", images)
    people = json.loads((tmp_path / "out" / "results.json").read_text())
    for person, expected in zip(people, EXPECTED["people"], strict=True):
        assert person["file_name"] == expected["file_name"]
        assert person["keypoints"] == pytest.approx(expected["keypoints"], abs=0.05)


def test_export_writes_the_network_of_a_run_of_version_0_1(lab: Path, exlcap: Run) -> None:
    facts = json.loads(exlcap("export", "--run", "first", "--light", "low", "--json"))
    assert Path(facts["file"]).is_file() and facts["difference"] < 1e-3


def test_resume_goes_on_with_a_run_of_version_0_1_as_that_version_did(lab: Path, exlcap: Run) -> None:
    folder = lab / "runs" / "first"
    before = (folder / "log.csv").read_text().splitlines()
    facts = json.loads(exlcap("train", "--run", "first", "--resume", "--json"))
    after = (folder / "log.csv").read_text().splitlines()
    assert facts["epochs"] == 40 and after[: len(before)] == before
    for row, expected in zip(read_log(folder / "log.csv")[36:], EXPECTED["log"], strict=True):
        assert {"epoch": row.epoch, "lr": row.lr, **row.losses} == pytest.approx(expected, rel=1e-3)
    text = load_checkpoint(folder / "last.pt")["config"]
    assert text.startswith(f"format = {FORMAT}\n")
    assert config_from_toml(text, HERE) == config_from_toml((folder / "config.toml").read_text(), HERE)
    exlcap("train", "--run", "first", "--resume")


def test_a_changed_setting_of_an_old_run_is_still_refused(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["-C", str(lab), "train", "--run", "first", "--resume", "--epochs", "50"])
    assert "optim.epochs: 40 -> 50" in capsys.readouterr().err


@pytest.mark.parametrize("name", preset_names())
def test_a_config_of_version_0_1_means_what_it_meant(name: str) -> None:
    path = OLD / "configs" / f"{name}.toml"
    minutes = {"optim": {"minutes": 2.5}} if name == "small" else {}
    assert config_from_toml(path.read_text(), path) == new_config(name, None, {"data": "night", **minutes})


@pytest.mark.parametrize("over", preset_names())
@pytest.mark.parametrize("name", preset_names())
def test_the_config_of_an_old_run_given_with_config_repeats_it_over_any_preset(name: str, over: str) -> None:
    path = OLD / "configs" / f"{name}.toml"
    assert new_config(over, path, {}) == config_from_toml(path.read_text(), path)


def with_setting(table: str, name: str, default: object) -> type[Config]:
    """Config as a later version might have it: one setting more, in one of its tables."""
    wider = create_model("Wider", __base__=Config.model_fields[table].annotation, **{name: (type(default), default)})
    return create_model("Later", __base__=Config, **{table: (wider, ...)})


@given(
    table=st.sampled_from(TABLES),
    name=st.from_regex(r"new_[a-z]{1,8}", fullmatch=True),
    default=st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text("abc", min_size=1),
    old=st.sampled_from([OLD / "configs" / f"{name}.toml" for name in preset_names()]),
)
def test_a_new_setting_has_its_default_in_old_runs_and_is_kept_in_new_ones(
    table: str, name: str, default: Any, old: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "Config", with_setting(table, name, default))
        config = config_from_toml(old.read_text(), old)
        assert getattr(getattr(config, table), name) == default
        assert config_from_toml(to_toml(config), HERE) == config
        assert stored.read_settings(old)[table][name] == default


def test_a_new_table_of_settings_has_its_defaults_in_old_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    class DannConfig(Record):
        weight: float = 0.0

    later: Any = create_model("Later", __base__=Config, dann=(DannConfig, Field(default_factory=DannConfig)))
    monkeypatch.setattr(stored, "Config", later)
    old = OLD / "configs" / "modern.toml"
    config: Any = config_from_toml(old.read_text(), old)
    assert config.dann.weight == 0.0 and "[dann]" in to_toml(config)
    assert stored.read_settings(old)["dann"] == {"weight": 0.0}


def test_a_renamed_setting_is_found_by_a_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(settings: dict[str, Any]) -> dict[str, Any]:
        return {**settings, "lupi": {**settings["lupi"], "weight": settings["lupi"]["weight"] * 2}}

    monkeypatch.setattr(stored, "FORMAT", FORMAT + 1)
    monkeypatch.setattr(stored, "MIGRATIONS", (*MIGRATIONS, rename))
    old = read_toml(OLD / "configs" / "small.toml")
    for number in ({}, {"format": 1}, {"format": FORMAT}):
        assert migrated({**number, **old}, HERE)["lupi"]["weight"] == 0.2
    assert migrated({"format": FORMAT + 1, **old}, HERE) == old


def test_there_is_a_migration_from_every_format() -> None:
    assert len(MIGRATIONS) == FORMAT - 1


@pytest.mark.parametrize(
    "change, named",
    [
        (("seed = 0", "seed = 0\nformat = 99"), "format 99; this version of exlcap reads formats 1 to 2"),
        (("seed = 0", "seed = 0\nformat = 0"), "format must be a whole number from 1, found 0"),
        (("seed = 0", 'seed = 0\nformat = "2"'), "format must be a whole number from 1, found '2'"),
        (("seed = 0", "seed = 0\nformat = true"), "format must be a whole number from 1, found True"),
        (("warmup =", "warm_up = 0.5\nwarmup ="), "unknown key 'optim.warm_up'"),
        (("warmup = 0.04\n", ""), "optim.warmup: Field required"),
        (("seed = 0", "seed = "), "not valid TOML"),
    ],
)
def test_a_stored_config_that_cannot_be_read_is_refused_with_the_reason(change: tuple[str, str], named: str) -> None:
    text = (OLD / "configs" / "small.toml").read_text()
    assert change[0] in text
    with pytest.raises(ExlcapError) as error:
        config_from_toml(text.replace(*change), HERE)
    assert named in error.value.message and "config.toml" in error.value.message and error.value.hint


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_names_every_setting_also_those_with_a_default(name: str) -> None:
    settings = preset(name)
    for table in TABLES:
        fields = set(Config.model_fields[table].annotation.model_fields)  # type: ignore[union-attr]
        assert settings[table].keys() == fields - {"minutes"}


@given(
    st.sampled_from(METHOD_NAMES),
    st.integers(0, 2**31),
    st.floats(1e-8, 10, allow_nan=False),
    st.none() | st.floats(0.01, 1e4),
    st.booleans(),
)
def test_a_config_survives_its_toml(method: str, seed: int, lr: float, minutes: float | None, flip: bool) -> None:
    optim = {"lr": lr, "minutes": minutes}
    options = {"data": "night", "method": method, "seed": seed, "optim": optim, "augment": {"flip": flip}}
    config = new_config("small", None, options)
    assert config_from_toml(to_toml(config), HERE) == config
