"""What progress tells: how far it is, and how long it will still take."""

import os
import subprocess
import sys

import pytest

from exlcap.core import console


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


def told(clock, capsys, steps, seconds_each, **how):
    with console.progress("crops", 100, **how) as step:
        for number in range(steps):
            clock.now_s += seconds_each
            step(f"picture {number + 1}")
    return capsys.readouterr().err.splitlines()


def test_a_log_gets_a_line_at_most_every_ten_seconds_with_the_time_left(clock, capsys):
    assert told(clock, capsys, steps=6, seconds_each=5.0) == [
        "crops: 2/100, 0:08:10 left picture 2",
        "crops: 4/100, 0:08:00 left picture 4",
        "crops: 6/100, 0:07:50 left picture 6",
    ]


def test_where_the_clock_ends_it_first_that_is_the_time_left(clock, capsys):
    assert told(clock, capsys, steps=2, seconds_each=10.0, limit_s=60.0) == [
        "crops: 1/100, 0:00:50 left picture 1",
        "crops: 2/100, 0:00:40 left picture 2",
    ]


def test_a_limit_beyond_the_last_step_changes_nothing_and_one_that_is_over_leaves_nothing(clock, capsys):
    assert told(clock, capsys, steps=1, seconds_each=10.0, limit_s=1e6) == ["crops: 1/100, 0:16:30 left picture 1"]
    assert told(clock, capsys, steps=1, seconds_each=10.0, limit_s=5.0) == ["crops: 1/100, 0:00:00 left picture 1"]


BAR = """
import time
from exlcap.core.console import progress
with progress("crops", 2, limit_s=7200) as step:
    for number in (1, 2):
        time.sleep(0.1)
        step(f"picture {number}")
"""


def test_a_terminal_gets_a_bar_that_tells_the_same():
    terminal, end = os.openpty()
    subprocess.run([sys.executable, "-c", BAR], stderr=end, check=True)
    os.close(end)
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "50%  0:00:00 left picture 1" in shown and "100%  0:00:00 left picture 2" in shown
