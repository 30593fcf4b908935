"""From a float graph to one that is stored, and in part computed, in int8: what is tried, and what is kept.

Each technique is accepted only where it brings the outputs on held-out images closer to the float network's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from edgeeff import parity
from edgeeff.errors import ConversionError
from edgeeff.graph import Graph
from edgeeff.ops import Conv2d, Dense, is_depthwise
from edgeeff.quantization import Quantization, ValueScale, weight_scales

from ._bias_correction import correct_biases
from ._execute import Executor
from ._integer_plan import integer_nodes, plan
from ._mixed_precision import Step, leave_in_float
from ._ranges import METHODS, Histogram, observe
from ._sensitivity import noise_shares

_SMALL_ELEMENTS = 2048
"""Weights below this stay in float beside a float input: in B0 they make 30 KB more, and 5 dB, for the depthwise
weights of the first blocks, where rounding does the most damage, are among them."""

_BATCH = 8

_JUDGED = 12
"""Calibration images on which choices are measured; the held-out ones judge only what came of them."""

_PROBED = 4

_MARGIN_DB = 0.3
"""By which the images that choices are made on must exceed the limit before the held-out ones are asked."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """A quantised graph and what was found on the way.

    `held_out` are the float network's outputs for the held-out images; empty without such images.
    """

    graph: Graph
    held_out: tuple[NDArray[np.float32], ...]
    notes: tuple[str, ...]


def quantize_weights(
    graph: Graph,
    images: NDArray[np.float32] | None = None,
    held_out: NDArray[np.float32] | None = None,
    pairs_saturate: bool = False,
) -> Quantized:
    """Every weight of 2048 elements or more in int8, all arithmetic in float.

    Args:
        images: (count, channels, height, width), for bias correction; there is none without them.
        held_out: the same, to judge the correction by.
        pairs_saturate: in kernels that multiply these weights by integers, see `machines`.
    """
    plain = replace(graph, quantization=Quantization(_weight_scales(graph, pairs_saturate)))
    if images is None or held_out is None:
        return Quantized(plain, (), ("int8 weights, no bias correction: it needs --calibration",))
    expected = outputs(graph, held_out)
    kept, note = _better(expected, held_out, plain, correct_biases(plain, [torch.from_numpy(images)]))
    return Quantized(kept, tuple(expected), (note,))


class IntegerQuantizer:
    """Brings a float graph to int8: weights, values and arithmetic.

    Args:
        graph: in float, of one image.
        images: (count, channels, height, width), to calibrate on.
        pairs_saturate: in the kernels of integer nodes, see `machines`.
        image: the int8 form of the input, where it is known without looking at images.
    """

    def __init__(
        self, graph: Graph, images: NDArray[np.float32], pairs_saturate: bool = False, image: ValueScale | None = None
    ) -> None:
        self.graph = graph
        self.images = images
        self.pairs_saturate = pairs_saturate
        self.judged = images[:_JUDGED]
        self.expected = outputs(graph, self.judged)
        self.histograms: Mapping[str, Histogram] = observe(graph, images)
        self.ranges = {
            method: {name: choose(histogram) for name, histogram in self.histograms.items()}
            for method, choose in METHODS.items()
        }
        if image is not None:
            for ranges in self.ranges.values():
                ranges.update(dict.fromkeys(graph.inputs, image))
        self.method = "min-max"
        self.corrected = correct_biases(self.with_plan(graph), [torch.from_numpy(images)])
        self.base = self._best_base()

    def with_plan(self, graph: Graph, in_float: frozenset[str] = frozenset()) -> Graph:
        """The graph with the plan for the present method, but for the nodes that stay in float."""
        made = plan(
            self.graph,
            self.ranges[self.method],
            in_float=in_float,
            small_elements=_SMALL_ELEMENTS,
            pairs_saturate=self.pairs_saturate,
        )
        return replace(graph, quantization=made)

    def judge(self, graph: Graph) -> float:
        """SQNR in dB on some of the calibration images."""
        return parity.sqnr_db(self.expected, outputs(graph, self.judged))

    def _best_base(self) -> Graph:
        """The biases, corrected or not, that go best with the best method, which becomes the present one."""
        tried = {}
        for self.method in METHODS:
            for name, graph in (("corrected", self.corrected), ("plain", self.graph)):
                tried[self.method, name] = self.judge(self.with_plan(graph))
        self.method, name = max(tried, key=lambda key: tried[key])
        return self.corrected if name == "corrected" else self.graph

    def quantized(self, in_float: frozenset[str] = frozenset()) -> Graph:
        """The graph in int8, but for the given nodes; its biases corrected for them where that helps."""
        graph = self.with_plan(self.base, in_float)
        if not in_float:
            return graph
        again = correct_biases(self.with_plan(self.graph, in_float), [torch.from_numpy(self.images)])
        return max((graph, again), key=self.judge)

    def steps(self) -> Iterator[Step]:
        """What to leave in float, one choice after the other."""
        made = self.with_plan(self.base).quantization
        assert made is not None
        probed = torch.from_numpy(self.images[:_PROBED])
        noise = noise_shares(replace(self.graph, quantization=None), made, probed)
        return leave_in_float(
            self.graph,
            integer_nodes(self.graph),
            noise,
            lambda in_float: self.judge(self.with_plan(self.base, in_float)),
        )


def quantize_integers(
    graph: Graph,
    images: NDArray[np.float32],
    held_out: NDArray[np.float32],
    min_sqnr_db: float | None = None,
    pairs_saturate: bool = False,
    image: ValueScale | None = None,
) -> Quantized:
    """All that can be in int8; with a limit, what has to stay in float to reach it on held-out images does.

    Raises:
        ConversionError: no choice reaches the limit.
    """
    quantizer = IntegerQuantizer(graph, images, pairs_saturate, image)
    expected = outputs(graph, held_out)

    def held_out_db(made: Graph) -> float:
        return parity.sqnr_db(expected, outputs(made, held_out))

    made = quantizer.quantized()
    reached = held_out_db(made)
    ranges = f"ranges by {quantizer.method}, {'' if quantizer.base is quantizer.corrected else 'no '}bias correction"
    notes = [f"all in int8 ({ranges}): {reached:.1f} dB on {len(held_out)} held-out images"]
    if min_sqnr_db is None or reached >= min_sqnr_db:
        return Quantized(made, tuple(expected), tuple(notes))
    every = integer_nodes(graph)
    for step in quantizer.steps():
        if step.nodes == every:
            break
        notes.append(_reason(quantizer, step))
        if step.sqnr_db >= min_sqnr_db + _MARGIN_DB:
            made = quantizer.quantized(step.nodes)
            reached = held_out_db(made)
            if reached >= min_sqnr_db:
                return Quantized(made, tuple(expected), tuple(notes))
    raise ConversionError(
        f"{graph.name} int8: {reached:.1f} dB on {len(held_out)} held-out images, the limit is {min_sqnr_db:g} dB, and "
        f"no choice of its {len(every)} ops in float reaches it",
        "--precision int8-weights keeps every op in float, at a quarter of the size",
    )


def _reason(quantizer: IntegerQuantizer, step: Step) -> str:
    histogram = quantizer.histograms[step.value]
    return (
        f"{step.value} in float: range {histogram.low:.3g} .. {histogram.high:.3g}, {step.alone_db:.1f} dB alone; "
        f"{step.sqnr_db:.1f} dB with {len(step.nodes)} nodes in float"
    )


def outputs(graph: Graph, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The outputs of the graph for images, a few at a time."""
    executor = Executor(graph)
    parts = [executor.run([torch.from_numpy(images[i : i + _BATCH])]) for i in range(0, len(images), _BATCH)]
    return [np.concatenate([part[i].numpy() for part in parts]) for i in range(len(graph.outputs))]


def _weight_scales(graph: Graph, pairs_saturate: bool) -> dict[str, NDArray[np.float32]]:
    return {
        node.name: weight_scales(node.op.weight, pairs_saturate=pairs_saturate and not is_depthwise(node.op))
        for node in graph.nodes
        if isinstance(node.op, Conv2d | Dense) and node.op.weight.size >= _SMALL_ELEMENTS
    }


def _better(
    expected: Sequence[NDArray[np.float32]], held_out: NDArray[np.float32], plain: Graph, corrected: Graph
) -> tuple[Graph, str]:
    before, after = (parity.sqnr_db(expected, outputs(graph, held_out)) for graph in (plain, corrected))
    change = f"bias correction {before:.1f} -> {after:.1f} dB on {len(held_out)} held-out images"
    return (corrected, change) if after > before else (plain, f"{change}: not kept")
