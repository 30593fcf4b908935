"""`edgeeff bench` on a board: the runner is pushed over a real SSH connection and runs real files there."""

from __future__ import annotations

import json
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeeff.store import read
from edgeeff.values import Measurement


def read_results(folder: Path) -> list[Measurement]:
    return [measurement for path in sorted(folder.glob("*.jsonl")) for measurement in read(path)]


@pytest.fixture
def board(server: Any, tmp_path: Path, python_on_board: str) -> Path:
    """A device file for the server, whose Python is this one."""
    path = tmp_path / "rack-7.toml"
    path.write_text(f'kind = "linux"\naddress = "ssh://board"\npython = "{python_on_board}"\n')
    return path


def arguments(board: Path, out: Path, files: Sequence[Path], *more: str) -> list[str]:
    chosen = ["bench", *map(str, files), "--device", str(board), "--out", str(out), "--json", *more]
    return [sys.executable, "-m", "edgeeff", *chosen]


def leftovers(server: Any) -> list[str]:
    """Programs that still run something that was pushed."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(server.remote).encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def wait_until(condition: Any) -> bool:
    return any(condition() or time.sleep(0.05) for _ in range(6000))


def test_both_formats_are_measured_on_the_board(
    board: Path, server: Any, small_onnx: Path, small_tflite: Path, tmp_path: Path
) -> None:
    argv = arguments(board, tmp_path / "results", [small_onnx, small_tflite], "--seconds", "6")
    run = subprocess.run(argv, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert "rack-7" in json.dumps(document)
    measured = read_results(tmp_path / "results")
    assert {m.runtime for m in measured} == {"onnxruntime", "litert"}
    for m in measured:
        assert m.device.kind == "linux" and m.device.name == str(board) and not m.device.emulated
        assert len(m.launches) >= 1 and all(launch.samples_ns and launch.error is None for launch in m.launches)
        before = m.launches[0].state_before
        assert before is not None and before.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert not leftovers(server)
    assert all(
        path.suffix in (".onnx", ".tflite", ".pyz", ".py") for path in (server.remote / ".cache/edgeeff").iterdir()
    )


def test_a_board_and_this_machine_at_once_are_both_called_as_the_user_calls_them(
    board: Path, small_onnx: Path, tmp_path: Path
) -> None:
    """What the board's own file says of it, its Python for one, holds beside others as well."""
    argv = arguments(board, tmp_path / "results", [small_onnx], "--device", "host", "--seconds", "1")
    run = subprocess.run(argv, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr
    assert {m.device.name for m in read_results(tmp_path / "results")} == {str(board), "host"}


def test_a_lost_board_keeps_what_was_measured(board: Path, server: Any, small_tflite: Path, tmp_path: Path) -> None:
    argv = arguments(board, tmp_path / "results", [small_tflite], "--seconds", "3600", "--precision-target", "0.0001%")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    written = tmp_path / "results"
    assert wait_until(lambda: any('"record":"launch"' in p.read_text() for p in written.glob("*.jsonl")))
    server.stop()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 5, errors
    assert "the connection to ssh://board was lost" in errors
    (measured,) = read_results(tmp_path / "results")
    assert measured.launches and all(launch.samples_ns for launch in measured.launches)
    assert wait_until(lambda: not leftovers(server)), "the runner ends by itself when nobody listens"


def test_an_interrupt_leaves_nothing_running(board: Path, server: Any, small_tflite: Path, tmp_path: Path) -> None:
    argv = arguments(board, tmp_path / "results", [small_tflite], "--seconds", "3600", "--precision-target", "0.0001%")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert wait_until(lambda: leftovers(server))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert wait_until(lambda: not leftovers(server))


def test_a_model_that_cannot_be_run_there_is_one_failed_case(
    board: Path, server: Any, small_tflite: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    content = bytearray(small_tflite.read_bytes())
    content[len(content) // 2 :] = random.Random(0).randbytes(len(content) - len(content) // 2)
    broken.write_bytes(content)
    run = subprocess.run(
        arguments(board, tmp_path / "results", [broken], "--seconds", "2"), capture_output=True, text=True, timeout=900
    )
    assert run.returncode in (2, 7) and "Traceback" not in run.stderr


def test_ops_are_profiled_on_the_board(board: Path, small_tflite: Path, small_onnx: Path, tmp_path: Path) -> None:
    for path in (small_tflite, small_onnx):
        argv = ["profile", str(path), "--device", str(board), "--launches", "1", "--out", str(tmp_path), "--json"]
        run = subprocess.run([sys.executable, "-m", "edgeeff", *argv], capture_output=True, text=True, timeout=900)
        assert run.returncode == 0, run.stderr
        document = json.loads(run.stdout)
        assert document["device"]["kind"] == "linux"
        shares = {share["name"]: share for share in document["by_kind"]}
        assert shares["conv 3x3"]["macs"] == 16 * 16 * 8 * 27


def test_benchmark_model_runs_on_a_board_of_its_own_processor(
    board: Path, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    chosen = ["--runtime", "benchmark_model", "--seconds", "1", "--runner"]
    run = subprocess.run(
        arguments(board, out, [small_tflite], *chosen, str(runner())), capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stderr
    (measured,) = read_results(out)
    assert (measured.runtime, measured.launches[0].delegate) == ("benchmark_model", "XNNPACK")
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"\x7fELF" + bytes(14) + b"\xf3\0" + b"num_threads" * 4)
    run = subprocess.run(
        arguments(board, out, [small_tflite], *chosen, str(foreign)), capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 5
    assert f"{foreign} is for riscv64, and {board} is {platform.machine()}" in run.stderr
