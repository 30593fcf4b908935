"""Which nodes can compute in int8, and the int8 form of every value that they read or make.

Rules of the kernels (TensorFlow's "LiteRT 8-bit quantization specification"): a sigmoid gives steps of 1/256;
a move of numbers keeps the scale; a bias has the scale of the products it is added to, and must fit 32 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import GIVEN_FORMS, HIGHEST, LOWEST, Quantization, ValueScale, value_scale, weight_scales
from edgeeff.ops import (
    Binary,
    Concat,
    Constant,
    Conv2d,
    Dense,
    Mean,
    Pad,
    Pool,
    Reshape,
    Slice,
    Swish,
    Transpose,
    Unary,
    is_depthwise,
)

from ._windows import never_negative

_BIAS_LIMIT = 2.0**30
"""Half of what 32 bits hold; the other half is left to the sum of the products."""


def integer_nodes(graph: Graph) -> frozenset[str]:
    """The nodes that both formats have integer kernels for."""
    constants = {node.name for node in graph.nodes if isinstance(node.op, Constant)}
    makers = {node.name: node for node in graph.nodes}
    return frozenset(
        node.name
        for node in graph.nodes
        if not constants.intersection(node.inputs) and _has_kernel(graph, node, makers)
    )


def _has_kernel(graph: Graph, node: Node, makers: Mapping[str, Node]) -> bool:
    match node.op:
        case Conv2d(groups=groups) as op:
            return groups in (1, graph.shapes[node.inputs[0]][1], len(op.weight))
        case Dense() | Pad() | Reshape() | Slice() | Swish() | Transpose():
            return True
        case Concat():
            # A sigmoid's steps are given, and what it stands beside would have to share them.
            return not any(name in makers and _given_form(makers[name]) for name in node.inputs)
        case Pool(kind="max"):
            return never_negative(node.inputs[0], makers)
        case Binary(kind):
            return kind in ("add", "mul")
        case Unary(kind):
            return kind in ("sigmoid", "silu", "hard_sigmoid", "hard_swish")
        case Mean(axes):
            return axes == (2, 3)
    return False


def _given_form(node: Node) -> ValueScale | None:
    return GIVEN_FORMS.get(node.op.kind) if isinstance(node.op, Unary) else None


MOVES = (Pad, Reshape, Slice, Transpose, Concat, Pool)
"""Ops that move integers as they are: what they read and make has one scale."""


def _share_scales(moving: Iterable[Node], values: dict[str, ValueScale]) -> None:
    """Gives all values that moves connect the widest of their ranges."""
    group: dict[str, set[str]] = {}
    for node in moving:
        joined = set().union(*(group.get(name, {name}) for name in (node.name, *node.inputs)))
        group.update(dict.fromkeys(joined, joined))
    for members in {id(names): names for names in group.values()}.values():
        known = [values[name] for name in members]
        low = min((LOWEST - v.zero_point) * v.scale for v in known)
        high = max((HIGHEST - v.zero_point) * v.scale for v in known)
        shared = known[0] if all(v == known[0] for v in known) else value_scale(low, high)
        shared = next((form for form in GIVEN_FORMS.values() if form in known), shared)
        values.update(dict.fromkeys(members, shared))


def _keep_ratios(nodes: Iterable[Node], values: dict[str, ValueScale]) -> None:
    """Widens forms that are so narrow that a kernel would have to multiply by more, or by less, than it can.

    A value that no image ever moved, such as what a dead ReLU gives, has next to no range of its own. XNNPACK refuses
    the whole file for it (xnnpack/src/subgraph: convolutions below 256, sums in 2^-10..2^8, products in 2^-16..2^8).
    Nothing that carries numbers comes near these limits.
    """

    def widen(name: str, least: float) -> None:
        if values[name].scale < least and values[name] not in GIVEN_FORMS.values():
            values[name] = ValueScale(float(np.float32(least)), values[name].zero_point)

    for node in nodes:
        scales = [values[name].scale for name in node.inputs]
        match node.op:
            case Conv2d() | Dense() as op:
                widen(node.name, scales[0] * float(weight_scales(op.weight).max()))
            case Binary("add"):
                widen(node.name, max(scales) / 64)
                for name in node.inputs:
                    widen(name, values[node.name].scale / 512)
            case Binary("mul"):
                widen(node.name, scales[0] * scales[1] / 64)


def plan(
    graph: Graph,
    ranges: Mapping[str, ValueScale],
    *,
    in_float: Collection[str] = (),
    restored: Collection[str] = (),
    small_elements: int = 0,
    pairs_saturate: bool = False,
) -> Quantization:
    """The int8 forms of a graph.

    Args:
        ranges: the int8 form of every value by its own range.
        in_float: nodes that compute in float although they need not.
        restored: of these, the layers whose weights are in float as well.
        small_elements: weights of float nodes below this stay in float.
        pairs_saturate: in the kernels of integer nodes, see `machines`.
    """
    integer = integer_nodes(graph) - frozenset(in_float)
    given = {node.name: form for node in graph.nodes if (form := _given_form(node)) is not None}
    values = {**ranges, **given}
    moving = [node for node in graph.nodes if node.name in integer and isinstance(node.op, MOVES)]
    _share_scales(moving, values)
    _keep_ratios([node for node in graph.nodes if node.name in integer], values)
    _share_scales(moving, values)
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
        elif node.op.weight.size >= small_elements and node.name not in restored:
            weights[node.name] = weight_scales(node.op.weight)
    return Quantization(weights, values, integer)


def _with_room_for_bias(
    scales: NDArray[np.float32], bias: NDArray[np.float32] | None, input_scale: float
) -> NDArray[np.float32]:
    if bias is None:
        return scales
    least: NDArray[np.float32] = (np.abs(bias) / (input_scale * _BIAS_LIMIT)).astype(np.float32)
    return np.maximum(scales, least)
