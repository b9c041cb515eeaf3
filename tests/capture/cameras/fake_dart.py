"""Two daA1920-160uc as far as documents tell, behind the face of pypylon: what pylon's emulator lacks.

Names and values are those of a real unit's saved state and node list (docs/hardware.md): selectors, lines, timer,
counter, chunks, events. An edge on Line1 is counted, and opens the shutter, only if the camera was set up for it, so a
take succeeds only with the right settings. `wire` connects lines as in the diagrams of docs/hardware.md.
"""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import numpy as np
from pypylon import genicam

TRIGGERS = tuple(f"{what}{when}" for what in ("FrameBurst", "Frame", "Exposure") for when in ("Start", "End", "Active"))
LINES = ("Line1", "Line2", "Line3", "Line4")
CHUNKS = ("AutoBrightnessStatus", "CounterValue", "ExposureTime", "FrameID", "Gain", "LineStatusAll", "Timestamp")
EVENTS = ("ExposureEnd", "FrameStart", "FrameTriggerMissed", "Overrun", "TemperatureStatusChanged", "Test")
SELECTORS = {
    "TriggerSelector": ("TriggerMode", "TriggerSource", "TriggerActivation", "TriggerDelay"),
    "LineSelector": ("LineMode", "LineInverter", "LineSource", "BslInputFilterTime"),
    "CounterSelector": ("CounterEventSource", "CounterTriggerSource", "CounterResetSource"),
    "TimerSelector": ("TimerTriggerSource", "TimerDuration"),
    "ChunkSelector": ("ChunkEnable",),
    "EventSelector": ("EventNotification",),
    "BalanceRatioSelector": ("BalanceRatio",),
}
SELECTOR_OF = {name: selector for selector, names in SELECTORS.items() for name in names}
OFF_ON = ("Off", "On")
FEATURES = {  # default; values or (least, most)
    "UserSetSelector": ("UserSet1", ("Default", "UserSet1")),
    "ExposureAuto": ("Continuous", ("Off", "Once", "Continuous")),
    "GainAuto": ("Continuous", ("Off", "Once", "Continuous")),
    "BalanceWhiteAuto": ("Continuous", ("Off", "Once", "Continuous")),
    "BslColorSpace": ("sRgb", ("Off", "sRgb")),
    "BslLightSourcePreset": ("Daylight6500K", ("Off", "Daylight6500K")),
    "Gamma": (0.4, (0.0, 4.0)),
    "DigitalShift": (1, (0, 4)),
    "BslHue": (3.0, (-180.0, 180.0)),
    "BslSaturation": (1.2, (0.0, 2.0)),
    "BslBrightness": (0.1, (-1.0, 1.0)),
    "BslContrastMode": ("SCurve", ("Linear", "SCurve")),
    "BslContrast": (0.1, (-1.0, 1.0)),
    "BslDefectPixelCorrectionMode": ("StaticOnly", ("Off", "On", "StaticOnly")),
    "BslDemosaicingMode": ("Auto", ("Auto", "Manual")),
    "BslDemosaicingMethod": ("Unilinear", ("NearestNeighbor", "Unilinear")),
    "BalanceRatioSelector": ("Red", ("Red", "Green", "Blue")),
    "BalanceRatio": (1.6, (0.1, 16.0)),
    "BslSharpnessEnhancement": (1.0, (0.0, 2.0)),
    "BslNoiseReduction": (1.0, (0.0, 2.0)),
    "PixelFormat": ("BayerRG8", ("BayerRG8", "BayerRG12", "BayerRG12p")),
    "BslSensorBitDepthMode": ("Manual", ("Auto", "Manual")),
    "OffsetX": (8, (0, 1936)),
    "OffsetY": (8, (0, 1216)),
    "Width": (1920, (8, 1936)),
    "Height": (1200, (2, 1216)),
    "ReverseX": (True, None),
    "ReverseY": (True, None),
    "BlackLevel": (0.0, (0.0, 255.0)),
    "DeviceLinkThroughputLimitMode": ("Off", OFF_ON),
    "DeviceLinkThroughputLimit": (160_000_000, (1_000_000, 420_000_000)),
    "LineSelector": ("Line1", LINES),
    "LineMode": ("Input", ("Input", "Output", "InOut")),
    "LineInverter": (False, None),
    "LineSource": ("Off", ("Off", "ExposureActive", "Timer1Active")),
    "BslInputFilterTime": (0.0, (0.0, 1000.0)),
    "TimerSelector": ("Timer2", ("Timer1", "Timer2")),
    "TimerTriggerSource": ("Off", ("Off", "SoftwareSignal1", "Line1")),
    "TimerDuration": (10.0, (1.0, 1e6)),
    "SoftwareSignalSelector": ("SoftwareSignal2", ("SoftwareSignal1", "SoftwareSignal2")),
    "TriggerSelector": ("FrameBurstStart", TRIGGERS),
    "TriggerMode": ("On", OFF_ON),
    "TriggerSource": ("Line2", ("Software", *LINES)),
    "TriggerActivation": ("FallingEdge", ("RisingEdge", "FallingEdge")),
    "TriggerDelay": (5.0, (0.0, 1e6)),
    "AcquisitionMode": ("Continuous", ("SingleFrame", "Continuous")),
    "AcquisitionFrameRateEnable": (True, None),
    "ExposureMode": ("TriggerWidth", ("Timed", "TriggerWidth")),
    "ExposureTime": (15_000.0, (1.0, 1e7)),
    "Gain": (6.0, (0.0, 48.0)),
    "DeviceTemperatureSelector": ("Sensor", ("Sensor", "FpgaCore")),
    "DeviceTemperature": (41.5, (-50.0, 120.0)),
    "BslUSBSpeedMode": ("SuperSpeed", ("HighSpeed", "SuperSpeed")),
    "BslExposureStartDelay": (21.0, (0.0, 1000.0)),
    "SensorReadoutTime": (5900.0, (0.0, 1e6)),
    "BslResultingAcquisitionFrameRate": (164.0, (0.0, 200.0)),
    "CounterSelector": ("Counter2", ("Counter1", "Counter2")),
    "CounterEventSource": ("Off", ("Off", "Line1")),
    "CounterTriggerSource": ("Line3", ("Off", "Line3")),
    "CounterResetSource": ("Line3", ("Off", "Line3")),
    "CounterValue": (0, (0, 2**32 - 1)),
    "ChunkModeActive": (False, None),
    "ChunkSelector": ("AutoBrightnessStatus", CHUNKS),
    "ChunkEnable": (False, None),
    "BslChunkTimestampSelector": ("FrameStart", ("FrameStart", "ExposureStart", "ExposureEnd")),
    "EventSelector": ("ExposureEnd", EVENTS),
    "EventNotification": ("Off", OFF_ON),
    "DeviceFirmwareVersion": ("du1_imx392c=2.6.0", ("du1_imx392c=2.6.0",)),
}
COMMANDS = ("UserSetLoad", "TriggerSoftware", "SoftwareSignalPulse", "CounterReset")


