"""What an op is taken to cost in float and in int8: a model, to choose among mixes of both, not a measurement.

The rates were taken from LiteRT's own profiler on B0 at 224 px (`edgeeff profile`; one thread of an x86 server with
AVX-512 and VNNI, ai-edge-litert 2.3.0, three launches): time over multiply-adds for layers, over elements for the
rest. They matter by their proportions. Without VNNI, convolutions in int8 took as long as in float (Lite0: 0.96 to 1.02
of fp32's latency in all, on Zen 2). ARM with dot products is taken to be like VNNI: that was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edgeeff.graph import Graph, Node
from edgeeff.int8.machines import Machine
from edgeeff.ops import op_kind

_CONVERSION_S = 0.33e-9
"""An element from float to int8 or back."""


@dataclass(frozen=True, slots=True)
class _Rate:
    """Seconds a multiply-add of a layer, or an element of any other op's output."""

    in_float: float
    in_int8: float


_RATES: Mapping[str, _Rate] = {
    "conv2d": _Rate(19.4e-12, 6.7e-12),
    "depthwise_conv2d": _Rate(61e-12, 51e-12),
    "dense": _Rate(50e-12, 25e-12),
    "silu": _Rate(0.35e-9, 0.10e-9),
    "sigmoid": _Rate(0.22e-9, 0.10e-9),
    "mul": _Rate(0.14e-9, 0.22e-9),
}
_OTHER = _Rate(0.14e-9, 0.10e-9)
_WITHOUT_DOT_PRODUCTS = {"conv2d": _Rate(19.4e-12, 19.4e-12), "dense": _Rate(50e-12, 50e-12)}


def latency_s(graph: Graph, integer: Collection[str], machine: Machine) -> float:
    """The modelled latency of one image with the given nodes in int8, conversions between both kinds included."""
    rates = {**_RATES, **(_WITHOUT_DOT_PRODUCTS if machine.pairs_saturate else {})}
    total = 0.0
    converted = set()
    for node in graph.nodes:
        is_integer = node.name in integer
        rate = rates.get(op_kind(node.op), _OTHER)
        work = graph.node_macs(node) or _elements(graph, node.name)
        total += work * (rate.in_int8 if is_integer else rate.in_float)
        for name in node.inputs:
            if (name in integer) != is_integer and (name, is_integer) not in converted and _is_made(graph, name):
                converted.add((name, is_integer))
                total += _elements(graph, name) * _CONVERSION_S
    return total


def _elements(graph: Graph, name: str) -> int:
    return math.prod(graph.shapes[name])


def _is_made(graph: Graph, name: str) -> bool:
    """Whether a value is worth a conversion: scalars and vectors are not."""
    return _elements(graph, name) > 1


def weights_bytes(graph: Graph, stored: Collection[str]) -> int:
    """The bytes of all weights, those of the given nodes in int8 and all else in float32."""
    return sum(_node_bytes(node, node.name in stored) for node in graph.nodes)


def _node_bytes(node: Node, in_int8: bool) -> int:
    weight = getattr(node.op, "weight", None)
    return 0 if weight is None else weight.size * (1 if in_int8 else 4)
