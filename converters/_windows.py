"""Padding as TensorFlow and TFLite know it: SAME, VALID, or zeros that are added before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeeff.graph import Node
from edgeeff.ops import Concat, Pad, Padding, Pool, Reshape, Shape, Slice, Transpose, Unary, Weight


@dataclass(frozen=True, slots=True)
class Window:
    """Whether the scheme is SAME (else VALID), and the rows and columns that must be added before it."""

    same: bool
    padding: Padding = (0, 0, 0, 0)


def fit_window(x: Shape, y: Shape, extent: tuple[int, int], stride: tuple[int, int], padding: Padding) -> Window:
    """Expresses explicit padding as SAME or VALID, or else as VALID behind a PAD.

    Args:
        x: shape of the input, NCHW.
        y: shape of the output, NCHW.
        extent: rows and columns that a window spans, its dilation included.
        padding: of the op. What matters is where the first window starts and how many there are: rows and columns
            that no window reaches do not count, and ceil mode reaches further than the padding says.
    """
    before = padding[:2]
    total = [max((y[2 + i] - 1) * stride[i] + extent[i] - x[2 + i], 0) for i in (0, 1)]
    if all(y[2 + i] == math.ceil(x[2 + i] / stride[i]) and before[i] == total[i] // 2 for i in (0, 1)):
        return Window(same=True)
    after = [max(total[i] - before[i], 0) for i in (0, 1)]
    return Window(same=False, padding=(before[0], before[1], after[0], after[1]))


def window_excess(x: Shape, y: Shape, op: Pool) -> Weight:
    """The size of a window over the pixels of the image in it, of shape (1, 1, rows, columns)."""
    excess = []
    for i in (0, 1):
        start = np.arange(y[2 + i]) * op.stride[i] - op.padding[i]
        excess.append(op.kernel[i] / (np.minimum(start + op.kernel[i], x[2 + i]) - np.maximum(start, 0)))
    return np.multiply.outer(*excess)[None, None].astype(np.float32)


def never_negative(name: str, makers: Mapping[str, Node]) -> bool:
    """Whether no element of a value is below 0, so that zeros around it are nothing to a maximum.

    Args:
        makers: value -> the node that makes it.
    """
    node = makers.get(name)
    if node is None:
        return False
    if isinstance(node.op, Unary):
        return node.op.kind in ("relu", "relu6", "sigmoid", "hard_sigmoid")
    if isinstance(node.op, Concat | Pad | Pool | Reshape | Slice | Transpose):
        return all(never_negative(source, makers) for source in node.inputs)
    return getattr(node.op, "activation", "none") != "none"
