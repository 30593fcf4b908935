"""Which range of a value its int8 form holds: all of it, all but the rarest, or what leaves the least error.

Two passes over the images: the first finds the extremes of every value, the second counts it in bins between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.errors import ConversionError
from edgeeff.graph import Graph
from edgeeff.quantization import ValueScale, value_scale

from ._execute import Executor

_BINS = 2048
_BATCH = 8

_SAMPLE = 2**18
"""Of the elements of a value in one batch, about as many are counted, evenly spread; the extremes are of all."""

_SHARES = np.concatenate([np.geomspace(0.02, 0.5, 16), np.linspace(0.54, 1, 24)])
"""Parts of the whole range among which the least error is sought, on each side of zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How often a value takes which sizes: `counts` of equal bins around `centres`."""

    low: float
    high: float
    counts: NDArray[np.float64]

    @property
    def centres(self) -> NDArray[np.float64]:
        edges = np.linspace(self.low, self.high, _BINS + 1)
        return (edges[1:] + edges[:-1]) / 2


Choose = Callable[[Histogram], ValueScale]


def whole(histogram: Histogram) -> ValueScale:
    """From the least to the greatest that was seen."""
    return value_scale(histogram.low, histogram.high)


def percentile(share: float) -> Choose:
    """The range without the rarest: `share` of all, half of what is left out on each side.

    Wu et al. 2020 (arXiv 2004.09602, section 3.3) compare it with the others.
    """

    def choose(histogram: Histogram) -> ValueScale:
        cumulated = np.cumsum(histogram.counts) / histogram.counts.sum()
        low = histogram.centres[np.searchsorted(cumulated, (1 - share) / 2)]
        high = histogram.centres[min(int(np.searchsorted(cumulated, (1 + share) / 2)), _BINS - 1)]
        return value_scale(float(low), float(high))

    return choose


def least_error(histogram: Histogram) -> ValueScale:
    """The range with the least squared error of what is rounded and clipped.

    Nagel et al. 2021 (arXiv 2106.08295, section 3.1). One side of zero after the other, since the grid of both
    together is large and the error has one valley.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    centres, counts = histogram.centres, histogram.counts

    def error(a: float, b: float) -> float:
        form = value_scale(a, b)
        lowest, highest = ((q - form.zero_point) * form.scale for q in (-128, 127))
        inside = np.clip(centres, lowest, highest)
        rounded = np.rint(inside / form.scale) * form.scale
        return float(counts @ ((rounded - centres) ** 2))

    for _ in range(2):
        high = min((max(histogram.high, 0.0) * share for share in _SHARES), key=lambda b: error(low, b))
        low = min((min(histogram.low, 0.0) * share for share in _SHARES), key=lambda a: error(a, high))
    return value_scale(low, high)


METHODS: dict[str, Choose] = {
    "min-max": whole,
    "p99.99": percentile(0.9999),
    "p99.9": percentile(0.999),
    "least error": least_error,
}


def observe(graph: Graph, images: NDArray[np.float32]) -> Mapping[str, Histogram]:
    """A histogram of each value of a float graph, its input among them.

    Raises:
        ConversionError: a value is not a number or infinite.
    """
    limits: dict[str, tuple[float, float]] = {}

    def widen(name: str, value: Tensor) -> None:
        low, high = limits.get(name, (np.inf, -np.inf))
        least, greatest = (float(x) for x in value.aminmax())
        if not np.isfinite([least, greatest]).all():
            raise ConversionError(f"{name}: its values on the calibration images are not finite; int8 cannot hold them")
        limits[name] = min(low, least), max(high, greatest)

    _show(graph, images, widen)
    counts = {name: np.zeros(_BINS) for name in limits}

    def count(name: str, value: Tensor) -> None:
        low, high = limits[name]
        sample = value.flatten()[:: max(1, value.numel() // _SAMPLE)]
        counts[name] += torch.histc(sample, _BINS, low, max(high, low + 1e-6)).numpy()

    _show(graph, images, count)
    return {name: Histogram(*limits[name], counts[name]) for name in limits}


def _show(graph: Graph, images: NDArray[np.float32], see: Callable[[str, Tensor], None]) -> None:
    """Shows every value of every batch."""
    executor = Executor(graph)
    (image,) = graph.inputs
    for start in range(0, len(images), _BATCH):
        batch = torch.from_numpy(images[start : start + _BATCH])
        see(image, batch)
        executor.run([batch], lambda node, value: see(node.name, value))
