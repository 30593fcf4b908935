"""Each op of the graph as a TFLite file, run by LiteRT, against torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - what everybody calls it

from edgeeff.graph import Graph, Node
from edgeeff.ops import (
    Affine,
    Binary,
    Concat,
    Constant,
    Conv2d,
    Dense,
    Mean,
    Op,
    Pad,
    Pool,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Unary,
)
from edgeeff.registry import converter, runtime

TFLITE = converter("tflite")
LITERT = runtime("litert")
RNG = np.random.default_rng(0)


def numbers(*shape: int, rng: np.random.Generator = RNG) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


IMAGE = numbers(1, 8, 12, 10)
T = torch.from_numpy(IMAGE)


def run(nodes: Sequence[Node], image: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
    """Writes the nodes as a file and checks it; returns the output and the names of its operators."""
    graph = Graph("test", {"x": image.shape}, tuple(nodes), (nodes[-1].name,))
    TFLITE.write(graph, path, precision="fp32", metadata={})
    outputs, defects = LITERT.check(path, [TFLITE.layout(image)])
    assert list(defects) == []
    return outputs[0], operators(path)


def operators(path: Path) -> list[str]:
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    return [names[model.operatorCodes[op.opcodeIndex].builtinCode] for op in model.subgraphs[0].operators]


def agree(output: np.ndarray, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(output, TFLITE.layout(expected.numpy()), rtol=1e-4, atol=1e-4, strict=True)


def chain(*ops: Op) -> list[Node]:
    return [Node(f"n{i}", op, (f"n{i - 1}" if i else "x",)) for i, op in enumerate(ops)]


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_swish": F.hardswish,
    "hard_sigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation(kind: str, tmp_path: Path) -> None:
    output, _ = run(chain(Unary(kind)), 4 * IMAGE, tmp_path / "m.tflite")
    agree(output, ACTIVATIONS[kind](4 * T))


DENSE, CHANNELS, FLAT = numbers(5, 10), numbers(5, 8), numbers(5, 960)
SCALE, SHIFT = numbers(8), numbers(8)
_W = torch.from_numpy
_AVERAGE = Pool("average", (3, 3), (2, 2), (1, 1, 1, 1))

# name: (ops in a row, what torch makes of the image, the operators in the file)
CASES: dict[str, tuple[list[Op], torch.Tensor, str]] = {
    "pad": ([Pad((1, 2, 3, 0))], F.pad(T, (2, 0, 1, 3)), "PAD"),
    "max pool, VALID": ([Pool("max", (3, 3), (2, 2))], F.max_pool2d(T, 3, 2), "MAX_POOL_2D"),
    "max pool, SAME by ceil mode": (
        [Pool("max", (3, 3), (2, 2), ceil_mode=True)],
        F.max_pool2d(T, 3, 2, ceil_mode=True),
        "MAX_POOL_2D",
    ),
    "max pool, padding of negative values": (
        [Pool("max", (3, 3), (2, 2), (1, 1, 1, 1))],
        F.max_pool2d(T, 3, 2, 1),
        "PADV2 MAX_POOL_2D",
    ),
    "max pool, padding behind relu": (
        [Unary("relu"), Pool("max", (3, 3), (2, 2), (1, 1, 1, 1))],
        F.max_pool2d(F.relu(T), 3, 2, 1),
        "RELU PAD MAX_POOL_2D",
    ),
    "average pool, VALID": ([Pool("average", (2, 2), (2, 2))], F.avg_pool2d(T, 2, 2), "AVERAGE_POOL_2D"),
    "average pool, SAME": (
        [Pool("average", (3, 3), (1, 1), (1, 1, 1, 1))],
        F.avg_pool2d(T, 3, 1, 1, count_include_pad=False),
        "AVERAGE_POOL_2D",
    ),
    "average pool, padding": (
        [_AVERAGE],
        F.avg_pool2d(T, 3, 2, 1, count_include_pad=False),
        "PAD AVERAGE_POOL_2D MUL",
    ),
    "average pool, ceil mode": (
        [Pool("average", (3, 3), (2, 2), (1, 1, 1, 1), ceil_mode=True)],
        F.avg_pool2d(T, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        "PAD AVERAGE_POOL_2D MUL",
    ),
    "affine": ([Affine(SCALE, SHIFT)], T * _W(SCALE)[:, None, None] + _W(SHIFT)[:, None, None], "MUL ADD"),
    "softmax": ([Mean((2, 3), False), Softmax()], T.mean((2, 3)).softmax(-1), "MEAN SOFTMAX"),
    "softmax of an image": ([Softmax()], T.softmax(-1), "TRANSPOSE SOFTMAX TRANSPOSE"),
    "slice": ([Slice(1, 2, 5)], T[:, 2:5], "SLICE"),
    "transpose": ([Transpose((0, 1, 3, 2))], T.transpose(2, 3), "TRANSPOSE"),
    "flatten": ([Reshape((1, 960))], T.flatten(1), "TRANSPOSE RESHAPE"),
    "flatten of 1x1": ([Pool("max", (12, 10), (1, 1)), Reshape((1, 8))], T.amax((2, 3)), "MAX_POOL_2D RESHAPE"),
    "flatten for a dense layer": (
        [Reshape((1, 960)), Dense(FLAT, None)],
        F.linear(T.flatten(1), _W(FLAT)),
        "RESHAPE FULLY_CONNECTED",
    ),
    "pool, flatten, dense": (
        [Mean((2, 3), True), Reshape((1, 8)), Dense(CHANNELS, numbers(5) * 0, "relu6")],
        F.relu6(F.linear(T.mean((2, 3)), _W(CHANNELS))),
        "MEAN FULLY_CONNECTED",
    ),
    "dense over rows": ([Dense(DENSE, None)], F.linear(T, _W(DENSE)), "TRANSPOSE FULLY_CONNECTED TRANSPOSE"),
    "shuffled channels": (
        [Reshape((1, 2, 4, 12, 10)), Transpose((0, 2, 1, 3, 4)), Reshape((1, 8, 12, 10))],
        T.reshape(1, 2, 4, 12, 10).transpose(1, 2).reshape(T.shape),
        "TRANSPOSE RESHAPE TRANSPOSE RESHAPE TRANSPOSE",
    ),
    "image to image": ([Reshape((1, 24, 4, 10))], T.reshape(1, 24, 4, 10), "TRANSPOSE RESHAPE TRANSPOSE"),
}


@pytest.mark.parametrize("case", CASES)
def test_op(case: str, tmp_path: Path) -> None:
    ops, expected, names = CASES[case]
    output, made = run(chain(*ops), IMAGE, tmp_path / "m.tflite")
    agree(output, expected)
    assert " ".join(made) == names


@pytest.mark.parametrize("axes", [(1,), (2,), (3,), (2, 3), (1, 2), (1, 2, 3)])
@pytest.mark.parametrize("keepdims", [True, False])
def test_mean(axes: tuple[int, ...], keepdims: bool, tmp_path: Path) -> None:
    output, _ = run(chain(Mean(axes, keepdims)), IMAGE, tmp_path / "m.tflite")
    agree(output, T.mean(axes, keepdims))


@pytest.mark.parametrize(("size", "rtol", "count"), [(112, 1e-5, 1), (300, 2e-6, 2)])
def test_mean_over_a_large_image_is_exact(size: int, rtol: float, count: int, tmp_path: Path) -> None:
    image = abs(numbers(1, 4, size, size))
    output, made = run(chain(Mean((2, 3), False)), image, tmp_path / "m.tflite")
    np.testing.assert_allclose(output, image.mean((2, 3), dtype=np.float64), rtol=rtol)
    assert made == ["MEAN"] * count


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("count", [2, 6])
def test_concat(axis: int, count: int, tmp_path: Path) -> None:
    output, _ = run([Node("y", Concat(axis), ("x",) * count)], IMAGE, tmp_path / "m.tflite")
    agree(output, torch.cat([T] * count, axis))


BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div}


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize("shape", [(), (10,), (12, 10), (8, 1, 1), (1, 8, 1, 1), (1, 8, 12, 10)])
def test_constant_broadcasts_as_in_torch(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    value = numbers(*shape)
    nodes = [Node("c", Constant(value), ()), Node("y", Binary(kind, "relu"), ("x", "c"))]
    output, made = run(nodes, IMAGE, tmp_path / "m.tflite")
    agree(output, F.relu(BINARY[kind](T, _W(value))))
    assert made == [kind.upper()]


@pytest.mark.parametrize("axes", [(0,), (0, 1), (0, 1, 2)])
def test_value_of_lower_rank_broadcasts_as_in_torch(axes: tuple[int, ...], tmp_path: Path) -> None:
    nodes = [Node("m", Mean(axes, False), ("x",)), Node("y", Binary("add"), ("m", "x"))]
    output, _ = run(nodes, IMAGE, tmp_path / "m.tflite")
    agree(output, T.mean(axes) + T)


def test_flatten_that_others_read_too_keeps_torchs_order(tmp_path: Path) -> None:
    nodes = [*chain(Reshape((1, 960)), Dense(numbers(960, 960), None)), Node("y", Binary("add"), ("n0", "n1"))]
    output, made = run(nodes, IMAGE, tmp_path / "m.tflite")
    agree(output, T.flatten(1) + F.linear(T.flatten(1), _W(nodes[1].op.weight)))
    assert made == ["TRANSPOSE", "RESHAPE", "FULLY_CONNECTED", "ADD"]


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv2d, tuple[int, int, int, int]]:
    """A convolution and the shape of an image that is large enough for it."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    groups, inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
    size = [draw(st.integers(dilation[i] * (kernel[i] - 1) + 1, 12)) for i in (0, 1)]
    rng = np.random.default_rng(0)  # the same numbers when hypothesis runs an example again
    weight = numbers(outputs * groups, inputs, *kernel, rng=rng)
    bias = numbers(outputs * groups, rng=rng) if draw(st.booleans()) else None
    activation = draw(st.sampled_from(["none", "relu", "relu6"]))
    op = Conv2d(weight, bias, stride, padding, dilation, groups, activation)
    return op, (1, inputs * groups, size[0], size[1])


@settings(max_examples=150, deadline=None)
@given(convolutions())
def test_convolution_of_any_geometry(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[Conv2d, tuple[int, ...]]
) -> None:
    op, shape = case
    image = numbers(*shape, rng=np.random.default_rng(1))
    output, made = run(chain(op), image, tmp_path_factory.getbasetemp() / "conv.tflite")
    top, left, bottom, right = op.padding
    padded = F.pad(_W(image), (left, right, top, bottom))
    bias = None if op.bias is None else _W(op.bias)
    expected = F.conv2d(padded, _W(op.weight), bias, op.stride, 0, op.dilation, op.groups)
    agree(output, {"none": expected, "relu": F.relu(expected), "relu6": F.relu6(expected)}[op.activation])
    depthwise = op.groups > 1 and op.weight.shape[1] == 1
    assert made[-1] == ("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D")
    if not any(op.padding):
        assert len(made) == 1
