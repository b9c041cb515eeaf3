"""A run's config: presets are complete, a slip is named, and what is written is read back equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from exlcap.core.errors import ExlcapError
from exlcap.train.commands import PRESETS
from exlcap.train.config import Config
from exlcap.train.prepare import new_config
from exlcap.train.settings import PRESETS as PRESETS_FOLDER
from exlcap.train.settings import merged, preset, preset_names
from exlcap.train.stored import differences

HERE = Path("config.toml")


def small(**changes: object) -> Config:
    return new_config("small", None, {"data": "night", **changes})


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_lacks_nothing_but_the_data_set(name: str) -> None:
    config = new_config(name, None, {"data": "night"})
    assert config.data == "night" and config.method.name == "ours"


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_says_of_every_setting_what_it_means(name: str) -> None:
    lines = (PRESETS_FOLDER / f"{name}.toml").read_text().splitlines()
    assert [line for line in lines if " = " in line and "  # " not in line and not line.startswith("#")] == []


def test_the_command_line_offers_every_preset() -> None:
    assert sorted(PRESETS) == preset_names()


@pytest.mark.parametrize("name", ["modern", "official"])
def test_the_large_presets_have_the_paper_s_sizes(name: str) -> None:
    model = new_config(name, None, {"data": "night"}).model
    assert (model.depth, model.height, model.width) == (50, 256, 192)


def test_a_file_replaces_some_values_and_the_command_line_comes_last(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('seed = 5\nmethod = "lsbn"\n[optim]\nlr = 0.25\n')
    config = new_config("small", file, {"data": "night", "method": "lupi", "optim": {"epochs": 3, "minutes": None}})
    assert (config.seed, config.method.name, config.optim.lr, config.optim.epochs) == (5, "lupi", 0.25, 3)
    assert config.optim.batch == small().optim.batch


@pytest.mark.parametrize(
    "text, named",
    [
        ("[optim]\nlerning_rate = 1.0", "optim.lerning_rate"),
        ("[optim]\nlr = 'fast'", "optim.lr"),
        ("[model]\ndepth = 51", "model.depth"),
        ("[model]\nheight = 100", "multiple of 32"),
        ("method = 'theirs'", "method"),
        ("[loss]\nlevel_sigmas = [1.0, 2.0]", "loss.level_sigmas"),
        ("[optim]\nlr = nan", "optim.lr"),
        ("[optim]\nlr = ", "not valid TOML"),
    ],
)
def test_a_slip_in_a_config_file_is_named_with_the_file(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ExlcapError) as error:
        new_config("small", file, {"data": "night"})
    assert named in error.value.message and "mine.toml" in error.value.message


def test_a_missing_config_file_and_a_missing_data_set_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExlcapError, match="config not found"):
        new_config("small", tmp_path / "none.toml", {"data": "night"})
    with pytest.raises(ExlcapError, match="no data set is named"):
        new_config("small", None, {})


def test_differences_name_the_setting_and_both_values() -> None:
    assert differences(small(), small()) == []
    assert differences(small(optim={"lr": 0.5}), small(optim={"lr": 0.25}, seed=3)) == [
        "seed: 0 -> 3",
        "optim.lr: 0.5 -> 0.25",
    ]


@pytest.mark.parametrize(
    "method, lights, lsbn, lupi",
    [
        ("unpaired", "both", True, True),
        ("lupi-feat", "both", True, True),
        ("ours", "both", True, True),
        ("lsbn", "both", True, False),
        ("lupi", "both", False, True),
        ("baseline-all", "both", False, False),
        ("baseline-low", "low", False, False),
        ("baseline-well", "well", False, False),
    ],
)
def test_a_method_is_what_the_paper_s_tables_say(method: str, lights: str, lsbn: bool, lupi: bool) -> None:
    config = small(method=method)
    assert (config.method.lights, config.method.lsbn, "lupi" in config.method.losses) == (lights, lsbn, lupi)


def test_merging_changes_neither_side() -> None:
    base, over = preset("small"), {"optim": {"lr": 1.0}}
    merged(base, over)
    assert base == preset("small") and over == {"optim": {"lr": 1.0}}
