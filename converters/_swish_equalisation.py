"""Channels of like range on both sides of a swish, so that one scale suits them all.

Of what swish makes in B0, a channel's range may be a hundredth of the whole value's, which its int8 steps are made for.
Through a ReLU, a channel's scale can be moved from one layer's weights into the next one's (Nagel et al. 2019, arXiv
1906.04721, section 4.1). Through a swish it cannot, but with a beta of its own for each channel (Ramachandran et al.
2017, arXiv 1710.05941) it can: for x' = x / beta, x' sigmoid(beta x') = silu(x) / beta. The layer before divides by the
betas, those behind multiply by them, on the far side of squeeze-and-excitation, too; in between all is scaled. That
costs a product for each element. Betas are multiples of one step, so that their own int8 form is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import HIGHEST, LOWEST, SWISH_GATE
from edgeeff.ops import Binary, Conv2d, Dense, Mean, Pad, Pool, Swish, Unary, Weight

from ._execute import Executor

_BATCH = 8

_POWER = 0.75
"""Of a channel's range that its beta is. With 1, rare channels that other photos move are cut off, and the weights of
projections lose 1 dB (B0)."""

FLOOR = -LOWEST * SWISH_GATE.scale
"""So far below zero silu's input counts."""

Reaches = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Chain:
    """A convolution whose channels are scaled, the swish that alone reads it, and the layers that undo it."""

    maker: str
    swish: str
    readers: tuple[str, ...]


def equalise(graph: Graph, images: NDArray[np.float32]) -> Graph | None:
    """The same network, in float, with its channels equalised through each swish; None where none can be.

    Args:
        graph: in float, with one input.
        images: (count, channels, height, width), whose ranges count.
    """
    chains = list(_chains(graph))
    reaches = _reaches(graph, [chain.maker for chain in chains], images)
    made = {node.name: node for node in graph.nodes}
    equalised = False
    for chain in chains:
        if not reaches[chain.maker].max() > 0:
            continue
        equalised, betas = True, _betas(reaches[chain.maker])
        made[chain.maker] = _with_rows(made[chain.maker], betas)
        made[chain.swish] = replace(made[chain.swish], op=Swish(betas))
        made |= {name: _with_columns(made[name], betas) for name in chain.readers}
    return graph.replace(made[node.name] for node in graph.nodes) if equalised else None


def swish_floors(graph: Graph) -> dict[str, Tensor]:
    """The inputs of swishes with betas of their own -> what of each channel counts as the least: the rest acts like it.

    Only where nothing else reads them.
    """
    uses = graph.uses()
    return {
        node.inputs[0]: torch.from_numpy(-FLOOR / node.op.beta).reshape(-1, *[1] * (len(graph.shapes[node.name]) - 2))
        for node in graph.nodes
        if isinstance(node.op, Swish) and len(uses[node.inputs[0]]) == 1
    }


def _chains(graph: Graph) -> Iterator[_Chain]:
    uses, makers = graph.uses(), {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        maker = makers.get(node.inputs[0]) if node.op == Unary("silu") else None
        if maker is None or not isinstance(maker.op, Conv2d) or maker.name in graph.outputs:
            continue
        # What squeeze-and-excitation makes of the means is small and does little damage.
        if len(uses[maker.name]) == 1 and math.prod(graph.shapes[node.name][2:]) > 1:
            readers = _readers(graph, node, uses)
            if readers is not None:
                yield _Chain(maker.name, node.name, readers)


def _readers(graph: Graph, swish: Node, uses: Mapping[str, Sequence[Node]]) -> tuple[str, ...] | None:
    """The layers that first add up the channels behind a swish; None where something else would see them scaled."""
    scaled, readers = [swish.name], []
    for name in scaled:
        if name in graph.outputs:
            return None
        for node in uses[name]:
            if isinstance(node.op, Conv2d) or (isinstance(node.op, Dense) and len(graph.shapes[name]) == 2):
                readers.append(node.name)
            elif not _keeps_channels(graph, node, scaled):
                return None
            elif node.name not in scaled:
                scaled.append(node.name)
    return tuple(readers)


def _keeps_channels(graph: Graph, node: Node, scaled: Sequence[str]) -> bool:
    """Whether a node makes the same of each channel by itself, whatever its scale."""
    match node.op:
        case Mean(axes):
            return axes == (2, 3)
        case Pool() | Pad():
            return True
        case Binary("mul", "none"):
            shapes = [graph.shapes[name] for name in node.inputs]
            factors = [name for name in node.inputs if name not in scaled]
            alike = len(shapes[0]) == len(shapes[1]) == 4
            return len(factors) == 1 and alike and graph.shapes[node.name][1] == graph.shapes[scaled[0]][1]
    return False


@torch.inference_mode()
def _reaches(graph: Graph, names: Sequence[str], images: NDArray[np.float32]) -> Reaches:
    """How far from zero each channel of some values goes, as far as it counts in a swish."""
    found: dict[str, NDArray[np.float64]] = {}

    def see(node: Node, value: Tensor) -> None:
        if node.name in names:
            reach = value.clamp(min=-FLOOR).abs().amax((0, 2, 3)).double().numpy()
            found[node.name] = np.maximum(found.get(node.name, 0.0), reach)

    executor = Executor(graph)
    for start in range(0, len(images) if names else 0, _BATCH):
        executor.run([torch.from_numpy(images[start : start + _BATCH])], see)
    return found


def _betas(reach: NDArray[np.float64]) -> Weight:
    wanted = reach**_POWER
    step = np.float32(wanted.max() / HIGHEST)
    betas: Weight = np.clip(np.rint(wanted / step), 1, HIGHEST).astype(np.float32) * step
    return betas


def _with_rows(node: Node, betas: Weight) -> Node:
    op = node.op
    assert isinstance(op, Conv2d)
    bias = None if op.bias is None else op.bias / betas
    return replace(node, op=replace(op, weight=op.weight / betas.reshape(-1, 1, 1, 1), bias=bias))


def _with_columns(node: Node, betas: Weight) -> Node:
    op = node.op
    if isinstance(op, Dense):
        return replace(node, op=replace(op, weight=op.weight * betas))
    assert isinstance(op, Conv2d)
    # An output channel reads the input channels of its own group.
    of_group = betas.reshape(op.groups, -1).repeat(len(op.weight) // op.groups, axis=0)
    return replace(node, op=replace(op, weight=op.weight * of_group[:, :, None, None]))
