"""Builds an ONNX file: operators and constants in, one checked model out. It knows the format, not the networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeeff import __version__
from edgeeff.errors import ConversionError, MissingExtraError

if TYPE_CHECKING:
    import onnx

    from edgeeff.ops import Shape
    from edgeeff.protocols import Array

OPSET = 20
IR_VERSION = 10
"""The pair that onnxruntime reads from 1.18 on (2024-05), and that has every op needed here."""


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "writing ONNX") from error
    return onnx


class OnnxBuilder:
    """Collects the nodes, constants and declared values of one file."""

    def __init__(self, name: str) -> None:
        self.onnx = _onnx()
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}

    def add(self, op_type: str, inputs: list[str], output: str, *more: str, **attributes: Any) -> str:
        """One ONNX node, its name that of its first value, which is returned; `more` are further values."""
        self.nodes.append(self.onnx.helper.make_node(op_type, inputs, [output, *more], name=output, **attributes))
        return output

    def constant(self, name: str, values: Array) -> str:
        """A constant, stored as it is, once."""
        self.constants.setdefault(name, values)
        return name

    def integers(self, *values: int) -> str:
        """A constant of axes, a shape or a padding."""
        return self.constant("integers." + "_".join(map(str, values)), np.asarray(values, np.int64))

    def value(self, name: str, shape: Shape, dtype: type[np.generic] = np.float32) -> onnx.ValueInfoProto:
        """The declaration of a value; its batch is open."""
        first, *rest = shape
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        info: onnx.ValueInfoProto = self.onnx.helper.make_tensor_value_info(
            name, kind, ["batch" if first == 1 else None, *rest]
        )
        return info

    def model(
        self,
        inputs: list[onnx.ValueInfoProto],
        outputs: list[onnx.ValueInfoProto],
        hidden: list[onnx.ValueInfoProto],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The whole file, checked.

        Raises:
            ConversionError: onnx's checker refuses it.
        """
        model = self._skeleton(inputs, outputs, hidden, metadata)
        self._check(model)
        for name, values in self.constants.items():
            tensor = model.graph.initializer.add(
                name=name, dims=values.shape, data_type=self.onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
            )
            tensor.raw_data = values.tobytes()
        return model

    def _check(self, model: onnx.ModelProto) -> None:
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
            raise ConversionError(f"{self.name}: onnx's checker refuses the graph: {reason[:300]}") from error

    def _skeleton(
        self,
        inputs: list[onnx.ValueInfoProto],
        outputs: list[onnx.ValueInfoProto],
        hidden: list[onnx.ValueInfoProto],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The file without its constants."""
        helper = self.onnx.helper
        # Stated shapes spare every reader a shape inference of its own.
        proto = helper.make_graph(self.nodes, self.name, inputs, outputs, value_info=hidden)
        model: onnx.ModelProto = helper.make_model(
            proto,
            producer_name="edgeeff",
            producer_version=__version__,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, dict(sorted(metadata.items())))
        return model
