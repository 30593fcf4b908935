"""adb's real daemon with Android's own arm64 shell and tools, driven by the real adb server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.devices import _adb_shell, _adb_wire
from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.protocols import Device
from edgeeff.targets import resolve


@pytest.fixture
def device(phone: Path) -> Iterator[Device]:
    (target,) = resolve(f"adb:{os.environ['EDGEEFF_TEST_SERIAL']}")
    with registry.transport("adb").open(target) as opened:
        yield opened


def test_what_it_says_of_itself(device: Device) -> None:
    info, state = device.info(), device.state()
    assert info.model is not None and "made-up phone" in info.model
    assert info.abi == "arm64-v8a" and info.kind == "android"
    assert state.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert state.thermal_status == 0 and state.battery_percent == 80 and state.memory_available_bytes
    assert state.governors == ("schedutil",) and state.cpu_frequency_limit_khz == (2000,)


def test_throttling_is_seen_while_it_goes_on(device: Device, tmp_path: Path) -> None:
    limit = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq"
    assert device.state().cpu_frequency_limit_khz == (2000,)
    limit.write_text("800\n")
    assert device.state().cpu_frequency_limit_khz == (800,)


def test_programs_are_arm64s(device: Device) -> None:
    assert list(device.run(["uname", "-m"], timeout_s=600)) == ["aarch64"]
    hostile = ["a b", "$(id)", "`id`", "'", '"', "\\", "*", "-n", "é", "&&"]
    script = 'for a do echo "[$a]"; done'
    assert list(device.run(["sh", "-c", script, "sh", *hostile], timeout_s=600)) == [f"[{a}]" for a in hostile]


def test_both_streams_and_the_exit_code(device: Device) -> None:
    errors: list[str] = []
    with pytest.raises(MeasurementError, match="ended with exit code 3"):
        list(device.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=600, on_stderr=errors.append))
    assert errors == ["err"]


def test_files_go_both_ways(device: Device, phone: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(os.urandom(500_000))
    there = device.push(path)
    assert (phone / there.lstrip("/")).read_bytes() == path.read_bytes()
    assert device.push(path) == there
    device.pull(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    list(device.run(["rm", there], timeout_s=600))


def test_a_program_that_exceeds_its_time_is_killed(device: Device, pass_time: Callable[..., None]) -> None:
    lines = device.run(["sh", "-c", "echo up; sleep 123456"], timeout_s=600)
    assert next(lines) == "up"
    pass_time(599.9, _adb_shell, _adb_wire)
    with pytest.raises(MeasurementError, match="did not finish"):
        next(lines)
    for _ in range(600):  # what was killed may take a moment to be gone
        listed = list(device.run(["ps", "-A", "-o", "ARGS"], timeout_s=600))
        if not any("sleep 123456" in line for line in listed):
            break
        time.sleep(0.1)
    assert not any("sleep 123456" in line for line in listed), listed


def test_the_native_runner_runs_a_real_model_there(
    phone: Path, native: Path, prepared: Path, small_tflite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C program, built for arm64, over the aarch64 wheel's own LiteRT: raw samples by way of the real adbd."""
    library = prepared / "board" / "opt" / "runtimes" / "ai_edge_litert" / "libLiteRt.so"
    monkeypatch.setenv("EDGEEFF_LITERT_LIBRARY", str(library))
    argv = [sys.executable, "-m", "edgeeff", "bench", str(small_tflite), "--runner", str(native), "--seconds", "1"]
    device = f"adb:{os.environ['EDGEEFF_TEST_SERIAL']}"
    run = subprocess.run(
        [*argv, "--device", device, "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=1800
    )
    assert run.returncode == 0, run.stderr
    (m,) = json.loads(run.stdout)["measurements"]
    assert (m["runtime"], m["device"]["abi"], m["delegate"]) == ("litert_native", "arm64-v8a", "XNNPACK")
    assert m["samples"] >= 3 and m["latency_s"]["p90"] is not None
    assert "no-raw-samples" not in {warning["code"] for warning in m["warnings"]}


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process has started, and those that these have."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            yield child
            yield from descendants(child)


def test_a_daemon_that_dies_is_a_lost_device(device: Device) -> None:
    lines = device.run(["sh", "-c", "echo up; sleep 100000"], timeout_s=600)
    assert next(lines) == "up"
    program = b"/usr/lib/android-sdk/platform-tools/adbd"
    (daemon,) = (
        pid for pid in descendants(os.getpid()) if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(program)
    )
    os.kill(daemon, 9)
    with pytest.raises(DeviceError):
        list(lines)
