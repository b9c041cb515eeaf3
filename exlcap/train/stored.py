"""The config.toml of a run: written with the number of its format, and read in every older format.

A setting that a later version adds has a default in its config class, and the default trains as before the setting
existed; runs of older versions get it. Where a setting is renamed, goes, or changes its meaning, FORMAT rises by one
and MIGRATIONS gets one more function. Presets and files given with ``--config`` stay strict: an unknown key is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError
from exlcap.core.records import Record, parse
from exlcap.train.config import Config
from exlcap.train.settings import Settings, merged, parse_toml, read_toml

FORMAT = 2


def _from_1(settings: Settings) -> Settings:
    """Version 0.1 wrote no number; its settings have the same names and meanings."""
    return settings


MIGRATIONS: tuple[Callable[[Settings], Settings], ...] = (_from_1,)
"""What turns settings of format 1 into those of format 2, then 2 into 3, and so on up to FORMAT."""


def config_from_toml(text: str, source: Path) -> Config:
    """The config of a run, as the run's folder and its checkpoints hold it, in any format up to today's.

    Raises ExlcapError naming `source` and an unknown or bad setting, or a format that is not known.
    """
    return complete(migrated(parse_toml(text, source), source), source)


def complete(settings: Settings, source: Path) -> Config:
    """The config of migrated settings. Raises ExlcapError naming `source` and an unknown or bad setting."""
    return parse(Config, settings, source, "bring the run's own file back, or start a new run")


def migrated(settings: Settings, source: Path) -> Settings:
    """Settings of any known format, without its number, under today's names; no number means format 1.

    Raises ExlcapError naming `source` for a format that is not known.
    """
    number = settings.get("format", 1)
    if type(number) is not int or number < 1:
        raise ExlcapError(f"{source}: format must be a whole number from 1, found {number!r}", "correct that line")
    if number > FORMAT:
        raise ExlcapError(
            f"{source} is of format {number}; this version of exlcap reads formats 1 to {FORMAT}",
            "use the newer exlcap that wrote it",
        )
    settings = {key: value for key, value in settings.items() if key != "format"}
    for migrate in MIGRATIONS[number - 1 :]:
        settings = migrate(settings)
    return settings


def read_settings(path: Path) -> Settings:
    """Settings of a file given with ``--config``: some of them, or the whole config.toml of a run.

    A whole one is migrated, and what its version did not have yet gets the value that trains as it did.
    Raises ExlcapError when the file is missing, not TOML, or of a format that is not known.
    """
    settings = read_toml(path)
    required = {name for name, field in Config.model_fields.items() if field.is_required()}
    if "format" in settings or required <= settings.keys():
        settings = migrated(settings, path)
    return merged(_defaults(Config), settings) if required <= settings.keys() else settings


def _defaults(kind: type[Record]) -> Settings:
    """Values of the settings that have a default, table by table."""
    values: Settings = {}
    for name, field in kind.model_fields.items():
        if not field.is_required():
            value = field.get_default(call_default_factory=True)
            values[name] = value.model_dump(mode="json") if isinstance(value, Record) else value
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Record):
            values[name] = _defaults(field.annotation)
    return values


def to_toml(config: Config) -> str:
    """The config as TOML in today's format; `config_from_toml` reads it back equal."""
    settings = config.model_dump(mode="json", exclude_none=True)
    lines = [f"format = {FORMAT}"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items() if not isinstance(value, dict)]
    for name, table in settings.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def differences(old: Config, new: Config) -> list[str]:
    """Settings that differ, one line each, as ``optim.lr: 0.001 -> 0.002``."""
    before, after = dict(_flat(old.model_dump())), dict(_flat(new.model_dump()))
    return [f"{key}: {before[key]} -> {after[key]}" for key in before if before[key] != after[key]]


def _flat(settings: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
