"""`edgeeff bench` as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgeeff import store
from edgeeff.cli._shared import plain
from edgeeff.devices.host import HostDevice
from edgeeff.errors import UsageError
from edgeeff.measuring.cases import Wanted, build_cases, check_input_shapes, inspected

EDGEEFF = [sys.executable, "-m", "edgeeff"]


def bench(folder: Path, *arguments: object, seconds: float = 1) -> subprocess.CompletedProcess[str]:
    command = [*EDGEEFF, "bench", "--seconds", str(seconds), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)


def documents(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)["measurements"]
    return found


def test_files_that_edgeeff_did_not_make_bench_in_both_runtimes(
    small_onnx: Path, small_tflite: Path, tmp_path: Path
) -> None:
    done = bench(tmp_path, small_onnx, small_tflite, "--threads", "1,2", "--json")
    assert done.returncode == 0, done.stderr
    found = documents(done)
    assert [(m["runtime"], m["threads"]) for m in found] == [
        ("onnxruntime", 1),
        ("onnxruntime", 2),
        ("litert", 1),
        ("litert", 2),
    ]
    for m in found:
        assert m["latency_s"]["median"] > 0 and m["latency_s"]["p90"] > 0
        assert m["macs"] == 16 * 16 * 8 * 27 + 80
        assert m["parameters"] == 8 * 27 + 8 + 80 + 10
        assert m["ops"] == m["delegated_ops"] > 0
        assert m["variant"] is None and m["precision"] == "fp32"
        assert {"code", "message", "remedy"} == {key for warning in m["warnings"] for key in warning}
    (results,) = (tmp_path / "results").glob("*.jsonl")
    stored = store.read(results)
    assert sorted(m.id for m in stored) == sorted(m["id"] for m in found)
    assert sum(len(m.launches) for m in stored) == sum(m["launches"] for m in found)


def test_a_files_name_is_no_line_of_its_own(small_onnx: Path, tmp_path: Path) -> None:
    """In a job of GitHub's, a line that begins with "::" is a command."""
    for name in ("a\n::error title=x::forged.onnx", "::error::forged.onnx", "##[error]forged.onnx"):
        (tmp_path / name).write_bytes(small_onnx.read_bytes())
    (tmp_path / "::error::no\n::error::model.onnx").write_bytes(b"no model")
    sound, broken = (bench(tmp_path, *sorted(tmp_path.glob(pattern))) for pattern in ("*forged*", "*model*"))
    wrong = subprocess.run([*EDGEEFF, "::error::a\n::error::b"], capture_output=True, text=True, timeout=600)
    option = subprocess.run([*EDGEEFF, "bench", "--a\n::error::b"], capture_output=True, text=True, timeout=600)
    assert [done.returncode for done in (sound, broken, wrong, option)] == [0, 2, 2, 2]
    for done in (sound, broken, wrong, option):
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    assert r"a\n::error title=x::forged.onnx onnxruntime" in sound.stderr
    assert r"1  \x23#[error]forged.onnx" in sound.stdout
    assert plain("::error::x\n  ::error::y\na::b") == "\\x3a:error::x\n  \\x3a:error::y\na::b"


