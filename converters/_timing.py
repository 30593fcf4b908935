"""int8 for a file that is only timed: which kernels run depends on types and shapes, and on no weight or range."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import ValueScale, value_scale

from ._execute import Executor
from ._integer_plan import plan


def quantize_roughly(graph: Graph, image: NDArray[Any]) -> Graph:
    """The graph with all that can be in int8, ranges from the least to the greatest value for one image."""
    (name,) = graph.inputs
    batch = torch.from_numpy(np.ascontiguousarray(image, np.float32))
    ranges = {name: _range(batch)}

    def see(node: Node, value: Tensor) -> None:
        ranges[node.name] = _range(value)

    Executor(graph).run([batch], see)
    return replace(graph, quantization=plan(graph, ranges))


def _range(value: Tensor) -> ValueScale:
    low, high = value.aminmax()
    return value_scale(float(low), float(high))
