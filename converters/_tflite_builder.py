"""Builds a TFLite flatbuffer: tensors, constants and operators in, one file out.

It knows the file format and nothing of networks. What the generated schema leaves open is settled here: buffer 0
is empty, every buffer starts on a multiple of 16 bytes, and a large file is packed in memory once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeeff.errors import ConversionError

from ._tflite_versions import minimum_runtime, operator_version

Array = NDArray[Any]

_ALIGNMENT = 16
"""Bytes. The schema demands it of buffers (`force_align: 16`), and kernels read weights with vector loads."""

_SHARED_BYTES = 1024
"""Constants up to this size (axes, shapes, paddings) are stored once when they are equal."""

_TABLE_BYTES = 512
"""More than the flatbuffer needs for one tensor and one operator beside the data, names included (twice over)."""

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
}


@dataclass(frozen=True, slots=True)
class Quantized:
    """The real numbers behind a tensor of integers: (q - zero_point) * scale; several scales count along `axis`."""

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int = 0


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """A buffer that converts `array` to `dtype`, in row-major order, straight into the file's own memory.

    The schema's own Pack aligns to one byte, copies three times, and cuts each element of a float array
    down to a byte without a word.
    """

    def __init__(self, array: Array, dtype: np.dtype[Any]) -> None:
        super().__init__()
        self.array = array
        self.dtype = dtype
        self.size_bytes = array.size * dtype.itemsize

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the schema's name
        builder.StartVector(1, self.size_bytes, _ALIGNMENT)
        builder.head -= self.size_bytes
        stored = np.frombuffer(builder.Bytes, self.dtype.newbyteorder("<"), self.array.size, builder.head)
        stored.reshape(self.array.shape)[...] = self.array
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class FlatbufferBuilder:
    """One subgraph in the making. Tensors are referred to by their index."""

    def __init__(self) -> None:
        self._buffers: list[_Buffer] = []
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[int, int], int] = {}
        self._shared: dict[tuple[Any, ...], int] = {}
        self._names: set[str] = set()

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: type[np.generic] = np.float32,
        quantized: Quantized | None = None,
    ) -> int:
        """Adds a tensor without data: an input or the output of an operator. Equal names get a number."""
        return self._add_tensor(name, shape, np.dtype(dtype), 0, quantized)

    def constant(
        self, name: str, value: Array, dtype: type[np.generic] = np.float32, quantized: Quantized | None = None
    ) -> int:
        """Adds a tensor with data. `value` may be a transposed view: it is laid out and converted on writing."""
        stored = np.dtype(dtype)
        if quantized is not None or value.size * stored.itemsize > _SHARED_BYTES:
            return self._store(name, value, stored, quantized)
        key = (stored.str, value.shape, value.astype(stored).tobytes())
        if key not in self._shared:
            self._shared[key] = self._store(name, value, stored)
        return self._shared[key]

    def shape_of(self, tensor: int) -> tuple[int, ...]:
        return tuple(self._tensors[tensor].shape)

    def quantized(self, tensor: int) -> Quantized | None:
        """The scales of a tensor of integers; None for any other."""
        stored = self._tensors[tensor].quantization
        if stored is None:
            return None
        return Quantized(tuple(stored.scale), stored.zeroPoint[0], stored.quantizedDimension)

    def operator(self, code: int, options: Any, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Adds an operator.

        Args:
            code: of schema.BuiltinOperator.
            options: the operator's options of the schema (Conv2DOptionsT ...), None where it has none.
        """
        tensors = ([self._tensors[index] for index in side] for side in (inputs, outputs))
        version = operator_version(code, options, *tensors)
        added = schema.OperatorT()
        added.opcodeIndex = self._codes.setdefault((code, version), len(self._codes))
        added.inputs, added.outputs = list(inputs), list(outputs)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            added.builtinOptionsType, added.builtinOptions = getattr(schema.BuiltinOptions, kind), options
        self._operators.append(added)

    def write(
        self, path: Path, *, name: str, inputs: Mapping[str, int], outputs: Mapping[str, int], about: Mapping[str, str]
    ) -> None:
        """Writes the file.

        Args:
            name: of the network.
            inputs: name -> tensor, in order; they become the signature "serving_default", as do outputs.
            about: key -> text, stored as sorted JSON in the metadata entry "edgeeff".

        Raises:
            ConversionError: the file would exceed what its 32-bit offsets reach.
        """
        graph = schema.SubGraphT()
        graph.name = "main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        model = schema.ModelT()
        model.version = 3
        model.description = f"{name}, written by edgeeff"
        model.subgraphs = [graph]
        model.operatorCodes = [_operator_code(*key) for key in self._codes]
        model.signatureDefs = [_signature(inputs, outputs)]
        text = json.dumps(dict(about), sort_keys=True, ensure_ascii=False).encode()
        # TensorFlow reserves 16 bytes for this entry and fills up with zeros; readers expect that.
        runtime = minimum_runtime(self._codes).encode().ljust(16, b"\0")
        model.metadata = [self._metadata("min_runtime_version", runtime), self._metadata("edgeeff", text)]
        # Buffer 0 is the one that all tensors without data share, so it must be empty.
        model.buffers = [schema.BufferT(), *self._buffers]
        tables = _TABLE_BYTES * (len(self._buffers) + len(self._tensors))
        size = sum(buffer.size_bytes for buffer in self._buffers) + tables
        if size > flatbuffers.Builder.MAX_BUFFER_SIZE:
            raise ConversionError(f"{name}: its weights make {size / 1e9:.1f} GB; a TFLite file holds 2.1 GB at most")
        path.write_bytes(_pack(model, size))

    def _store(self, name: str, value: Array, dtype: np.dtype[Any], quantized: Quantized | None = None) -> int:
        self._buffers.append(_Buffer(value, dtype))
        return self._add_tensor(name, value.shape, dtype, len(self._buffers), quantized)

    def _add_tensor(
        self, name: str, shape: Sequence[int], dtype: np.dtype[Any], buffer: int, quantized: Quantized | None
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = self._unique(name)
        tensor.shape = [int(n) for n in shape]
        tensor.type, tensor.buffer, tensor.hasRank = _TYPES[dtype], buffer, True
        if quantized is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(quantized.scales)
            tensor.quantization.zeroPoint = [quantized.zero_point] * len(quantized.scales)
            tensor.quantization.quantizedDimension = quantized.axis
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _unique(self, name: str) -> str:
        unique, number = name, 1
        while unique in self._names:
            unique, number = f"{name}_{number}", number + 1
        self._names.add(unique)
        return unique

    def _metadata(self, name: str, content: bytes) -> Any:
        self._buffers.append(_Buffer(np.frombuffer(content, np.uint8), np.dtype(np.uint8)))
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(self._buffers)
        return entry


def _operator_code(code: int, version: int) -> Any:
    entry = schema.OperatorCodeT()
    # Readers from before 2020 know the code as a byte; 127 stands for "look at the new field".
    entry.deprecatedBuiltinCode, entry.builtinCode, entry.version = min(code, 127), code, version
    return entry


def _signature(inputs: Mapping[str, int], outputs: Mapping[str, int]) -> Any:
    def tensor_map(named: Mapping[str, int]) -> list[Any]:
        entries = []
        for name, index in named.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            entries.append(entry)
        return entries

    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs, signature.outputs = tensor_map(inputs), tensor_map(outputs)
    return signature


def _pack(model: Any, size_bytes: int) -> memoryview:
    """The bytes of the model, of about the given size: memory that is asked for once need not double and be copied."""
    builder = flatbuffers.Builder(size_bytes)
    builder.Finish(model.Pack(builder), b"TFL3")
    return memoryview(builder.Bytes)[builder.Head() :]
