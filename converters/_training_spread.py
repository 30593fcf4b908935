"""Where images are made up: how much further training saw the values of a network spread.

A network recognises little in synthesised pictures, and the deeper its layers, the less they have to say. Lite0's
values spread 1.3 times as far as in training behind its first blocks and 0.6 times in its last, where on photos it is
0.8 to 1.1 everywhere. What training saw, each batch normalisation has learned: |gamma| is the deviation of a channel
that it makes. Nagel et al. 2019 (arXiv 1906.04721, section 5) take ranges from it alone, and Cai et al. 2020 (ZeroQ,
arXiv 2001.00281) make images that fit it; here it says how much wider ranges are than pictures ask for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.graph import Graph, Node
from edgeeff.ops import Binary, Conv2d, Weight

from ._execute import Executor
from ._slopes import Profile
from ._spare_range import Ends
from ._weight_rounding import spread

_IMAGES = 24
_BATCH = 8
_MOST = 2.0
"""Times the range that was seen. Beyond is what no training has seen: Lite0's most is 1.5."""

Spreads = tuple[float, float]
"""The variance of a value, over all channels: in training, and on the images at hand."""


def beyond_pictures(graph: Graph, images: NDArray[np.float32]) -> dict[str, float]:
    """Value -> times its spread on images that it had in training, where that is further.

    Values between layers of known spread have that of what they are made of. Empty without batch normalisations.

    Args:
        graph: in float, as it was traced.
        images: (count, channels, height, width).
    """
    seen = _variances(graph, spread(images, _IMAGES))
    found: dict[str, Spreads] = {}
    for node in graph.nodes:
        spreads = _spreads(node, seen, found)
        if spreads is not None:
            found[node.name] = spreads
    factors = {name: math.sqrt(trained / here) for name, (trained, here) in found.items() if here > 0}
    return {name: min(factor, _MOST) for name, factor in factors.items() if factor > 1}


def _spreads(node: Node, seen: Mapping[str, float], found: Mapping[str, Spreads]) -> Spreads | None:
    if (deviation := _deviation(node)) is not None:
        return float(np.square(deviation, dtype=np.float64).sum()), seen[node.name]
    known = [found[name] for name in node.inputs if name in found]
    if node.op == Binary("add") and len(known) == len(node.inputs):
        return known[0][0] + known[1][0], known[0][1] + known[1][1]
    return known[0] if known else None


def _deviation(node: Node) -> Weight | None:
    """Of each channel of a convolution in training; one for all is where normalisations begin, and tells nothing."""
    deviation = node.op.deviation if isinstance(node.op, Conv2d) else None
    return None if deviation is None or np.ptp(deviation) == 0 else deviation


def _variances(graph: Graph, images: NDArray[np.float32]) -> dict[str, float]:
    """Of what each convolution of known deviation makes, before its activation, over all channels."""
    moments = _Moments()
    if not any(_deviation(node) is not None for node in graph.nodes):
        return {}
    executor = Executor(graph)
    (name,) = graph.inputs
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            values = {name: torch.from_numpy(images[start : start + _BATCH])}
            for node in graph.nodes:
                if _deviation(node) is not None:
                    moments.add(node.name, executor.linear(node, [values[node.inputs[0]]]))
                values[node.name] = executor.step(node, values)
                for read in node.inputs:
                    if executor.last[read] == node.name:
                        values.pop(read, None)
    return moments.variances()


class _Moments:
    """Sums of each channel, and of its squares."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, value: Tensor) -> None:
        made = torch.stack([value.sum((0, 2, 3)), value.square().sum((0, 2, 3))]).double()
        self.sums[name] = self.sums.get(name, 0) + made
        self.counts[name] = self.counts.get(name, 0) + value.numel() // value.shape[1]

    def variances(self) -> dict[str, float]:
        means = {name: sums / self.counts[name] for name, sums in self.sums.items()}
        return {name: float((squares - mean.square()).sum()) for name, (mean, squares) in means.items()}


def widened(profiles: Mapping[str, Profile], factors: Mapping[str, float], ends: Ends) -> Mapping[str, Profile]:
    """The profiles as they are where values spread so many times as far.

    What has an upper end by its op, as behind ReLU6, fills its range on any images.
    """
    return {
        name: _widened(profile, factors[name], *ends[name])
        if name in factors and math.isinf(ends[name][1])
        else profile
        for name, profile in profiles.items()
    }


def _widened(profile: Profile, factor: float, least: float, greatest: float) -> Profile:
    return replace(
        profile,
        low=max(profile.low * factor, least),
        high=min(profile.high * factor, greatest),
        points=(profile.points * factor).clip(least, greatest),
    )
