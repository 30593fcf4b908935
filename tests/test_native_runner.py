"""The native runner, built here by this machine's compiler and run over the library of ai_edge_litert."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.benchmarks import _native_build
from edgeeff.benchmarks._native_build import built, compiler, library
from edgeeff.devices.host import HostDevice
from edgeeff.errors import DeviceError, UsageError
from edgeeff.measuring.cases import Wanted, build_cases
from edgeeff.measuring.harness import Policy, run_session
from edgeeff.values import Launch

pytestmark = pytest.mark.skipif(compiler("host", None) is None, reason="this machine has no C compiler")
NATIVE = registry.runner("litert_native")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEEFF_LITERT_LIBRARY", raising=False)
    for name in ("ANDROID_NDK_HOME", "ANDROID_NDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


def launch(path: Path, **wanted: object) -> Launch:
    cases = build_cases([path], HostDevice(), Wanted("test", ["litert_native"], (1,), **wanted))  # type: ignore[arg-type]
    (event,) = run_session(cases, HostDevice(), Policy(seconds=1e-9), random.Random(0))
    return event.launch


def test_it_keeps_raw_samples_and_says_what_the_python_runner_says(small_tflite: Path) -> None:
    found = launch(small_tflite)
    assert found.error is None
    assert 3 <= len(found.samples_ns) <= 100 and found.cpu_ns and len(found.cpu_ns) == len(found.samples_ns)
    assert found.delegate == "XNNPACK" and found.fully_delegated is True
    assert found.startup_s and found.first_inference_s and found.warmup_runs and found.warmup_runs >= 3
    assert found.peak_memory_bytes and found.baseline_memory_bytes
    assert found.peak_memory_bytes > found.baseline_memory_bytes
    assert found.runtime_version and found.runtime_version.startswith("libLiteRt.so ")


def test_a_network_that_one_delegate_does_not_cover_is_marked(split_tflite: Path) -> None:
    assert launch(split_tflite).fully_delegated is False


def test_all_runs_are_kept_up_to_the_most_that_are_wanted(small_tflite: Path) -> None:
    case = build_cases([small_tflite], HostDevice(), Wanted("test", ["litert_native"], (1,)))[0]
    runner = NATIVE.install(HostDevice(), None)
    from edgeeff.measuring.commands import LaunchPolicy
    from edgeeff.measuring.launch import Pushed, run_launch

    policy = LaunchPolicy(max_runs=7, max_s=60.0, warmup_s=0.0)
    found = run_launch(case, HostDevice(), Pushed(runner, str(small_tflite)), policy, 0)
    assert len(found.samples_ns) == 7 and found.warmup_runs == 3


def test_what_it_cannot_load_is_an_error_of_its_own(tmp_path: Path) -> None:
    program = built("host", None)
    damaged = tmp_path / "m.tflite"
    damaged.write_bytes(b"TFL3" * 8)
    rest = ["cpu", "1", "0", "1", "0", "1", "1", "0.1", "20"]
    where = library("host")
    assert where is not None
    gone = tmp_path / 'no"ne.so'
    for argv, code, message in (
        ([where, tmp_path / "none"], 1, "cannot be opened"),
        ([where, damaged], 1, "LiteRtCreateModelFromFile failed"),
        ([gone, damaged], 1, f"libLiteRt.so cannot be loaded: {gone}: cannot open shared object file"),
    ):
        done = subprocess.run([program, *argv, *rest], capture_output=True, text=True, check=False)
        record = json.loads(done.stdout.splitlines()[-1])
        assert done.returncode == code and record["record"] == "error" and message in record["message"]
    assert subprocess.run([program], capture_output=True, check=False).returncode == 2


def test_a_gpu_that_is_not_there_is_a_fallback_and_fails_unless_allowed(small_tflite: Path) -> None:
    from edgeeff.measuring.commands import Request
    from edgeeff.measuring.launch import run_command

    device = HostDevice()
    runner = NATIVE.install(device, None)
    for allowed in (False, True):
        request = Request(str(small_tflite), "litert_native", "gpu", 1, 0, {}, allow_fallback=allowed)
        found = runner.parse(run_command(device, runner.command(request), 60))
        assert (found.error is None) == allowed
        assert found.fully_delegated is (False if allowed else None)
    assert "--allow-fallback" in (runner.parse(run_command(device, runner.command(
        Request(str(small_tflite), "litert_native", "gpu", 1, 0, {})), 60)).error or "")  # fmt: skip


def test_it_is_built_once_for_a_compiler_and_a_source(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = built("host", None)
    before = first.stat().st_mtime_ns
    assert built("host", None) == first and first.stat().st_mtime_ns == before
    other = cache / "other.c"
    other.write_text(_native_build.SOURCE.read_text() + "\n")
    monkeypatch.setattr(_native_build, "SOURCE", other)
    assert built("host", None) != first
    other.write_text("int main(void) { return missing; }")
    with pytest.raises(UsageError, match="cannot build the native runner"):
        built("host", None)
    assert len(list((cache / "edgeeff" / "runners").iterdir())) == 2  # nothing half made is left


def test_an_ndk_is_found_by_its_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ndk" / "toolchains" / "llvm" / "prebuilt" / "linux-x86_64" / "bin"
    folder.mkdir(parents=True)
    for level in (21, 30, 28):
        (folder / f"aarch64-linux-android{level}-clang").touch()
    assert compiler("android", "arm64-v8a") is None
    monkeypatch.setenv("ANDROID_NDK_HOME", str(tmp_path / "ndk"))
    found = compiler("android", "arm64-v8a")
    assert found is not None and found.name == "aarch64-linux-android28-clang"
    assert compiler("android", "x86_64") is None and compiler("android", "riscv64") is None


def test_without_compiler_or_library_it_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from edgeeff.catalog import load_catalog
    from edgeeff.measuring.cases import usual_runner

    android = load_catalog(tmp_path)["android"]
    assert "NDK" in (NATIVE.missing(android, None) or "")
    assert usual_runner("tflite", android).name == "benchmark_model"
    where = library("host")
    assert where is not None
    monkeypatch.setenv("EDGEEFF_LITERT_LIBRARY", str(where))
    program = tmp_path / "runner"
    shutil.copy(built("host", None), program)
    assert usual_runner("tflite", android, program).name == "litert_native"
    (tmp_path / "b").write_bytes(b"--num_threads=")
    assert usual_runner("tflite", android, tmp_path / "b").name == "benchmark_model"


def test_a_library_for_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "libLiteRt.so"
    other.write_bytes(b"\x7fELF" + bytes(14) + (243).to_bytes(2, "little") + bytes(44))
    monkeypatch.setenv("EDGEEFF_LITERT_LIBRARY", str(other))
    with pytest.raises(DeviceError, match="is for riscv64"):
        NATIVE.install(HostDevice(), None)
