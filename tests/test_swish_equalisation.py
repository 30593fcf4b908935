"""Channels of unlike range on both sides of a swish get scales of their own, at the same function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeeff import parity, registry
from edgeeff.converters import quantize_for_timing
from edgeeff.converters._execute import outputs
from edgeeff.converters._swish_equalisation import equalise
from edgeeff.converters._to_int8 import integers
from edgeeff.graph import Graph, Node
from edgeeff.int8.calibration import NO_PHOTOS, Calibration
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.machines import this_machine
from edgeeff.ops import Binary, Conv2d, Dense, Mean, Swish, Unary

SIDE = 24
EQUALISED = {"swish", "second"}


def block(*outputs: str) -> Graph:
    """An inverted bottleneck of EfficientNet whose channels reach from 0.01 to 100, and all count alike in the end."""
    rng = np.random.default_rng(0)
    spread = np.geomspace(0.01, 100, 32).astype(np.float32)
    reach = {name: rng.permutation(spread) for name in ("expand", "depthwise")}

    def conv(made: int, read: int, side: int = 1, groups: int = 1) -> Conv2d:
        weight = rng.standard_normal((made, read, side, side)) * (read * side * side) ** -0.5
        bias = 0.3 * rng.standard_normal(made).astype(np.float32)
        return Conv2d(weight.astype(np.float32), bias, padding=(side // 2,) * 4, groups=groups)

    def scaled(op: Conv2d, made: np.ndarray | float, read: np.ndarray | float) -> Conv2d:
        rows, columns = np.broadcast_to(made, len(op.weight)), np.broadcast_to(read, op.weight.shape[1])
        weight = op.weight * rows[:, None, None, None] / columns[None, :, None, None]
        return replace(op, weight=weight.astype(np.float32), bias=(op.bias * rows).astype(np.float32))

    depthwise = scaled(conv(32, 1, 3, groups=32), reach["depthwise"] / reach["expand"], 1.0)
    nodes = [
        Node("expand", scaled(conv(32, 3, 3), reach["expand"], 1.0), ("image",)),
        Node("swish", Unary("silu"), ("expand",)),
        Node("depthwise", replace(depthwise, bias=depthwise.bias * reach["expand"]), ("swish",)),
        Node("second", Unary("silu"), ("depthwise",)),
        Node("squeeze", Mean((2, 3), True), ("second",)),
        Node("reduce", scaled(conv(8, 32), 1.0, reach["depthwise"]), ("squeeze",)),
        Node("small", Unary("silu"), ("reduce",)),
        Node("restore", conv(32, 8), ("small",)),
        Node("gate", Unary("sigmoid"), ("restore",)),
        Node("excite", Binary("mul"), ("second", "gate")),
        Node("project", scaled(conv(16, 32), 1.0, reach["depthwise"]), ("excite",)),
        Node("pool", Mean((2, 3), False), ("project",)),
        Node("classifier", Dense(rng.standard_normal((10, 16)).astype(np.float32), None), ("pool",)),
    ]
    return Graph("block", {"image": (1, 3, SIDE, SIDE)}, tuple(nodes), outputs or ("classifier",))


def swishes(graph: Graph) -> set[str]:
    return {node.name for node in graph.nodes if isinstance(node.op, Swish)}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((32, 3, SIDE, SIDE)).astype(np.float32)


def test_in_float_the_network_stays_the_same_and_its_channels_reach_alike(images):
    graph = block("expand", "classifier")
    assert equalise(graph, images) is not None and swishes(equalise(graph, images)) == {"second"}  # one is an output
    graph = block()
    made = equalise(graph, images)
    assert swishes(made) == EQUALISED
    assert parity.sqnr_db(outputs(graph, images), outputs(made, images)) > 100
    reaches = [np.abs(outputs(replace(g, outputs=("expand",)), images)[0]).max((0, 2, 3)) for g in (graph, made)]
    assert np.ptp(np.log(reaches[1])) < 0.6 * np.ptp(np.log(reaches[0]))


@pytest.mark.parametrize(
    "reader", [Node("other", Unary("tanh"), ("second",)), Node("other", Binary("mul"), ("second", "second"))]
)
def test_a_swish_that_something_else_reads_is_left_alone(images, reader):
    graph = block()
    graph = graph.replace([*graph.nodes, reader], ("classifier", "other"))
    assert swishes(equalise(graph, images)) == {"swish"}


def test_every_integer_of_every_value_is_that_of_the_file(images, tmp_path):
    graph = quantize_for_timing(equalise(block(), images), images[:1])
    graph = replace(graph, outputs=tuple(node.name for node in graph.nodes))
    assert graph.quantization.integer == set(graph.outputs)
    converter, path = registry.converter("tflite"), tmp_path / "block.tflite"
    converter.write(graph, path, precision="int8", metadata={})
    made, defects = registry.runtime(converter.runtime).check(path, [converter.layout(images[:8])])
    assert not defects
    for value, expected, given in zip(graph.outputs, outputs(graph, images[:8]), made, strict=True):
        apart = np.abs(converter.layout(expected) - given) / graph.quantization.values[value].scale
        assert apart.max() < 0.5, value


def test_a_swish_in_float_computes_the_same_in_the_file(images, tmp_path):
    graph = equalise(block(), images)
    converter, path = registry.converter("tflite"), tmp_path / "block.tflite"
    converter.write(graph, path, precision="fp32", metadata={})
    made, _ = registry.runtime(converter.runtime).check(path, [converter.layout(images[:8])])
    assert parity.sqnr_db(outputs(graph, images[:8]), made) > 100


def test_it_is_taken_with_photos_for_litert_where_no_limit_asks_for_ops_in_float(images):
    def made(*left_out: str, machine=None, source="noise", **options: object) -> tuple[Graph, float, str]:
        calibration = Calibration(images[:24], images[24:], source)
        options["without"] = frozenset({"least-noise", "least-error", "percentile", *left_out})
        quantised = next(integers(block(), calibration, IntegerOptions(**options), machine=machine))
        expected = outputs(block(), images[24:])
        notes = " ".join(quantised.notes)
        return quantised.graph, parity.sqnr_db(expected, outputs(quantised.graph, images[24:])), notes

    equalised, better_db, notes = made()
    plain, plain_db, _ = made("swish-equalisation")
    assert swishes(equalised) == EQUALISED and not swishes(plain)
    assert better_db > plain_db + 5
    assert "swish equalised" in notes and "--without swish-equalisation" in notes
    assert not swishes(made(min_sqnr_db=1.0)[0])
    assert not swishes(made(machine=this_machine())[0])
    assert not swishes(made(source=NO_PHOTOS)[0])
