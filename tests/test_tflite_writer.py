"""TFLite files of whole networks: what is in them, byte for byte, and that they compute what torch computes."""

from __future__ import annotations

import importlib
import json
import struct
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeeff import registry
from edgeeff.converters import trace
from edgeeff.errors import ConversionError
from edgeeff.graph import Graph, Node
from edgeeff.networks import from_variant
from edgeeff.ops import Conv2d, Dense, Reshape, Shape, Unary
from edgeeff.parity import sqnr_db
from edgeeff.traced_network import Network
from edgeeff.weights import sources as weights

TFLITE = registry.converter("tflite")
LITERT = registry.runtime("litert")
SCHEMA = importlib.import_module("ai_edge_litert.schema_py_generated")
NAMES = {code: name for name, code in vars(SCHEMA.BuiltinOperator).items() if isinstance(code, int)}

FLOAT = ("fp32", "fp16")

LITE0 = {"CONV_2D": 33, "DEPTHWISE_CONV_2D": 16, "ADD": 9, "MEAN": 1, "FULLY_CONNECTED": 1}
B0 = {"CONV_2D": 65, "LOGISTIC": 65, "MUL": 65, "MEAN": 17, "DEPTHWISE_CONV_2D": 16, "ADD": 9, "FULLY_CONNECTED": 1}


def network(name: str, padding: str = "same") -> Network:
    """A variant with random weights at 64 px, which changes no op of it."""
    family = next(family for family in registry.families().values() if name in family.variants)
    variant = replace(family.variants[name], resolution=64)
    loaded = weights.load(variant, family, "random", classes=None, padding=padding)
    return from_variant(variant, family, loaded, trace)


@pytest.fixture(scope="module")
def lite0() -> Network:
    return network("lite0")


@pytest.fixture(scope="module")
def b0() -> Network:
    return network("b0")


def write(graph: Graph, path: Path, precision: str = "fp32", **metadata: str) -> Any:
    """Writes the graph; returns the file's model as the schema reads it."""
    TFLITE.write(graph, path, precision=precision, metadata=metadata)
    return SCHEMA.ModelT.InitFromPackedBuf(path.read_bytes())


def counts(model: Any) -> Counter[str]:
    codes = [model.operatorCodes[op.opcodeIndex] for op in model.subgraphs[0].operators]
    return Counter(NAMES[code.builtinCode] for code in codes)


def versions(model: Any) -> dict[str, int]:
    return {NAMES[code.builtinCode]: code.version for code in model.operatorCodes}


def parity_db(network: Network, path: Path) -> float:
    """How close the file comes to torch; also demands that XNNPACK covers all of it and agrees with the reference."""
    outputs, defects = LITERT.check(path, [TFLITE.layout(image) for image in network.inputs])
    assert list(defects) == []
    return sqnr_db([TFLITE.layout(output) for output in network.outputs], outputs)


def test_lite0_is_exactly_60_operators(lite0: Network, tmp_path: Path) -> None:
    path = tmp_path / "lite0.tflite"
    assert counts(write(lite0.graph, path)) == LITE0
    assert parity_db(lite0, path) > 100


def test_b0_has_no_pad_with_tensorflows_padding(b0: Network, tmp_path: Path) -> None:
    path = tmp_path / "b0.tflite"
    assert counts(write(b0.graph, path)) == B0
    assert parity_db(b0, path) > 100


def test_b0_has_a_pad_for_each_stride_with_torchs_padding(tmp_path: Path) -> None:
    path = tmp_path / "b0.tflite"
    symmetric = network("b0", "symmetric")
    assert counts(write(symmetric.graph, path)) == {**B0, "PAD": 5}
    assert parity_db(symmetric, path) > 100


def test_float16_stores_half_and_computes_in_float32(b0: Network, tmp_path: Path) -> None:
    whole, half = tmp_path / "fp32.tflite", tmp_path / "fp16.tflite"
    write(b0.graph, whole)
    model = write(b0.graph, half, "fp16")
    layers = B0["CONV_2D"] + B0["DEPTHWISE_CONV_2D"] + B0["FULLY_CONNECTED"]
    assert counts(model) == {**B0, "DEQUANTIZE": 2 * layers}
    assert versions(model)["DEQUANTIZE"] == 3
    assert 0.49 < half.stat().st_size / whole.stat().st_size < 0.52
    assert parity_db(b0, half) > 45
    graph = model.subgraphs[0]
    assert {graph.tensors[i].type for i in [*graph.inputs, *graph.outputs]} == {SCHEMA.TensorType.FLOAT32}


def test_float16_refuses_weights_beyond_its_range(tmp_path: Path) -> None:
    dense = Dense(np.full((2, 3), 7e4, np.float32), None)
    graph = Graph("t", {"x": (1, 3)}, (Node("head.fc", dense, ("x",)),), ("head.fc",))
    with pytest.raises(ConversionError, match=r"head\.fc/weight: the value 70000 exceeds"):
        write(graph, tmp_path / "m.tflite", "fp16")


@pytest.mark.parametrize("precision", FLOAT)
def test_same_graph_gives_same_bytes(lite0: Network, precision: str, tmp_path: Path) -> None:
    first, second = tmp_path / "1.tflite", tmp_path / "2.tflite"
    write(lite0.graph, first, precision, b="2", a="1")
    write(lite0.graph, second, precision, a="1", b="2")
    assert first.read_bytes() == second.read_bytes()