class Feature:
    """A feature of a dart; one that it lacks is a placeholder, as pypylon hands out."""

    def __init__(self, dart, name):
        self._dart, self._name = dart, name
        self._default, self._allowed = FEATURES.get(name, (None, None))
        numbers = isinstance(self._allowed, tuple) and isinstance(self._allowed[0], (int, float))
        self.Symbolics = self._allowed if self._allowed and not numbers else ()
        self.Min, self.Max = self._allowed if numbers else (0, 0)
        self.Inc = 1

    def IsValid(self):
        return self._name in FEATURES or self._name in COMMANDS

    IsReadable = IsWritable = IsValid

    def HasInc(self):
        return isinstance(self._default, int)

    def _key(self):
        selector = SELECTOR_OF.get(self._name)
        return self._name, None if selector is None else self._dart.value(selector)

    @property
    def Value(self):
        if not self.IsValid():
            raise genicam.LogicalErrorException(f"no feature {self._name}")
        if self._name == "CounterValue":
            return self._dart.counted
        return self._dart.stuck.get(self._name, self._dart.values.get(self._key(), self._default))

    @Value.setter
    def Value(self, value):
        fits = value in self.Symbolics if self.Symbolics else self._allowed is None or self.Min <= value <= self.Max
        if not fits:
            raise genicam.OutOfRangeException(f"{self._name}: {value}")
        self._dart.values[self._key()] = value
        self._dart.written.append((*self._key(), value))

    def Execute(self):
        self._dart.run(self._name)


