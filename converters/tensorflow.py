"""The second road: the graph through TensorFlow's ops, to a SavedModel and, by Google's own converter, to TFLite.

What it writes is TensorFlow's, its int8 too: post-training quantization with the calibration images as the
representative data set. It is here for who wants exactly that, and as the peer that our own writer is measured against.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import ConversionError, MissingExtraError, UsageError
from edgeeff.protocols import Converter, Road

if TYPE_CHECKING:
    from edgeeff.graph import Graph
    from edgeeff.protocols import Array
    from edgeeff.values import FileSummary, Operator

SIGNATURE = "serving_default"


class TensorFlowRoad:
    """`--via tensorflow`."""

    name = "tensorflow"
    formats = ("tflite", "saved_model")

    def version(self) -> str:
        return str(_tensorflow().__version__)

    def converter(self, images: Array | None) -> Converter:
        return TensorFlowTflite(images)

    def save(self, graph: Graph, folder: Path) -> None:
        from ._tensorflow_graph import concrete

        tf = _tensorflow()
        with _quiet():
            module = tf.Module()
            module.call = concrete(tf, graph, batch=None)
            tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.call})

    def infer(self, folder: Path, inputs: Sequence[Array]) -> list[Array]:
        tf = _tensorflow()
        with _quiet():
            # Whoever drops the loaded object drops its function's weights.
            loaded = tf.saved_model.load(str(folder))
            function = loaded.signatures[SIGNATURE]
            names = [spec.name for spec in function.structured_input_signature[1].values()]
            found = function(**{name: tf.constant(value) for name, value in zip(names, inputs, strict=True)})
            return [found[name].numpy() for name in sorted(found, key=lambda name: int(name.rpartition("_")[2]))]


class TensorFlowTflite:
    """TensorFlow's TFLite converter."""

    name = "tflite"
    precisions = ("fp32", "fp16", "int8")
    runtime = "litert"
    machine_specific = False

    def __init__(self, images: Array | None) -> None:
        self._images = images

    def write(self, graph: Graph, path: Path, *, precision: str, metadata: Mapping[str, str]) -> None:
        """As `Converter.write`; the metadata does not enter the file, only its manifest."""
        from ._tensorflow_graph import concrete

        tf = _tensorflow()
        with _quiet():
            try:
                function = concrete(tf, graph)
                converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
                self._set(tf, converter, precision)
                path.write_bytes(converter.convert())
            except (tf.errors.OpError, ValueError, _converter_error()) as error:
                lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
                raise ConversionError(f"{graph.name}: TensorFlow's converter fails: {lines[0][:300]}") from error

    def _set(self, tf: Any, converter: Any, precision: str) -> None:
        if precision == "fp32":
            return
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
            return
        if self._images is None:
            raise UsageError("--via tensorflow --precision int8 needs --calibration DIR, a folder of photos")
        images = self._images
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([self.layout(image[None])] for image in images)

    def layout(self, nchw: Array) -> Array:
        import numpy as np

        return np.ascontiguousarray(nchw.transpose(0, 2, 3, 1) if nchw.ndim == 4 else nchw)

    def inspect(self, path: Path) -> FileSummary:
        from ._tflite_inspect import inspect

        return inspect(path)

    def operators(self, path: Path) -> Sequence[Operator]:
        from ._tflite_operators import operators

        return operators(path)


def _converter_error() -> type[Exception]:
    from tensorflow.lite.python.convert import ConverterError

    found: type[Exception] = ConverterError
    return found


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet():
            import tensorflow
    except ModuleNotFoundError as error:
        raise MissingExtraError("tensorflow", "tensorflow", "--via tensorflow") from error
    return tensorflow


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what TensorFlow's C++ writes to standard error off the terminal; our own errors are exceptions."""
    with tempfile.TemporaryFile() as sink:
        kept = os.dup(2)
        try:
            os.dup2(sink.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


ROAD: Road = TensorFlowRoad()
