"""For which kind of machine the integers of a file are made."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeeff import parity, registry
from edgeeff.artifacts import read_manifest
from edgeeff.convert import convert
from edgeeff.converters import quantize
from edgeeff.converters._execute import Executor
from edgeeff.devices.host import HostDevice
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.integers import IntegerForm
from edgeeff.int8.machines import MACHINES, find_machine, machine_of, this_machine
from edgeeff.int8.quantization import (
    pairs,
    weight_scales,
    weight_to_int8,
)
from edgeeff.int8.techniques import SWISH_EQUALISATION
from edgeeff.measuring.cases import Wanted, build_cases
from edgeeff.traced_network import Network

onnx = importlib.import_module("onnx")
integers = importlib.import_module("edgeeff.benchmarks._onnx_integers")
ONNX, ONNXRUNTIME = registry.converter("onnx"), registry.runtime("onnxruntime")
TFLITE, LITERT = registry.converter("tflite"), registry.runtime("litert")
SIDE = 32


def test_without_vnni_no_pair_of_products_passes_16_bits():
    rng = np.random.default_rng(0)
    for shape in ((8, 16, 1, 1), (8, 3, 3, 3), (8, 33)):
        weight = rng.standard_normal(shape).astype(np.float32)
        weight[0] = 1  # equal weights: every pair is at the limit
        stored = weight_to_int8(weight, weight_scales(weight, pairs_saturate=True))
        sums = 255 * pairs(stored).astype(np.int64)
        for side in (np.maximum(sums, 0), np.minimum(sums, 0)):
            assert np.abs(side.sum(axis=2)).max() <= 32767
        free = weight_to_int8(weight, weight_scales(weight))
        assert np.abs(free).max() == 127
        # More than the 7 bits of a range that is reduced for all alike.
        assert np.abs(stored[1:]).max() > 64


def test_pairs_lie_side_by_side_in_the_order_of_row_column_and_input_channel():
    weight = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    assert pairs(weight)[0].tolist() == [[0, 4], [8, 1], [5, 9], [2, 6], [10, 3], [7, 11]]
    assert pairs(np.arange(3).reshape(1, 3))[0].tolist() == [[0, 1], [2, 0]]


def test_depthwise_weights_keep_their_full_range_everywhere(network, images):
    machine = MACHINES["x86-avx2"]
    made = quantize(replace(network, machine=machine), "int8", images).graph.quantization
    free = quantize(network, "int8", images).graph.quantization
    assert (made.weights["depthwise.0"] == free.weights["depthwise.0"]).all()
    assert (made.weights["project"] > free.weights["project"]).any()


def test_machines_are_told_by_architecture_and_flags():
    assert machine_of("aarch64", set()).name == machine_of("arm64", set()).name == "arm"
    assert machine_of("x86_64", {"avx2"}).name == machine_of("AMD64", set()).name == "x86-avx2"
    assert (
        machine_of("x86_64", {"avx512f", "avx512_vnni"}).name == machine_of("x86_64", {"avx_vnni"}).name == "x86-vnni"
    )
    assert find_machine("host") == this_machine()


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_a_file_says_for_which_machine_it_is(network, images, machine, tmp_path):
    targets = [(ONNX, ONNXRUNTIME, "int8"), (TFLITE, LITERT, "int8")]
    calls = []

    def counted(network: Network, precision: str) -> list[Network]:
        calls.append(precision)
        return [quantize(network, precision, images)]

    options = IntegerOptions(without=frozenset({SWISH_EQUALISATION}))  # which is LiteRT's alone
    made, portable = convert(network, targets, tmp_path, quantize=counted, options=options, form=IntegerForm(machine))
    assert made.machine == machine.name
    assert machine.name in made.path.name
    assert read_manifest(made.path) == made
    metadata = {entry.key: entry.value for entry in onnx.load(str(made.path)).metadata_props}
    assert metadata["machine"] == machine.name
    assert any("checked on" in note for note in made.notes) == (machine != this_machine())
    assert portable.machine is None
    cases = build_cases([made.path, portable.path], HostDevice(), Wanted("0a"))
    contexts = [case.measurement.context for case in cases]
    assert (contexts[0]["made_for"], contexts[0]["kernels"]) == (machine.name, this_machine().name)
    assert "made_for" not in contexts[1]
    # Both formats come of one quantisation, unless one of them must leave room for sums of pairs.
    assert len(calls) == (2 if machine.pairs_saturate else 1)


@pytest.mark.parametrize(("made_for", "runs"), [("arm", False), ("x86-vnni", False), ("x86-avx2", True)])
def test_integer_kernels_that_cut_sums_off_judge_only_files_made_for_them(
    made_for, runs, quantised, images, monkeypatch, tmp_path
):
    open_session, ran = integers._session, []

    class Watched:
        def __init__(self, session: object) -> None:
            self.get_inputs, self.get_modelmeta, self.session = session.get_inputs, session.get_modelmeta, session

        def run(self, *arguments: object) -> object:
            ran.append(arguments)
            return self.session.run(*arguments)

    def watched(path: Path, runtime: object, optimised: Path | None) -> object:
        session = open_session(path, runtime, optimised)
        return session if optimised is None else Watched(session)

    monkeypatch.setattr(integers, "_session", watched)
    monkeypatch.setattr(integers, "this_machine", lambda: MACHINES["x86-avx2"])
    path = tmp_path / "block.onnx"
    ONNX.write(quantised.graph, path, precision="int8", metadata={"machine": made_for})
    outputs, defects = ONNXRUNTIME.check(path, [images.held_out])
    (expected,) = Executor(quantised.graph).run([torch.from_numpy(images.held_out)])
    assert not defects
    assert bool(ran) == runs
    assert parity.sqnr_db([expected.numpy()], outputs) > 30
