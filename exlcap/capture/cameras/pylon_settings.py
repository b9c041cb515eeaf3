"""What a camera is set to when it is opened, in the order of docs/hardware.md.

Nothing trusts a default: the saved state of a real unit has automatics and a colour pipeline switched on.
"""

from __future__ import annotations

from dataclasses import dataclass

from exlcap.capture.cameras.contract import USB_BYTES_PER_S
from exlcap.capture.cameras.pylon_nodes import Nodes
from exlcap.core.rig import LIGHTS, Light, Rig, Sync

LINEAR: tuple[tuple[str, str | float], ...] = (
    ("BslColorSpace", "Off"),
    ("BslLightSourcePreset", "Off"),
    ("Gamma", 1.0),
    ("DigitalShift", 0),
    ("BslHue", 0.0),
    ("BslSaturation", 1.0),
    ("BslBrightness", 0.0),
    ("BslContrastMode", "Linear"),
    ("BslContrast", 0.0),
    ("BslDefectPixelCorrectionMode", "On"),
    ("BslDemosaicingMode", "Manual"),
    ("BslDemosaicingMethod", "NearestNeighbor"),
)
"""What makes the numbers linear in light. Colour models demosaic inside even in Bayer formats."""
CHUNKS = ("ExposureTime", "Gain", "Timestamp", "FrameID", "CounterValue", "LineStatusAll")
PULSE_US = 500.0
"""Length of a pulse that the timer makes."""
NOTED = ("BslUSBSpeedMode", "BslExposureStartDelay", "SensorReadoutTime")
"""What a camera reports of itself that explains a take later."""


@dataclass(frozen=True)
class Abilities:
    """What an opened camera can do. chunks: frames report their own setting. counts: it counts pulses on Line1."""

    chunks: bool
    counts: bool


def load_defaults(nodes: Nodes) -> None:
    """Bring the camera into a known state."""
    if nodes.put("UserSetSelector", "Default"):
        nodes.run("UserSetLoad")


def configure(nodes: Nodes, rig: Rig, light: Light) -> Abilities:
    """Set everything but exposure and gain, whatever the state before.

    Raises ExlcapError naming the feature when one that a take cannot do without is refused.
    """
    for automatic in ("ExposureAuto", "GainAuto", "BalanceWhiteAuto"):
        nodes.put(automatic, "Off")
    _switch_off_colour(nodes)
    _set_readout(nodes, rig)
    nodes.put("DeviceLinkThroughputLimitMode", "On")
    nodes.put_up_to("DeviceLinkThroughputLimit", USB_BYTES_PER_S // len(LIGHTS))  # each may use its share of it
    _set_lines(nodes, rig.sync, light)
    _set_trigger(nodes, rig.sync, light)
    nodes.need("AcquisitionMode", "Continuous")
    nodes.put("AcquisitionFrameRateEnable", False)
    nodes.put("ExposureMode", "Timed")
    nodes.put("DeviceTemperatureSelector", "FpgaCore")
    for name in NOTED:
        nodes.note(name)
    return Abilities(counts=_set_counter(nodes, rig.sync, light), chunks=_set_chunks(nodes))


def _switch_off_colour(nodes: Nodes) -> None:
    for name, value in LINEAR:
        nodes.put(name, value)
    for channel in ("Red", "Green", "Blue"):
        if nodes.put("BalanceRatioSelector", channel):
            nodes.put("BalanceRatio", 1.0, channel)
    for enhancement in ("BslSharpnessEnhancement", "BslNoiseReduction"):
        nodes.lowest(enhancement)


def _set_readout(nodes: Nodes, rig: Rig) -> None:
    sensor = rig.sensor
    nodes.need("PixelFormat", sensor.pixel_format)
    nodes.put("BslSensorBitDepthMode", "Auto")
    nodes.need("OffsetX", 0)
    nodes.need("OffsetY", 0)
    nodes.need("Width", sensor.width)
    nodes.need("Height", sensor.height)
    for flip in ("ReverseX", "ReverseY"):
        nodes.put(flip, False)
    nodes.need("BlackLevel", float(sensor.black_level_dn))


def _set_lines(nodes: Nodes, sync: Sync, light: Light) -> None:
    """The wiring of the sync modes in docs/hardware.md: Line1 takes pulses in, the bright camera's Line2 gives them."""
    if sync.mode in ("timer", "exposure-active") and light == "well":
        nodes.need("LineSelector", "Line2")
        nodes.need("LineMode", "Output", "Line2")
        nodes.need("LineSource", "Timer1Active" if sync.mode == "timer" else "ExposureActive", "Line2")
    if sync.mode == "timer" and light == "well":
        nodes.need("TimerSelector", "Timer1")
        nodes.need("TimerTriggerSource", "SoftwareSignal1", "Timer1")
        nodes.need("TimerDuration", PULSE_US, "Timer1")
        nodes.need("SoftwareSignalSelector", "SoftwareSignal1")
    if not _by_software(sync, light):
        nodes.need("LineSelector", "Line1")
        nodes.need("LineMode", "Input", "Line1")
        nodes.put("LineInverter", False, "Line1")
        nodes.put("BslInputFilterTime", 0.0, "Line1")


def _set_trigger(nodes: Nodes, sync: Sync, light: Light) -> None:
    """One pulse, one frame."""
    for selector in nodes.choices("TriggerSelector"):
        if selector != "FrameStart":
            nodes.need("TriggerSelector", selector)
            nodes.need("TriggerMode", "Off", selector)
    nodes.need("TriggerSelector", "FrameStart")
    nodes.need("TriggerSource", "Software" if _by_software(sync, light) else "Line1", "FrameStart")
    nodes.put("TriggerActivation", "RisingEdge", "FrameStart")
    nodes.put("TriggerDelay", 0.0, "FrameStart")
    nodes.need("TriggerMode", "On", "FrameStart")


def _by_software(sync: Sync, light: Light) -> bool:
    return sync.mode == "software" or (sync.mode == "exposure-active" and light == "well")


def _set_counter(nodes: Nodes, sync: Sync, light: Light) -> bool:
    """Count the edges on Line1; False where the camera listens to no line or has no counter."""
    if _by_software(sync, light):
        return False
    if not nodes.put("CounterSelector", "Counter1"):
        return False
    for source in ("CounterTriggerSource", "CounterResetSource"):  # it runs all the time, and only we reset it
        nodes.put(source, "Off", "Counter1")
    return nodes.put("CounterEventSource", "Line1", "Counter1")


def _set_chunks(nodes: Nodes) -> bool:
    """Have every frame carry its own setting, time and counter; False where the device cannot."""
    if not nodes.put("ChunkSelector", "ExposureTime"):  # the emulator has ChunkModeActive, but cannot grab with it
        return False
    nodes.need("ChunkModeActive", True)
    for chunk in CHUNKS:
        if nodes.put("ChunkSelector", chunk):
            nodes.put("ChunkEnable", True, chunk)
    nodes.put("BslChunkTimestampSelector", "ExposureStart")
    return True
