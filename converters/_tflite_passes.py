"""Small rewrites of the graph that make a tighter TFLite file."""

from __future__ import annotations

from dataclasses import replace

from edgeeff.graph import Graph, Node
from edgeeff.ops import Mean, Reshape


def fold_flatten(graph: Graph) -> Graph:
    """Makes one Mean of each Mean that keeps its axes only for a Reshape that drops them (a pool and its flatten)."""
    uses = graph.uses()
    nodes: dict[str, Node] = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if not (isinstance(node.op, Mean) and node.op.keepdims and len(uses[node.name]) == 1):
            continue
        (reader,), mean = uses[node.name], replace(node.op, keepdims=False)
        flat = mean.shape(graph.shapes[node.inputs[0]])
        if isinstance(reader.op, Reshape) and reader.op.to == flat and node.name not in graph.outputs:
            del nodes[node.name]
            nodes[reader.name] = Node(reader.name, mean, node.inputs)
    return graph.replace(nodes.values())
