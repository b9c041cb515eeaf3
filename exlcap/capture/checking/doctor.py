"""`exlcap doctor`: what stands between this computer, these cameras and a good take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from exlcap.capture.cameras.contract import BUFFERS
from exlcap.capture.cameras.open import check_sync, open_cameras
from exlcap.capture.checking.host import (
    Row,
    check_controllers,
    check_disk_space,
    check_disk_speed,
    check_mongod,
    check_usbfs,
    check_weights,
)
from exlcap.capture.checking.probe import probe_cameras
from exlcap.capture.checking.pulses import check_cameras
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_json
from exlcap.core.workspace import Workspace


def examine(workspace: Workspace, probe: Path | None) -> Iterator[Row]:
    """Check everything, the cameras first. probe: file for what they report of themselves."""
    rig = workspace.rig
    yield from _examine_cameras(workspace, probe)
    yield check_controllers(rig)
    yield check_usbfs(rig, BUFFERS)
    yield check_disk_speed(rig, workspace.root)
    yield check_disk_space(rig, workspace.root)
    yield check_mongod()
    yield check_weights()


def _examine_cameras(workspace: Workspace, probe: Path | None) -> Iterator[Row]:
    rig = workspace.rig
    with ExitStack() as stack:
        try:
            check_sync(rig, allow_software=False)
        except ExlcapError as error:
            yield Row("sync mode", "FAIL", error.message, error.hint)
        try:
            cameras = open_cameras(rig)
        except ExlcapError as error:
            yield Row("cameras", "FAIL", error.message, error.hint)
            return
        for camera in cameras.values():
            stack.enter_context(camera)
        yield from check_cameras(rig, cameras)
        if probe is not None:
            write_json(probe, probe_cameras(rig, cameras))
            yield Row("probe", "OK", f"wrote {probe}")


def rows_text(rows: list[Row]) -> str:
    """As lines for people."""
    width = max(len(row.check) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.state:<4}  {row.check:<{width}}  {row.found}")
        if row.todo:
            lines.append(f"{'':<4}  {'':<{width}}  -> {row.todo}")
    return "\n".join(lines)
