"""What an int8 file takes and gives: float, int8 or uint8."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

from edgeeff import registry
from edgeeff.convert import convert
from edgeeff.converters import quantize
from edgeeff.int8.integers import IntegerForm
from edgeeff.int8.machines import MACHINES, this_machine
from edgeeff.int8.quantization import (
    ValueScale,
    from_io,
    image_scale,
    io_scale,
    takes_bytes,
    to_io,
)
from edgeeff.values import Normalisation

onnx = importlib.import_module("onnx")
integers = importlib.import_module("edgeeff.benchmarks._onnx_integers")
ONNX, ONNXRUNTIME = registry.converter("onnx"), registry.runtime("onnxruntime")
TFLITE, LITERT = registry.converter("tflite"), registry.runtime("litert")
SIDE = 32


@pytest.mark.parametrize("io", ["int8", "uint8"])
@pytest.mark.parametrize("machine", ["arm", "x86-vnni"])
def test_integers_in_and_out(network, quantised, images, io, machine, tmp_path):
    targets = [(ONNX, ONNXRUNTIME, "int8"), (TFLITE, LITERT, "int8")]
    form = IntegerForm(MACHINES[machine], io)
    in_float = replace(form, io="float")
    plain = convert(network, targets, tmp_path / "float", quantize=lambda n, p: [quantised], form=in_float)
    expected = {artifact.format: artifact.parity.sqnr_db for artifact in plain}
    for made in convert(network, targets, tmp_path, quantize=lambda n, p: [quantised], form=form):
        assert {spec.dtype for spec in (*made.inputs, *made.outputs)} == {io}
        assert f"{io}-io" in made.path.name
        session = registry.runtime(registry.converter(made.format).runtime).open(made.path)
        for spec, port in zip((*made.inputs, *made.outputs), (*session.inputs, *session.outputs), strict=True):
            assert (port.scale, port.zero_point) == (pytest.approx(spec.scale), spec.zero_point)
        assert made.parity.sqnr_db == pytest.approx(expected[made.format], abs=0.5)
        taken, *_ = session.inputs
        assert taken.dtype == io


def test_numbers_become_integers_of_the_type_that_is_taken():
    scale = ValueScale(0.5, 10)
    real = np.array([-100.0, 0.0, 1.0, 100.0], np.float32)
    assert to_io(real, scale, "int8").tolist() == [-128, 10, 12, 127]
    assert to_io(real, scale, "uint8").tolist() == [0, 138, 140, 255]
    assert io_scale(scale, "uint8").zero_point == 138
    assert from_io(np.array([140], np.uint8), scale, "uint8").tolist() == [1.0]
    assert to_io(real, scale, "float") is real


def test_an_input_of_uint8_takes_the_bytes_of_an_image_whose_channels_are_alike():
    lite = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
    form = image_scale(lite)
    pixels = np.arange(256)
    normalised = (pixels / 255 - lite.mean[0]) / lite.std[0]
    assert (to_io(normalised, form, "uint8") == pixels).all()
    assert takes_bytes(form, lite)
    imagenet = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert not takes_bytes(image_scale(imagenet), imagenet)
    for channel in range(3):
        ends = np.array([0 - imagenet.mean[channel], 1 - imagenet.mean[channel]]) / imagenet.std[channel]
        held = from_io(to_io(ends, image_scale(imagenet), "uint8"), image_scale(imagenet), "uint8")
        assert np.abs(held - ends).max() <= image_scale(imagenet).scale


def test_the_file_says_that_it_takes_bytes(network, images, tmp_path):
    lite = replace(network, normalisation=Normalisation((127 / 255,) * 3, (128 / 255,) * 3))
    form = IntegerForm(this_machine(), "uint8")
    target = (ONNX, ONNXRUNTIME, "int8")
    (made,) = convert(lite, [target], tmp_path, quantize=lambda n, p: [quantize(n, p, images)], form=form)
    metadata = {entry.key: entry.value for entry in onnx.load(str(made.path)).metadata_props}
    assert metadata["input"] == "RGB image in [0, 255], its bytes as they are"
    assert (made.inputs[0].scale, made.inputs[0].zero_point) == (1 / 128, 127)
