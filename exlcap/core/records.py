"""Records read from files, checked field by field; an error names the file, the field, the value and the remedy."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from exlcap.core.errors import ExlcapError


class Record(BaseModel):
    """A checked, unchangeable record; an unknown field is an error, so a typing slip never becomes a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, serialize_by_alias=True)


R = TypeVar("R", bound=Record)


def parse(kind: type[R], data: Any, source: Path | str, hint: str) -> R:
    """`data` (from TOML or JSON) as a record of `kind`.

    Raises ExlcapError naming `source`, the field and its value, and for an unknown field the nearest known one.
    """
    try:
        # by way of JSON: only there does strict pydantic take a list for a tuple and a whole number for a float
        return kind.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        # a misspelt key also leaves the right one missing: name the slip, not its consequence
        problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        place, value = problems[0]["loc"], problems[0]["input"]
        where = ".".join(str(part) for part in place)
        if problems[0]["type"] == "extra_forbidden":
            known = _fields_at(kind, place[:-1])
            near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
            raise ExlcapError(f"{source}: unknown key {where!r}", hint) from None
        message = problems[0]["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(value, dict | list) else f" (found {value!r})"
        raise ExlcapError(": ".join(filter(None, (str(source), where, message))) + shown, hint) from None


def _fields_at(kind: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    """Names of the fields of the model nested at `place`, as far down as it can be followed."""
    for part in place:
        field = kind.model_fields.get(str(part))
        if field is None:  # a free name, such as a scene's: the model is still that of the table
            continue
        for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                kind = candidate
    return list(kind.model_fields)
