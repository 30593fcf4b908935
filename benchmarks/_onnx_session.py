"""An ONNX file that stays loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.values import Port
from edgeeff.wording import first_line

if TYPE_CHECKING:
    from edgeeff.protocols import Array

_TYPES = {"float": "float32", "double": "float64"}


class OnnxSession:
    """A session of onnxruntime on the CPU."""

    def __init__(self, path: Path, runtime: Any, threads: int | None) -> None:
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors only: what it warns of, it also handles
        options.intra_op_num_threads = threads or 0
        self._path = path
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise UsageError(f"{path}: onnxruntime cannot run it: {first_line(error)}") from error
        ports = [_port(argument) for argument in (*self._session.get_inputs(), *self._session.get_outputs())]
        if any(port.dtype in ("int8", "uint8") for port in ports):
            scales = dict(_scales(path))
            ports = [replace(port, **scales.get(port.name, {})) for port in ports]
        count = len(self._session.get_inputs())
        self.inputs, self.outputs = tuple(ports[:count]), tuple(ports[count:])

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        named = dict(zip((port.name for port in self.inputs), inputs, strict=True))
        try:
            outputs: list[Array] = self._session.run(None, named)
        except Exception as error:  # as above
            raise UsageError(f"{self._path}: onnxruntime cannot run it: {first_line(error)}") from error
        return outputs


def _port(argument: Any) -> Port:
    element = argument.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(n if isinstance(n, int) else None for n in argument.shape)
    return Port(argument.name, _TYPES.get(element, element), shape)


def _scales(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scale and zero point of integer inputs and outputs: of the (De)QuantizeLinear at the graph's border.

    onnxruntime does not tell them.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnx", "onnx", "reading the scales of integer inputs") from error
    graph = onnx.load(str(path), load_external_data=False).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[1] not in constants:
            continue
        values = [onnx.numpy_helper.to_array(constants[name]) for name in node.input[1:] if name in constants]
        if values[0].size == 1:
            border = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
            zero_point = int(values[1].item()) if len(values) > 1 else 0
            yield border, {"scale": float(values[0].item()), "zero_point": zero_point}
