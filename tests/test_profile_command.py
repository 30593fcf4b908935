"""`edgeeff profile` by the real profilers of both runtimes, on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from edgeeff import registry
from edgeeff.benchmarks._profiler import RecordProfiler
from edgeeff.benchmarks._python import runner_file
from edgeeff.benchmarks._xnnpack import file_types
from edgeeff.cli import cli
from edgeeff.errors import MeasurementError, UsageError
from edgeeff.measuring.commands import Output
from edgeeff.profiling.profiles import read_profiles
from edgeeff.protocols import Profiler


def profile(path: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(cli, ["profile", str(path), "--launches", "2", "--out", str(out), *more])


@pytest.mark.parametrize("fixture", ["small_onnx", "small_tflite"])
def test_ops_are_timed_and_joined(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path: Path = request.getfixturevalue(fixture)
    result = profile(path, tmp_path, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    summary = registry.converter(path.suffix[1:]).inspect(path)
    assert sum(op["macs"] or 0 for op in document["ops"]) == summary.macs
    kinds = {op["kind"] for op in document["ops"]}
    assert {"conv 3x3", "dense"} <= kinds
    by_name = {op["name"]: op for op in document["ops"] if op["name"]}
    assert by_name["classifier"]["block"] == "classifier"
    assert all(len(op["times_s"]) == 2 for op in document["ops"])
    assert 0 < sum(kind["time_s"] for kind in document["by_kind"]) <= document["profiled_s"][0] * 10
    (stored,) = read_profiles(tmp_path)
    assert [op.name for op in stored.ops] == [op["name"] for op in document["ops"]]
    assert stored.device.kind == "host" and stored.runs >= 5 and stored.plain_s


def test_the_table_shows_kinds_blocks_and_the_longest_ops(small_tflite: Path, tmp_path: Path) -> None:
    result = profile(small_tflite, tmp_path, "--top", "2")
    assert result.exit_code == 0, result.stderr
    for part in ("LiteRT's profiler", "by kind of op", "by block, in order", "the 2 longest ops", "conv 3x3", "IGEMM"):
        assert part in result.stdout
    assert "launch 2 of 2" in result.stderr and ".profile.json" in result.stderr


def test_an_op_outside_of_the_delegate_is_found_by_its_index(split_tflite: Path, tmp_path: Path) -> None:
    document = json.loads(profile(split_tflite, tmp_path, "--json").stdout)
    assert [op["kernel"] for op in document["ops"] if op["name"] == "repeat"] == ["CONCATENATION"]


def test_a_runtime_without_a_profiler(small_onnx: Path, tmp_path: Path) -> None:
    result = profile(small_onnx, tmp_path, "--runtime", "litert")
    assert isinstance(result.exception, UsageError) and "litert cannot run" in result.exception.message
    assert not any(tmp_path.iterdir())


def open_onnx(path: Path, *shape: str | int) -> Path:
    """A convolution of 3 to 4 channels of 8 x 8, whose input says of its shape what is asked for."""
    value = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 8, 8])]
    weights = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", value, out, [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_a_file_that_cannot_be_run_is_one_sentence(tmp_path: Path) -> None:
    """Sound to read, and refused by onnxruntime: the shape that it asks for does not go through the network."""
    path = open_onnx(tmp_path / "open.onnx", "n", "c", 8, 8)
    result = profile(path, tmp_path / "out", "--input-shape", "x=1x5x8x8")
    assert isinstance(result.exception, MeasurementError)
    assert "could not be profiled" in result.exception.message and result.exception.hint
    assert not (tmp_path / "out").exists()


def test_multiply_adds_are_not_claimed_of_another_shape(tmp_path: Path) -> None:
    path = open_onnx(tmp_path / "open.onnx", "n", 3, 8, 8)
    for shape, macs in (("1x3x8x8", 768), ("8x3x8x8", None)):
        result = profile(path, tmp_path / "out", "--input-shape", f"x={shape}", "--launches", "1", "--json")
        ops = json.loads(result.stdout)["ops"]
        assert [op["macs"] for op in ops if op["kind"].startswith("conv")] == [macs]


def test_the_runners_with_a_profiler() -> None:
    able = {name for name, runner in registry.runners().items() if isinstance(runner, Profiler)}
    assert {"litert", "onnxruntime"} <= able


PROFILER = RecordProfiler(("python",), "LiteRT's profiler", file_types)
STEPS = (
    '[{"kernel": "Add (ND)", "index": null, "us": [1, 3, 2]}, {"kernel": "CONCATENATION", "index": 4, "us": [9, 9, 0]}]'
)
GOOD = f'{{"record": "profile", "plain_ns": [5000], "profiled_us": [11, 13, 12], "steps": {STEPS}}}'


def test_records_become_steps() -> None:
    times = PROFILER.parse(Output(('{"record": "loaded", "runtime_version": "x 1"}', "noise", GOOD)))
    assert times.error is None and times.runs == 3 and times.runtime_version == "x 1"
    assert (times.profiled_s, times.plain_s) == (12e-6, 5e-6)
    assert times.steps_s == pytest.approx(10e-6), "of 10, 12 and 2 microseconds"
    assert [(s.kernel, s.time_s, s.types, s.index) for s in times.steps] == [
        ("Add (ND)", 2e-6, ("ADD",), None),
        ("CONCATENATION", 9e-6, ("CONCATENATION",), 4),
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("", "the runner gave no profile"),
        ('{"record": "profile"}', "makes no sense"),
        ('{"record": "profile", "plain_ns": [], "profiled_us": [], "steps": []}', "makes no sense"),
        (GOOD.replace("[1, 3, 2]", "[1]"), "makes no sense"),
        (GOOD.replace("[1, 3, 2]", '["x", 3, 2]'), "makes no sense"),
        ('{"record": "error", "code": "profiler", "message": "tflite_runtime 2.14 has none"}', "ai-edge-litert 2.2"),
    ],
)
def test_records_that_make_no_sense_are_an_error(line: str, error: str) -> None:
    times = PROFILER.parse(Output((line,)))
    assert times.error is not None and error in times.error and not times.steps


def test_a_runner_that_was_killed() -> None:
    times = PROFILER.parse(Output(("",), failure=MeasurementError("runner.pyz was killed by SIGKILL")))
    assert times.error is not None and "SIGKILL" in times.error


OLDER = """
import runpy, sys, types
import ai_edge_litert.interpreter as real
for name in ("ai_edge_litert.interpreter", "ai_edge_litert"):
    sys.modules[name] = None
