"""Settings of a pylon device: each is looked up, set, read back and compared; what a device lacks is noted."""

from __future__ import annotations

import math
from typing import Any

from exlcap.core.errors import ExlcapError

Value = str | int | float | bool
ROUNDING = 0.01
"""A number may come back rounded by this much."""


class Nodes:
    """The features of an open pylon device, with a record of what was set and what is absent.

    device: a pylon.InstantCamera. who: how messages name it.
    pypylon raises nothing for a feature a device lacks (it hands out a placeholder), so every access asks IsValid().
    """

    def __init__(self, device: Any, who: str) -> None:
        self._device = device
        self._who = who
        self.settings: dict[str, str] = {}
        self.absent: list[str] = []

    def has(self, name: str) -> bool:
        """Whether the device has a feature."""
        return bool(getattr(self._device, name).IsValid())

    def get(self, name: str) -> Any:
        """Value of a feature, None where the device lacks it or cannot read it now."""
        node = getattr(self._device, name)
        return node.Value if node.IsValid() and node.IsReadable() else None

    def limits(self, name: str) -> tuple[float, float]:
        """Smallest and largest value of a feature that every device has."""
        node = getattr(self._device, name)
        return float(node.Min), float(node.Max)

    def span(self, name: str) -> dict[str, float] | None:
        """Smallest and largest value and step of a number; None where the device lacks it. No step: any value."""
        node = getattr(self._device, name)
        if not node.IsValid() or not node.IsReadable():
            return None
        step = {"step": float(node.Inc)} if not hasattr(node, "HasInc") or node.HasInc() else {}
        return {"min": float(node.Min), "max": float(node.Max), **step}

    def put(self, name: str, value: Value, under: str = "") -> bool:
        """Set a feature, read it back and compare. False when the device lacks it, which is noted.

        under: the selector value it belongs to, for the record ("Line1"). Raises ExlcapError with both values when the
        device reports another value.
        """
        label = f"{name}[{under}]" if under else name
        node = getattr(self._device, name)
        if not node.IsValid() or (not node.IsWritable() and node.Value != value):
            self._lack(label)
            return False
        if isinstance(value, str) and value not in node.Symbolics:
            self._lack(f"{label}={value}")
            return False
        if node.IsWritable():
            node.Value = value
        read_back = node.Value
        if not _same(value, read_back):
            raise ExlcapError(
                f"{self._who}: {label} was set to {value} but reads {read_back}",
                "check that no other program uses the camera, and that both cameras have the same firmware",
            )
        self.settings[label] = str(read_back)
        return True

    def put_up_to(self, name: str, value: int) -> bool:
        """Set a whole number to the largest that the device takes up to `value`. False when the device lacks it."""
        span = self.span(name)
        if span is None:
            self._lack(name)
            return False
        least, most, step = int(span["min"]), int(span["max"]), int(span.get("step", 1)) or 1
        wanted = min(max(value, least), most)
        return self.put(name, wanted - (wanted - least) % step)

    def need(self, name: str, value: Value, under: str = "") -> None:
        """Set a feature without which no take is possible. Raises ExlcapError when the device lacks it."""
        if not self.put(name, value, under):
            raise ExlcapError(
                f"{self._who} cannot be set to {name} = {value}",
                "exlcap records with daA1920-160uc cameras, or with pylon's emulator on a rig with [emulator]",
            )

    def note(self, name: str) -> None:
        """Record the value of a feature without setting it; one that the device lacks is noted as absent."""
        value = self.get(name)
        if value is None:
            self._lack(name)
        else:
            self.settings[name] = str(value)

    def lowest(self, name: str) -> None:
        """Set a number to the least the device takes: for stages that enhance the picture."""
        if self.has(name):
            self.put(name, type(getattr(self._device, name).Value)(self.limits(name)[0]))
        else:
            self._lack(name)

    def run(self, name: str) -> bool:
        """Execute a command feature. False when the device lacks it, which is noted."""
        if not self.has(name):
            self._lack(name)
            return False
        getattr(self._device, name).Execute()
        return True

    def choices(self, name: str) -> tuple[str, ...]:
        """Values an enumeration can take now; empty when the device lacks it."""
        return tuple(getattr(self._device, name).Symbolics) if self.has(name) else ()

    def _lack(self, label: str) -> None:
        if label not in self.absent:
            self.absent.append(label)


def _same(asked: Value, read_back: Any) -> bool:
    """Whether a feature took a value; registers round numbers."""
    if isinstance(asked, float):
        return math.isclose(asked, float(read_back), rel_tol=1e-3, abs_tol=ROUNDING)
    return bool(asked == read_back)
