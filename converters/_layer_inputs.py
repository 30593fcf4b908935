"""What the layers with weights read and make on images: the moments of their inputs, and the means of their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from edgeeff.graph import Graph, Node
from edgeeff.ops import Conv2d, Dense, is_depthwise

from ._execute import Executor

_BATCH = 4
_SAMPLES = 4096
"""Pixels of a batch whose windows are looked at; the means are of all."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerInputs:
    """Of one layer.

    Args:
        covariance: (groups, n, n) of the n inputs of an output pixel; a depthwise layer has a group for each channel.
        input_means: (groups, n).
        means: of each output channel, before the activation.
    """

    covariance: Tensor
    input_means: Tensor
    means: Tensor


def channel_means(y: Tensor, op: Conv2d | Dense) -> Tensor:
    """The mean of each output channel of a layer."""
    axis = 1 if isinstance(op, Conv2d) else y.ndim - 1
    return y.mean([i for i in range(y.ndim) if i != axis])


def can_be_seen(op: Conv2d | Dense) -> bool:
    """Whether `windows` knows the inputs of such a layer."""
    return isinstance(op, Dense) or (op.dilation == (1, 1) and (op.groups == 1 or is_depthwise(op)))


class _Sums:
    def __init__(self) -> None:
        self.products: Tensor | float = 0.0
        self.inputs: Tensor | float = 0.0
        self.outputs: Tensor | float = 0.0
        self.samples = 0
        self.images = 0


@torch.inference_mode()
def layer_inputs(graph: Graph, images: Tensor, *, covariances: bool = True) -> Mapping[str, LayerInputs]:
    """The moments of every layer of a float graph."""
    executor = Executor(graph)
    (name,) = graph.inputs
    sums: dict[str, _Sums] = {}
    for start in range(0, len(images), _BATCH):
        values = {name: images[start : start + _BATCH]}
        for node in graph.nodes:
            if isinstance(node.op, Conv2d | Dense):
                _add(sums.setdefault(node.name, _Sums()), executor, node, values, covariances)
            values[node.name] = executor.step(node, values)
            for read in node.inputs:
                if executor.last[read] == node.name:
                    values.pop(read, None)
    return {name: _moments(found) for name, found in sums.items()}


def _add(sums: _Sums, executor: Executor, node: Node, values: Mapping[str, Tensor], covariances: bool) -> None:
    assert isinstance(node.op, Conv2d | Dense)
    x = values[node.inputs[0]]
    sums.outputs = sums.outputs + channel_means(executor.linear(node, [x]), node.op) * len(x)
    sums.images += len(x)
    if covariances and can_be_seen(node.op):
        seen = windows(node.op, x)
        sums.products = sums.products + seen @ seen.mT
        sums.inputs = sums.inputs + seen.sum(2)
        sums.samples += seen.shape[2]


def _moments(sums: _Sums) -> LayerInputs:
    outputs = torch.as_tensor(sums.outputs) / sums.images
    if not sums.samples:
        return LayerInputs(torch.zeros(0, 0, 0), torch.zeros(0, 0), outputs)
    mean = torch.as_tensor(sums.inputs) / sums.samples
    covariance = torch.as_tensor(sums.products) / sums.samples - mean[:, :, None] * mean[:, None, :]
    return LayerInputs(covariance, mean, outputs)


def windows(op: Conv2d | Dense, x: Tensor) -> Tensor:
    """What output pixels are computed from: (groups, inputs of a pixel, pixels), some of the pixels."""
    if isinstance(op, Dense):
        return x.reshape(-1, x.shape[-1]).T[None]
    top, left, bottom, right = op.padding
    padded = torch.nn.functional.pad(x, (left, right, top, bottom))
    kh, kw = op.weight.shape[2:]
    found = padded.unfold(2, kh, op.stride[0]).unfold(3, kw, op.stride[1])
    step = max(1, int((found.shape[0] * found.shape[2] * found.shape[3] / _SAMPLES) ** 0.5))
    found = found[:, :, ::step, ::step].permute(1, 4, 5, 0, 2, 3)  # channel, row, column, image, y, x
    channels = found.shape[0]
    return found.reshape(channels if op.groups > 1 else 1, -1, found[0, 0, 0].numel())
