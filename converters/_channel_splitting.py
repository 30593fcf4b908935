"""Splitting the channels that rounding hurts most into channels that the network does not use.

Training leaves channels that are zero on every image: 4 of the 32 of Lite0's stem, 7 of Lite1's. One of the others
makes most of the noise there. Copies of it, each a part of a step higher than the one before, take the places of unused
ones, and what reads the channel takes their mean: rounded, it has the resolution of a finer step, and the network its
size. Zhao et al. 2019 (OCS, arXiv 1901.09504) split so, into channels that they add to the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import HIGHEST, LOWEST
from edgeeff.ops import Activation, Conv2d, Dense, Weight, is_depthwise

from ._slopes import Limits, channel_slopes
from ._weight_rounding import spread

_IMAGES = 24
"""That the slopes are taken on: a single odd one of eight may keep the worst channel of all from being split."""

_CLIPPED_SHARE = 0.02
"""A channel that is at an end of its range more often is not split: its copies would be wrong there."""

_MARGIN = 2.0
"""A channel is unused if no input within so many times the range that was seen makes it more than zero."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """Layers behind one another, each the only reader of the one before.

    Args:
        maker: makes the channels that are split.
        middle: a depthwise layer, if there is one between.
        reader: adds channels up.
    """

    maker: Node
    middle: Node | None
    reader: Node

    @property
    def nodes(self) -> list[Node]:
        return [node for node in (self.maker, self.middle, self.reader) if node is not None]

    def renewed(self, made: Mapping[str, Node]) -> _Chain:
        """The chain of what has been made of its nodes."""
        middle = self.middle and made.get(self.middle.name, self.middle)
        return _Chain(made.get(self.maker.name, self.maker), middle, made.get(self.reader.name, self.reader))


@dataclass(frozen=True, slots=True)
class Split:
    """A channel of what a layer makes, and the unused ones that become copies of it."""

    node: str
    channel: int
    copies: tuple[int, ...]


def split_channels(graph: Graph, images: NDArray[np.float32], limits: Limits) -> tuple[Graph, tuple[Split, ...]]:
    """The graph with channels split wherever there are unused ones, and which they are.

    In float it computes the same, but for parts of a step where a layer pads with zeros.

    Args:
        graph: in float, with one input.
        images: (count, channels, height, width).
    """
    chains = [(chain, unused) for chain in _chains(graph) if (unused := _unused(chain, limits))]
    names = {chain.maker.name for chain, _ in chains}
    slopes = channel_slopes(graph, torch.from_numpy(spread(images, _IMAGES)), limits, names) if names else {}
    made: dict[str, Node] = {}
    splits: list[Split] = []
    for chain, unused in chains:
        seen = slopes[chain.maker.name]
        squares, clipped = np.asarray(seen.squares), np.asarray(seen.clipped) / seen.images
        shares = np.where(clipped < _CLIPPED_SHARE, squares, 0.0)
        shares[list(unused)] = 0.0
        chosen = list(_dealt(chain.maker.name, shares, list(unused)))
        step = limits[chain.maker.name][1] / (HIGHEST - LOWEST)
        # The reader of one chain may be the maker of the next.
        chain = chain.renewed(made)
        for split in chosen:
            chain = _split(chain, split, step, {place: unused[place] for place in split.copies})
        made |= {node.name: node for node in chain.nodes}
        splits += chosen
    return graph.replace(made.get(node.name, node) for node in graph.nodes), tuple(splits)


def _chains(graph: Graph) -> Iterator[_Chain]:
    uses = graph.uses()

    def only_reader(node: Node) -> Node | None:
        readers = uses.get(node.name, [])
        return readers[0] if len(readers) == 1 and node.name not in graph.outputs else None

    for maker in graph.nodes:
        if not _adds_up(maker) or getattr(maker.op, "activation", "none") == "none":
            continue
        middle, reader = None, only_reader(maker)
        if (
            reader is not None
            and is_depthwise(reader.op)
            and graph.shapes[reader.name][1] == graph.shapes[maker.name][1]
        ):
            middle, reader = reader, only_reader(reader)
        if reader is not None and _adds_up(reader):
            yield _Chain(maker, middle, reader)


def _adds_up(node: Node) -> bool:
    """Whether every output of a layer is a sum over all channels of its input."""
    return isinstance(node.op, Dense) or (isinstance(node.op, Conv2d) and node.op.groups == 1)


def _unused(chain: _Chain, limits: Limits) -> dict[int, float]:
    """Channels that are the same whatever the image -> what the reader sees of them."""
    dead = _never_above_zero(chain.maker, limits)
    seen = np.zeros(len(dead), np.float32)
    if chain.middle is not None:
        assert isinstance(chain.middle.op, Conv2d)
        silent = _never_above_zero(chain.middle, limits)
        if chain.middle.op.bias is not None:
            seen = np.where(silent, 0, _activated(chain.middle.op.bias, chain.middle.op.activation))
        dead |= silent
    if isinstance(chain.reader.op, Conv2d) and any(chain.reader.op.padding):
        dead &= seen == 0  # at the edges it would see something else
    return {int(channel): float(seen[channel]) for channel in np.flatnonzero(dead)}


def _activated(x: Weight, activation: Activation) -> Weight:
    if activation == "none":
        return x
    return np.clip(x, 0, 6 if activation == "relu6" else None)


def _never_above_zero(node: Node, limits: Limits) -> NDArray[np.bool_]:
    assert isinstance(node.op, Conv2d | Dense)
    weight = node.op.weight.reshape(len(node.op.weight), -1)
    if node.op.activation == "none":
        return np.zeros(len(weight), np.bool_)
    low, high = (_MARGIN * limit for limit in limits[node.inputs[0]])
    most = np.maximum(weight * min(low, 0.0), weight * max(high, 0.0)).sum(axis=1)
    bias = 0.0 if node.op.bias is None else node.op.bias
    dead: NDArray[np.bool_] = most + bias <= 0
    return dead


def _dealt(name: str, shares: NDArray[np.float64], unused: list[int]) -> Iterator[Split]:
    """Each unused channel to the one that then makes the most noise: k copies make k^2 times less."""
    copies: dict[int, list[int]] = {}
    left = shares.astype(np.float64)
    for free in unused:
        worst = int(left.argmax())
        if not left[worst] > 0:
            break
        copies.setdefault(worst, []).append(free)
        left[worst] = shares[worst] / (1 + len(copies[worst])) ** 2
    for channel, places in copies.items():
        yield Split(name, channel, tuple(places))


def _split(chain: _Chain, split: Split, step: float, freed: Mapping[int, float]) -> _Chain:
    """The chain with copies of a channel, parts of a step apart.

    Args:
        freed: the places of the copies -> what the reader saw there.
    """
    places = (split.channel, *split.copies)
    count = len(places)
    offsets: Weight = (step / count * np.arange(count)).astype(np.float32)
    maker = _with_rows(chain.maker, places, offsets)
    middle = chain.middle
    if middle is not None:
        assert isinstance(middle.op, Conv2d)
        gain = float(middle.op.weight[split.channel].sum())
        middle = _with_rows(middle, places, -offsets * np.float32(gain))
        offsets = np.zeros_like(offsets)
    reader = _with_columns(_without_columns(chain.reader, freed), places, offsets)
    return _Chain(maker, middle, reader)


def _with_rows(node: Node, places: tuple[int, ...], offsets: Weight) -> Node:
    """A layer whose channels at `places` are the first of them, so much higher each."""
    assert isinstance(node.op, Conv2d | Dense)
    weight = node.op.weight.copy()
    bias = np.zeros(len(weight), np.float32) if node.op.bias is None else node.op.bias.copy()
    weight[list(places)] = weight[places[0]]
    bias[list(places)] = bias[places[0]] + offsets
    return replace(node, op=replace(node.op, weight=weight, bias=bias))


def _without_columns(node: Node, seen: Mapping[int, float]) -> Node:
    """A layer that computes the same although it does not see the given channels of constant values any more."""
    assert isinstance(node.op, Conv2d | Dense)
    sums = node.op.weight[:, list(seen)].reshape(len(node.op.weight), len(seen), -1).sum(axis=2)
    shift: Weight = sums @ np.array(list(seen.values()), np.float32)
    return replace(node, op=replace(node.op, bias=shift if node.op.bias is None else node.op.bias + shift))


def _with_columns(node: Node, places: tuple[int, ...], offsets: Weight) -> Node:
    """A layer that reads the mean of the channels at `places` in place of the first of them."""
    assert isinstance(node.op, Conv2d | Dense)
    weight = node.op.weight.copy()
    weight[:, list(places)] = weight[:, [places[0]]] / np.float32(len(places))
    shift = (weight[:, list(places)].reshape(len(weight), len(places), -1).sum(axis=2) * offsets).sum(axis=1)
    bias = np.zeros(len(weight), np.float32) if node.op.bias is None else node.op.bias.copy()
    return replace(node, op=replace(node.op, weight=weight, bias=bias - shift))
