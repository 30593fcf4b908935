"""Which range of a value its int8 form holds: all of it, all but the rarest, or what costs the least."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.errors import ConversionError
from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import ValueScale, value_scale

from ._execute import Executor
from ._slopes import Limits, Profile
from ._swish_equalisation import swish_floors

_BATCH = 8

_SHARES = np.concatenate([np.geomspace(0.03, 0.5, 12), np.linspace(0.56, 1, 12)])
"""Parts of the whole range among which the best is sought, on each side of zero."""

Choose = Callable[[Profile], ValueScale]


def whole(profile: Profile) -> ValueScale:
    """From the least to the greatest that was seen."""
    return value_scale(profile.low, profile.high)


def percentile(share: float) -> Choose:
    """The range without the rarest: `share` of all, half of what is left out on each side.

    Wu et al. 2020 (arXiv 2004.09602, section 3.3) compare it with the others.
    """

    def choose(profile: Profile) -> ValueScale:
        total = profile.counts.sum()
        if not total:
            return whole(profile)
        cumulated = np.cumsum(profile.counts) / total
        low = profile.points[np.searchsorted(cumulated, (1 - share) / 2), 0]
        high = profile.points[min(int(np.searchsorted(cumulated, (1 + share) / 2)), len(cumulated) - 1), -1]
        return value_scale(max(float(low), profile.low), min(float(high), profile.high))

    return choose


def least_error(profile: Profile) -> ValueScale:
    """The range with the least squared error of what is rounded and clipped.

    Nagel et al. 2021 (arXiv 2106.08295, section 3.1).
    """
    return _least(profile, lambda form: float(profile.counts @ np.square(profile.errors(form)).mean(axis=1)))


def least_noise(profile: Profile) -> ValueScale:
    """The range with the least noise in the network's outputs, to first order; see `_slopes`."""
    return _least(profile, profile.noise)


def _least(profile: Profile, cost: Callable[[ValueScale], float]) -> ValueScale:
    return least_cost(profile.low, profile.high, cost)


def least_cost(low: float, high: float, cost: Callable[[ValueScale], float]) -> ValueScale:
    """The range within [low, high] that costs the least.

    One side of zero after the other, since the grid of both together is large and the cost has one valley.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    lows, highs = (np.unique(limit * _SHARES) for limit in (low, high))
    for _ in range(2):
        high = min((float(b) for b in highs), key=lambda b: cost(value_scale(low, b)))
        low = min((float(a) for a in lows), key=lambda a: cost(value_scale(a, high)))
    return value_scale(low, high)


METHODS: dict[str, dict[str, Choose]] = {
    "min-max": {"min-max": whole},
    "percentile": {"percentile 99.9 %": percentile(0.999), "percentile 99.99 %": percentile(0.9999)},
    "least-error": {"least-error": least_error},
    "least-noise": {"least-noise": least_noise},
}
"""By the name of the technique, each way of choosing ranges by its own name."""


def limits(graph: Graph, images: NDArray[np.float32]) -> Limits:
    """The least and the greatest of each value of a float graph, its input among them.

    Raises:
        ConversionError: a value is not a number or infinite.
    """
    found: dict[str, tuple[float, float]] = {}

    def widen(name: str, value: Tensor) -> None:
        low, high = found.get(name, (np.inf, -np.inf))
        least, greatest = (float(x) for x in value.aminmax())
        if not np.isfinite([least, greatest]).all():
            raise ConversionError(f"{name}: its values on the calibration images are not finite; int8 cannot hold them")
        found[name] = min(low, least), max(high, greatest)

    _show(graph, images, widen)
    return found


def _show(graph: Graph, images: NDArray[np.float32], see: Callable[[str, Tensor], None]) -> None:
    """Shows every value of every batch, as far as it counts."""
    executor = Executor(graph)
    (image,), floors = graph.inputs, swish_floors(graph)

    def watch(node: Node, value: Tensor) -> None:
        see(node.name, torch.maximum(value, floors[node.name]) if node.name in floors else value)

    for start in range(0, len(images), _BATCH):
        batch = torch.from_numpy(images[start : start + _BATCH])
        see(image, batch)
        executor.run([batch], watch)


def ranges(profiles: Mapping[str, Profile], choose: Choose) -> dict[str, ValueScale]:
    """The int8 form of each value by one way of choosing."""
    return {name: choose(profile) for name, profile in profiles.items()}
