"""Settings as nested tables of TOML values: those of a preset, those of a file, and the ones over the others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = Path(__file__).parent / "presets"
Settings = dict[str, Any]
"""Nested tables of TOML values."""


def preset(name: str) -> Settings:
    """Values of a preset that comes with exlcap."""
    return read_toml(PRESETS / f"{name}.toml")


def preset_names() -> list[str]:
    """Presets that come with exlcap."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_toml(path: Path) -> Settings:
    """A TOML file as nested tables. Raises ExlcapError when it is missing or not TOML."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise ExlcapError(f"config not found: {path}", "check the path") from None
    except UnicodeDecodeError as error:
        raise ExlcapError(f"{path} is not valid TOML: {error}", "save it as UTF-8") from None


def parse_toml(text: str, source: Path) -> Settings:
    """TOML as nested tables. Raises ExlcapError naming `source` when it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExlcapError(f"{source} is not valid TOML: {error}", "correct that line") from None


def merged(base: Settings, over: Settings) -> Settings:
    """`base` with the values of `over` in place of its own, table by table; None in `over` changes nothing."""
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        elif value is not None:
            result[key] = value
    return result
