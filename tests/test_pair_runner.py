"""Two models in one launch, as a device gets it: called in turn, told apart, and blamed apart."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeeff.benchmarks._python import runner_file
from edgeeff.compare import PairResult
from edgeeff.errors import MeasurementError
from edgeeff.measuring.commands import Output, PairPolicy, PairRequest, PairSide
from edgeeff.measuring.pair_records import PairRecordRunner

QUICK = PairPolicy(warmup_runs=2, warmup_s=0.0, pairs=12, min_pairs=3, max_s=600.0, timeout_s=600.0)


def run(candidate: PairSide, baseline: PairSide, **changes: Any) -> PairResult:
    request = replace(PairRequest(candidate, baseline, "cpu", 1, 0, 7, outputs=True, policy=QUICK), **changes)
    runner = PairRecordRunner((sys.executable, str(runner_file())))
    command = runner.pair_command(request)
    done = subprocess.run(command.argv, input=command.stdin, capture_output=True, text=True, timeout=900)
    failure = MeasurementError(f"ended with exit code {done.returncode}") if done.returncode else None
    return runner.parse_pair(Output(tuple(done.stdout.splitlines()), failure=failure))


def side(path: Path, *python: str) -> PairSide:
    return PairSide(str(path), {".onnx": "onnxruntime", ".tflite": "litert"}[path.suffix], python)


def test_calls_alternate_in_the_order_of_the_seed(small_onnx: Path) -> None:
    result = run(side(small_onnx), side(small_onnx))
    pair = result.pair
    assert pair.error is None and pair.interleaved
    for launch in (pair.candidate, pair.baseline):
        assert len(launch.samples_ns) == len(launch.cpu_ns or ()) == 12
        assert launch.warmup_runs == 2 and (launch.runtime_version or "").startswith("onnxruntime ")
        assert launch.ops == launch.delegated_ops
        assert launch.voluntary_switches is not None
    rng = random.Random(7)
    loaded = ["candidate", "baseline"]
    rng.shuffle(loaded)
    assert pair.candidate_loaded_first == (loaded[0] == "candidate")
    assert list(pair.candidate_first) == [rng.random() < 0.5 for _ in range(12)]
    assert run(side(small_onnx), side(small_onnx), order_seed=8).pair.candidate_first != pair.candidate_first


def test_both_formats_and_processes_get_the_same_picture(small_onnx: Path, small_tflite: Path) -> None:
    """One side in a process of its own, of another runtime: NHWC against NCHW."""
    result = run(side(small_tflite, sys.executable), side(small_onnx), policy=replace(QUICK, pairs=200))
    assert result.pair.error is None
    assert result.candidate is not None and result.baseline is not None
    assert result.candidate.inputs[0].shape == result.baseline.inputs[0].shape == (1, 3, 32, 32)
    np.testing.assert_allclose(result.candidate.outputs[0], result.baseline.outputs[0], atol=1e-5)
    assert np.abs(result.baseline.outputs[0]).max() > 0.01
    assert (result.pair.involuntary_switches or 0) >= 0
    assert len(result.pair.baseline.samples_ns) == 200
    # To wait for one's turn, two hundred times, is no waiting of the model's; a page that is not there may be some.
    assert (result.pair.candidate.voluntary_switches or 0) < 100


def test_slow_models_get_fewer_pairs_but_the_least_number(small_onnx: Path) -> None:
    assert len(run(side(small_onnx), side(small_onnx), policy=replace(QUICK, max_s=0)).pair.candidate_first) == 3


@pytest.mark.parametrize("culprit", ["candidate", "baseline"])
@pytest.mark.parametrize("apart", [(), (sys.executable,)])
def test_a_side_that_cannot_be_loaded_is_named(
    culprit: str, apart: tuple[str, ...], small_onnx: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(small_onnx.read_bytes()[:100])
    sides = {"candidate": side(small_onnx, *apart), "baseline": side(small_onnx, *apart)}
    sides[culprit] = side(broken, *apart)
    pair = run(**sides).pair
    assert (pair.error or "").startswith(f"the {culprit}: ")
    assert pair.candidate.samples_ns == ()


def test_an_interpreter_that_dies_is_one_sides_fault(small_onnx: Path, tmp_path: Path) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dying.chmod(0o755)
    pair = run(side(small_onnx, str(dying)), side(small_onnx)).pair
    assert (pair.error or "").startswith("the candidate: its process ended with exit code -11")
    missing = run(side(small_onnx), side(small_onnx, str(tmp_path / "none"))).pair
    assert "the baseline: cannot start" in (missing.error or "")


STARTED = '{"record": "stage", "side": "candidate", "stage": "run"}'
TURNS = '{"record": "stage", "side": null, "stage": "turns"}'
PAIRS = '{"record": "pairs", "candidate_ns": [%s], "baseline_ns": [5, 5], "candidate_first": [true, false]%s}'


@pytest.mark.parametrize(
    ("lines", "failure", "error"),
    [
        ([STARTED], "killed by SIGSEGV", "killed by SIGSEGV while the candidate ran"),
        ([STARTED, TURNS], "killed by SIGKILL", "killed by SIGKILL while the two took turns"),
        ([], "did not start", "before a model was loaded"),
        (["{", "[1]", "noise"], None, "gave no samples"),
        ([PAIRS % ("7, -1", "")], None, "the clock jumped"),
        ([PAIRS % ("7, 0", "")], None, "too coarse"),
        ([PAIRS % ("7", "")], None, "different numbers"),
        ([PAIRS % ('7, "x"', "")], None, "make no sense"),
        ([PAIRS % ("7, 8", ', "elapsed_s": 1.0, "clock_s": 3601.0')], None, "the clock jumped by 3600.0 s"),
    ],
)
def test_what_makes_no_sense_is_an_error_and_no_ratio(lines: list[str], failure: str | None, error: str) -> None:
    output = Output(tuple(lines), failure=MeasurementError(failure) if failure else None)
    assert error in (PairRecordRunner(()).parse_pair(output).pair.error or "")