package, module = types.ModuleType("tflite_runtime"), types.ModuleType("tflite_runtime.interpreter")
package.__version__, module.Interpreter = "2.14.0", real.Interpreter
sys.modules.update({"tflite_runtime": package, "tflite_runtime.interpreter": module})
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_a_litert_without_a_profiler_says_so(small_tflite: Path) -> None:
    """The runner meets tflite_runtime, which has the interpreter alone."""
    spec = {
        "mode": "profile",
        "model": str(small_tflite),
        "runtime": "litert",
        "accelerator": "cpu",
        "threads": 1,
        "seed": 0,
        "shapes": {},
        "warmup_runs": 1,
        "warmup_s": 0,
        "min_runs": 1,
        "max_runs": 1,
        "max_s": 0.1,
        "timeout_s": 60,
    }
    argv = [sys.executable, "-c", OLDER, str(runner_file())]
    run = subprocess.run(argv, input=json.dumps(spec), capture_output=True, text=True, timeout=900)
    times = PROFILER.parse(Output(tuple(run.stdout.splitlines())))
    assert times.error == (
        "tflite_runtime 2.14.0 has no profiler that Python can reach; install ai-edge-litert 2.2 or later there"
    ), run.stderr


@pytest.mark.parametrize(
    ("kernel", "types"),
    [
        ("Convolution (NHWC, F32) DWConv", ("DEPTHWISE_CONV_2D",)),
        ("Convolution (NHWC, QC8) IGEMM", ("CONV_2D",)),
        ("Fully Connected (NC, QS8, QC8W) GEMM", ("FULLY_CONNECTED", "CONV_2D", "BATCH_MATMUL")),
        ("Square Root (NC)", ("SQRT",)),
        ("Squared Difference (ND)", ("SQUARED_DIFFERENCE",)),
        ("Mean (ND) Reduce2", ("MEAN",)),
        ("CONV_2D", ("CONV_2D",)),
        ("A Kernel Of The Future", ("A Kernel Of The Future",)),
    ],
)
def test_xnnpacks_words_mean_operators_of_the_file(kernel: str, types: tuple[str, ...]) -> None:
    assert file_types(kernel) == types
