"""ONNX: the graph by onnx's own helpers. The batch is open and called "batch"; everything else is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeeff.protocols import Converter

if TYPE_CHECKING:
    from edgeeff.graph import Graph
    from edgeeff.protocols import Array
    from edgeeff.values import FileSummary, Operator


class OnnxConverter:
    """Writes and reads .onnx files."""

    name = "onnx"
    precisions = ("fp32", "fp16", "int8-weights", "dynamic", "int8")
    runtime = "onnxruntime"
    machine_specific = True

    def write(self, graph: Graph, path: Path, *, precision: str, metadata: Mapping[str, str]) -> None:
        from ._onnx_dynamic import DynamicLowering
        from ._onnx_lowering import Lowering
        from ._onnx_ops import lower
        from ._onnx_quantized import QuantizedLowering, unfold

        if graph.quantization is not None and graph.quantization.integer:
            graph = unfold(graph)
            assert graph.quantization is not None
            lowering: Lowering = QuantizedLowering(graph, graph.quantization)
        elif graph.quantization is not None and precision == "dynamic":
            lowering = DynamicLowering(graph, graph.quantization)
        else:
            lowering = Lowering(graph, half=precision == "fp16")
        for node in graph.nodes:
            lowering.begin(node)
            lower(lowering, node)
            lowering.end(node)
        path.write_bytes(lowering.model(metadata).SerializeToString(deterministic=True))

    def layout(self, nchw: Array) -> Array:
        return np.ascontiguousarray(nchw)

    def inspect(self, path: Path) -> FileSummary:
        from ._onnx_inspect import inspect

        return inspect(path)

    def operators(self, path: Path) -> Sequence[Operator]:
        from ._onnx_inspect import operators

        return operators(path)


ADAPTER: Converter = OnnxConverter()
