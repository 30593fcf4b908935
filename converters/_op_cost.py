"""What an op is taken to cost in float and in int8: a model, to choose among mixes of both, not a measurement.

Rates are times over multiply-adds for layers, over elements for the rest, one thread of an x86 server with AVX-512 and
VNNI: LiteRT's by its own profiler on B0 at 224 px (`edgeeff profile`; ai-edge-litert 2.3.0, three launches),
onnxruntime's by its profiler, the least of 60 runs of each op on B0 and Lite0 (1.32.0, on a busy machine). That of
swish with betas is by the latencies of whole files. They matter by their proportions within a runtime. In onnxruntime a
float sum is part of the convolution before it, float swish is one op and integer swish two, and float convolutions want
another layout, which a conversion changes too.

Without VNNI, LiteRT's convolutions in int8 took as long as in float (Lite0: 0.96 to 1.02 of fp32's latency in all, on
Zen 2), onnxruntime's a little less (0.89 to 0.93). ARM with dot products is taken to be like VNNI, unmeasured.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edgeeff.graph import Graph, Node
from edgeeff.int8.machines import Machine
from edgeeff.ops import op_kind


@dataclass(frozen=True, slots=True)
class _Rate:
    """Seconds a multiply-add of a layer, or an element of any other op's output."""

    in_float: float
    in_int8: float


@dataclass(frozen=True, slots=True)
class Kernels:
    """A runtime's.

    Args:
        name: the runtime's.
        rates: by the kind of op.
        other: of ops that are not among them.
        without_dot_products: of those that take longer on x86 without VNNI.
        conversion_s: an element from float to int8 or back.
    """

    name: str
    rates: Mapping[str, _Rate]
    other: _Rate
    without_dot_products: Mapping[str, _Rate]
    conversion_s: float

    def rate(self, kind: str, machine: Machine) -> _Rate:
        slower = self.without_dot_products if machine.pairs_saturate else {}
        return slower.get(kind) or self.rates.get(kind, self.other)


LITERT = Kernels(
    "LiteRT",
    {
        "conv2d": _Rate(19.4e-12, 6.7e-12),
        "depthwise_conv2d": _Rate(61e-12, 51e-12),
        "dense": _Rate(50e-12, 25e-12),
        "silu": _Rate(0.35e-9, 0.10e-9),
        "swish": _Rate(0.51e-9, 0.70e-9),
        "sigmoid": _Rate(0.22e-9, 0.10e-9),
        "mul": _Rate(0.14e-9, 0.22e-9),
    },
    other=_Rate(0.14e-9, 0.10e-9),
    without_dot_products={"conv2d": _Rate(19.4e-12, 19.4e-12), "dense": _Rate(50e-12, 50e-12)},
    conversion_s=0.33e-9,
)

ONNXRUNTIME = Kernels(
    "onnxruntime",
    {
        "conv2d": _Rate(9.2e-12, 4.1e-12),
        "depthwise_conv2d": _Rate(20e-12, 21e-12),
        "dense": _Rate(72e-12, 17e-12),
        "silu": _Rate(0.14e-9, 0.44e-9),
        "sigmoid": _Rate(0.14e-9, 0.26e-9),
        "mul": _Rate(0.10e-9, 0.22e-9),
        "add": _Rate(0.0, 0.22e-9),
    },
    other=_Rate(0.10e-9, 0.10e-9),
    without_dot_products={"conv2d": _Rate(9.2e-12, 8.2e-12), "dense": _Rate(72e-12, 64e-12)},
    conversion_s=0.2e-9,
)


def latency_s(graph: Graph, integer: Collection[str], kernels: Kernels, machine: Machine) -> float:
    """The modelled latency of one image with the given nodes in int8, conversions between both kinds included."""
    total = 0.0
    converted = set()
    for node in graph.nodes:
        is_integer = node.name in integer
        rate = kernels.rate(op_kind(node.op), machine)
        work = graph.node_macs(node) or _elements(graph, node.name)
        total += work * (rate.in_int8 if is_integer else rate.in_float)
        for name in node.inputs:
            if (name in integer) != is_integer and (name, is_integer) not in converted and _is_made(graph, name):
                converted.add((name, is_integer))
                total += _elements(graph, name) * kernels.conversion_s
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
