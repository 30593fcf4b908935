"""TFLite: the graph straight into a flatbuffer, by the schema that ai_edge_litert ships. TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff.errors import MissingExtraError
from edgeeff.protocols import Converter

if TYPE_CHECKING:
    from edgeeff.graph import Graph
    from edgeeff.protocols import Array
    from edgeeff.values import FileSummary, Operator


class TfliteConverter:
    """Writes LiteRT's format. Images are NHWC; outputs of rank 4 are, too."""

    name = "tflite"
    precisions = ("fp32", "fp16", "int8-weights", "dynamic", "int8")
    runtime = "litert"
    machine_specific = False

    def write(self, graph: Graph, path: Path, *, precision: str, metadata: Mapping[str, str]) -> None:
        try:
            from ._passes import fold_flatten
            from ._tflite_lowering import Lowering
            from ._tflite_ops import lower
            from ._tflite_quantized import DynamicLowering, QuantizedLowering
            from ._tflite_storage import STORAGES
        except ModuleNotFoundError as error:
            raise MissingExtraError("ai-edge-litert", "tflite", "writing TFLite files") from error

        graph = fold_flatten(graph)
        if graph.quantization is None:
            lowering = Lowering(graph, STORAGES[precision])
        elif precision == "dynamic":
            lowering = DynamicLowering(graph, graph.quantization)
        else:
            lowering = QuantizedLowering(graph, graph.quantization)
        for node in graph.nodes:
            lowering.begin(node)
            tensor = lower(lowering, node)
            if tensor is not None:
                lowering.tensors[node.name] = tensor
        lowering.file.write(
            path,
            name=graph.name,
            inputs=lowering.taken,
            outputs={name: lowering.output(name) for name in graph.outputs},
            about=metadata,
        )

    def layout(self, nchw: Array) -> Array:
        import numpy as np

        return np.ascontiguousarray(nchw.transpose(0, 2, 3, 1) if nchw.ndim == 4 else nchw)

    def inspect(self, path: Path) -> FileSummary:
        from ._tflite_inspect import inspect

        return inspect(path)

    def operators(self, path: Path) -> Sequence[Operator]:
        from ._tflite_operators import operators

        return operators(path)


ADAPTER: Converter = TfliteConverter()
