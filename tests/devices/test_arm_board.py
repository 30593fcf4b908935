"""A Linux board of another architecture: a real sshd, real aarch64 wheels, a real model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.protocols import Device
from edgeeff.store import read
from edgeeff.targets import resolve


@pytest.fixture
def device(board: Path) -> Iterator[Device]:
    (target,) = resolve(str(board))
    with registry.transport("ssh").open(target) as opened:
        yield opened


def edgeeff(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=1800)


def test_it_is_known_to_be_emulated(device: Device) -> None:
    info = device.info()
    assert info.abi == "aarch64" and info.emulated and info.kind == "linux"
    assert info.os == "Debian GNU/Linux 12 (bookworm)"
    assert device.state().boot_id


def test_programs_files_and_arguments(device: Device, tmp_path: Path) -> None:
    hostile = ["a b", "$(id)", "'", "\\", "é\n"]
    (line,) = device.run(["/opt/python", "-c", "import sys; print(sys.argv[1:])", *hostile], timeout_s=600)
    assert line == str(hostile)
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(256)) * 100)
    there = device.push(path)
    assert there.startswith("/root/.cache/edgeeff/")
    device.pull(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_both_runtimes_run_a_real_model(board: Path, small_onnx: Path, small_tflite: Path, tmp_path: Path) -> None:
    """One launch of each: the first is never cut short."""
    files: Sequence[Path] = (small_onnx, small_tflite)
    out = tmp_path / "results"
    run = edgeeff("bench", *map(str, files), "--device", str(board), "--seconds", "1", "--out", str(out), "--json")
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert "emulated" in json.dumps(document), "an emulator's latency never poses as a device's"
    measured = [m for path in sorted(out.glob("*.jsonl")) for m in read(path)]
    assert {m.runtime for m in measured} == {"onnxruntime", "litert"}
    for m in measured:
        assert m.device.emulated and m.device.abi == "aarch64"
        assert all(launch.samples_ns and launch.error is None for launch in m.launches)
    (litert,) = (m for m in measured if m.runtime == "litert")
    assert litert.launches[0].delegate == "XNNPACK" and litert.launches[0].ops == litert.launches[0].delegated_ops


@pytest.mark.parametrize("board", ["sys"], indirect=True)
def test_a_board_without_sys_silently_loses_xnnpack_and_is_marked(
    board: Path, small_tflite: Path, tmp_path: Path
) -> None:
    """XNNPACK asks /sys for the processor; where it does not say, LiteRT runs its plain kernels, exit code 0."""
    out = tmp_path / "results"
    run = edgeeff("bench", str(small_tflite), "--device", str(board), "--seconds", "1", "--out", str(out), "--json")
    assert run.returncode == 0, run.stderr
    (m,) = json.loads(run.stdout)["measurements"]
    assert m["ops"] > 0 and m["delegated_ops"] == 0
    assert "fallback" in {warning["code"] for warning in m["warnings"]}


def test_ops_are_profiled_there(board: Path, small_tflite: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    run = edgeeff("profile", str(small_tflite), "--device", str(board), "--launches", "1", "--out", str(out), "--json")
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert document["device"]["emulated"] and any("emulated" in note for note in document["notes"])
    assert {"conv 3x3", "dense"} <= {op["kind"] for op in document["ops"]}
