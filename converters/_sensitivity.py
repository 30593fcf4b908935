"""How much of the outputs' noise each value makes when it is rounded to int8, all at once and to first order.

The noise that an error d of a value makes in the outputs y is |J d|^2, with J = dy / dvalue. For a random vector r of
signs, (r . J d)^2 is that on average (Hutchinson 1990), and r J is one backward pass for all values together.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from edgeeff.graph import Graph
from edgeeff.quantization import Quantization

from ._execute import Executor, as_int8

_PROBES = 4


def noise_shares(graph: Graph, quantization: Quantization, images: Tensor) -> Mapping[str, float]:
    """For each value with an int8 form, the power of the noise that it alone makes over that of the outputs.

    Args:
        graph: in float, with one input.
        images: a few; all their values are held at once.
    """
    (name,) = graph.inputs
    executor = Executor(graph)
    values: dict[str, Tensor] = {name: images.clone().requires_grad_()}
    for node in graph.nodes:
        values[node.name] = executor.step(node, values)
    outputs = [values[output] for output in graph.outputs]
    signal = sum(float((output.detach() ** 2).sum()) for output in outputs)
    rounded = {key: value for key, value in values.items() if key in quantization.values and value.requires_grad}
    noise = dict.fromkeys(rounded, 0.0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(_PROBES):
        signs = [torch.randint(0, 2, y.shape, generator=generator).to(y.dtype) * 2 - 1 for y in outputs]
        slopes = torch.autograd.grad(outputs, list(rounded.values()), signs, retain_graph=True, allow_unused=True)
        for (key, value), slope in zip(rounded.items(), slopes, strict=True):
            if slope is not None:
                plain = value.detach()
                error = slope * (as_int8(plain, quantization.values[key]) - plain)
                noise[key] += float((error.flatten(1).sum(1) ** 2).sum())
    return {key: power / (_PROBES * signal) for key, power in noise.items()}
