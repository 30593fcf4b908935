"""How a network's values are spread, and what rounding and clipping each costs the outputs, to first order.

An error d of a value makes the noise |J d|^2 in the outputs y, with J = dy / dvalue. For a random vector r of signs,
(r . J d)^2 is that on average (Hutchinson 1990), and r J is one backward pass for all values together. Since d depends
on the value alone, it is enough to know the slopes r J summed by the size of the value: the noise of any int8 form
follows from these sums without another pass. Choi et al. 2017 (arXiv 1612.01543, section 3) weigh errors of weights by
slopes, Li et al. 2021 (BRECQ, arXiv 2102.05426, section 3.1) those of activations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.graph import Graph
from edgeeff.int8.quantization import HIGHEST, LOWEST, ValueScale
from edgeeff.ops import Swish, Unary

from ._execute import Executor
from ._swish_equalisation import FLOOR, swish_floors

_SHIFT = 19
"""A float32 without so many of its lowest bits is its bin: 16 bins between a power of two and the next."""

_BINS = 2 ** (32 - _SHIFT)

_TINY = 2.0**-14
"""What is smaller than this part of the largest magnitude counts as zero: it is rounded to zero in any form."""

_POINTS = 4
"""In each bin at which the error is evaluated."""

Limits = Mapping[str, tuple[float, float]]
"""The least and the greatest of every value."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """How a value is spread, and how steeply the outputs depend on it, by its size.

    Args:
        low, high: the least and the greatest that was seen.
        points: (bins, points a bin) sizes of the value.
        counts: (bins,) how often the value has such a size.
        sums: (bins,) squares of the sums of the slopes over one image's bin, summed over the images.
        squares: (bins,) sums of the squared slopes.
        beta: the slopes are those of value * sigmoid(beta value), which alone reads the value; None where they are the
            value's own.
        signal: the power of the outputs over the images.
    """

    low: float
    high: float
    points: NDArray[np.float64]
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    beta: float | None
    signal: float

    def errors(self, form: ValueScale) -> NDArray[np.float64]:
        """What rounding and clipping adds to each of the points, as the value's readers see it."""
        steps = np.rint(self.points / form.scale)
        steps.clip(LOWEST - form.zero_point, HIGHEST - form.zero_point, out=steps)
        seen = steps * form.scale
        return seen - self.points if self.beta is None else _swish(seen, self.beta) - _swish(self.points, self.beta)

    def noise(self, form: ValueScale) -> float:
        """The power of the noise that the int8 form of this value alone makes, over that of the outputs.

        The mean error of a bin acts on all its elements at once, what is around the mean on each by itself. Bins
        do not make up for each other: over a few images they seem to (B0: 2 dB worse ranges on others).
        """
        # Some 300,000 times a network: add.reduce is the mean in a fraction of ndarray.mean's time.
        error = self.errors(form)
        points = error.shape[1]
        mean = np.add.reduce(error, axis=1) / points
        around = np.add.reduce(np.square(error), axis=1) / points - np.square(mean)
        return float(self.sums @ np.square(mean) + self.squares @ around) / (self.signal or 1.0)


