"""The driver "pylon": Basler cameras through pypylon, real or emulated. Settings are in the order of docs/hardware.md.

Nothing here trusts a default: pylon's own start-up configuration turns the trigger off at every opening, and the saved
state of a real unit has automatics and a colour pipeline switched on.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from exlcap.capture.cameras.contract import BUFFERS, CameraLimits, CameraLost, Grab, Link, check_read_back
from exlcap.capture.cameras.pylon_events import TRIGGER_MISSED, EventCount
from exlcap.capture.cameras.pylon_nodes import Nodes
from exlcap.capture.cameras.pylon_probe import FRAME_RATES, probe_features
from exlcap.capture.cameras.pylon_settings import configure, load_defaults
from exlcap.capture.cameras.pylon_state import load_pfs, pfs_path, save_pfs
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file
from exlcap.core.rig import Light, Rig, Setting
from exlcap.core.take import CameraInfo

EMULATED_DEVICES = "2"


def load_pylon(emulated: bool) -> Any:
    """The module pypylon.pylon. emulated: with two emulated devices, which must be asked for before the first import.

    Raises ExlcapError when pypylon is missing or was imported without them.
    """
    if emulated and "pypylon.pylon" in sys.modules and not os.environ.get("PYLON_CAMEMU"):
        raise ExlcapError(
            "pypylon was loaded before the emulator was switched on",
            f"set PYLON_CAMEMU={EMULATED_DEVICES} in the environment before Python starts",
        )
    if emulated:
        os.environ.setdefault("PYLON_CAMEMU", EMULATED_DEVICES)
    try:
        from pypylon import pylon
    except ImportError as error:
        raise ExlcapError(f"pypylon cannot be loaded: {error}", "install it with `pip install pypylon`") from None
    return pylon


def open_pylon_cameras(rig: Rig, pfs: Path | None = None) -> dict[Light, PylonCamera]:
    """Open and configure both cameras of a rig. pfs: saved states to load first (NAME of NAME.well.pfs).

    Raises ExlcapError when one is missing, naming the serials that are connected; no camera stays open then.
    """
    pylon = load_pylon(rig.emulator is not None)
    cameras: dict[Light, PylonCamera] = {}
    try:
        for light in ("well", "low"):
            cameras[light] = PylonCamera(pylon, rig, light, None if pfs is None else pfs_path(pfs, light))
    except BaseException:
        for camera in cameras.values():
            camera.close()
        raise
    return cameras


def _device_info(pylon: Any, serial: str, light: Light) -> Any:
    connected = {info.GetSerialNumber(): info for info in pylon.TlFactory.GetInstance().EnumerateDevices()}
    if serial not in connected:
        serials = ", ".join(sorted(connected)) or "none"
        raise ExlcapError(
            f"the {light} camera, serial {serial}, is not connected; serials found: {serials}",
            f"plug it in, or put its serial into {light}.serial of rig.toml; close other programs that use it",
        )
    return connected[serial]


class PylonCamera:
    """One Basler camera, configured and ready for `start`. Fulfils the Camera contract.

    Raises ExlcapError when the device is missing, in use, or refuses a setting.
    """

    def __init__(self, pylon: Any, rig: Rig, light: Light, pfs: Path | None = None) -> None:
        self._pylon = pylon
        self._rig = rig
        self._light: Light = light
        self._serial = rig.serial(light)
        self._who = f"{light} camera {self._serial}"
        self._device: Any = None
        self._closed = False
        self._temperature_c: float | None = None
        try:
            with self._talking("open it"):
                self._open(pfs)
        except BaseException:
            self.close()
            raise

    def _open(self, pfs: Path | None) -> None:
        pylon = self._pylon
        info = _device_info(pylon, self._serial, self._light)
        self._model = str(info.GetModelName())
        self._device = device = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateDevice(info))
        device.RegisterConfiguration(
            pylon.ConfigurationEventHandler(), pylon.RegistrationMode_ReplaceAll, pylon.Cleanup_Delete
        )
        device.GrabCameraEvents.Value = True  # not possible any more once it is open
        device.Open()
        self._nodes = Nodes(device, self._who)
        load_defaults(self._nodes)
        if pfs is not None:
            load_pfs(pylon, device, pfs, self._who)
            self._nodes.settings["pfs"] = f"{pfs.name}, sha256 {sha256_file(pfs)}"
        self._abilities = configure(self._nodes, self._rig, self._light)
        self._missed = EventCount(pylon, device, self._nodes, TRIGGER_MISSED)
        device.MaxNumBuffer.Value = BUFFERS
        self._can_wait = bool(device.CanWaitForFrameTriggerReady())  # to ask takes half a millisecond

    @contextmanager
    def _talking(self, what: str) -> Iterator[None]:
        """Turn what the driver raises into our errors."""
        from pypylon import genicam

        if self._closed:
            raise ExlcapError(f"the {self._who} is closed", "open it again")
        try:
            yield
        except genicam.GenericException as error:
            if self._gone():
                raise self._lost() from error
            text = str(error).split(" : ")[0].strip()
            raise ExlcapError(
                f"{self._who}: could not {what}: {text}", "close other programs that use it, or power-cycle it"
            ) from error

    def _lost(self) -> CameraLost:
        return CameraLost(f"the {self._who} was unplugged", "plug it in again")

    def _gone(self) -> bool:
        return self._device is not None and bool(self._device.IsCameraDeviceRemoved())

    @property
    def device(self) -> Any:
        """The pylon.InstantCamera, for tests and benchmarks."""
        return self._device

    @property
    def nodes(self) -> Nodes:
        """Its features, for tests."""
        return self._nodes

    @property
    def info(self) -> CameraInfo:
        """What the device reported of itself."""
        version = ".".join(map(str, self._pylon.GetPylonVersion()))
        firmware = self._nodes.get("DeviceFirmwareVersion")
        return CameraInfo(
            serial=self._serial,
            model=self._model,
            firmware=None if firmware is None else str(firmware),
            driver=f"pylon {version}",
            settings=dict(self._nodes.settings),
            absent=tuple(self._nodes.absent),
        )

    @property
    def limits(self) -> CameraLimits:
        """What the device can do as it is set now."""
        with self._talking("read its limits"):
            exposure, gain = self._nodes.limits("ExposureTime"), self._nodes.limits("Gain")
            rate = next((r for r in map(self._nodes.get, FRAME_RATES) if r), None)
        return CameraLimits(exposure[0], exposure[1], gain[1], None if rate is None else float(rate))

    @property
    def link(self) -> Link:
        """Its USB speed and its share of the bus, as the device reported them when it was opened."""
        settings = self._nodes.settings
        limit = None if self._rig.emulator is not None else settings.get("DeviceLinkThroughputLimit")
        return Link(settings.get("BslUSBSpeedMode"), None if limit is None else float(limit))

    @property
    def has_chunks(self) -> bool:
        """Whether each frame reports its own exposure and gain."""
        return self._abilities.chunks

    def save_state(self, name: Path) -> Path:
        """Write its state as a .pfs file: NAME.well.pfs or NAME.low.pfs."""
        path = pfs_path(name, self._light)
        with self._talking(f"save {path}"):
            save_pfs(self._pylon, self._device, path)
        return path

    def probe(self) -> dict[str, Any]:
        """What its features say; a real camera is left in its Default user set."""
        with self._talking("read its features"):
            return probe_features(self._nodes, self._abilities.chunks, emulated=self._rig.emulator is not None)

    def show(self, folder: Path) -> None:
        """Make an emulated device expose the pictures of a folder, from the first one at each start of grabbing."""
        with self._talking(f"show {folder}"):
            self._device.TestImageSelector.Value = "Off"
            self._device.ImageFilename.Value = str(folder)
            self._device.ImageFileMode.Value = "On"

    def set(self, setting: Setting) -> Setting:
        """Write exposure time and gain; return them as read back."""
        with self._talking(f"set it to {setting.exposure_us} us, {setting.gain_db} dB"):
            self._device.ExposureTime.Value = setting.exposure_us
            self._device.Gain.Value = setting.gain_db
            read_back = Setting(
                exposure_us=float(self._device.ExposureTime.Value), gain_db=float(self._device.Gain.Value)
            )
        return check_read_back(self._who, setting, read_back)

    def start(self) -> None:
        """Begin grabbing, every frame in order: no strategy that drops frames silently."""
        with self._talking("start grabbing"):
            self._temperature_c = self._nodes.get("DeviceTemperature")  # the sensor's cannot be read while it streams
            self._device.StartGrabbing(self._pylon.GrabStrategy_OneByOne)

    def stop(self) -> None:
        """End grabbing. Harmless when not grabbing or the device is gone."""
        if self._device is not None and self._device.IsGrabbing() and not self._gone():
            with self._talking("stop grabbing"):
                self._device.StopGrabbing()

    def wait_ready(self, timeout_ms: int) -> bool:
        """Wait until a pulse would open the shutter: one that comes too soon is silently ignored."""
        with self._talking("wait for its trigger"):
            if not self._can_wait:
                return True
            return bool(self._device.WaitForFrameTriggerReady(timeout_ms, self._pylon.TimeoutHandling_Return))

    def pulse(self) -> None:
        """Fire the software trigger, or the timer behind Line2."""
        with self._talking("fire a pulse"):
            if self._rig.sync.mode == "timer":
                self._device.SoftwareSignalPulse.Execute()
            else:
                self._device.TriggerSoftware.Execute()

    def zero_counter(self) -> None:
        """Set the pulse counter to 0."""
        if self._abilities.counts:
            with self._talking("reset its counter"):
                self._device.CounterReset.Execute()

    def pulses_counted(self) -> int | None:
        """Edges on Line1 since `zero_counter`; None without a counter."""
        if not self._abilities.counts:
            return None
        with self._talking("read its counter"):
            return int(self._device.CounterValue.Value)

    @property
    def missed_triggers(self) -> int | None:
        """Pulses that it reported as ignored since it was opened; None where it has no such event."""
        return self._missed.value

    def grab(self, timeout_ms: int) -> Grab | None:
        """The next frame; None when none came in time."""
        with self._talking("fetch a frame"):
            result = self._device.RetrieveResult(timeout_ms, self._pylon.TimeoutHandling_Return)
            now = time.time_ns()
            if not result.IsValid():
                if self._gone():
                    raise self._lost()
                return None
            try:
                return self._grab(result, now)
            finally:
                result.Release()

    def _grab(self, result: Any, now: int) -> Grab:
        if not result.GrabSucceeded():  # its Array would be full-sized rubbish
            reason = result.ErrorDescription or f"error 0x{result.ErrorCode:X}"
            return Grab(raw=None, frame_id=int(result.BlockID), host_time_ns=now, failure=str(reason).rstrip("."))
        exposure, gain = self._chunk(result, "ChunkExposureTime"), self._chunk(result, "ChunkGain")
        counter = self._chunk(result, "ChunkCounterValue") if self._abilities.counts else None
        timestamp = self._chunk(result, "ChunkTimestamp")
        ticks = timestamp or result.TimeStamp or None  # 0 means that the device has none
        return Grab(
            raw=np.asarray(result.Array, dtype=np.uint16),  # Array is a copy already
            frame_id=int(result.BlockID),
            host_time_ns=now,
            counter=None if counter is None else int(counter),
            device_time_ns=None if ticks is None else int(ticks),
            device_time_source=None if ticks is None else "chunk, exposure start" if timestamp else "grab result",
            chunk=None if exposure is None or gain is None else Setting(exposure_us=exposure, gain_db=gain),
            temperature_c=self._temperature_c,
        )

    def _chunk(self, result: Any, name: str) -> Any:
        """A value the frame itself carries, None where it carries none."""
        node = getattr(result, name, None) if result.IsChunkDataAvailable() else None
        return node.Value if node is not None and node.IsReadable() else None

    def close(self) -> None:
        """Let go of the device; harmless when it is closed or gone."""
        device, self._device, self._closed = self._device, None, True
        if device is None:
            return
        try:
            device.StopGrabbing()
            device.Close()
        except Exception:  # a device that is gone raises here; there is nothing left to do with it
            pass
        if device.IsPylonDeviceAttached():
            device.DestroyDevice()

    def __enter__(self) -> PylonCamera:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
