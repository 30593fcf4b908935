"""Brings an ONNX graph to plain operators and a batch of 1, for counting. Both change the graph in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

STANDARD_DOMAINS = ("", "ai.onnx")

_Table = dict[str, tuple[str, tuple[int, ...]]]
"""For an operator: the plain one of the same shapes and multiply-adds, and its inputs among the operator's."""

INTEGER: _Table = {
    "ConvInteger": ("Conv", (0, 1)),
    "MatMulInteger": ("MatMul", (0, 1)),
    "QLinearConv": ("Conv", (0, 3, 8)),
    "QLinearMatMul": ("MatMul", (0, 3)),
}
"""ONNX's own operators on integers. Shape inference knows them, and that their outputs are of another type."""

FUSED: _Table = {
    "com.microsoft.FusedConv": ("Conv", (0, 1, 2)),
    "com.microsoft.FusedGemm": ("Gemm", (0, 1, 2)),
    "com.microsoft.QGemm": ("Gemm", (0, 3, 6)),
    "com.microsoft.QLinearAdd": ("Add", (0, 3)),
    "com.microsoft.QLinearMul": ("Mul", (0, 3)),
    "com.microsoft.QLinearSigmoid": ("Sigmoid", (0,)),
    "com.microsoft.QLinearLeakyRelu": ("LeakyRelu", (0,)),
    "com.microsoft.QLinearSoftmax": ("Softmax", (0,)),
    "com.microsoft.QLinearConcat": ("Concat", tuple(range(2, 300, 3))),
    "com.microsoft.QLinearAveragePool": ("AveragePool", (0,)),
    "com.microsoft.QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "com.microsoft.Gelu": ("Gelu", (0,)),
    "com.microsoft.QuickGelu": ("Gelu", (0,)),
}
"""What onnxruntime makes of a model that it has optimised or quantised. Shape inference knows none of these."""


def full_name(node: Any) -> str:
    """The operator's name, with its domain where that is not ONNX's own."""
    return str(node.op_type) if node.domain in STANDARD_DOMAINS else f"{node.domain}.{node.op_type}"


def all_graphs(graph: Any) -> Iterator[Any]:
    """The graph and those in the attributes of its nodes, at every depth."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from all_graphs(inner)


def simplify(graph: Any, table: _Table) -> set[str]:
    """Puts the plain operator in the place of each in the table.

    Returns:
        the outputs of the operators that were statically quantised: integers in, integers out.
    """
    quantised = set()
    for inner in all_graphs(graph):
        for node in inner.node:
            name = full_name(node)
            if name not in table:
                continue
            if "QLinear" in name or "QGemm" in name:
                quantised.update(node.output)
            node.op_type, positions = table[name]
            node.domain = ""
            inputs = [node.input[i] for i in positions if i < len(node.input)]
            del node.input[:]
            node.input.extend(inputs)
    return quantised


def fix_batch(graph: Any) -> None:
    """Makes the first dimension of each input 1 where it is open, and others of the same name with it.

    Shapes that stay open are left out: stated, they would stand in the way of those that can be inferred.
    """
    names = set()
    for value in graph.input:
        dimensions = _dimensions(value)
        if dimensions and _is_open(dimensions[0]):
            names.add(dimensions[0].dim_param)
            dimensions[0].dim_value = 1
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in _dimensions(value):
            if dimension.dim_param and dimension.dim_param in names:
                dimension.dim_value = 1
    for value in (*graph.output, *graph.value_info):
        if any(_is_open(dimension) for dimension in _dimensions(value)):
            value.type.tensor_type.ClearField("shape")


def _dimensions(value: Any) -> Any:
    return value.type.tensor_type.shape.dim


def _is_open(dimension: Any) -> bool:
    # Exporters write -1 as well as a name, or nothing.
    return dimension.dim_value == -1 or not dimension.HasField("dim_value")


def sizes(value: Any) -> list[int | None]:
    """The dimensions that are declared of a value; None for an open one."""
    return [None if _is_open(dimension) else dimension.dim_value for dimension in _dimensions(value)]
