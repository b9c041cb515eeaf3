"""What the features of a pylon device say that documents leave open (docs/hardware.md), for `exlcap doctor --probe`.

A feature that a camera lacks reads "not available here".
"""

from __future__ import annotations

from typing import Any

from exlcap.capture.cameras.contract import NOT_HERE
from exlcap.capture.cameras.pylon_nodes import Nodes
from exlcap.capture.cameras.pylon_settings import CHUNKS, LINEAR
from exlcap.core.errors import ExlcapError

FRAME_RATES = ("BslResultingAcquisitionFrameRate", "ResultingFrameRate", "ResultingFrameRateAbs")
RANGES = ("ExposureTime", "Gain", "BlackLevel", "Gamma", "DeviceLinkThroughputLimit", "BslSensorBitDepth")
VALUES = ("DeviceFirmwareVersion", "BslUSBSpeedMode", "BslSensorBitDepthMode", "LineStatusAll", "SensorReadoutTime",
          "BslTemperatureStatus", "BslTemperatureMax", "BslAcquisitionStopMode", *FRAME_RATES)  # fmt: skip
CHOICES = ("PixelFormat", "ExposureMode", "TriggerSource", "LineSource", "ChunkSelector", "BslChunkTimestampSelector",
           "CounterEventSource", "EventSelector", "DeviceTemperatureSelector", "UserSetSelector")  # fmt: skip
AT_EXPOSURE = ("BslExposureStartDelay", "BslEffectiveExposureTime", "SensorReadoutTime", *FRAME_RATES)
EXPOSURES_US = (83.0, 250.0, 1000.0, 10_000.0)
FORMATS = ("BayerRG8", "BayerRG12")
LINES = ("Line1", "Line2", "Line3", "Line4")
LINE_FEATURES = ("LineMode", "LineFormat", "LineInverter", "LineStatus", "LineSource")
DEFAULTS = ("ExposureAuto", "GainAuto", "BalanceWhiteAuto", "PixelFormat", "ExposureTime", "Gain", "BlackLevel",
            "TriggerMode", "DeviceLinkThroughputLimitMode", "DeviceLinkThroughputLimit",
            *(name for name, _ in LINEAR))  # fmt: skip


def probe_features(nodes: Nodes, chunks: bool, emulated: bool) -> dict[str, Any]:
    """What one camera says without taking a frame, as JSON types. chunks: whether its frames report their setting."""
    return {
        "chunks_enabled": list(CHUNKS) if chunks else NOT_HERE,
        "says": {name: _value(nodes, name) for name in VALUES},
        "ranges": {name: nodes.span(name) or NOT_HERE for name in RANGES},
        "choices": {name: list(nodes.choices(name)) or NOT_HERE for name in CHOICES},
        "lines": {line: _at(nodes, "LineSelector", line, LINE_FEATURES) for line in LINES},
        "at_exposure_us": {
            format: {f"{us:g}": _at(nodes, "ExposureTime", us, AT_EXPOSURE) for us in EXPOSURES_US}
            if _try(nodes, "PixelFormat", format)
            else NOT_HERE
            for format in FORMATS
        },
        "trigger_width_can_be_set": _try(nodes, "ExposureMode", "TriggerWidth"),
        "default_user_set": NOT_HERE if emulated else _defaults(nodes),
    }


def _value(nodes: Nodes, name: str) -> Any:
    value = nodes.get(name)
    return NOT_HERE if value is None else value


def _at(nodes: Nodes, name: str, value: str | float, features: tuple[str, ...]) -> dict[str, Any] | str:
    """What features say while another has a value."""
    return {feature: _value(nodes, feature) for feature in features} if _try(nodes, name, value) else NOT_HERE


def _try(nodes: Nodes, name: str, value: str | float) -> bool:
    """Whether a camera takes a value."""
    try:
        return nodes.put(name, value)
    except ExlcapError:
        return False


def _defaults(nodes: Nodes) -> dict[str, Any] | str:
    """What the Default user set holds; it is loaded. The emulator's loading changes nothing, so it is not asked."""
    if not (_try(nodes, "UserSetSelector", "Default") and nodes.run("UserSetLoad")):
        return NOT_HERE
    return {name: _value(nodes, name) for name in DEFAULTS}
