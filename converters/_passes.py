"""Rewrites that make a traced graph clean: the same function, with fewer and larger ops.

Each pass takes a graph and returns one. Jacob et al. 2018 (arXiv 1712.05877, section 3.2) describe the folding of
batch normalisation into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgeeff.graph import Graph, Node
from edgeeff.ops import Affine, Binary, Conv2d, Dense, Mean, Pad, Reshape, Unary, Weight


def simplify(graph: Graph) -> Graph:
    """All passes, in the order in which each makes room for the next.

    First what nobody reads goes, since a second reader keeps a value from being folded away.
    """
    for rewrite in (drop_dead, fold_affine, fold_pad, find_silu, fuse_activation, fold_flatten, drop_dead):
        graph = rewrite(graph)
    return graph


def _merge_pairs(graph: Graph, merge: Callable[[Node, Node], Node | None]) -> Graph:
    """Merges a node with the one behind it, where that one is the only reader of its value.

    A value that several nodes read, or that the network returns, stays: folding a batch normalisation into a
    convolution that is used twice would change the other use.
    """
    readers = {name: len(nodes) for name, nodes in graph.uses().items()}
    outputs = list(graph.outputs)
    nodes: dict[str, Node] = {}
    renamed: dict[str, str] = {}
    for original in graph.nodes:
        node = replace(original, inputs=tuple(renamed.get(name, name) for name in original.inputs))
        before = nodes.get(node.inputs[0]) if node.inputs else None
        merged = None
        if before is not None and before.name not in outputs and readers[before.name] == 1:
            merged = merge(before, node)
        if before is None or merged is None:
            nodes[node.name] = node
            continue
        del nodes[before.name]
        nodes[merged.name] = merged
        renamed[node.name] = merged.name
        readers[merged.name] = readers[node.name]
        outputs = [merged.name if name == node.name else name for name in outputs]
    return graph.replace(nodes.values(), tuple(outputs))


def _per_output_channel(values: Weight, weight: Weight) -> Weight:
    return values.reshape(-1, *[1] * (weight.ndim - 1))


def fold_affine(graph: Graph) -> Graph:
    """Folds batch normalisations into the convolutions and dense layers before them."""

    def merge(before: Node, node: Node) -> Node | None:
        if not isinstance(node.op, Affine) or not isinstance(before.op, Conv2d | Dense):
            return None
        # A dense layer's outputs lie on its last axis, which is the channels' only in a matrix.
        if before.op.activation != "none" or (isinstance(before.op, Dense) and len(graph.shapes[node.name]) != 2):
            return None
        weight = before.op.weight * _per_output_channel(node.op.scale, before.op.weight)
        bias = node.op.shift if before.op.bias is None else before.op.bias * node.op.scale + node.op.shift
        op = replace(before.op, weight=weight, bias=bias)
        if isinstance(op, Conv2d):
            op = replace(op, deviation=node.op.deviation)
        return replace(before, op=op)

    return _merge_pairs(graph, merge)


def fold_pad(graph: Graph) -> Graph:
    """Makes zeros around an image the padding of the convolution that reads it."""

    def merge(before: Node, node: Node) -> Node | None:
        if not isinstance(before.op, Pad) or not isinstance(node.op, Conv2d):
            return None
        top, left, bottom, right = (a + b for a, b in zip(before.op.padding, node.op.padding, strict=True))
        return Node(node.name, replace(node.op, padding=(top, left, bottom, right)), before.inputs)

    return _merge_pairs(graph, merge)


def find_silu(graph: Graph) -> Graph:
    """x * sigmoid(x), as older networks spell it, is silu(x)."""
    made = {node.name: node for node in graph.nodes}
    nodes = []
    for node in graph.nodes:
        if isinstance(node.op, Binary) and node.op.kind == "mul":
            for x, gate in (node.inputs, node.inputs[::-1]):
                source = made.get(gate)
                if source is not None and source.op == Unary("sigmoid") and source.inputs == (x,):
                    node = Node(node.name, Unary("silu"), (x,))
                    break
        nodes.append(node)
    return drop_dead(graph.replace(nodes))


def fuse_activation(graph: Graph) -> Graph:
    """Lets the op before a ReLU or ReLU6 apply it, as every runtime's kernels do."""

    def merge(before: Node, node: Node) -> Node | None:
        if not isinstance(node.op, Unary) or not isinstance(before.op, Conv2d | Dense | Binary):
            return None
        if node.op.kind not in ("relu", "relu6") or before.op.activation != "none":
            return None
        return replace(before, op=replace(before.op, activation=node.op.kind))

    return _merge_pairs(graph, merge)


def fold_flatten(graph: Graph) -> Graph:
    """A mean over the image that is flattened behind it need not keep its two axes of one."""

    def merge(before: Node, node: Node) -> Node | None:
        if not isinstance(before.op, Mean) or not isinstance(node.op, Reshape) or not before.op.keepdims:
            return None
        kept = replace(before.op, keepdims=False)
        fits = kept.shape(graph.shapes[before.inputs[0]]) == node.op.to
        return replace(before, op=kept) if fits else None

    return _merge_pairs(graph, merge)


def drop_dead(graph: Graph) -> Graph:
    """Removes nodes whose values nobody reads."""
    needed = set(graph.outputs)
    nodes = []
    for node in reversed(graph.nodes):
        if node.name in needed:
            nodes.append(node)
            needed.update(node.inputs)
    return graph.replace(reversed(nodes))
