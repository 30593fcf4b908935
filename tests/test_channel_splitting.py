"""Unused channels become copies of those that rounding hurts most, and the network computes what it did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeeff import parity
from edgeeff.converters._channel_splitting import split_channels
from edgeeff.converters._execute import outputs
from edgeeff.converters._quantize import IntegerQuantizer
from edgeeff.converters._ranges import limits
from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import Quantization, value_scale
from edgeeff.ops import Conv2d, Dense, Mean

CHANNELS, UNUSED, SENSITIVE = 8, (2, 5, 7), 3


def chain(*, depthwise: bool = True) -> Graph:
    """Stem, depthwise, project: three channels of the stem are always zero, and one is read at fifty times the gain."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.3).astype(np.float32)

    stem, bias = 0.1 * weight(CHANNELS, 3, 3, 3), np.full(CHANNELS, 2.5, np.float32)
    stem[list(UNUSED)], bias[list(UNUSED)] = 0.001, -3.0
    nodes = [Node("stem", Conv2d(stem, bias, (2, 2), (1, 1, 1, 1), activation="relu6"), ("image",))]
    gains = np.where(np.arange(CHANNELS) == SENSITIVE, 50.0, 1.0).astype(np.float32)
    project = weight(6, CHANNELS, 1, 1)
    if depthwise:
        taps = weight(CHANNELS, 1, 3, 3) * gains[:, None, None, None]
        taps -= taps.mean(axis=(2, 3), keepdims=True)
        op = Conv2d(taps, weight(CHANNELS), (1, 1), (1, 1, 1, 1), groups=CHANNELS, activation="relu6")
        nodes.append(Node("depthwise", op, ("stem",)))
    else:
        project = project * gains[:, None, None]
    nodes.append(Node("project", Conv2d(project, weight(6)), (nodes[-1].name,)))
    nodes.append(Node("pool", Mean((2, 3), False), ("project",)))
    nodes.append(Node("classifier", Dense(weight(10, 6), weight(10)), ("pool",)))
    return Graph("chain", {"image": (1, 3, 32, 32)}, tuple(nodes), ("classifier",))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (16, 3, 32, 32)).astype(np.float32)


def stem_in_int8(graph: Graph) -> Graph:
    forms = {"image": value_scale(-1, 1), "stem": value_scale(0, 6)}
    return replace(graph, quantization=Quantization({}, forms, frozenset({"stem"})))


@pytest.mark.parametrize("depthwise", [True, False])
def test_the_noisiest_channel_takes_the_unused_places_and_rounding_hurts_less(depthwise, images):
    graph = chain(depthwise=depthwise)
    made, splits = split_channels(graph, images, limits(graph, images))
    assert {split.channel for split in splits} == {SENSITIVE}
    assert sorted(place for split in splits for place in split.copies) == list(UNUSED)
    expected = outputs(graph, images)
    assert parity.sqnr_db(expected, outputs(made, images)) > 55
    before, after = (parity.sqnr_db(expected, outputs(stem_in_int8(each), images)) for each in (graph, made))
    assert after > before + 2
    assert [node.op.shape(made.shapes[node.inputs[0]]) for node in made.nodes] == [
        node.op.shape(graph.shapes[node.inputs[0]]) for node in graph.nodes
    ]


def test_a_channel_that_is_zero_on_these_images_alone_is_left_alone(images):
    graph = chain()
    stem = graph.nodes[0]
    bias = stem.op.bias.copy()
    bias[list(UNUSED)] = -0.01  # within twice the range 27 weights of 0.001 exceed it
    images = 0.65 * images - 0.35
    graph = graph.replace([replace(stem, op=replace(stem.op, bias=bias)), *graph.nodes[1:]])
    assert outputs(graph.replace(graph.nodes[:1], ("stem",)), images)[0][:, list(UNUSED)].max() == 0
    made, splits = split_channels(graph, images, limits(graph, images))
    assert splits == () and made.nodes == graph.nodes


def test_a_value_that_others_read_too_is_left_alone(images):
    graph = chain()
    graph = graph.replace(graph.nodes, ("classifier", "stem"))
    assert split_channels(graph, images, limits(graph, images))[1] == ()


def test_it_can_be_left_out_and_is_told(images):
    graph = chain()
    quantizer = IntegerQuantizer(graph, images)
    assert any("3 channels split" in trial.rounding for trial in quantizer.trials)
    assert not np.array_equal(quantizer.graph.nodes[0].op.weight, graph.nodes[0].op.weight)
    without = IntegerQuantizer(graph, images, without=frozenset({"channel-splitting"}))
    assert without.graph is graph
    assert not any("split" in trial.rounding for trial in without.trials)
