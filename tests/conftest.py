"""Settings of all tests, and what several stages share: a small emulated rig, and takes on disk without a camera."""

from __future__ import annotations

import concurrent.futures.thread
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["PYLON_CAMEMU"] = "2"  # pylon reads it when it is imported, which any test may do first

from exlcap.core.files import write_json
from exlcap.core.rig import LIGHTS, Rig, Setting
from exlcap.core.take import CameraInfo, Pair, Step, Take, TakeHeader, TakeWriter, pair_id, read_take
from exlcap.core.workspace import Workspace
from exlcap.init import rig_toml

# A busy machine makes examples slow, and the first one pays for imports: only a test's limit judges its time.
settings.register_profile("exlcap", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("exlcap")

SLOW_LIMIT_S = 1800
"""A test marked slow may take this long; the limit of the others stands in pyproject.toml."""
GRACE_S = 10.0
"""Threads may need so long to end after a test."""
SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"
SMALL = {"width = 960": "width = 320", "height = 600": "height = 200", "people = [4, 6]": "people = [2, 3]"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked slow have a limit of their own."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_LIMIT_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what repeats this order of the tests, which -q would hide."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None:
        terminalreporter.write_line(f"the same order again: --randomly-seed={seed}")


LEFT_OVER: list[threading.Thread] = []
"""Threads that are left running, for which Python would wait for ever at its end."""
EXIT_CODES: list[int] = []


@pytest.fixture(autouse=True)
def no_thread_is_left_running() -> Iterator[None]:
    """Fail a test that leaves a thread which would keep the process from ending."""
    before = set(threading.enumerate())
    yield
    left = [one for one in threading.enumerate() if not (one in before or one.daemon or _of_a_pool(one))]
    for thread in left:
        thread.join(GRACE_S / len(left))
    left = [thread for thread in left if thread.is_alive()]
    LEFT_OVER.extend(left)
    ours = [thread.name for thread in left if not thread.name.startswith("AnyIO")]  # its idle workers outlive a server
    if ours:
        faulthandler.dump_traceback(all_threads=True)
        pytest.fail(f"left running: {', '.join(ours)}; join it, or end it in a fixture")


def _of_a_pool(thread: threading.Thread) -> bool:
    """Python ends the threads of a concurrent.futures pool by itself."""
    return getattr(thread, "_target", None) is concurrent.futures.thread._worker


def pytest_sessionfinish(exitstatus: int) -> None:
    """Remember what the process is to say at its end."""
    EXIT_CODES.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """End the process although a thread is left, once everything is reported."""
    if any(thread.is_alive() for thread in LEFT_OVER):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_CODES[-1] if EXIT_CODES else 1)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real photos and labels beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return SHARED_DATA


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An emulated workspace with a 320 x 200 sensor."""
    return make_workspace(tmp_path / "lab")


def make_workspace(root: Path, changes: dict[str, str] | None = None) -> Workspace:
    """A workspace whose emulated rig.toml is changed by text replacement; every replacement must find its text."""
    text = rig_toml(emulated=True)
    for old, new in {**SMALL, **(changes or {})}.items():
        assert old in text, f"the rig template has no {old!r}"
        text = text.replace(old, new)
    root.mkdir(parents=True, exist_ok=True)
    (root / "rig.toml").write_text(text, encoding="utf-8")
    return Workspace(root)


def gain_db_at(base_gain_db: float, k: int) -> float:
    """Well-lit gain of a step (20 log10 k above the base), written out so that tests do not lean on the code."""
    return base_gain_db + {1: 0.0, 2: 6.0206, 4: 12.0412, 8: 18.0618, 12: 21.5836}[k]


def steps_of(rig: Rig, scene: str, divisors: tuple[int, ...]) -> tuple[Step, ...]:
    base = rig.scene_base(scene)
    return tuple(
        Step(
            k=k,
            well=Setting(exposure_us=base.exposure_us / k, gain_db=gain_db_at(base.gain_db, k)),
            low=Setting(exposure_us=base.exposure_us / k, gain_db=rig.low.gain_db),
        )
        for k in divisors
    )


def make_take(
    workspace: Workspace,
    scene: str = "plaza",
    divisors: tuple[int, ...] = (1, 4),
    pairs: int = 2,
    reference: bool = False,
) -> Take:
    """A take on disk as `exlcap shoot` would leave it, with simulated frames and the truth beside it."""
    from exlcap.simulate.rendering import render_step, truth_coco

    rig = workspace.rig
    if reference:
        steps: tuple[Step, ...] = (Step(k=1, well=rig.reference.well, low=rig.reference.low),)
        folder, name = workspace.references / "ref-001", "reference"
    else:
        steps, name = steps_of(rig, scene, divisors), scene
        folder = workspace.scene(scene) / "take-001"
    info = {light: CameraInfo(serial=rig.serial(light), model="simulated", driver="none") for light in LIGHTS}
    header = TakeHeader(
        kind="reference" if reference else "scene", scene=name, number=1, created="2026-11-20T00:00:00+00:00",
        status="recording", rig=rig, steps=steps, pairs_per_step=pairs, sync_mode="software",
        settings_proof="assumed", cameras=info, versions={},
    )  # fmt: skip
    writer = TakeWriter(folder, header)
    people = {}
    for step in steps:
        for pulse in render_step(rig, name, 1, step, 0, pairs, reference=reference):
            frames = {
                light: writer.frame(
                    getattr(pulse, light), step.k, pulse.index, light=light, asked=step.setting(light),
                    read_back=step.setting(light), frame_id=pulse.index, host_time_ns=time.time_ns(),
                )
                for light in LIGHTS
            }  # fmt: skip
            writer.pair(Pair(k=step.k, index=pulse.index, **frames))
            people[pair_id(name, 1, step.k, pulse.index)] = pulse.people
    writer.finish("complete")
    if not reference:
        size = (rig.sensor.width, rig.sensor.height)
        write_json(workspace.simulated / name / "take-001.json", truth_coco(people, size))
    return read_take(folder)


@pytest.fixture
def shot(workspace: Workspace) -> Callable[..., Take]:
    """Make takes in the workspace."""
    return lambda *args, **kwargs: make_take(workspace, *args, **kwargs)
