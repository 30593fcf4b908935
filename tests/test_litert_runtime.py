"""The LiteRT runtime: outputs, and the defects that its check must find."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeeff.converters import quantize, trace
from edgeeff.errors import ConversionError, UsageError
from edgeeff.graph import Graph, Node
from edgeeff.int8.calibration import Calibration
from edgeeff.ops import Concat, Conv2d, Dense, Reshape
from edgeeff.registry import converter, runtime
from edgeeff.traced_network import Network

TFLITE = converter("tflite")
LITERT = runtime("litert")
RNG = np.random.default_rng(0)
SCHEMA = importlib.import_module("ai_edge_litert.schema_py_generated")


def conv(channels: int) -> Conv2d:
    return Conv2d(RNG.standard_normal((4, channels, 3, 3)).astype(np.float32), None, padding=(1, 1, 1, 1))


def write(path: Path, *nodes: Node, size: int = 80) -> np.ndarray:
    """Writes a file of an image with three channels; returns an image for it, in the file's layout."""
    TFLITE.write(Graph("t", {"x": (1, 3, size, size)}, nodes, (nodes[-1].name,)), path, precision="fp32", metadata={})
    return RNG.standard_normal((1, size, size, 3)).astype(np.float32)


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    """Damages the file as a faulty writer would."""
    flatbuffers = importlib.import_module("flatbuffers")
    model = SCHEMA.ModelT.InitFromPackedBuf(path.read_bytes())
    change(model)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def test_outputs_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    image = write(path, Node("a", conv(3), ("x",)), Node("b", conv(4), ("a",)), size=8)
    (output,) = LITERT.infer(path, [image])
    assert output.shape == (1, 8, 8, 4)
    checked, defects = LITERT.check(path, [image])
    np.testing.assert_array_equal(checked[0], output)
    assert list(defects) == []


def test_version_is_that_of_the_package() -> None:
    assert LITERT.version() == importlib.import_module("ai_edge_litert").__version__


def test_an_op_outside_the_delegate_is_a_defect(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    image = write(path, *(Node(f"n{i}", conv(4 if i else 3), (f"n{i - 1}" if i else "x",)) for i in range(3)))

    def put_a_cumulative_sum_inside(model: Any) -> None:
        graph = model.subgraphs[0]
        code = SCHEMA.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode = SCHEMA.BuiltinOperator.CUMSUM, 127
        model.operatorCodes.append(code)
        axis, buffer = SCHEMA.TensorT(), SCHEMA.BufferT()
        buffer.data = np.array([1], np.int32).view(np.uint8)
        model.buffers.append(buffer)
        axis.name, axis.shape, axis.type, axis.buffer = "axis", [], SCHEMA.TensorType.INT32, len(model.buffers) - 1
        graph.tensors.append(axis)
        middle = graph.operators[1]
        middle.opcodeIndex, middle.inputs = len(model.operatorCodes) - 1, [middle.inputs[0], len(graph.tensors) - 1]
        middle.builtinOptionsType, middle.builtinOptions = SCHEMA.BuiltinOptions.CumsumOptions, SCHEMA.CumsumOptionsT()

    rewrite(path, put_a_cumulative_sum_inside)
    _, defects = LITERT.check(path, [image])
    assert list(defects) == ["XNNPACK runs 2 of 3 ops, in 2 parts; of the rest it has no kernel for 0"]


def test_an_op_that_xnnpack_never_takes_is_no_defect(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    image = write(path, Node("a", conv(3), ("x",)), Node("c", Concat(1), ("a",) * 6), Node("b", conv(24), ("c",)))
    _, defects = LITERT.check(path, [image])
    assert list(defects) == []


def test_a_network_for_one_size_is_checked_at_that_size(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    flat = 4 * 80 * 80
    dense = Dense(RNG.standard_normal((5, flat)).astype(np.float32), None)
    nodes = Node("a", conv(3), ("x",)), Node("f", Reshape((1, flat)), ("a",)), Node("y", dense, ("f",))
    image = write(path, *nodes)
    outputs, defects = LITERT.check(path, [image])
    assert outputs[0].shape == (1, 5)
    assert list(defects) == []


@pytest.mark.parametrize("precision", ["int8", "dynamic"])
def test_a_file_in_integers_for_one_size_is_checked_at_that_size(precision: str, tmp_path: Path) -> None:
    """What a step of the image does is measured in the interpreter that has refused the smaller image."""
    side = 72
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU6(), nn.Flatten(), nn.Linear(8 * 18 * 18, 5)).eval()
    pixels = RNG.standard_normal((16, 3, side, side)).astype(np.float32)
    traced = trace(module, [torch.from_numpy(pixels[:1])], name="t")
    network = Network("t", traced.graph, (pixels[:1],), traced.outputs, "noise", "random(seed=0)", 1)
    made = quantize(network, precision, Calibration(pixels[:12], pixels[12:], "noise"))
    path = tmp_path / "m.tflite"
    TFLITE.write(made.graph, path, precision=precision, metadata={})
    images = [pixels[:1].transpose(0, 2, 3, 1).copy()]
    outputs, defects = LITERT.check(path, images)
    assert outputs[0].shape == (1, 5)
    assert list(defects) == []
    session = LITERT.open(path)
    with pytest.raises(UsageError, match="LiteRT cannot run it"):
        session([images[0][:, :64, :64]])
    np.testing.assert_array_equal(session(images)[0], outputs[0])


def test_foreign_and_damaged_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    image = write(path, Node("a", conv(3), ("x",)))
    whole = path.read_bytes()
    for content in (b"", b"not a model", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"m\.tflite: LiteRT cannot run it: ."):
            LITERT.infer(path, [image])
        with pytest.raises(ConversionError, match=r"LiteRT cannot run the written file: ."):
            LITERT.check(path, [image])
    with pytest.raises(UsageError, match="LiteRT cannot run it"):
        LITERT.infer(tmp_path / "missing.tflite", [image])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_a_step_of_the_image_is_as_far_as_the_network_carries_it(dtype: str) -> None:
    from edgeeff.benchmarks.litert import step_db

    class Scaled:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def run(self, images: Any) -> list[Any]:
            image = images[0].astype(np.float64)
            return [image + self.factor * (image - np.roll(image, 1, axis=2))]

    rows = np.linspace(0, 96, 17).astype(dtype)  # neighbours in a row are equal until a step is added
    image = np.broadcast_to(rows[None, :, None, None], (1, 17, 16, 3))
    calm, steep = (step_db(session, [image], session.run([image])) for session in (Scaled(0.0), Scaled(10.0)))
    assert 30 < calm < 60
    assert steep < calm - 15
