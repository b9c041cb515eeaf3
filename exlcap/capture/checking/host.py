"""Checks of the computer for `exlcap doctor`: USB controllers, usbfs memory, disk, FiftyOne's database."""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from exlcap.capture.cameras.contract import NOT_HERE, USB_BYTES_PER_S
from exlcap.capture.takes.schedule import frame_bytes, pairs_bytes
from exlcap.core.downloads import weights_folder
from exlcap.core.errors import ExlcapError
from exlcap.core.files import write_atomic
from exlcap.core.mongod import find_mongod
from exlcap.core.rig import LIGHTS, Rig

USBFS_MB = 1000
DISK_TEST_SECONDS = 2.0
DISK_TEST_FRAMES = 64
SYSFS = Path("/sys")


@dataclass(frozen=True)
class Row:
    """One line of the doctor. state "-": cannot be checked here. todo: what to do; empty when there is nothing."""

    check: str
    state: Literal["OK", "WARN", "FAIL", "-"]
    found: str
    todo: str = ""

    def data(self) -> dict[str, str]:
        """As JSON types."""
        return asdict(self)


def check_controllers(rig: Rig, sysfs: Path = SYSFS) -> Row:
    """Whether both cameras share one USB host controller, and whether it can carry them."""
    name = "USB host controllers"
    controllers = {light: usb_controller(rig.serial(light), sysfs) for light in LIGHTS}
    if None in controllers.values():
        return Row(name, "-", f"{NOT_HERE}: no such USB devices under {sysfs}")
    found = ", ".join(f"{light} on {controller}" for light, controller in controllers.items())
    if len(set(controllers.values())) > 1:
        return Row(name, "OK", found)
    need = 2 * frame_bytes(rig) * rig.sync.pulse_hz
    load = f"{found}: {need / 1e6:.0f} MB/s through one that moves about {USB_BYTES_PER_S / 1e6:.0f}"
    if need > USB_BYTES_PER_S:
        return Row(name, "FAIL", load, "plug one camera into another controller, or lower sync.pulse_hz")
    return Row(name, "WARN", load, "plug one camera into another controller (a second USB card) if frames are lost")


def usb_controller(serial: str, sysfs: Path = SYSFS) -> str | None:
    """PCI address of the host controller of a USB device, None where it is not listed."""
    for file in sorted(sysfs.glob("bus/usb/devices/*/serial")):
        if file.read_text(encoding="ascii", errors="replace").strip() == serial:
            addresses = re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", str(file.resolve()))
            return addresses[-1] if addresses else None
    return None


def check_usbfs(rig: Rig, buffers: int, sysfs: Path = SYSFS) -> Row:
    """Whether Linux gives USB transfers enough memory. buffers: frames a camera may have in flight."""
    name = "usbfs memory"
    if rig.emulator is not None:
        return Row(name, "-", f"{NOT_HERE}: these cameras use no USB")
    file = sysfs / "module/usbcore/parameters/usbfs_memory_mb"
    if not file.exists():
        return Row(name, "-", f"{NOT_HERE}: only Linux with USB has this limit")
    found, need = int(file.read_text(encoding="ascii")), len(LIGHTS) * buffers * frame_bytes(rig) / 1e6
    todo = f"boot with usbcore.usbfs_memory_mb={USBFS_MB}, or write {USBFS_MB} into {file}"
    if found and found < need:  # 0 means no limit
        return Row(name, "FAIL", f"{found} MB, the cameras' buffers take {need:.0f} MB", todo)
    return Row(name, "WARN" if 0 < found < USBFS_MB else "OK", f"{found} MB", todo if 0 < found < USBFS_MB else "")


def check_disk_speed(rig: Rig, folder: Path) -> Row:
    """Write frames as `shoot` does, waiting for each, and delete them again."""
    trial = folder / f".doctor.{secrets.token_hex(4)}"
    data, written, began = os.urandom(frame_bytes(rig)), 0, time.monotonic()
    try:
        while written < DISK_TEST_FRAMES and time.monotonic() - began < DISK_TEST_SECONDS:
            write_atomic(trial / str(written), data)
            written += 1
        seconds = time.monotonic() - began
    except OSError as error:
        return Row("disk speed", "FAIL", f"{folder}: {error.strerror}", "free some space or mend the disk")
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    speed, need = written * len(data) / seconds, len(LIGHTS) * frame_bytes(rig) * rig.sync.pulse_hz
    found = f"{speed / 1e6:.0f} MB/s, {rig.sync.pulse_hz:g} pairs/s need {need / 1e6:.0f} MB/s"
    if speed < need:
        rate = speed / need * rig.sync.pulse_hz
        return Row(
            "disk speed", "WARN", found, f"pulses will wait for the disk: about {rate:.0f} pairs/s in the long run"
        )
    return Row("disk speed", "OK", found)


def check_disk_space(rig: Rig, folder: Path) -> Row:
    """Whether one take of the rig's schedule fits."""
    schedule = rig.schedule
    need = pairs_bytes(rig, schedule.pairs_per_step * len(schedule.presets[schedule.preset]))
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free, one take of {schedule.preset!r} needs {need / 1e9:.2f} GB"
    if free < need:
        return Row("disk space", "FAIL", found, "free some space, or lower schedule.pairs_per_step")
    return Row("disk space", "OK", found)


def check_mongod() -> Row:
    """Whether the database that `exlcap review` needs is there and starts on this machine."""
    name = "FiftyOne's mongod"
    try:
        mongod = find_mongod()
        done = subprocess.run([mongod, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except ExlcapError as error:
        return Row(name, "WARN", error.message, f"only `exlcap review` needs it: {error.hint}")
    except (OSError, subprocess.SubprocessError) as error:
        return Row(name, "WARN", f"{mongod} does not run: {error}", f"get one for {platform.platform()}")
    return Row(name, "OK", done.stdout.splitlines()[0])


def check_weights() -> Row:
    """Whether networks that label are on this machine."""
    name, folder = "annotator weights", weights_folder()
    found = sorted(path.name for path in folder.glob("*") if path.suffix in (".onnx", ".zip"))
    if not found:
        todo = "only `exlcap annotate` needs them; its first run downloads them, or pass files with --weights"
        return Row(name, "WARN", f"none in {folder}", todo)
    return Row(name, "OK", f"{', '.join(found)} in {folder}")
