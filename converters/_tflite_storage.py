"""How a precision stores what a TFLite file holds: its activations, weights, biases and other constants.

This is the whole difference between the precisions. One that computes in integers puts scales and zero points
on the same four calls.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeeff.ops import Weight

from ._half import require_half
from ._tflite_builder import FlatbufferBuilder


class Storage(Protocol):
    """One precision. Each call adds a tensor to the file and returns its index."""

    def value(self, file: FlatbufferBuilder, name: str, shape: tuple[int, ...]) -> int:
        """An activation."""

    def weight(self, file: FlatbufferBuilder, name: str, value: Weight, axis: int) -> int:
        """The weights of a convolution or dense layer; `axis` counts the output channels."""

    def bias(self, file: FlatbufferBuilder, name: str, value: Weight) -> int:
        """Their bias."""

    def constant(self, file: FlatbufferBuilder, name: str, value: Weight) -> int:
        """Any other constant operand."""


class Float32:
    """Everything in float32."""

    def value(self, file: FlatbufferBuilder, name: str, shape: tuple[int, ...]) -> int:
        return file.tensor(name, shape)

    def weight(self, file: FlatbufferBuilder, name: str, value: Weight, axis: int) -> int:
        return file.constant(name, value)

    def bias(self, file: FlatbufferBuilder, name: str, value: Weight) -> int:
        return file.constant(name, value)

    def constant(self, file: FlatbufferBuilder, name: str, value: Weight) -> int:
        return file.constant(name, value)


class Float16(Float32):
    """Weights and biases in float16 behind a DEQUANTIZE each, as TensorFlow's converter stores them.

    XNNPACK takes the float16 constants over when it loads the file; the computation stays in float32.
    """

    def weight(self, file: FlatbufferBuilder, name: str, value: Weight, axis: int) -> int:
        return self._dequantized(file, name, value)

    def bias(self, file: FlatbufferBuilder, name: str, value: Weight) -> int:
        return self._dequantized(file, name, value)

    def _dequantized(self, file: FlatbufferBuilder, name: str, value: Weight) -> int:
        require_half(name, value)
        stored = file.constant(f"{name}/float16", value, np.float16)
        restored = file.tensor(name, value.shape)
        file.operator(schema.BuiltinOperator.DEQUANTIZE, schema.DequantizeOptionsT(), [stored], [restored])
        return restored


STORAGES: dict[str, Storage] = {"fp32": Float32(), "fp16": Float16()}