def test_the_artifacts_folder_is_the_default(small_onnx: Path, small_tflite: Path, tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    (artifacts / "a.onnx").write_bytes(small_onnx.read_bytes())
    (artifacts / "b.TFLITE").write_bytes(small_tflite.read_bytes())
    (artifacts / ".c.tmp.onnx").write_bytes(b"half written")
    (artifacts / "notes.txt").write_text("no model")
    done = bench(tmp_path)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[2:4]
    assert [row.split()[1] for row in rows] == ["a.onnx", "b.TFLITE"]
    assert "launch 1" in done.stderr and "launch" not in done.stdout.splitlines()[0]


def test_an_empty_folder_gets_b0_first(tmp_path: Path) -> None:
    done = bench(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert "converting b0 to TFLite first" in done.stderr
    (only,) = documents(done)
    assert (only["variant"], only["format"], only["runtime"]) == ("b0", "tflite", "litert")
    assert 380e6 < only["macs"] < 410e6
    assert only["ops"] == only["delegated_ops"]


def test_silent_fallback_is_said(split_tflite: Path, tmp_path: Path) -> None:
    done = bench(tmp_path, split_tflite)
    assert done.returncode == 0
    assert "4/5 XNNPACK in 2 parts" in done.stdout
    assert "1 of 5 ops do not run in the XNNPACK delegate" in done.stdout


def test_a_run_that_lost_xnnpack_is_marked(small_tflite: Path, over: Callable[..., list[str]], tmp_path: Path) -> None:
    """LiteRT applies XNNPACK only where it finds out what the processor is: here it does not, as in some sandboxes."""
    argv = [*over("/proc"), *EDGEEFF, "bench", str(small_tflite), "--seconds", "0.2", "--json"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (m,) = documents(done)
    assert m["ops"] > 0 and m["delegated_ops"] == 0 and m["delegate"] is None
    (caveat,) = (warning for warning in m["warnings"] if warning["code"] == "fallback")
    assert f"XNNPACK runs none of the {m['ops']} ops" in caveat["message"] and "/proc/cpuinfo" in caveat["remedy"]


def test_more_threads_than_cores_is_said(small_onnx: Path, tmp_path: Path) -> None:
    threads = 2 * (os.cpu_count() or 1)
    assert f"{threads} threads share" in bench(tmp_path, small_onnx, "--threads", threads, seconds=0.1).stdout


def test_cores_that_are_not_there_are_said(small_onnx: Path, tmp_path: Path) -> None:
    done = bench(tmp_path, small_onnx, "--cores", "1000", seconds=0.1)
    assert done.returncode == 7
    assert "it cannot be bound to these cores (taskset: " in done.stderr
    assert "take others with --cores, or all" in done.stderr


def test_ctrl_c_keeps_and_shows_what_is_there(small_onnx: Path, tmp_path: Path) -> None:
    """Some 5000 launches would fit into the time, and none is ever precise enough."""
    command = [*EDGEEFF, "bench", str(small_onnx), "--seconds", "3000", "--precision-target", "0.0001%"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "launch 2:" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in err and "interrupted" in err
    assert "small.onnx" in out
    (stored,) = store.read(tmp_path / "results")
    assert len(stored.launches) >= 2
    assert all(launch.error is None for launch in stored.launches)


@pytest.fixture
def endless_onnx(tmp_path: Path) -> Path:
    """A file whose first run never ends: a loop of 2^63 - 1 rounds."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y", "before", "after")]
    trip = helper.make_tensor_value_info("trip", TensorProto.INT64, [])
    going, still = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("going", "still"))
    nodes = [helper.make_node("Identity", ["going"], ["still"]), helper.make_node("Neg", ["before"], ["after"])]
    body = helper.make_graph(nodes, "body", [trip, going, values[2]], [still, values[3]])
    loop = helper.make_node("Loop", ["", "always", "x"], ["y"], body=body)
    always = helper.make_tensor("always", TensorProto.BOOL, [], [True])
    graph = helper.make_graph([loop], "endless", values[:1], values[1:2], [always])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("moment", ["told", "running"])
def test_ctrl_c_before_the_first_launch_has_ended_leaves_nothing(
    moment: str, endless_onnx: Path, tmp_path: Path
) -> None:
    command = [*EDGEEFF, "bench", str(endless_onnx), "--seconds", "300"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "timing 1 case" in process.stderr.readline()
    running: list[int] = []
    while moment == "running" and not (running and list(tmp_path.rglob("*.jsonl"))):
        assert process.poll() is None
        running = children(process.pid)
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.jsonl"))
    assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]  # it was waited for


def test_a_file_that_cannot_run_fails_the_command_but_not_the_others(small_tflite: Path, tmp_path: Path) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Nowhere", ["x"], ["y"], domain="foreign")], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("foreign", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "foreign.onnx")
    done = bench(tmp_path, "foreign.onnx", small_tflite, "--json")
    assert done.returncode == 7
    assert [m["failed_launches"] > 0 for m in documents(done)] == [True, False]
    assert "could not be measured" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_multiply_adds_are_those_of_the_files_own_shape(small_tflite: Path) -> None:
    device = HostDevice()
    (own,) = build_cases([small_tflite], device, Wanted("s"))
    (inputs,) = inspected(small_tflite).inputs
    shape = tuple(n or 1 for n in inputs.shape)
    (same,) = build_cases([small_tflite], device, Wanted("s", shapes={inputs.name: shape}))
    (eight,) = build_cases([small_tflite], device, Wanted("s", shapes={inputs.name: (8, *shape[1:])}))
    assert own.measurement.macs == same.measurement.macs and own.measurement.macs
    assert eight.measurement.macs is None


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("small.onnx", "1x3x8x9", "small.onnx takes its input image as ?x3x32x32, and --input-shape gives 1x3x8x9"),
        ("small.onnx", "3x32x32", "give one that agrees with it"),
        ("fixed.onnx", "8x3", "leave --input-shape out, or export the file with open sizes"),
        ("small.tflite", "1x3x32x32", "as 1x32x32x3, and --input-shape gives 1x3x32x32"),
        ("small.onnx", "8x3x32x32", ""),
        ("small.tflite", "8x48x48x3", ""),  # LiteRT resizes what the file fixes
    ],
)
def test_a_shape_that_contradicts_the_file_is_refused_before_anything_runs(
    name: str, shape: str, message: str, small_onnx: Path, small_tflite: Path, tmp_path: Path
) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("image", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["y"])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph), tmp_path / "fixed.onnx")
    path = {"small.onnx": small_onnx, "small.tflite": small_tflite}.get(name, tmp_path / name)
    shapes = {"image": tuple(map(int, shape.split("x")))}
    if not message:
        check_input_shapes([path], shapes)
        return
    with pytest.raises(UsageError) as caught:
        check_input_shapes([path], shapes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.onnx"], 2, "there is no file none.onnx"),
        (["text.onnx"], 2, "text.onnx"),
        (["text.tflite"], 2, "text.tflite"),
        (["text.txt"], 2, "text.txt is no model file: it can be read neither as onnx nor as tflite"),
        (["model.txt"], 2, "model.txt is a model in onnx format whose suffix does not say so\n  add .onnx to it"),
        (["folder.txt"], 2, "folder.txt is a folder"),
        (["{model}", "--runtime", "onnxruntim"], 2, "did you mean onnxruntime"),
        (["{model}", "--runtime", "litert"], 2, "take --runtime onnxruntime"),
        (["{model}", "--device", "hots"], 2, "did you mean host"),
        (["{model}", "--accelerator", "npu"], 2, "unknown accelerator of host 'npu'"),
        (["{model}", "--threads", "1,"], 2, "such as 1,4"),
        (["{model}", "--threads", "0"], 2, "from 1 to 999"),
        (["{model}", "--seconds", "0"], 2, "--seconds"),
        (["{model}", "--seconds", "nan"], 2, "--seconds"),
        (["{model}", "--precision-target", "100%"], 2, "such as 2% or 0.02"),
        (["{model}", "--input-shape", "1x3"], 2, "such as x=1x3x224x224"),
        (["{model}", "--input-shape", "image=1x3"], 2, "and --input-shape gives 1x3"),
        (["{model}", "--input-shape", "imag=1x3"], 2, "unknown input 'imag'\n  did you mean image?"),
        (["{model}", "--out", "text.txt"], 2, "--out"),
        (["--runtime", "litert"], 2, "no file in artifacts is for litert"),
    ],
)
def test_errors_are_one_sentence_and_a_cure(
    arguments: list[str], code: int, message: str, small_onnx: Path, tmp_path: Path
) -> None:
    for suffix in ("onnx", "tflite", "txt"):
        (tmp_path / f"text.{suffix}").write_text("no model at all")
    (tmp_path / "model.txt").write_bytes(small_onnx.read_bytes())
    (tmp_path / "folder.txt").mkdir()
    done = bench(tmp_path, *(argument.format(model=small_onnx) for argument in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
