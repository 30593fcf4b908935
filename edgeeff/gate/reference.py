"""The pinned reference model: what histories of latency are normalised by where no baseline artifact is kept.

A small network of dense convolutions whose weights come from integer arithmetic alone, written by edgeeff's own
converters: the same bytes wherever it is made, and its hash is in every record. Histories by two references never meet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff import registry

if TYPE_CHECKING:
    from edgeeff.graph import Graph

VERSION = 1

_LAYERS = ((24, 3, 2), (48, 1, 1), (48, 3, 2), (96, 1, 1), (96, 3, 2), (192, 1, 1), (192, 3, 2), (320, 1, 1))
"""Channels, kernel, stride: 56 million multiply-adds at 96 x 96 pixels."""

_PIXELS = 96


def write_reference(folder: Path, format_name: str) -> Path:
    """Writes the reference model in a format and returns its path."""
    path = folder / f"reference-{VERSION}.{format_name}"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        registry.converter(format_name).write(_graph(), path, precision="fp32", metadata={})
    return path


def _graph() -> Graph:
    import numpy as np

    from edgeeff.graph import Graph, Node
    from edgeeff.ops import Conv2d, Mean

    nodes, source, width = [], "image", 3
    for layer, (channels, kernel, stride) in enumerate(_LAYERS):
        count = channels * width * kernel * kernel
        # Knuth's multiplicative hash: numbers that look random and depend on no library's generator.
        hashed = np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(layer * 40503)
        unit = (hashed % np.uint64(1 << 32)).astype(np.float64) / (1 << 32) - 0.5
        weights = (unit * np.sqrt(12.0 / (width * kernel * kernel))).astype(np.float32)
        shape = (channels, width, kernel, kernel)
        pad = (kernel // 2,) * 4
        conv = Conv2d(weights.reshape(shape), np.zeros(channels, np.float32), (stride, stride), pad, activation="relu6")
        nodes.append(Node(f"conv{layer}", conv, (source,)))
        source, width = f"conv{layer}", channels
    nodes.append(Node("mean", Mean((2, 3), False), (source,)))
    return Graph("reference", {"image": (1, 3, _PIXELS, _PIXELS)}, tuple(nodes), ("mean",))
