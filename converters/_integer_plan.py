"""Which nodes can compute in int8, and the int8 form of every value that they read or make.

Rules of the kernels (TensorFlow's "LiteRT 8-bit quantization specification"): a sigmoid gives steps of 1/256; a
reshape or padding keeps the scale; a bias has the scale of the products it is added to, and must fit 32 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from edgeeff.graph import Graph, Node
from edgeeff.ops import Binary, Constant, Conv2d, Dense, Mean, Pad, Reshape, Unary, is_depthwise
from edgeeff.quantization import SIGMOID, Quantization, ValueScale, weight_scales

_BIAS_LIMIT = 2.0**30
"""Half of what 32 bits hold; the other half is left to the sum of the products."""


def integer_nodes(graph: Graph) -> frozenset[str]:
    """The nodes that both formats have integer kernels for."""
    constants = {node.name for node in graph.nodes if isinstance(node.op, Constant)}
    return frozenset(
        node.name for node in graph.nodes if not constants.intersection(node.inputs) and _has_kernel(graph, node)
    )


def _has_kernel(graph: Graph, node: Node) -> bool:
    match node.op:
        case Conv2d(groups=groups) as op:
            return groups in (1, graph.shapes[node.inputs[0]][1], len(op.weight))
        case Dense() | Pad() | Reshape():
            return True
        case Binary(kind, activation):
            return kind in ("add", "mul") and activation == "none"
        case Unary(kind):
            return kind in ("sigmoid", "silu")
        case Mean(axes):
            return axes == (2, 3)
    return False


def plan(
    graph: Graph,
    ranges: Mapping[str, ValueScale],
    *,
    in_float: Collection[str] = (),
    small_elements: int = 0,
    pairs_saturate: bool = False,
) -> Quantization:
    """The int8 forms of a graph.

    Args:
        ranges: the int8 form of every value by its own range.
        in_float: nodes that compute in float although they need not.
        small_elements: weights of float nodes below this stay in float.
        pairs_saturate: in the kernels of integer nodes, see `machines`.
    """
    integer = integer_nodes(graph) - frozenset(in_float)
    values = dict(ranges)
    for node in graph.nodes:
        if isinstance(node.op, Pad | Reshape) and node.name in integer:
            values[node.name] = values[node.inputs[0]]
        elif node.op == Unary("sigmoid"):
            values[node.name] = SIGMOID
    weights = {}
    for node in graph.nodes:
        if not isinstance(node.op, Conv2d | Dense):
            continue
        if node.name in integer:
            weights[node.name] = _with_room_for_bias(
                weight_scales(node.op.weight, pairs_saturate=pairs_saturate and not is_depthwise(node.op)),
                node.op.bias,
                values[node.inputs[0]].scale,
            )
        elif node.op.weight.size >= small_elements:
            weights[node.name] = weight_scales(node.op.weight)
    return Quantization(weights, values, integer)


def _with_room_for_bias(
    scales: NDArray[np.float32], bias: NDArray[np.float32] | None, input_scale: float
) -> NDArray[np.float32]:
    if bias is None:
        return scales
    least: NDArray[np.float32] = (np.abs(bias) / (input_scale * _BIAS_LIMIT)).astype(np.float32)
    return np.maximum(scales, least)
