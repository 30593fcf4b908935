"""Rounding weights so that their errors cancel in what the layer computes.

GPTQ (Frantar et al. 2022, arXiv 2210.17323): each weight is rounded in turn, and those still to come move to make up
for its error, as the inputs' covariance says (section 3.3: the largest inputs first, by the Cholesky factor of the
inverse). The mean needs no making up: bias correction takes it off (without that, errors of the mean count as well).
AdaRound (Nagel et al. 2020, arXiv 2004.10568) seeks the same by gradient descent, for minutes where this takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import HIGHEST
from edgeeff.ops import Conv2d, Dense, is_depthwise

from ._layer_inputs import LayerInputs, can_be_seen

_DAMPING = 0.01
"""Of the mean variance, added to each: keeps the covariance of few samples invertible (section 3.3 there)."""

_BLOCK = 64


def round_adaptively(
    graph: Graph,
    scales: Mapping[str, NDArray[np.float32]],
    inputs: Mapping[str, LayerInputs],
    *,
    centred: bool,
    pairs_saturate: bool = False,
) -> Graph:
    """The graph with weights that are multiples of their scales, so that rounding them again changes nothing.

    Args:
        scales: node -> a scale for each output channel.
        inputs: of each such node.
        centred: bias correction follows, so that errors of the mean do not count.
        pairs_saturate: see `machines`: leaves the layers alone whose scales hold pairs within limits.
    """
    return graph.replace(
        _rounded(node, scales[node.name], inputs[node.name], centred)
        if _takes_part(node, scales, pairs_saturate)
        else node
        for node in graph.nodes
    )


def _takes_part(node: Node, scales: Mapping[str, NDArray[np.float32]], pairs_saturate: bool) -> bool:
    if not isinstance(node.op, Conv2d | Dense) or node.name not in scales or not can_be_seen(node.op):
        return False
    return not pairs_saturate or is_depthwise(node.op)


@torch.inference_mode()
def _rounded(node: Node, scales: NDArray[np.float32], inputs: LayerInputs, centred: bool) -> Node:
    assert isinstance(node.op, Conv2d | Dense)
    weight = torch.from_numpy(np.array(node.op.weight))
    groups = len(inputs.covariance)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    mean = inputs.input_means
    moments = inputs.covariance if centred else inputs.covariance + mean[:, :, None] * mean[:, None, :]
    made = _round_rows(rows, torch.from_numpy(scales).reshape(groups, -1), moments)
    if not made.isfinite().all():
        return node
    return replace(node, op=replace(node.op, weight=made.reshape(weight.shape).numpy()))


def _round_rows(rows: Tensor, scales: Tensor, covariance: Tensor) -> Tensor:
    """(groups, rows, n) rounded, n being the inputs that `covariance` (groups, n, n) is of."""
    count, n = rows.shape[1:]
    variances = covariance.diagonal(dim1=1, dim2=2)
    order = variances.argsort(dim=1, descending=True)
    columns = order[:, None, :].expand(-1, count, -1)
    sorted_ = covariance.gather(1, order[:, :, None].expand(-1, -1, n)).gather(2, order[:, None, :].expand(-1, n, -1))
    factor = _factor(sorted_, variances.mean(1))
    left, made = rows.gather(2, columns), torch.empty_like(rows)
    for start in range(0, n, _BLOCK):
        end = min(n, start + _BLOCK)
        errors = torch.empty(len(rows), count, end - start)
        for i in range(start, end):
            made[:, :, i] = (left[:, :, i] / scales).round_().clamp_(-HIGHEST, HIGHEST) * scales
            error = (left[:, :, i] - made[:, :, i]) / factor[:, None, i, i]
            left[:, :, i:end] -= error[:, :, None] * factor[:, None, i, i:end]
            errors[:, :, i - start] = error
        left[:, :, end:] -= errors @ factor[:, start:end, end:]
    return torch.empty_like(made).scatter_(2, columns, made)


def _factor(covariance: Tensor, variance: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse, damped until there is one."""
    n = covariance.shape[-1]
    for damping in (_DAMPING, 10 * _DAMPING, 100 * _DAMPING, 1e4 * _DAMPING):
        damped = covariance + torch.diag_embed((damping * variance + 1e-10)[:, None].expand(-1, n))
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed.any():
            upper: Tensor
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
            if not failed.any():
                return upper
    return torch.eye(n).expand_as(covariance)  # each weight by itself
