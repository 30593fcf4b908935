"""The simulation of int8 has the integers of the file, all of them: of sums, products, means and activations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeeff import registry
from edgeeff.converters import quantize_for_timing
from edgeeff.converters._execute import outputs
from edgeeff.graph import Graph, Node
from edgeeff.ops import Binary, Conv2d, Dense, Mean, Unary

SIDE = 48


@pytest.fixture(scope="module")
def network() -> Graph:
    """An inverted bottleneck of EfficientNet-Lite, and the squeeze-and-excitation of EfficientNet."""
    rng = np.random.default_rng(0)

    def conv(made: int, read: int, side: int = 1, **changes: object) -> Conv2d:
        weight = rng.standard_normal((made, read, side, side)) * (read * side * side) ** -0.5
        bias, edge = rng.standard_normal(made).astype(np.float32), side // 2
        return Conv2d(weight.astype(np.float32), bias, padding=(edge,) * 4, **changes)

    nodes = [
        Node("stem", conv(16, 3, 3, stride=(2, 2), activation="relu6"), ("image",)),
        Node("expand", conv(48, 16), ("stem",)),
        Node("swish", Unary("silu"), ("expand",)),
        Node("depthwise", conv(48, 1, 5, groups=48, activation="relu"), ("swish",)),
        Node("squeeze", Mean((2, 3), True), ("depthwise",)),
        Node("reduce", conv(48, 48), ("squeeze",)),
        Node("gate", Unary("sigmoid"), ("reduce",)),
        Node("excite", Binary("mul"), ("depthwise", "gate")),
        Node("project", conv(16, 48), ("excite",)),
        Node("residual", Binary("add"), ("stem", "project")),
        Node("pool", Mean((2, 3), False), ("residual",)),
        Node("classifier", Dense(rng.standard_normal((40, 16)).astype(np.float32), None), ("pool",)),
    ]
    return Graph("block", {"image": (1, 3, SIDE, SIDE)}, tuple(nodes), tuple(node.name for node in nodes))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((8, 3, SIDE, SIDE)).astype(np.float32)


@pytest.mark.parametrize(("name", "most"), [("tflite", 0), ("onnx", 1e-3)])
def test_every_integer_of_every_value_is_that_of_the_file(network, images, name, most, tmp_path):
    """onnxruntime multiplies by scales one after the other and adds in float32: a rounding in a thousand may differ."""
    graph = quantize_for_timing(network, images[:1])
    assert graph.quantization.integer == {node.name for node in network.nodes}
    graph = replace(graph, quantization=replace(graph.quantization, unsigned=name == "onnx"))
    converter = registry.converter(name)
    converter.write(graph, tmp_path / f"block.{name}", precision="int8", metadata={})
    made, defects = registry.runtime(converter.runtime).check(tmp_path / f"block.{name}", [converter.layout(images)])
    assert not defects
    for value, expected, given in zip(graph.outputs, outputs(graph, images), made, strict=True):
        apart = np.abs(converter.layout(expected) - given) / graph.quantization.values[value].scale
        assert (apart > 0.5).mean() <= most, value
        assert apart.max() < 1.5, value
