"""What times a file on a phone: which runner is taken, what it is checked for, and what each of them gives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeeff import store

PERF_TEST = Path(__file__).parents[1] / "golden" / "onnxruntime_perf_test"
Make = Callable[..., Any]


def edgeeff(folder: Path, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", command, *map(str, arguments)]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=900)


def bench(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return edgeeff(folder, "bench", "--seconds", 2, *arguments)


def test_nothing_is_at_hand_to_time_it_with(phone: Make, small_tflite: Path, small_onnx: Path, tmp_path: Path) -> None:
    """Nor is a network: that is said at once, with the address."""
    serial = phone().serial
    done = bench(tmp_path, small_tflite, "--device", f"adb:{serial}")
    assert done.returncode == 2
    assert "cannot download https://storage.googleapis.com/litert/binaries/2.2.0/android_arm64/" in done.stderr
    assert "--runner FILE" in done.stderr
    done = bench(tmp_path, small_onnx, "--device", f"adb:{serial}")
    assert done.returncode == 2 and "onnxruntime_perf_test is not prebuilt" in done.stderr


def test_a_runner_that_is_something_else(phone: Make, small_tflite: Path, tmp_path: Path) -> None:
    serial = phone().serial
    for content, code, message in (
        (b"PK\3\4 an archive", 2, "not a program for Android"),
        (b"\x7fELF" + bytes(14) + b"\x3e\0" + bytes(44), 5, f"is for x86_64, and adb:{serial} is arm64-v8a"),
        (b"#!/bin/sh\necho num_threads\n", 5, "its answer to --help is: num_threads"),
    ):
        (tmp_path / "r").write_bytes(content)
        done = bench(tmp_path, small_tflite, "--device", f"adb:{serial}", "--runner", tmp_path / "r")
        assert done.returncode == code and message in done.stderr, done.stderr


def test_an_npu_gets_the_libraries_of_the_device_file(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    double = phone()
    double.write("/data/local/tmp/n p u/libLiteRtDispatch_Maker.so", "")
    seen = tmp_path / "seen"
    look = f'for flag; do case $flag in --dispatch*|--compiler*) ls "${{flag#*=}}"; esac; done > {seen}\n'
    path = runner("v2", "v2", before=f'{look}echo "$LD_LIBRARY_PATH $ADSP_LIBRARY_PATH" >> {seen}')
    arguments = [small_tflite, "--runner", path, "--accelerator", "npu", "--allow-fallback"]
    done = bench(tmp_path, *arguments, "--device", f"adb:{double.serial}")
    assert done.returncode == 2 and "only through its vendor's libraries" in done.stderr
    mine = tmp_path / "mine.toml"
    mine.write_text(f'like = "pixel"\naddress = "{double.serial}"\nnpu_libraries = "/data/local/tmp/n p u"')
    done = bench(tmp_path, *arguments, "--device", mine)
    assert done.returncode == 0, done.stderr
    folder = double.path("/data/local/tmp/n p u")
    assert seen.read_text().splitlines() == ["libLiteRtDispatch_Maker.so"] * 2 + [f"{folder} {folder}"]
    assert "0/238 npu" in done.stdout


def test_raw_samples_by_the_native_runner(
    phone: Make, small_tflite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real program over the real library, pushed over adb: the phone has this machine's processor."""
    import platform

    from edgeeff.benchmarks._native_build import built, compiler, library

    if compiler("host", None) is None:
        pytest.skip("this machine has no C compiler")
    monkeypatch.setenv("EDGEEFF_LITERT_LIBRARY", str(library("host")))
    double = phone({"ro.product.cpu.abi": {"aarch64": "arm64-v8a"}.get(platform.machine(), platform.machine())})
    arguments = [small_tflite, "--device", f"adb:{double.serial}", "--runner", built("host", None), "--json"]
    done = bench(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    (m,) = json.loads(done.stdout)["measurements"]
    assert m["runtime"] == "litert_native" and m["latency_s"]["p90"] is not None and m["samples"] >= 3
    assert m["delegate"] == "XNNPACK"
    assert "no-raw-samples" not in {warning["code"] for warning in m["warnings"]}


@pytest.fixture
def perf_test(tmp_path: Path) -> Path:
    """A stand-in for onnxruntime_perf_test: prints what the real one does, and writes its file of raw times."""
    path = tmp_path / "onnxruntime_perf_test"
    texts = {name: (PERF_TEST / name).read_text() for name in ("help.txt", "2025.txt", "result.csv")}
    path.write_text(
        f"#!/bin/sh\nif [ \"$1\" = -h ]; then\ncat <<'END'\n{texts['help.txt']}\nEND\nexit 0\nfi\n"
        f"for result; do :; done\ncat > \"$result\" <<'END'\n{texts['result.csv']}\nEND\n"
        f"cat <<'END'\n{texts['2025.txt']}\nEND\n"
    )
    return path


def test_onnx_files_by_onnxruntimes_own_program(phone: Make, perf_test: Path, small_onnx: Path, tmp_path: Path) -> None:
    double = phone()
    done = bench(tmp_path, small_onnx, "--device", f"adb:{double.serial}", "--runner", perf_test, "--json")
    assert done.returncode == 0, done.stderr
    (m,) = json.loads(done.stdout)["measurements"]
    assert m["runtime"] == "onnxruntime_perf_test" and m["samples"] >= 3
    assert m["latency_s"]["p90"] is not None
    assert "no-raw-samples" not in {warning["code"] for warning in m["warnings"]}
    (results,) = (tmp_path / "results").glob("*.jsonl")
    (stored,) = store.read(results)
    assert 95820400 in stored.launches[0].samples_ns
    assert not [name for name in double.files() if name.endswith(".csv")]


def test_ops_are_profiled_by_tflites_benchmark_model(
    phone: Make, runner: Callable[..., Path], split_tflite: Path, tmp_path: Path
) -> None:
    device = f"adb:{phone().serial}"
    arguments = [split_tflite, "--device", device, "--runner", runner("profile-2025"), "--launches", 2]
    done = edgeeff(tmp_path, "profile", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    ops = {op["name"]: op for op in json.loads(done.stdout)["ops"] if op["name"]}
    assert ops["stem"]["times_s"] == pytest.approx([0.5e-3] * 2) and ops["stem"]["macs"] == 16 * 16 * 8 * 27
    table = edgeeff(tmp_path, "profile", *arguments).stdout
    assert "GMAC/s" in table and "conv 3x3" in table and "concat" in table
    done = edgeeff(tmp_path, "profile", split_tflite, "--device", device, "--runner", runner("v2", "v2"))
    assert done.returncode == 2 and "this benchmark_model cannot profile ops" in done.stderr
    assert "TFLite's (v1)" in done.stderr
