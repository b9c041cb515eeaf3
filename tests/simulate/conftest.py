"""A small emulated rig for the tests of the simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exlcap.core.records import parse
from exlcap.core.rig import Rig, Setting
from exlcap.core.take import Step

BLACK_DN = 60


def _rig(width: int = 320, height: int = 200, mirror: bool = True, **emulator: Any) -> Rig:
    optics = {"seed": 7, "rotation_deg": 0.4, "scale": 1.003, "shift_px": [3.3, -2.2], "perspective": [0.002, -0.001]}
    bright, dark = {"exposure_us": 1000, "gain_db": 0}, {"exposure_us": 20_000, "gain_db": 14}
    return parse(
        Rig,
        {
            "format": 1,
            "name": "test rig",
            "well": {"serial": "1"},
            "low": {"serial": "2", "gain_db": 3.4, "nd_transmittance": 0.01, "mirror": mirror},
            "sensor": {"width": width, "height": height, "black_level_dn": BLACK_DN},
            "sync": {"mode": "software", "pulse_hz": 10, "guard_frames": 1},
            "limits": {"exposure_us_min": 1, "exposure_us_max": 1e6, "gain_db_max": 48},
            "schedule": {"pairs_per_step": 4, "presets": {"outdoor": [1, 2, 4, 8, 12]}},
            "base": bright,
            "reference": {"frames": 2, "well": bright, "low": dark},
            "emulator": {**optics, "people": [3, 4], **emulator},
        },
        "test",
        "mend the test",
    )


@pytest.fixture
def make_rig() -> Callable[..., Rig]:
    """Rigs of a given size, mirror and [emulator] table."""
    return _rig


@pytest.fixture
def rig() -> Rig:
    """A rig with a misaligned, mirrored dark camera."""
    return _rig()


@pytest.fixture
def step() -> Step:
    """The brightest step of a schedule: white just fills the bright sensor's wells."""
    return Step(k=1, well=Setting(exposure_us=1000, gain_db=0), low=Setting(exposure_us=1000, gain_db=3.4))
