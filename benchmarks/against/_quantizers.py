"""Quantises a float file by another project's tool; each call is a process of its own.

    python -m edgeeff.benchmarks.against._quantizers ROUTE FLOAT_FILE IMAGES.npy OUT

IMAGES.npy holds the calibration images as the network wants them, (count, 3, height, width). Each tool is called in
the way that serves it best, as far as we know; whoever knows a better one is asked to say so.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]


def ai_edge_quantizer(source: Path, images: Images, out: Path) -> None:
    """Google's quantizer of .tflite files: static, weights and activations in 8 bits."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    key, signature = next(iter(Interpreter(str(source)).get_signature_list().items()))
    (name,) = signature["inputs"]
    tool = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    nhwc = images.transpose(0, 2, 3, 1)
    measured = tool.calibrate({key: [{name: np.ascontiguousarray(image[None])} for image in nhwc]})
    tool.quantize(measured).export_model(str(out), overwrite=True)


def onnxruntime_static(source: Path, images: Images, out: Path, *, reduce_range: bool) -> None:
    """onnxruntime.quantization.quantize_static: QDQ, unsigned activations, signed weights per channel, min-max."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._left: Iterator[dict[str, Any]] = iter([{name: image[None]} for image in images])

        def get_next(self) -> Any:
            return next(self._left, None)

    with tempfile.TemporaryDirectory() as work:
        prepared = Path(work) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared))
        quantize_static(
            str(prepared),
            str(out),
            Reader(_input_name(prepared)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def onnxruntime_dynamic(source: Path, images: Images, out: Path) -> None:
    """onnxruntime.quantization.quantize_dynamic: weights in int8, ranges of activations found as it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(out), per_channel=True, weight_type=QuantType.QUInt8)


def _input_name(path: Path) -> str:
    import onnx

    return str(onnx.load(str(path), load_external_data=False).graph.input[0].name)


ROUTES: dict[str, Callable[[Path, Images, Path], None]] = {
    "ai-edge-quantizer": ai_edge_quantizer,
    "onnxruntime static": lambda *given: onnxruntime_static(*given, reduce_range=False),
    "onnxruntime static, 7 bits": lambda *given: onnxruntime_static(*given, reduce_range=True),
    "onnxruntime dynamic": onnxruntime_dynamic,
}


def main(arguments: list[str]) -> None:
    route, source, images, out = arguments
    ROUTES[route](Path(source), np.load(images), Path(out))


if __name__ == "__main__":
    main(sys.argv[1:])