class Dart:
    """A daA1920-160uc as a pylon.InstantCamera."""

    def __init__(self, serial, wires):
        self.serial, self._wires = serial, wires
        self.values, self.written = {}, []
        self.first_count = 1
        self.clock_ns = 10**12 * int(serial)
        self.stuck = {}
        self.spoiled = 0
        self.too_soon = 0
        self.removed = self.grabbing = self.outside = False
        self.counted = self._frames = 0
        self._results, self._handlers = deque(), []
        self.MaxNumBuffer, self.GrabCameraEvents = SimpleNamespace(Value=10), SimpleNamespace(Value=False)

    def __getattr__(self, name):
        return Feature(self, name)

    def value(self, name, selected=None):
        """What a feature is set to, for a selector's value where one is given."""
        return self.values.get((name, selected), FEATURES[name][0]) if selected else Feature(self, name).Value

    def run(self, command):
        if self.removed:
            raise genicam.RuntimeException("the device is gone")
        if command == "CounterReset":
            self.counted = 0
        elif command == "TriggerSoftware" and self.value("TriggerSource", "FrameStart") == "Software":
            self._trigger()
        elif command == "SoftwareSignalPulse" and self.value("TimerTriggerSource", "Timer1") == self.value(
            "SoftwareSignalSelector"
        ):
            self._output("Timer1Active")

    def _output(self, signal):
        """A pulse on Line2, if that is what Line2 gives."""
        if self.value("LineMode", "Line2") == "Output" and self.value("LineSource", "Line2") == signal:
            for dart in self._wires.get(self.serial, ()):
                dart.edge()

    def edge(self):
        """A rising edge on Line1."""
        if self.value("LineMode", "Line1") != "Input":
            return
        self.counted += self.value("CounterEventSource", "Counter1") == "Line1"
        if self.value("TriggerSource", "FrameStart") == "Line1":
            self._trigger()

    def _trigger(self):
        others = [self.value("TriggerMode", name) for name in TRIGGERS if name != "FrameStart"]
        armed = self.value("TriggerMode", "FrameStart") == "On" and "On" not in others
        if not self.grabbing or not armed or self.value("ExposureMode") != "Timed":
            return
        if self.too_soon:
            self.too_soon -= 1
            self._tell("FrameTriggerMissed")
            return
        self._output("ExposureActive")
        self.clock_ns += 50_000_000
        self._results.append(self._result())
        self._frames += 1

    def _tell(self, event):
        if self.GrabCameraEvents.Value and self.value("EventNotification", event) == "On":
            for handler, node in self._handlers:
                if node == f"Event{event}Timestamp":
                    handler.OnCameraEvent(self, 0, None)

    def _result(self):
        said = {
            "ExposureTime": self.value("ExposureTime"),
            "Gain": self.value("Gain"),
            "CounterValue": self.counted - 1 + self.first_count,
            "Timestamp": self.clock_ns,
        }
        chunks = {
            f"Chunk{name}": SimpleNamespace(Value=value, IsReadable=lambda: True)
            for name, value in said.items()
            if self.value("ChunkModeActive") and self.value("ChunkEnable", name)
        }
        self.spoiled, good = max(0, self.spoiled - 1), not self.spoiled
        shape = (self.value("Height"), self.value("Width"))
        return SimpleNamespace(
            **chunks, BlockID=self._frames, TimeStamp=0, Array=np.full(shape, 64 + self._frames, np.uint16),
            ErrorDescription="incompletely grabbed", ErrorCode=0, Release=lambda: None, IsValid=lambda: True,
            GrabSucceeded=lambda: good, IsChunkDataAvailable=lambda: bool(chunks),
        )  # fmt: skip

    def RegisterConfiguration(self, *_):
        pass

    def RegisterCameraEventHandler(self, handler, node, *_):
        self._handlers.append((handler, node))

    def Open(self):
        pass

    def CanWaitForFrameTriggerReady(self):
        return False

    def IsCameraDeviceRemoved(self):
        return self.removed

    def StartGrabbing(self, _):
        self.grabbing, self._frames = True, 0
        self._results.clear()

    def IsGrabbing(self):
        return self.grabbing

    def StopGrabbing(self):
        self.grabbing = False

    def RetrieveResult(self, timeout_ms, _):
        if self.outside and not self._results:
            for dart in self._wires["generator"]:
                dart.edge()
        return (
            self._results.popleft() if self._results else SimpleNamespace(IsValid=lambda: False, Release=lambda: None)
        )

    def Close(self):
        pass

    def IsPylonDeviceAttached(self):
        return False


def fake_pylon(mode="software"):
    """A module like pypylon.pylon with two darts, serials 1 and 2, wired for a sync mode; and the darts."""
    wires = {}
    darts = {serial: Dart(serial, wires) for serial in ("1", "2")}
    both = list(darts.values())
    wires |= {"timer": {"1": both}, "exposure-active": {"1": both[1:]}, "external": {"generator": both}}.get(mode, {})
    for dart in both:
        dart.outside = mode == "external"
    infos = [SimpleNamespace(GetSerialNumber=lambda s=s: s, GetModelName=lambda: "daA1920-160uc") for s in darts]
    factory = SimpleNamespace(EnumerateDevices=lambda: infos, CreateDevice=lambda info: info.GetSerialNumber())
    constants = dict.fromkeys(
        ("RegistrationMode_ReplaceAll", "RegistrationMode_Append", "Cleanup_Delete", "GrabStrategy_OneByOne",
         "TimeoutHandling_Return", "CameraEventAvailability_Optional"), 0)  # fmt: skip
    module = SimpleNamespace(
        TlFactory=SimpleNamespace(GetInstance=lambda: factory), InstantCamera=lambda serial: darts[serial],
        ConfigurationEventHandler=object, CameraEventHandler=object, GetPylonVersion=lambda: (12, 4, 2), **constants,
    )  # fmt: skip
    return module, darts
