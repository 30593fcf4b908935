"""The runner as a device gets it: started as a script, fed a spec, read line by line."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgeeff.benchmarks._python import SOURCE, runner_file, write_runner
from edgeeff.benchmarks._runner import _measure
from edgeeff.benchmarks._runner._inputs import fill
from edgeeff.benchmarks._runner._onnxruntime import build_type, load_onnxruntime

RUNNER = runner_file()


def run(
    model: Path, runtime: str, *, python: tuple[str, ...] = (), **changes: Any
) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the records by kind."""
    spec = {"model": str(model), "runtime": runtime, "accelerator": "cpu", "threads": 1, "seed": 0, "shapes": {}}
    spec |= {"warmup_runs": 3, "warmup_s": 0, "min_runs": 3, "max_runs": 20, "max_s": 600, "timeout_s": 600} | changes
    done = subprocess.run(
        [sys.executable, *python, str(RUNNER)], input=json.dumps(spec), capture_output=True, text=True, timeout=900
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {record["record"]: record for record in records}


@pytest.mark.parametrize(("about", "found"), [
    ("ORT Build Info: git-branch=HEAD, git-commit-id=fab30a4, fp8-kv-cache=1, build type=Release", "Release"),
    ("ORT Build Info: git-branch=main, git-commit-id=c0ffee, build type=Debug, cmake cxx flags: /DWIN32", "Debug"),
    ("ORT Build Info: ", None),
])  # fmt: skip
def test_how_onnxruntime_was_compiled(about: str, found: str | None) -> None:
    assert build_type(SimpleNamespace(get_build_info=lambda: about)) == found
    assert build_type(SimpleNamespace()) is None


def identity(path: Path, element: int, shape: list[int | str]) -> Path:
    """An ONNX file of one node with an input of this type and shape."""
    value = [helper.make_tensor_value_info(name, element, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_what_a_launch_tells(runtime: str, small_onnx: Path, small_tflite: Path) -> None:
    code, records = run(small_onnx if runtime == "onnxruntime" else small_tflite, runtime)
    loaded, samples = records["loaded"], records["samples"]
    assert code == 0
    assert loaded["runtime_version"].startswith(("onnxruntime ", "ai_edge_litert ", "tflite_runtime "))
    assert loaded.get("build_type") == ("Release" if runtime == "onnxruntime" else None)
    assert loaded["ops"] == loaded["delegated_ops"] > 0
    assert loaded["delegate"] == {"onnxruntime": "CPU", "litert": "XNNPACK"}[runtime]
    assert loaded["startup_s"] > 0
    assert samples["warmup_runs"] == 3
    assert len(samples["samples_ns"]) == len(samples["cpu_ns"]) == 20
    assert all(isinstance(ns, int) and ns > 0 for ns in samples["samples_ns"])
    assert samples["first_inference_s"] > 0
    assert samples["involuntary_switches"] >= 0
    assert samples["peak_memory_bytes"] >= loaded["baseline_memory_bytes"] > 10_000_000


def test_peak_memory_is_the_runners_own_and_not_its_parents(small_tflite: Path) -> None:
    ballast = np.ones(400_000_000, np.uint8)
    _, records = run(small_tflite, "litert")
    assert records["samples"]["peak_memory_bytes"] < ballast.nbytes


def test_ops_that_no_delegate_took_are_counted(split_tflite: Path) -> None:
    _, records = run(split_tflite, "litert")
    loaded = records["loaded"]
    assert (loaded["ops"], loaded["delegated_ops"], loaded["partitions"]) == (5, 4, 2)


def test_time_ends_the_runs_but_not_before_the_least_number(small_onnx: Path) -> None:
    _, records = run(small_onnx, "onnxruntime", max_s=0)
    assert len(records["samples"]["samples_ns"]) == 3


def test_warm_up_lasts_as_long_as_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by 10 ms a run."""
    runs = count()
    monkeypatch.setattr(_measure, "time", SimpleNamespace(perf_counter=lambda: made[-1] / 100))
    made = [next(runs)]
    assert _measure.warm_up(lambda: made.append(next(runs)), 3, 0.095) == 10
    assert _measure.warm_up(lambda: made.append(next(runs)), 30, 0.095) == 30


ELEMENTS = ("FLOAT", "FLOAT16", "DOUBLE", "INT8", "UINT8", "INT16", "INT32", "INT64", "UINT64", "BOOL")


@pytest.mark.parametrize("element", ELEMENTS)
def test_inputs_of_every_type_are_filled(element: str, tmp_path: Path) -> None:
    path = identity(tmp_path / "m.onnx", getattr(TensorProto, element), ["batch", 4])
    code, records = run(path, "onnxruntime")
    assert code == 0, records


def test_an_input_outlives_an_onnxruntime_that_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `bind_ortvalue_input` as 1.20 to 1.24 have it, the array was freed, and the model ran on whatever came."""
    monkeypatch.setattr(
        "onnxruntime.IOBinding.bind_ortvalue_input",
        lambda self, name, value: self._iobinding.bind_ortvalue_input(name, value._ortvalue),
    )
    shape = [1, 3, 64, 64]
    model = identity(tmp_path / "identity.onnx", TensorProto.FLOAT, [*shape])
    loaded = load_onnxruntime({"model": str(model), "threads": 1, "seed": 5, "shapes": {}})
    others = [np.full(shape, 7, np.float32) for _ in range(20)]
    loaded.invoke()
    ((_, output, _, _),) = loaded.outputs()
    np.testing.assert_array_equal(output, fill(np.random.default_rng(5), "x", np.dtype("float32"), shape, 0.0, 0))
    assert len(others) == 20


@pytest.mark.parametrize("element", ["STRING", "BFLOAT16"])
def test_an_input_that_cannot_be_filled_is_named(element: str, tmp_path: Path) -> None:
    path = identity(tmp_path / "m.onnx", getattr(TensorProto, element), [1, 4])
    code, records = run(path, "onnxruntime")
    assert code == 1
    assert records["error"]["code"] in ("input", "NotImplemented")
    assert element.lower() in records["error"]["message"].lower()


def test_an_open_shape_wants_to_be_given(tmp_path: Path) -> None:
    path = identity(tmp_path / "m.onnx", TensorProto.FLOAT, ["batch", "width"])
    code, records = run(path, "onnxruntime")
    assert (code, records["error"]["code"]) == (1, "shape")
    assert "'x'" in records["error"]["message"]
    assert run(path, "onnxruntime", shapes={"x": [1, 7]})[0] == 0
    assert run(path, "onnxruntime", shapes={"x": [7]})[1]["error"]["code"] == "shape"


@given(
    dtype=st.sampled_from(["int8", "uint8", "int16", "int32", "int64", "float16", "float32", "bool"]),
    scale=st.floats(1e-6, 1e3),
    zero=st.integers(-128, 127),
    seed=st.integers(0, 2**32),
)
def test_filling_is_seeded_and_stays_in_range(dtype: str, scale: float, zero: int, seed: int) -> None:
    first, second = (fill(np.random.default_rng(seed), "x", np.dtype(dtype), [3, 5], scale, zero) for _ in range(2))
    assert first.dtype == dtype and first.shape == (3, 5)
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first.astype(np.float64)).all()


def test_unquantised_integers_are_safe_as_indices() -> None:
    values = fill(np.random.default_rng(0), "ids", np.dtype("int64"), [1000], 0.0, 0)
    assert set(values.tolist()) == {0, 1}


@pytest.mark.parametrize(("runtime", "suffix"), [("onnxruntime", ".onnx"), ("litert", ".tflite")])
@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256)) * 20])
def test_a_foreign_file_is_one_error_record(runtime: str, suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_bytes(content)
    code, records = run(path, runtime)
    assert code == 1
    assert list(records) == ["error"]
    assert records["error"]["message"]


def test_a_missing_runtime_says_so(small_onnx: Path) -> None:
    for runtime, package in (("onnxruntime", "onnxruntime"), ("litert", "ai_edge_litert")):
        code, records = run(small_onnx, runtime, python=("-S",))
        assert (code, records["error"]["code"]) == (1, "runtime_missing")
        assert package in records["error"]["message"]


def test_an_accelerator_that_it_does_not_know_is_refused(small_onnx: Path) -> None:
    assert run(small_onnx, "onnxruntime", accelerator="gpu")[1]["error"]["code"] == "accelerator"


def test_it_ends_itself_when_its_time_is_over(small_onnx: Path) -> None:
    code, records = run(small_onnx, "onnxruntime", timeout_s=0, max_s=1000, max_runs=10**9)
    assert code == -signal.SIGALRM
    assert "samples" not in records


def test_it_stays_readable_for_the_python_of_an_old_board() -> None:
    for path in SOURCE.glob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        modules = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        modules |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level}
        assert not [m for m in modules if m.partition(".")[0] not in {*sys.stdlib_module_names, "numpy"}]


def test_the_same_sources_are_the_same_file_to_a_device(tmp_path: Path) -> None:
    write_runner(tmp_path / "a.pyz")
    assert (tmp_path / "a.pyz").read_bytes() == RUNNER.read_bytes()
