"""A TFLite file that stays loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import UsageError
from edgeeff.values import Port
from edgeeff.wording import first_line

if TYPE_CHECKING:
    from edgeeff.protocols import Array


class LitertSession:
    """An interpreter with its tensors allocated, at the sizes of the inputs that came last."""

    def __init__(self, path: Path, interpreter: Any) -> None:
        self._path = path
        self._interpreter = interpreter
        self._shapes: list[tuple[int, ...]] | None = None
        self.inputs = tuple(_port(tensor) for tensor in interpreter.get_input_details())
        self.outputs = tuple(_port(tensor) for tensor in interpreter.get_output_details())

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        try:
            return self.run(inputs)
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"{self._path}: LiteRT cannot run it: {first_line(error)}") from error

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """As the call, with LiteRT's own errors.

        Several images go one by one through a file for one: a RESHAPE in it names its batch, and XNNPACK keeps to it.
        """
        count = min(map(len, inputs))
        if count < 2 or not all(port.shape[:1] == (1,) for port in self.inputs):
            return self._run(inputs)
        import numpy as np

        runs = [self._run([value[i : i + 1] for value in inputs]) for i in range(count)]
        return [np.concatenate(parts) for parts in zip(*runs, strict=True)]

    def _run(self, inputs: Sequence[Array]) -> list[Array]:
        interpreter = self._interpreter
        tensors = interpreter.get_input_details()
        shapes = [value.shape for value in inputs]
        if shapes != self._shapes:
            self._shapes = None  # a resize that fails leaves neither the old sizes nor the new ones
            for tensor, shape in zip(tensors, shapes, strict=True):
                if tuple(tensor["shape"]) != shape:
                    interpreter.resize_tensor_input(tensor["index"], shape)
            interpreter.allocate_tensors()
            self._shapes = shapes
        for tensor, value in zip(tensors, inputs, strict=True):
            interpreter.set_tensor(tensor["index"], value)
        interpreter.invoke()
        return [interpreter.get_tensor(tensor["index"]) for tensor in interpreter.get_output_details()]


def _port(tensor: Any) -> Port:
    signature = tensor.get("shape_signature", tensor["shape"])
    shape = tuple(int(n) if n >= 0 else None for n in signature) if len(signature) else tuple(tensor["shape"].tolist())
    scale, zero_point = tensor["quantization"]
    return Port(tensor["name"], tensor["dtype"].__name__, shape, float(scale) or None, int(zero_point))
