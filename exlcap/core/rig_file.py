"""Edits to rig.toml that change a setting's two values and leave every comment and all the rest as it was."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_atomic
from exlcap.core.rig import Setting, read_rig
from exlcap.core.workspace import check_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HEADER = re.compile(r"\s*\[\s*(?P<name>[^\[\]#]+?)\s*\]\s*(#.*)?")


def store_base(path: Path, scene: str | None, base: Setting) -> None:
    """Write a base setting into rig.toml, in [scenes.<scene>], or in [base] with `scene` None. Atomic.

    A scene without a section of its own gets one at the end of the file, with the preset it has used so far. Values are
    rounded to 0.001 us and 0.001 dB.
    Raises ExlcapError when rig.toml cannot be read, or is written in a way that cannot be edited line by line.
    """
    rig = read_rig(path)
    if scene is None or scene in rig.scenes:
        _store(path, {"base" if scene is None else f"scenes.{scene}": _values(base)})
        return
    preset = {} if rig.base.preset is None else {"preset": rig.base.preset}
    _store(path, {f"scenes.{check_name(scene, 'scene')}": {**_values(base), **preset}})


def store_reference(path: Path, well: Setting, low: Setting) -> None:
    """Write the settings of both cameras for a static reference into rig.toml, as `store_base` does."""
    read_rig(path)
    _store(path, {"reference.well": _values(well), "reference.low": _values(low)})


def _values(setting: Setting) -> dict[str, Any]:
    return {"exposure_us": round(setting.exposure_us, 3), "gain_db": round(setting.gain_db, 3)}


def _store(path: Path, sections: dict[str, dict[str, Any]]) -> None:
    """Put values into sections of a TOML file. Raises ExlcapError, and writes nothing, if that is not possible."""
    path = path.resolve()  # a link stays a link
    before = after = path.read_bytes().decode()
    wanted = tomllib.loads(before)
    for section, values in sections.items():
        table, new = wanted, False
        for name in section.split("."):
            new = name not in table
            table = table.setdefault(name, {})
        table.update(values)
        after = _with_section(after, section, values) if new else _edited(after, section, values)
    if _read(after) != wanted:
        shown = "; ".join(f"[{section}] " + ", ".join(f"{key} = {value}" for key, value in values.items())
                          for section, values in sections.items())  # fmt: skip
        raise ExlcapError(
            f"{path} is written in a way that cannot be edited line by line", f"enter it by hand: {shown}"
        )
    write_atomic(path, after.encode())


def _read(text: str) -> dict[str, Any] | None:
    """TOML as a table; None where it is not valid."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _edited(text: str, section: str, values: dict[str, Any]) -> str:
    """`text` with values of a section replaced in place."""
    lines, here = text.splitlines(keepends=True), ""
    for number, line in enumerate(lines):
        if header := HEADER.fullmatch(line.rstrip()):
            here = re.sub(r"""\s|["']""", "", header["name"])
        for key, value in values.items() if here == section else ():
            lines[number] = re.sub(rf"""^(\s*["']?{key}["']?\s*=\s*)([^#\s]+)([ \t]*)""",
                                   partial(_replaced, value=value), lines[number])  # fmt: skip
    return "".join(lines)


def _replaced(match: re.Match[str], value: float) -> str:
    """A new value in place of the old one and the blanks after it, so that comments keep their column."""
    room = len(match[2]) + len(match[3])
    blank = " " if match[3] else ""
    return match[1] + (repr(value) + blank).ljust(room if blank else 0)


def _with_section(text: str, section: str, values: dict[str, Any]) -> str:
    """`text` with a new section at its end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    rows = [f"[{section}]", *(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value!r}"
                              for key, value in values.items())]  # fmt: skip
    return text + ("" if text.endswith("\n") else newline) + newline.join(["", *rows, ""])
