"""From a float graph to one that is stored, and in part computed, in int8: what is tried, and what is kept.

Each technique is accepted only where it brings the outputs on held-out images closer to the float network's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from edgeeff import parity
from edgeeff.graph import Graph
from edgeeff.ops import Conv2d, Dense
from edgeeff.quantization import Quantization, weight_scales

from ._bias_correction import correct_biases
from ._execute import Executor

_SMALL_ELEMENTS = 2048
"""Weights below this stay in float beside a float input: in B0 they make 30 KB more, and 5 dB, for the depthwise
weights of the first blocks, where rounding does the most damage, are among them."""

_BATCH = 8


@dataclass(frozen=True, slots=True)
class Quantized:
    """A quantised graph and what was found on the way.

    `held_out` are the float network's outputs for the held-out images; empty without such images.
    """

    graph: Graph
    held_out: tuple[NDArray[np.float32], ...]
    notes: tuple[str, ...]


def quantize_weights(
    graph: Graph, images: NDArray[np.float32] | None = None, held_out: NDArray[np.float32] | None = None
) -> Quantized:
    """Every weight of 2048 elements or more in int8, all arithmetic in float.

    Args:
        images: (count, channels, height, width), for bias correction; there is none without them.
        held_out: the same, to judge the correction by.
    """
    plain = replace(graph, quantization=Quantization(_weight_scales(graph)))
    if images is None or held_out is None:
        return Quantized(plain, (), ("int8 weights, no bias correction: it needs --calibration",))
    expected = outputs(graph, held_out)
    kept, note = _better(expected, held_out, plain, correct_biases(plain, [torch.from_numpy(images)]))
    return Quantized(kept, tuple(expected), (note,))


def outputs(graph: Graph, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The outputs of the graph for images, a few at a time."""
    executor = Executor(graph)
    parts = [executor.run([torch.from_numpy(images[i : i + _BATCH])]) for i in range(0, len(images), _BATCH)]
    return [np.concatenate([part[i].numpy() for part in parts]) for i in range(len(graph.outputs))]


def _weight_scales(graph: Graph) -> dict[str, NDArray[np.float32]]:
    weighted = ((node.name, node.op.weight) for node in graph.nodes if isinstance(node.op, Conv2d | Dense))
    return {name: weight_scales(weight) for name, weight in weighted if weight.size >= _SMALL_ELEMENTS}


def _better(
    expected: Sequence[NDArray[np.float32]], held_out: NDArray[np.float32], plain: Graph, corrected: Graph
) -> tuple[Graph, str]:
    before, after = (parity.sqnr_db(expected, outputs(graph, held_out)) for graph in (plain, corrected))
    change = f"bias correction {before:.1f} -> {after:.1f} dB on {len(held_out)} held-out images"
    return (corrected, change) if after > before else (plain, f"{change}: not kept")
