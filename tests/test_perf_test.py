"""onnxruntime_perf_test: the user's own program, by what it prints and writes (tests/golden/onnxruntime_perf_test)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeeff.benchmarks.onnxruntime_perf_test import NAME, InstalledPerfTest, build_type
from edgeeff.errors import MeasurementError, UsageError
from edgeeff.measuring.commands import LaunchPolicy, Output, Request
from edgeeff.values import Launch

GOLDEN = Path(__file__).parent / "golden" / "onnxruntime_perf_test"
INSTALLED = InstalledPerfTest("/p.run", lambda suffix: f"/r{suffix}", "0123456789abcdef")


def request(**options: Any) -> Request:
    shapes = options.pop("shapes", {})
    return Request("/m.onnx", "onnxruntime_perf_test", options.pop("accelerator", "cpu"), 4, 0, shapes, **options)


def parsed(name: str, result: bytes = b"", **policy: Any) -> Launch:
    lines = tuple((GOLDEN / f"{name}.txt").read_text().splitlines())
    return INSTALLED.parse(Output(lines, (), None, {"/r.csv": result}, request(policy=LaunchPolicy(**policy))))


def test_raw_samples_come_from_the_result_file_without_the_warm_up() -> None:
    launch = parsed("2025", (GOLDEN / "result.csv").read_bytes(), warmup_runs=2, warmup_s=0.25)
    assert launch.error is None and launch.summary is None
    assert launch.samples_ns == (101300000, 99508600, 95820400, 101519000)
    assert launch.warmup_runs == 2
    assert (launch.startup_s, launch.first_inference_s) == (0.217932, 0.196)
    assert launch.peak_memory_bytes == 271122432
    assert launch.runtime_version == "onnxruntime_perf_test 0123456789ab"


def test_how_it_was_compiled_is_read_from_the_program(tmp_path: Path) -> None:
    """As it stands in onnxruntime 1.32's library; a program whose library lies beside it has no such line."""
    program = tmp_path / NAME
    line = b"ORT Build Info: git-branch=HEAD, git-commit-id=fab30a4, fp8-kv-cache=1, build type=Debug\0"
    program.write_bytes(b"\x7fELF\0perf_test\0" + line + b"another build type=Release\0")
    assert build_type(program) == "Debug"
    program.write_bytes(b"\x7fELF\0ORT Build Info: \0build type=Release\0")
    assert build_type(program) is None
    launch = replace(INSTALLED, build_type="Debug").parse(
        Output(tuple((GOLDEN / "2025.txt").read_text().splitlines()), (), None, {}, request())
    )
    assert launch.build_type == "Debug"


def test_few_runs_are_all_kept() -> None:
    launch = parsed("2025", (GOLDEN / "result.csv").read_bytes(), warmup_s=60)
    assert len(launch.samples_ns) == 5


@pytest.mark.parametrize("name", ["2025", "2019"])
def test_without_the_file_its_percentiles_are_taken(name: str) -> None:
    summary = parsed(name).summary
    assert summary is not None
    assert (summary.count, summary.mean_ns) == (5, pytest.approx(98.962e6))
    assert (summary.min_ns, summary.median_ns, summary.max_ns) == (95820400, 99508600, 101519000)


def test_what_cannot_be_read_is_said() -> None:
    assert "cannot be read" in (parsed("help").error or "")
    failure = Output((), ("no such file",), MeasurementError("p.run ended with exit code 1"), {}, request())
    assert INSTALLED.parse(failure).error == "p.run ended with exit code 1: no such file"


def test_the_command_has_what_the_request_asks_for() -> None:
    command = INSTALLED.command(request(cpus=(0, 1)))
    options = ["-e", "cpu", "-m", "duration", "-t", "1", "-o", "99", "-x", "4", "-y", "1", "-s", "-I"]
    assert list(command.argv) == ["taskset", "3", "/p.run", *options, "/m.onnx", "/r.csv"]
    assert command.results == ("/r.csv",)
    for wrong in ({"accelerator": "gpu"}, {"shapes": {"x": (1,)}}):
        with pytest.raises(UsageError):
            INSTALLED.command(request(**wrong))
