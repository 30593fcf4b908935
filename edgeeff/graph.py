"""The one small intermediate graph that everything is computed from.

A graph is a list of nodes in execution order, in static single assignment: each node gives one value, which
bears the node's name, and a name is the node's place in the network ("blocks.3.0.depthwise"). Multiply-adds,
stored elements and peak activation memory are computed from it, and each file format is written from it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgeeff.errors import ConversionError
from edgeeff.int8.quantization import Quantization
from edgeeff.ops import Conv2d, Dense, Op, Shape, op_kind, weights_of


@dataclass(frozen=True, slots=True)
class Node:
    """One op at one place in the network; its output value has the node's name."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A network with one or more image inputs, its batch normalisations folded by `converters/_passes.py`.

    Args:
        name: of the network, for the file's own metadata.
        inputs: name -> shape (NCHW, batch 1).
        nodes: in execution order.
        outputs: names of values.
        quantization: what is stored and computed in int8; None for a graph in float.

    Raises:
        ConversionError: a value is used before it is made, made twice, or the shapes do not fit.
    """

    name: str
    inputs: Mapping[str, Shape]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    quantization: Quantization | None = None
    shapes: Mapping[str, Shape] = field(init=False, compare=False)
    """The shape of every value."""

    def __post_init__(self) -> None:
        shapes: dict[str, Shape] = dict(self.inputs)
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in shapes]
            if missing or node.name in shapes:
                fault = f"uses {missing[0]!r} before it is made" if missing else "is made twice"
                raise ConversionError(f"{self.name}: {node.name!r} {fault}")
            try:
                shapes[node.name] = node.op.shape(*(shapes[name] for name in node.inputs))
            except (ValueError, IndexError, TypeError) as error:
                given = ", ".join(str(shapes[name]) for name in node.inputs)
                raise ConversionError(f"{node.name}: {op_kind(node.op)} does not fit {given}") from error
            if any(n < 1 for n in shapes[node.name]):
                raise ConversionError(
                    f"{node.name}: {op_kind(node.op)} leaves nothing of its input: {shapes[node.name]}",
                    "take a larger resolution",
                )
        unknown = [name for name in self.outputs if name not in shapes]
        if unknown:
            raise ConversionError(f"{self.name}: the output {unknown[0]!r} is not made by any node")
        object.__setattr__(self, "shapes", shapes)

    def node_macs(self, node: Node) -> int:
        """Multiply-adds of a convolution or dense layer; 0 for all else, as the literature counts."""
        if isinstance(node.op, Conv2d | Dense):
            return node.op.macs(self.shapes[node.inputs[0]])
        return 0

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and dense layers for one image."""
        return sum(self.node_macs(node) for node in self.nodes)

    @property
    def stored_elements(self) -> int:
        """Elements of all constants. Less than the network's parameters, since folding takes the BN's away."""
        return sum(weight.size for node in self.nodes for weight in weights_of(node.op))

    @property
    def op_counts(self) -> Counter[str]:
        """How many nodes there are of each kind."""
        return Counter(op_kind(node.op) for node in self.nodes)

    def uses(self) -> dict[str, list[Node]]:
        """For each value, the nodes that read it (a node that reads it twice stands there twice)."""
        readers: dict[str, list[Node]] = {name: [] for name in self.shapes}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node)
        return readers

    def peak_activation_elements(self) -> int:
        """Most elements of activations that are alive at once when the nodes run in order.

        A value lives from the node that makes it to the last that reads it; outputs live to the end. Constants
        do not count. What a runtime allocates can be less (in-place ops) or more (packed copies).
        """
        last: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            for name in (node.name, *node.inputs):
                last[name] = index
        last.update(dict.fromkeys(self.outputs, len(self.nodes)))
        constants = {node.name for node in self.nodes if not node.inputs}
        size = {name: 0 if name in constants else math.prod(shape) for name, shape in self.shapes.items()}
        alive = sum(size[name] for name in self.inputs)
        peak = alive
        for index, node in enumerate(self.nodes):
            alive += size[node.name]
            peak = max(peak, alive)
            alive -= sum(size[name] for name in {node.name, *node.inputs} if last[name] == index)
        return peak

    def replace(self, nodes: Iterable[Node], outputs: tuple[str, ...] | None = None) -> Graph:
        """The same network with other nodes."""
        kept = self.outputs if outputs is None else outputs
        return Graph(self.name, self.inputs, tuple(nodes), kept, self.quantization)
