"""What rounding and clipping a value costs the outputs, to first order, for every form that it could get.

An error d of a value makes the noise |J d|^2 in the outputs y, with J = dy / dvalue. For a random vector r of signs,
(r . J d)^2 is that on average (Hutchinson 1990), and r J is one backward pass for all values together. Since d depends
on the value alone, it is enough to know the slopes r J summed by the size of the value: the noise of any int8 form
follows from these sums without another pass. The same weighting of errors by slopes is in Choi et al. 2017
(arXiv 1612.01543, section 3) and, for layers, in Li et al. 2021 (BRECQ, arXiv 2102.05426, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.graph import Graph
from edgeeff.ops import Unary
from edgeeff.quantization import HIGHEST, LOWEST, ValueScale

from ._execute import Executor

_BINS = 512
_FINE = 1000.0
"""Bins are equal in asinh(value / d), d being this part of the largest magnitude: fine around zero, where most are."""

_POINTS = 4
"""In each bin at which the error is evaluated."""

Limits = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """How steeply the outputs depend on a value, by the value's size.

    Args:
        points: (bins, points a bin) sizes of the value.
        sums: (images, bins) of the slopes.
        squares: (bins,) sums of the squared slopes over the images.
        through_silu: the slopes are those of silu(value), which alone reads the value.
        signal: the power of the outputs over the images.
    """

    points: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    through_silu: bool
    signal: float

    def noise(self, form: ValueScale) -> float:
        """The power of the noise that the int8 form of this value alone makes, over that of the outputs."""
        rounded = np.clip(np.rint(self.points / form.scale), LOWEST - form.zero_point, HIGHEST - form.zero_point)
        seen = rounded * form.scale
        error = _silu(seen) - _silu(self.points) if self.through_silu else seen - self.points
        mean = error.mean(axis=1)
        together = np.square(self.sums @ mean).sum()
        apart = self.squares @ (np.square(error).mean(axis=1) - np.square(mean))
        return float(together + apart) / self.signal


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    made: NDArray[np.float64] = x / (1 + np.exp(-np.maximum(x, -500.0)))
    return made


class _Bins:
    """Sizes of one value between its limits."""

    def __init__(self, low: float, high: float) -> None:
        low, high = min(low, 0.0), max(high, 0.0)
        self.unit = max(-low, high, 1e-8) / _FINE
        self.first, last = (float(np.arcsinh(x / self.unit)) for x in (low, high))
        self.width = max(last - self.first, 1e-6) / _BINS

    def of(self, value: Tensor) -> Tensor:
        places = (value.flatten() / self.unit).asinh_().sub_(self.first).div_(self.width)
        return places.clamp_(0, _BINS - 1).to(torch.int64)

    def points(self) -> NDArray[np.float64]:
        places = (np.arange(_BINS * _POINTS) + 0.5) / _POINTS
        made: NDArray[np.float64] = np.sinh(self.first + places * self.width).reshape(_BINS, _POINTS) * self.unit
        return made


def measure_slopes(graph: Graph, images: Tensor, limits: Limits) -> Mapping[str, Slopes]:
    """The slopes of every value that the outputs depend on.

    Args:
        graph: in float, with one input.
        images: some; one at a time is held with all its values.
        limits: the least and the greatest of every value.
    """
    bins = {name: _Bins(*limits[name]) for name in limits}
    sums: dict[str, list[NDArray[np.float64]]] = {name: [] for name in limits}
    squares = {name: np.zeros(_BINS) for name in limits}
    behind = _alone_behind_silu(graph)
    signal = 0.0

    def seen(name: str, value: Tensor) -> Callable[[Tensor], None]:
        def add(slope: Tensor) -> None:
            places, weights = bins[name].of(value), slope.flatten().double()
            sums[name].append(torch.bincount(places, weights, _BINS).numpy())
            weights = weights.square_().mul_(value.flatten() != 0)  # zero is held exactly
            squares[name] += torch.bincount(places, weights, _BINS).numpy()

        return add

    executor = Executor(graph)
    generator = torch.Generator().manual_seed(0)
    for image in images.split(1):
        signal += _one_image(executor, image, behind, seen, generator)
    return {
        name: Slopes(bins[name].points(), np.stack(rows), squares[name], name in behind.values(), signal)
        for name, rows in sums.items()
        if rows
    }


def _alone_behind_silu(graph: Graph) -> dict[str, str]:
    """The silu nodes that alone read a value -> that value."""
    uses = graph.uses()
    return {
        node.name: node.inputs[0]
        for node in graph.nodes
        if node.op == Unary("silu") and len(uses[node.inputs[0]]) == 1 and node.inputs[0] not in graph.outputs
    }


def _one_image(
    executor: Executor,
    image: Tensor,
    behind: Mapping[str, str],
    seen: Callable[[str, Tensor], Callable[[Tensor], None]],
    generator: torch.Generator,
) -> float:
    """Runs and goes back through the network once; returns the power of its outputs."""
    graph = executor.graph
    (name,) = graph.inputs
    values: dict[str, Tensor] = {name: image.clone().requires_grad_()}
    hidden = set(behind.values())
    values[name].register_hook(seen(name, values[name].detach()))
    for node in graph.nodes:
        value = executor.step(node, values)
        if value.requires_grad:
            if node.name not in hidden:
                value.register_hook(seen(node.name, value.detach()))
            if node.name in behind:
                source = behind[node.name]
                value.register_hook(seen(source, values[source].detach()))
        values[node.name] = value
        for read in node.inputs:
            if executor.last[read] == node.name and read not in graph.outputs:
                values.pop(read, None)
    outputs: Sequence[Tensor] = [values[output] for output in graph.outputs]
    signs = [torch.randint(0, 2, y.shape, generator=generator).to(y.dtype) * 2 - 1 for y in outputs]
    torch.autograd.backward(outputs, signs)
    return sum(float(y.detach().square().sum()) for y in outputs)