def test_every_buffer_is_aligned_and_buffer_0_is_empty(lite0: Network, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    for precision in FLOAT:
        write(lite0.graph, path, precision)
        content = path.read_bytes()
        model = SCHEMA.Model.GetRootAs(content)
        assert model.Buffers(0).DataIsNone()
        starts = []
        for i in range(1, model.BuffersLength()):
            table = model.Buffers(i)._tab
            starts.append(table.Vector(table.Offset(4)))
        assert len(starts) > 100
        assert all(start % 16 == 0 for start in starts)


def test_weights_are_stored_whole(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 5), np.float32)
    conv = Conv2d(weight, np.arange(4, dtype=np.float32))
    graph = Graph("t", {"x": (1, 3, 9, 9)}, (Node("stem.conv", conv, ("x",)),), ("stem.conv",))
    model = write(graph, tmp_path / "m.tflite")
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    assert set(tensors) == {"x", "stem.conv", "stem.conv/weight", "stem.conv/bias"}
    stored = model.buffers[tensors["stem.conv/weight"].buffer].data.view("<f4")
    np.testing.assert_array_equal(stored, weight.transpose(0, 2, 3, 1).ravel())


def test_file_says_what_it_is(lite0: Network, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    model = write(lite0.graph, path, variant="lite0", note="größer")
    assert path.read_bytes()[4:8] == b"TFL3"
    assert model.version == 3
    assert model.description.decode() == "lite0, written by edgeeff"
    texts = {entry.name.decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata}
    assert json.loads(texts["edgeeff"]) == {"variant": "lite0", "note": "größer"}
    assert texts["min_runtime_version"] == b"1.6.0".ljust(16, b"\0")
    module = importlib.import_module("ai_edge_litert.interpreter")
    signature = module.Interpreter(str(path)).get_signature_list()["serving_default"]
    assert signature == {"inputs": list(lite0.graph.inputs), "outputs": list(lite0.graph.outputs)}


def test_equal_small_constants_are_stored_once(b0: Network, tmp_path: Path) -> None:
    model = write(b0.graph, tmp_path / "m.tflite")
    axes = [op.inputs[1] for op in model.subgraphs[0].operators if _code(model, op) == "MEAN"]
    assert len(axes) == 17
    assert len(set(axes)) == 1


def _code(model: Any, op: Any) -> str:
    return NAMES[model.operatorCodes[op.opcodeIndex].builtinCode]


def test_operator_versions_are_the_lowest_that_know_the_feature(tmp_path: Path) -> None:
    w = np.ones((4, 2, 1, 1), np.float32)
    depthwise = np.ones((4, 1, 3, 3), np.float32)
    nodes = (
        Node("plain", Conv2d(np.ones((4, 4, 1, 1), np.float32), None), ("x",)),
        Node("grouped", Conv2d(w, None, groups=2), ("plain",)),
        Node("dilated", Conv2d(depthwise, None, dilation=(2, 2), groups=4), ("grouped",)),
        Node("depthwise", Conv2d(depthwise, None, groups=4), ("dilated",)),
        Node("rows", Reshape((1, 4, 4)), ("depthwise",)),
        Node("kept", Dense(np.ones((2, 4), np.float32), None), ("rows",)),
    )
    model = write(Graph("t", {"x": (1, 4, 8, 8)}, nodes, ("kept",)), tmp_path / "m.tflite")
    found = [(_code(model, op), model.operatorCodes[op.opcodeIndex].version) for op in model.subgraphs[0].operators]
    assert [v for name, v in found if name == "CONV_2D"] == [1, 6]
    assert [v for name, v in found if name == "DEPTHWISE_CONV_2D"] == [2, 1]
    assert dict(found)["FULLY_CONNECTED"] == 5
    texts = {entry.name: bytes(model.buffers[entry.buffer].data) for entry in model.metadata}
    assert texts[b"min_runtime_version"].rstrip(b"\0") == b"2.9.0"


def test_memory_is_asked_for_once(tmp_path: Path) -> None:
    builder_module = importlib.import_module("flatbuffers.builder")
    big = Dense(np.zeros((1000, 1000), np.float32), None)
    nodes = tuple(Node(f"n{i}", big, (f"n{i - 1}" if i else "x",)) for i in range(20))
    grown = []
    original = builder_module.Builder.GrowByteBuffer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder_module.Builder, "GrowByteBuffer", lambda self: (grown.append(1), original(self)))
        write(Graph("t", {"x": (1, 1000)}, nodes, ("n19",)), tmp_path / "m.tflite")
    assert grown == []


@dataclass(frozen=True)
class Gelu:
    """An op that the writer does not know."""

    def shape(self, x: Shape) -> Shape:
        return x


def test_unknown_op_is_named_with_its_place(tmp_path: Path) -> None:
    nodes = (Node("a", Unary("relu"), ("x",)), Node("blocks.3.act", Gelu(), ("a",)))  # type: ignore[arg-type]
    with pytest.raises(ConversionError, match=r"blocks\.3\.act: gelu has no form in TFLite"):
        write(Graph("t", {"x": (1, 4)}, nodes, ("blocks.3.act",)), tmp_path / "m.tflite")


def test_layout_is_channels_last_for_images_only() -> None:
    image = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    moved = TFLITE.layout(image)
    assert moved.shape == (1, 3, 4, 2)
    assert moved.flags.c_contiguous
    assert struct.unpack("<2f", moved.tobytes()[:8]) == (0, 12)
    assert TFLITE.layout(image.reshape(1, 24)).shape == (1, 24)
