"""benchmark_model's profile of the ops, in the forms that its sources print. The times are made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.benchmarks._benchmark_profile import CAVEAT, BenchmarkProfiler, read_steps
from edgeeff.errors import MeasurementError
from edgeeff.measuring.commands import Command, LaunchPolicy, Output, Request
from edgeeff.profiling.join import join
from edgeeff.protocols import Profiler

GOLDEN = Path(__file__).parent / "golden" / "benchmark_model"


class Program:
    """Stands for a benchmark_model on a device."""

    def command(self, request: Request) -> Command:
        return Command(("benchmark_model", f"--graph={request.model}"), request=request)


PROFILER = BenchmarkProfiler(Program(), "benchmark_model v1 0123")


def output(name: str) -> Output:
    return Output(tuple((GOLDEN / f"{name}.txt").read_text().splitlines()))


@pytest.mark.parametrize("name", ["profile-2025", "profile-2021"])
def test_each_form_is_joined_with_the_file(name: str, split_tflite: Path) -> None:
    """A file of which one op is outside of the delegate, and one that XNNPACK adds has no operator of the file."""
    times = PROFILER.parse(output(name))
    assert times.error is None and times.runs == 16 and times.profiled_s == pytest.approx(1.1e-3)
    assert times.plain_s is None and times.caveats == (CAVEAT,)
    ops = join(registry.converter("tflite").operators(split_tflite), [times.steps])
    named = {op.name: op for op in ops if op.name}
    assert named["stem"].time_s == pytest.approx(0.5e-3) and named["stem"].kernel == "Convolution (NHWC, F32) IGEMM"
    assert named["repeat"].time_s == pytest.approx(0.02e-3)
    assert named["classifier"].macs == 80 and named["pool"].kind == "mean"
    assert sum(op.macs or 0 for op in ops) == 16 * 16 * 8 * 27 + 80
    assert times.steps_s == pytest.approx(sum(step.time_s for step in times.steps))


def test_the_initialization_is_not_taken_for_a_run() -> None:
    assert all("ModifyGraph" not in step.kernel for step in read_steps(output("profile-2025").lines))


def test_the_flag_is_added() -> None:
    command = PROFILER.command(Request("m.tflite", "benchmark_model", "cpu", 1, 0, {}, LaunchPolicy()))
    assert command.argv == ("benchmark_model", "--graph=m.tflite", "--enable_op_profiling=true")


@pytest.mark.parametrize("name", ["v1-2025", "v1-op-profiling", "v2"])
def test_an_output_without_a_profile_is_an_error(name: str) -> None:
    times = PROFILER.parse(output(name))
    assert times.error is not None and "no profile of the ops" in times.error


@pytest.mark.parametrize("name", ["v1-unconsumed", "v1-crashed"])
def test_a_run_that_failed_is_an_error(name: str) -> None:
    failure = MeasurementError("benchmark_model was killed by SIGABRT")
    assert PROFILER.parse(Output(output(name).lines, failure=failure)).error


def test_rows_that_are_cut_off_end_the_table() -> None:
    lines = output("profile-2025").lines
    cut = [line.partition("Delegate/Mean")[0].rsplit("\t", 3)[0] if "Mean (ND)" in line else line for line in lines]
    assert [step.kernel for step in read_steps(cut)] == ["PAD", "Convolution (NHWC, F32) IGEMM", "CONCATENATION"]


def test_it_is_a_profiler() -> None:
    assert isinstance(registry.runner("benchmark_model"), Profiler)