def _swish(x: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    made: NDArray[np.float64] = x / (1 + np.exp(-np.maximum(beta * x, -500.0)))
    return made


class _Sees(Protocol):
    def add(self, value: Tensor, slope: Tensor) -> None: ...


class _Collector:
    """Sums over the elements of one value."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.counts, self.sums, self.squares = (torch.zeros(_BINS, dtype=torch.float64) for _ in range(3))

    def add(self, value: Tensor, slope: Tensor) -> None:
        elements, slopes = value.flatten(), slope.flatten()
        least, greatest = (float(end) for end in elements.aminmax())
        self.low, self.high = min(self.low, least), max(self.high, greatest)
        places = (elements.view(torch.int32) >> _SHIFT).add_(_BINS // 2).to(torch.int64)
        self.counts += torch.bincount(places, minlength=_BINS)
        self.sums += torch.bincount(places, slopes, _BINS).double().square_()
        # Zero is held exactly: it has no error around the mean.
        self.squares += torch.bincount(places, slopes.square().mul_(elements != 0), _BINS)

    def profile(self, beta: float | None, signal: float) -> Profile:
        places = np.flatnonzero(self.counts.numpy())
        points = _sizes(places)
        tiny = np.abs(points).max(axis=1) < max(-self.low, self.high) * _TINY
        places, points = places[~tiny], np.concatenate([np.zeros((1, _POINTS)), points[~tiny]])
        # What is clipped to an end of the range, as by ReLU6, is there exactly.
        points = points.clip(self.low, self.high)
        order = np.argsort(points[:, 0])
        counts, sums, squares = (
            np.concatenate([[tensor.sum() - tensor[places].sum()], tensor[places]])[order]
            for tensor in (each.numpy() for each in (self.counts, self.sums, self.squares))
        )
        return Profile(self.low, self.high, points[order], counts, sums, squares, beta, signal)


def _sizes(places: NDArray[np.int64]) -> NDArray[np.float64]:
    """(bins, points a bin), ascending in each bin."""
    steps = (np.arange(_POINTS) * 2 + 1) * (1 << _SHIFT) // (2 * _POINTS)
    bits = ((places[:, None] - _BINS // 2) << _SHIFT) + steps
    return np.sort(bits.astype(np.int32).view(np.float32).astype(np.float64), axis=1)


class Profiler:
    """Collects the profiles of every value of a graph.

    Args:
        graph: in float, with one input.
        limits: over the images that are known; others widen them.
    """

    def __init__(self, graph: Graph, limits: Limits) -> None:
        self._executor = Executor(graph)
        self._limits = limits
        self._collectors: dict[int, dict[str, _Collector]] = {}
        self._signals: dict[int, float] = {}
        self._behind = _alone_behind_swish(graph)
        swish = {node.name for node in graph.nodes if isinstance(node.op, Swish)}
        self._betas = {
            value: -FLOOR / min(limits[value][0], -_TINY) if name in swish else 1.0
            for name, value in self._behind.items()
        }
        """Of several, that of the channels that reach the farthest below zero: there they differ the most."""
        self._generator = torch.Generator().manual_seed(0)

    def add(self, images: Tensor, group: int = 0) -> None:
        """Looks at images; one at a time is held with all its values."""
        collectors = self._collectors.setdefault(group, {n: _Collector(*self._limits[n]) for n in self._limits})
        for index in range(len(images)):
            signal = _one_image(self._executor, images[index : index + 1], self._behind, collectors, self._generator)
            self._signals[group] = self._signals.get(group, 0.0) + signal

    @property
    def groups(self) -> frozenset[int]:
        return frozenset(self._signals)

    def profiles(self, groups: Collection[int] | None = None) -> Mapping[str, Profile]:
        """By the images so far, or those of some groups."""
        chosen = self.groups if groups is None else groups
        signal = sum(self._signals[group] for group in chosen)
        return {
            name: _together([self._collectors[group][name] for group in chosen]).profile(self._betas.get(name), signal)
            for name in self._limits
        }


def _together(collectors: Sequence[_Collector]) -> _Collector:
    first = collectors[0]
    if len(collectors) == 1:
        return first
    made = _Collector(min(each.low for each in collectors), max(each.high for each in collectors))
    for each in collectors:
        made.counts += each.counts
        made.sums += each.sums
        made.squares += each.squares
    return made


def _alone_behind_swish(graph: Graph) -> dict[str, str]:
    """The silu and swish nodes that alone read a value -> that value.

    What a silu makes of a value below -8 or so is nothing whatever the value: its error counts behind the silu.
    """
    uses = graph.uses()
    return {
        node.name: node.inputs[0]
        for node in graph.nodes
        if (node.op == Unary("silu") or isinstance(node.op, Swish))
        and len(uses[node.inputs[0]]) == 1
        and node.inputs[0] not in graph.outputs
    }


def _one_image(
    executor: Executor,
    image: Tensor,
    behind: Mapping[str, str],
    collectors: Mapping[str, _Sees],
    generator: torch.Generator,
) -> float:
    """Runs and goes back through the network once; returns the power of its outputs.

    Args:
        collectors: of the values that are wanted.
    """
    graph = executor.graph
    (name,) = graph.inputs
    values: dict[str, Tensor] = {name: image.clone().requires_grad_()}

    floors = swish_floors(graph)

    def collect(source: str, of: Tensor) -> None:
        if source not in collectors:
            return
        value, collector = values[source].detach(), collectors[source]
        if source in floors:
            value = torch.maximum(value, floors[source])
        hook: Callable[[Tensor], None] = lambda slope: collector.add(value, slope)  # noqa: E731
        of.register_hook(hook)  # type: ignore[no-untyped-call]

    collect(name, values[name])
    hidden = set(behind.values())
    for node in graph.nodes:
        values[node.name] = made = executor.step(node, values)
        if made.requires_grad:
            if node.name not in hidden:
                collect(node.name, made)
            if node.name in behind:
                collect(behind[node.name], made)
        for read in node.inputs:
            if executor.last[read] == node.name and read not in graph.outputs:
                values.pop(read, None)
    outputs: Sequence[Tensor] = [values[output] for output in graph.outputs]
    signs = [torch.randint(0, 2, y.shape, generator=generator).to(y.dtype) * 2 - 1 for y in outputs]
    torch.autograd.backward(outputs, signs)
    return sum(float(y.detach().square().sum()) for y in outputs)


class ChannelSlopes:
    """Sums over the elements of each channel of one value.

    Args:
        low, high: of the whole value.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.squares: Tensor | float = 0.0
        self.clipped: Tensor | float = 0.0
        self.images = 0

    def add(self, value: Tensor, slope: Tensor) -> None:
        elements = [i for i in range(value.ndim) if i != 1]
        clipped = (value <= self.low) | (value >= self.high)
        self.squares = self.squares + slope.square().mul_(~clipped).sum(elements)
        self.clipped = self.clipped + clipped.float().mean(elements)
        self.images += 1


def channel_slopes(graph: Graph, images: Tensor, limits: Limits, names: Collection[str]) -> dict[str, ChannelSlopes]:
    """How steeply the outputs depend on each channel of some values of a graph with one input."""
    found = {name: ChannelSlopes(*limits[name]) for name in names}
    executor, generator = Executor(graph), torch.Generator().manual_seed(0)
    for index in range(len(images)):
        _one_image(executor, images[index : index + 1], {}, found, generator)
    return found
