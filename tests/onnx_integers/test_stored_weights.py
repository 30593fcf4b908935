"""Weights in int8 whose arithmetic is not, or not before the file runs."""

from __future__ import annotations

import importlib

import numpy as np
import torch
from torch import nn

from edgeeff import registry
from edgeeff.convert import convert
from edgeeff.converters import quantize

onnx = importlib.import_module("onnx")
integers = importlib.import_module("edgeeff.benchmarks._onnx_integers")
ONNX, ONNXRUNTIME = registry.converter("onnx"), registry.runtime("onnxruntime")
TFLITE, LITERT = registry.converter("tflite"), registry.runtime("litert")
SIDE = 32


def test_dynamic_files_multiply_integers_but_for_depthwise_convolutions(network_of, images, tmp_path):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 48, 3, 2, 1), nn.SiLU(), nn.Conv2d(48, 64, 1), nn.Conv2d(64, 64, 7, groups=64), nn.ReLU()]
    network = network_of(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 48)))
    targets = [(ONNX, ONNXRUNTIME, "dynamic"), (TFLITE, LITERT, "dynamic")]
    in_onnx, in_tflite = convert(network, targets, tmp_path, quantize=lambda n, p: [quantize(n, p, images)])
    assert min(made.parity.sqnr_db for made in (in_onnx, in_tflite)) > 25
    assert "no fast kernels" in in_onnx.notes[0]
    assert "VNNI" in in_tflite.notes[0]
    found = ONNX.inspect(in_onnx.path).op_counts
    # The stem's weights are so few that they stay in float.
    assert (found["ConvInteger"], found["MatMulInteger"], found["Conv"]) == (1, 1, 2)
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(in_tflite.path))
    types = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    weighted = [op for op in interpreter._get_ops_details() if op["op_name"].endswith(("CONV_2D", "CONNECTED"))]
    kinds = [(op["op_name"], types[op["inputs"][0]], types[op["inputs"][1]]) for op in weighted]
    assert kinds == [
        ("CONV_2D", np.float32, np.float32),
        ("CONV_2D", np.float32, np.int8),
        ("DEPTHWISE_CONV_2D", np.float32, np.float32),
        ("FULLY_CONNECTED", np.float32, np.int8),
    ]


def test_stored_integers_are_read_as_such_in_both_formats(network_of, images, tmp_path):
    torch.manual_seed(0)
    network = network_of(nn.Sequential(nn.Conv2d(3, 128, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 40)))
    made = quantize(network, "int8-weights", images).graph
    for converter in (ONNX, TFLITE):
        path = tmp_path / f"weights.{converter.name}"
        converter.write(made, path, precision="int8-weights", metadata={})
        summary = converter.inspect(path)
        assert summary.precision == "dynamic"
        assert summary.parameters == network.graph.stored_elements
