"""Bias correction (Nagel et al. 2019, arXiv 1906.04721, section 4.2): rounding must not move a channel's mean.

Rounded weights shift the mean of each output channel, and the shifts add up over the layers. The shift is measured
on images, layer by layer, each behind the corrected ones before it, and taken off the bias. Activations stay in
float meanwhile: what they clip is no shift of the weights, and correcting for it hurts on other images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from edgeeff.graph import Graph
from edgeeff.int8.quantization import Quantization
from edgeeff.ops import Conv2d, Dense, Weight

from ._execute import Executor
from ._layer_inputs import LayerInputs, channel_means


@torch.inference_mode()
def correct_biases(graph: Graph, images: Tensor, exact: Mapping[str, LayerInputs]) -> Graph:
    """The graph with biases that make up for its rounded weights.

    Args:
        graph: with its quantization; only the weights' part of it counts.
        images: all their values at one place in the network are held at once.
        exact: what the layers of the float network make of the same images.
    """
    assert graph.quantization is not None
    rounded = Executor(replace(graph, quantization=Quantization(graph.quantization.weights)))
    (name,) = graph.inputs
    values = {name: images}
    nodes = []
    for node in graph.nodes:
        if node.name in graph.quantization.weights and isinstance(node.op, Conv2d | Dense):
            weight, bias = rounded.weights[node.name]
            made = channel_means(rounded.linear(node, [values[node.inputs[0]]]), node.op)
            shift = exact[node.name].means - made
            bias = shift if bias is None else bias + shift
            rounded.weights[node.name] = weight, bias
            node = replace(node, op=replace(node.op, bias=_as_weight(bias)))
        nodes.append(node)
        values[node.name] = rounded.step(node, values)
        for read in node.inputs:
            if rounded.last[read] == node.name:
                values.pop(read, None)
    return graph.replace(nodes)


def _as_weight(bias: Tensor) -> Weight:
    result: Weight = bias.numpy().copy()
    return result
