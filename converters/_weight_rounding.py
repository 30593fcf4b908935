"""How weights are rounded to int8: one by one or by their effect together, with corrected biases or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from edgeeff.graph import Graph
from edgeeff.int8.quantization import Quantization, weight_scales
from edgeeff.ops import Conv2d, Dense, is_depthwise

from ._adaptive_rounding import round_adaptively
from ._bias_correction import correct_biases
from ._layer_inputs import layer_inputs

PLAIN = "plain rounding"

_IMAGES = 32
_MEMORY_BYTES = 1e9
"""For the values that bias correction holds of all its images at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """One way of rounding: its name, and the graph with its weights and biases."""

    name: str
    graph: Graph


def roundings(
    graph: Graph,
    images: NDArray[np.float32],
    scales: Mapping[str, NDArray[np.float32]],
    *,
    without: frozenset[str] = frozenset(),
    pairs_saturate: bool = False,
) -> tuple[Rounding, ...]:
    """Every way that is not switched off, the plain one first.

    Args:
        graph: in float.
        images: (count, channels, height, width); as many are used as the time and the memory allow.
        scales: node -> a scale for each output channel, for the weights that are stored in int8.
    """
    found = [Rounding(PLAIN, graph)]
    adaptive, correct = ("adaptive-rounding" not in without), ("bias-correction" not in without)
    if not adaptive and not correct:
        return tuple(found)
    most = min(_IMAGES, int(_MEMORY_BYTES / (4 * graph.peak_activation_elements())) or 1)
    seen = torch.from_numpy(spread(images, most))
    exact = layer_inputs(graph, seen, covariances=adaptive)

    def corrected(base: Graph) -> Graph:
        quantized = replace(base, quantization=Quantization(scales))
        return replace(correct_biases(quantized, seen, exact), quantization=None)

    if correct:
        found.append(Rounding("bias correction", corrected(graph)))
    if adaptive:
        made = round_adaptively(graph, scales, exact, centred=correct, pairs_saturate=pairs_saturate)
        name = "adaptive rounding"
        found.append(Rounding(f"{name}, bias correction", corrected(made)) if correct else Rounding(name, made))
    return tuple(found)


def spread(images: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most so many of the images, evenly spread."""
    count = min(len(images), most)
    return np.ascontiguousarray(images[[i * len(images) // count for i in range(count)]])


def stored_scales(graph: Graph, small_elements: int, pairs_saturate: bool) -> dict[str, NDArray[np.float32]]:
    """The scales of every weight of so many elements or more."""
    return {
        node.name: weight_scales(node.op.weight, pairs_saturate=pairs_saturate and not is_depthwise(node.op))
        for node in graph.nodes
        if isinstance(node.op, Conv2d | Dense) and node.op.weight.size >= small_elements
    }
