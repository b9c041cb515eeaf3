"""Settings of a device: looked for, set, read back, compared."""

import pytest

from exlcap.capture.cameras.pylon_nodes import Nodes
from exlcap.core.errors import ExlcapError


class Node:
    """A feature as pypylon shows it. `keeps`: what a write turns into; `writable`: whether it can be written."""

    def __init__(self, value=None, keeps=lambda value: value, symbolics=(), writable=True):
        self._value, self._keeps, self.Symbolics, self._writable = value, keeps, symbolics, writable
        self.Min, self.Max = 0.0, 10.0

    Value = property(lambda self: self._value, lambda self, value: setattr(self, "_value", self._keeps(value)))

    def IsValid(self):
        return self._value is not None

    IsReadable = IsValid

    def IsWritable(self):
        return self.IsValid() and self._writable


class Device:
    """Answers for every name, as pypylon does: a placeholder where the device lacks the feature."""

    def __init__(self, **features):
        self.__dict__.update(features)

    def __getattr__(self, name):
        return Node()


def test_a_feature_is_set_and_recorded():
    device = Device(Gamma=Node(0.4))
    nodes = Nodes(device, "low camera 1")
    assert nodes.put("Gamma", 1.0) and device.Gamma.Value == 1.0
    assert nodes.settings == {"Gamma": "1.0"} and nodes.absent == []


def test_a_feature_that_reads_otherwise_is_an_error_with_both_values():
    nodes = Nodes(Device(Width=Node(1936, keeps=lambda value: 1920)), "low camera 1")
    with pytest.raises(ExlcapError, match="low camera 1: Width was set to 1900 but reads 1920"):
        nodes.put("Width", 1900)


def test_a_number_may_come_back_rounded():
    assert Nodes(Device(Gamma=Node(0.4, keeps=lambda value: value + 1e-4)), "c").put("Gamma", 1.0)


def test_what_a_device_lacks_is_recorded_and_not_an_error():
    nodes = Nodes(Device(BslColorSpace=Node("sRgb", symbolics=("sRgb",))), "c")
    assert not nodes.put("BslHue", 0.0)
    assert not nodes.put("BslColorSpace", "Off")
    assert not nodes.run("UserSetLoad")
    assert nodes.absent == ["BslHue", "BslColorSpace=Off", "UserSetLoad"]


def test_a_locked_feature_counts_when_it_holds_the_value_already():
    nodes = Nodes(Device(OffsetX=Node(0, writable=False), OffsetY=Node(4, writable=False)), "c")
    assert nodes.put("OffsetX", 0) and not nodes.put("OffsetY", 0)


def test_a_take_is_refused_without_what_it_needs():
    with pytest.raises(ExlcapError, match="cannot be set to PixelFormat = BayerRG12"):
        Nodes(Device(PixelFormat=Node("Mono8", symbolics=("Mono8",))), "c").need("PixelFormat", "BayerRG12")
