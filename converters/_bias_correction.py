"""Bias correction (Nagel et al. 2019, arXiv 1906.04721, section 4.2): rounding must not move a channel's mean.

Rounded weights shift the mean of each output channel, and the shifts add up over the layers. The shift is measured
on images, layer by layer, each behind the corrected ones before it, and taken off the bias. Activations stay in
float meanwhile: what they clip is no shift of the weights, and correcting for it hurts on other images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from edgeeff.graph import Graph, Node
from edgeeff.ops import Conv2d, Dense, Weight
from edgeeff.quantization import Quantization

from ._execute import Executor

_MEMORY_BYTES = 1.5e9
"""For the values of both networks, which are held for all images at once."""


@torch.inference_mode()
def correct_biases(graph: Graph, images: Sequence[Tensor]) -> Graph:
    """The graph with biases that make up for its rounded weights.

    Args:
        graph: with its quantization; only the weights' part of it counts.
        images: a batch of each input. As many of it are used as fit the memory.
    """
    assert graph.quantization is not None
    rounded = Executor(replace(graph, quantization=Quantization(graph.quantization.weights)))
    exact = Executor(replace(graph, quantization=None))
    count = max(1, int(_MEMORY_BYTES / (2 * 4 * graph.peak_activation_elements())))
    images = [batch[:count] for batch in images]
    sides = [(executor, dict(zip(graph.inputs, images, strict=True))) for executor in (exact, rounded)]
    nodes = []
    for node in graph.nodes:
        if node.name in graph.quantization.weights and isinstance(node.op, Conv2d | Dense):
            expected, given = (_channel_means(executor, node, values) for executor, values in sides)
            weight, bias = rounded.weights[node.name]
            bias = expected - given if bias is None else bias + expected - given
            rounded.weights[node.name] = weight, bias
            node = replace(node, op=replace(node.op, bias=_as_weight(bias)))
        nodes.append(node)
        for executor, values in sides:
            values[node.name] = executor.step(node, values)
            for name in node.inputs:
                if executor.last[name] == node.name:
                    values.pop(name, None)
    return graph.replace(nodes)


def _channel_means(executor: Executor, node: Node, values: dict[str, Tensor]) -> Tensor:
    y = executor.linear(node, [values[name] for name in node.inputs])
    axis = 1 if isinstance(node.op, Conv2d) else y.ndim - 1
    return y.mean([i for i in range(y.ndim) if i != axis])


def _as_weight(bias: Tensor) -> Weight:
    result: Weight = bias.numpy().copy()
    return result
