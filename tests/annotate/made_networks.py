"""Small ONNX files with known answers: what a network would say of a picture in which joints are painted.

Each part of the body has its own grey level, and left and right share one, so that a mirrored picture means the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exlcap.core.joints import JOINTS

PARTS = ("head", "neck", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
LEVELS = {part: 40 + 26 * number for number, part in enumerate(PARTS)}
TOLERANCE = 9


def level(joint: str) -> int:
    return LEVELS[joint.split("_")[-1]]


def save(path: Path, nodes, inputs, outputs, constants) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "made", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def picture_input(width: int, height: int, batch: int | str = "N"):
    return [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [batch, 3, height, width])]


def output(name: str, rank: int):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)


def responses(names=JOINTS):
    """Nodes that make `near` (N, joints, H, W): 1 where the first channel has a joint's level, falling to 0."""
    levels = np.array([level(name) for name in names], np.float32).reshape(1, -1, 1, 1)
    constants = {"levels": levels, "tolerance": np.float32(TOLERANCE), "one": np.float32(1),
                 "from": np.array([0]), "to": np.array([1]), "axis": np.array([1])}  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["picture", "from", "to", "axis"], ["red"]),
        helper.make_node("Sub", ["red", "levels"], ["off"]),
        helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("Div", ["distance", "tolerance"], ["share"]),
        helper.make_node("Sub", ["one", "share"], ["signed"]),
        helper.make_node("Relu", ["signed"], ["near"]),
    ]
    return nodes, constants


def heatmap_network(path: Path, width: int, height: int, batch: int | str = "N", names=JOINTS) -> Path:
    nodes, constants = responses(names)
    nodes.append(helper.make_node("AveragePool", ["near"], ["maps"], kernel_shape=[4, 4], strides=[4, 4]))
    return save(path, nodes, picture_input(width, height, batch), [output("maps", 4)], constants)


def simcc_network(path: Path, width: int, height: int) -> Path:
    nodes, constants = responses()
    nodes += [
        helper.make_node("AveragePool", ["near"], ["smooth"], kernel_shape=[15, 15], pads=[7, 7, 7, 7]),
        helper.make_node("ReduceMax", ["smooth"], ["x"], axes=[2], keepdims=0),
        helper.make_node("ReduceMax", ["smooth"], ["y"], axes=[3], keepdims=0),
    ]
    return save(path, nodes, picture_input(width, height), [output("x", 3), output("y", 3)], constants)


def constant_network(path: Path, width: int, height: int, **outputs) -> Path:
    """A network that says the same of every picture: arrays by the name of their output."""
    nodes, constants = [], {"zero": np.float32(0)}
    nodes.append(helper.make_node("ReduceSum", ["picture"], ["sum"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["sum", "zero"], ["nothing"]))
    for name, value in outputs.items():
        constants[f"{name}_value"] = np.asarray(value, np.float32)
        nodes.append(helper.make_node("Add", [f"{name}_value", "nothing"], [name]))
    shapes = [output(name, np.asarray(value).ndim) for name, value in outputs.items()]
    return save(path, nodes, picture_input(width, height), shapes, constants)


def painted(people, size: tuple[int, int], radius: float = 5.0):
    """A grey picture, uint8 (height, width, 3), of joints (14, 2) painted as discs on black."""
    y, x = np.mgrid[: size[1], : size[0]]
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for joints in people:
        for name, (at_x, at_y) in zip(JOINTS, joints, strict=True):
            picture[(x - at_x) ** 2 + (y - at_y) ** 2 <= radius**2] = level(name)
    return picture


def stick(x: float, y: float, step: float = 14.0, lean: float = 2.0):
    """Joints (14, 2) of somebody whose parts stand in a row, the head at (x, y)."""
    rows = [PARTS.index(name.split("_")[-1]) for name in JOINTS]
    return np.array([[x + lean * row, y + step * row] for row in rows])


def card(path: Path, onnx_file: Path, width: int, height: int, kind: str, extra: str = "", names=JOINTS) -> Path:
    """A card beside (or away from) its ONNX file. kind: the text of the table that says what it gives out."""
    joints = "" if kind.startswith("[detector]") else "[joints]\nnames = [" + ", ".join(f'"{n}"' for n in names) + "]\n"
    path.write_text(
        f'name = "{path.stem}"\nversion = "1"\n{extra}\n[weights]\nfile = "{onnx_file.as_posix()}"\n'
        f"[input]\nwidth = {width}\nheight = {height}\n{kind}\n{joints}",
        encoding="utf-8",
    )
    return path
