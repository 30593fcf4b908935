"""Graph -> ONNX, by onnx's own helpers.

The graph's layout is ONNX's (NCHW), so that each op is one node, two for silu. The batch is open and called
"batch"; everything else is fixed. Weights in fp16 stand behind a Cast that every runtime folds when it loads:
half the size, float arithmetic, and it runs where no fp16 kernels are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeeff import __version__
from edgeeff.errors import ConversionError, MissingExtraError
from edgeeff.graph import Graph, Node
from edgeeff.ops import (
    Activation,
    Affine,
    Binary,
    Concat,
    Constant,
    Conv2d,
    Dense,
    Mean,
    Pad,
    Padding,
    Pool,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Unary,
)
from edgeeff.protocols import Converter
from edgeeff.quantization import channelwise, weight_to_int8
from edgeeff.values import FileSummary, Operator

from ._half import require_half

if TYPE_CHECKING:
    import onnx

    from edgeeff.protocols import Array

OPSET = 20
IR_VERSION = 10
"""The pair that onnxruntime reads from 1.18 on (2024-05), and that has every op needed here."""

BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}
UNARY = {"sigmoid": "Sigmoid", "relu": "Relu", "hard_swish": "HardSwish", "tanh": "Tanh"}


class OnnxConverter:
    """Writes and reads .onnx files."""

    name = "onnx"
    precisions = ("fp32", "fp16", "int8-weights")
    runtime = "onnxruntime"

    def write(self, graph: Graph, path: Path, *, precision: str, metadata: Mapping[str, str]) -> None:
        writer = _Writer(graph, half=precision == "fp16")
        path.write_bytes(writer.model(metadata).SerializeToString(deterministic=True))

    def layout(self, nchw: Array) -> Array:
        return np.ascontiguousarray(nchw)

    def inspect(self, path: Path) -> FileSummary:
        from ._onnx_inspect import inspect

        return inspect(path)

    def operators(self, path: Path) -> Sequence[Operator]:
        from ._onnx_inspect import operators

        return operators(path)


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "writing ONNX") from error
    return onnx


class _Writer:
    """Collects the nodes and initializers of one file."""

    def __init__(self, graph: Graph, *, half: bool) -> None:
        self.onnx = _onnx()
        self.graph = graph
        self.half = half
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The whole file, checked."""
        for node in self.graph.nodes:
            self.node(node)
        model = self.skeleton(metadata)
        self.check(model)
        for name, values in self.constants.items():
            tensor = model.graph.initializer.add(
                name=name, dims=values.shape, data_type=self.onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
            )
            tensor.raw_data = values.tobytes()
        return model

    def check(self, model: onnx.ModelProto) -> None:
        """onnx's checker with full shape inference, on a copy without the weights.

        The checker copies what it is given several times over: with B7's weights that is 1.2 GB and 3 s. Large
        constants stand there as inputs of the same type; small ones (shapes, limits) decide shapes, and stay.
        """
        helper = self.onnx.helper
        light = self.onnx.ModelProto()
        light.CopyFrom(model)
        for name, values in self.constants.items():
            if values.nbytes <= 1024:
                light.graph.initializer.append(self.onnx.numpy_helper.from_array(values, name))
            else:
                kind = helper.np_dtype_to_tensor_dtype(values.dtype)
                light.graph.input.append(helper.make_tensor_value_info(name, kind, values.shape))
        try:
            self.onnx.checker.check_model(light, full_check=True)
        except (self.onnx.checker.ValidationError, self.onnx.shape_inference.InferenceError) as error:
            reason = " ".join(str(error).split())
            raise ConversionError(f"{self.graph.name}: onnx's checker refuses the graph: {reason[:300]}") from error

    def skeleton(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The file without its constants."""
        helper = self.onnx.helper
        hidden = [node.name for node in self.graph.nodes if node.inputs and node.name not in self.graph.outputs]
        proto = helper.make_graph(
            self.nodes,
            self.graph.name,
            [self.value(name) for name in self.graph.inputs],
            [self.value(name) for name in self.graph.outputs],
            # Stated shapes spare every reader a shape inference of its own.
            value_info=[self.value(name) for name in hidden],
        )
        model: onnx.ModelProto = helper.make_model(
            proto,
            producer_name="edgeeff",
            producer_version=__version__,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, dict(sorted(metadata.items())))
        return model

    def value(self, name: str) -> onnx.ValueInfoProto:
        first, *rest = self.graph.shapes[name]
        shape = ["batch" if first == 1 else None, *rest]
        info: onnx.ValueInfoProto = self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT, shape)
        return info

    def add(self, op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """One ONNX node; its name is that of its value."""
        self.nodes.append(self.onnx.helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str, values: Array) -> str:
        """A float constant, stored at the file's precision."""
        if not self.half:
            return self.constant(name, values)
        require_half(name, values)
        stored = self.constant(f"{name}.fp16", values.astype(np.float16))
        return self.add("Cast", [stored], name, to=self.onnx.TensorProto.FLOAT)

    def constant(self, name: str, values: Array) -> str:
        """A constant, stored as it is, once."""
        self.constants.setdefault(name, values)
        return name

    def integers(self, *values: int) -> str:
        return self.constant("integers." + "_".join(map(str, values)), np.asarray(values, np.int64))

    def weights(self, node: Node, *, axis: int = 0, **arrays: Array | None) -> list[str]:
        """The constants of a node; the one called "weight" in int8 where the graph has scales for it.

        Args:
            axis: of the weight, that which counts the output channels.
        """
        scales = self.graph.quantization.weights.get(node.name) if self.graph.quantization else None
        names = []
        for key, array in arrays.items():
            name = f"{node.name}.{key}"
            if key == "weight" and scales is not None:
                names.append(self.int8_weight(name, array, scales, axis))
            elif array is not None:
                names.append(self.weight(name, array))
        return names

    def int8_weight(self, name: str, values: Any, scales: Any, axis: int) -> str:
        """A weight in int8, made float by operators that every runtime folds when it loads.

        DequantizeLinear would say the same, but onnxruntime takes it for a part of integer arithmetic and does not
        fold it: it would run for every image.
        """
        stored = self.constant(f"{name}.int8", weight_to_int8(values, scales, axis))
        integers = self.add("Cast", [stored], f"{name}.integers", to=self.onnx.TensorProto.FLOAT)
        spread = self.constant(f"{name}.scale", channelwise(scales, values.ndim, axis))
        return self.add("Mul", [integers, spread], name)

    def activated(self, node: Node, activation: Activation, op_type: str, inputs: list[str], **attributes: Any) -> None:
        """An op and the activation that it carries, which is a node of its own in ONNX."""
        if activation == "none":
            self.add(op_type, inputs, node.name, **attributes)
            return
        before = self.add(op_type, inputs, f"{node.name}.linear", **attributes)
        self.activation(activation, before, node.name)

    def activation(self, kind: str, x: str, output: str) -> None:
        if kind == "relu6":
            limits = [self.constant(f"clip.{limit}", np.array(limit, np.float32)) for limit in (0, 6)]
            self.add("Clip", [x, *limits], output)
        elif kind == "silu":
            gate = self.add("Sigmoid", [x], f"{output}.sigmoid")
            self.add("Mul", [x, gate], output)
        elif kind == "hard_sigmoid":
            self.add("HardSigmoid", [x], output, alpha=1 / 6, beta=0.5)
        else:
            self.add(UNARY[kind], [x], output)

    def node(self, node: Node) -> None:
        x = list(node.inputs)
        match node.op:
            case Conv2d() as op:
                self.activated(
                    node,
                    op.activation,
                    "Conv",
                    [*x, *self.weights(node, weight=op.weight, bias=op.bias)],
                    kernel_shape=op.weight.shape[2:],
                    strides=op.stride,
                    pads=op.padding,
                    dilations=op.dilation,
                    group=op.groups,
                )
            case Dense() as op:
                self.dense(node, op)
            case Affine(scale, shift):
                per_channel = (1, -1, *[1] * (len(self.graph.shapes[node.name]) - 2))
                scale, shift = scale.reshape(per_channel), shift.reshape(per_channel)
                names = self.weights(node, scale=scale, shift=shift)
                self.add("Mul", [*x, names[0]], f"{node.name}.scaled")
                self.add("Add", [f"{node.name}.scaled", names[1]], node.name)
            case Constant(value):
                self.weight(node.name, value)
            case Binary(kind, activation):
                self.activated(node, activation, BINARY[kind], x)
            case Unary(kind):
                self.activation(kind, x[0], node.name)
            case Mean() as op:
                self.mean(node, op)
            case Pool() as op:
                pads = self.pool_pads(node, op)
                op_type = "MaxPool" if op.kind == "max" else "AveragePool"
                self.add(op_type, x, node.name, kernel_shape=op.kernel, strides=op.stride, pads=pads)
            case Pad((top, left, bottom, right)):
                self.add("Pad", [*x, self.integers(0, 0, top, left, 0, 0, bottom, right)], node.name)
            case Reshape(to):
                if len(to) == 2 and to[0] == 1 and self.graph.shapes[x[0]][0] == 1:
                    self.add("Flatten", x, node.name, axis=1)
                else:
                    # The open batch is a factor of the first axis also where rows were folded into it.
                    self.add("Reshape", [*x, self.integers(-1, *to[1:])], node.name)
            case Transpose(order):
                self.add("Transpose", x, node.name, perm=order)
            case Slice(axis, begin, end):
                self.add("Slice", [*x, *(self.integers(n) for n in (begin, end, axis))], node.name)
            case Concat(axis):
                self.add("Concat", x, node.name, axis=axis)
            case Softmax():
                self.add("Softmax", x, node.name, axis=-1)

    def pool_pads(self, node: Node, op: Pool) -> Padding:
        """The padding with which as many windows fit as the op has.

        ONNX's ceil_mode keeps a last window that lies in the padding alone, which torch drops; so what ceil mode
        adds is padding here.
        """
        if not op.ceil_mode:
            return op.padding
        x, y = self.graph.shapes[node.inputs[0]], self.graph.shapes[node.name]
        top, left = op.padding[:2]
        bottom, right = (
            max((y[2 + i] - 1) * op.stride[i] + op.kernel[i] - x[2 + i] - op.padding[i], 0) for i in (0, 1)
        )
        return (top, left, bottom, right)

    def dense(self, node: Node, op: Dense) -> None:
        x = node.inputs[0]
        if len(self.graph.shapes[x]) == 2:
            names = self.weights(node, weight=op.weight, bias=op.bias)
            self.activated(node, op.activation, "Gemm", [x, *names], transB=1)
            return
        # Gemm takes matrices only; more axes need MatMul, whose weight stands the other way round.
        names = self.weights(node, axis=1, weight=op.weight.T, bias=op.bias)
        if op.bias is None:
            self.activated(node, op.activation, "MatMul", [x, names[0]])
        else:
            product = self.add("MatMul", [x, names[0]], f"{node.name}.product")
            self.activated(node, op.activation, "Add", [product, names[1]])

    def mean(self, node: Node, op: Mean) -> None:
        x = node.inputs[0]
        if op.axes == (2, 3) and len(self.graph.shapes[x]) == 4:
            # onnxruntime keeps its blocked layout through this op, not through ReduceMean.
            pooled = node.name if op.keepdims else f"{node.name}.pooled"
            self.add("GlobalAveragePool", [x], pooled)
            if not op.keepdims:
                self.add("Flatten", [pooled], node.name, axis=1)
        else:
            self.add("ReduceMean", [x, self.integers(*op.axes)], node.name, keepdims=int(op.keepdims))


ADAPTER: Converter = OnnxConverter()
