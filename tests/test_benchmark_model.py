"""Google's benchmark_model: its help, and its output in every form that is known (tests/golden/benchmark_model).

The golden files follow the programs' sources; v2's also what LiteRT 2.2.0's own build printed on a Galaxy S25 Ultra,
as others have published it. The numbers in them are made up.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from edgeeff.benchmarks._benchmark_flags import Flags, read_flags
from edgeeff.benchmarks._benchmark_result import read_result
from edgeeff.benchmarks.benchmark_model import InstalledBenchmark
from edgeeff.errors import MeasurementError, UsageError
from edgeeff.measuring.commands import Output, Request
from edgeeff.values import Launch

GOLDEN = Path(__file__).parent / "golden" / "benchmark_model"


def lines(name: str) -> tuple[str, ...]:
    return tuple((GOLDEN / f"{name}.txt").read_text().splitlines())


def flags(name: str) -> Flags:
    found = read_flags(lines(f"help-{name}"))
    assert found is not None
    return found


def request(accelerator: str = "cpu", **options: Any) -> Request:
    return Request(
        "/m.tflite", "benchmark_model", accelerator, options.pop("threads", 4), 0, options.pop("shapes", {}), **options
    )


def installed(name: str = "v1") -> InstalledBenchmark:
    numbers = count()
    return InstalledBenchmark("/b.run", flags(name), lambda suffix: f"/r{next(numbers)}{suffix}", "0123456789abcdef")


def parsed(name: str, accelerator: str = "cpu", result: bytes = b"", failure: str = "", **options: Any) -> Launch:
    """The program's lines on standard error, where v2 and errors go."""
    fault = MeasurementError(failure) if failure else None
    output = Output((), lines(name), fault, {"/r": result} if result else {}, request(accelerator, **options))
    return installed("v2" if name.startswith("v2") else "v1").parse(output)


@pytest.mark.parametrize("name", ["v1-2025", "v1-2021", "v1-2019", "v1-op-profiling", "v2", "v2-block"])
def test_the_runs_timings_and_not_the_warm_ups(name: str) -> None:
    launch = parsed(name)
    summary = launch.summary
    assert launch.error is None and launch.samples_ns == () and summary is not None
    rounded = name == "v2-block"
    assert summary.count == (16 if name in ("v1-2025", "v1-op-profiling", "v2", "v2-block") else 50)
    assert summary.mean_ns == (33.21e6 if rounded else 33209.4e3)
    assert (summary.min_ns, summary.max_ns) == ((32.64e6, 34.01e6) if rounded else (32641e3, 34005e3))
    assert summary.std_ns == 450e3
    assert summary.median_ns == (33050e3 if name in ("v1-2025", "v1-op-profiling", "v2") else None)
    assert launch.startup_s == pytest.approx(0.01586 if name.startswith("v2") else 0.015855)
    assert launch.first_inference_s == pytest.approx(0.04906)
    assert launch.warmup_runs == (8 if summary.count == 16 else 15)
    assert launch.memory_delta_bytes == (None if name in ("v1-2019", "v1-op-profiling") else round(12.75 * 2**20))
    assert launch.runtime_version == f"benchmark_model {name[:2]} 0123456789ab"


def test_slow_runs_are_in_scientific_notation() -> None:
    summary = parsed("v1-2020").summary
    assert summary is not None and summary.mean_ns == 1.13321e9 and summary.min_ns == 1132641e3
    assert parsed("v1-2020").first_inference_s == pytest.approx(1.24906)
    assert parsed("v1-2020").memory_delta_bytes == round(12.75 * 2**20)


def test_runs_that_are_all_the_same() -> None:
    summary = parsed("v1-all-same").summary
    assert summary is not None and summary.count == 41666
    assert summary.mean_ns == summary.median_ns == summary.min_ns == summary.max_ns == 12e3
    assert summary.std_ns == 0


def test_a_single_run() -> None:
    launch = parsed("v1-one-run")
    assert launch.summary is not None and launch.summary.count == 1
    assert launch.summary.mean_ns == launch.summary.median_ns == launch.summary.p95_ns == 899641e3
    assert launch.first_inference_s == pytest.approx(0.905463)


@pytest.mark.parametrize("name", ["v1-no-runs", "v2-no-runs", "v1-crashed", "help-2019"])
def test_output_without_timings_is_said_to_be_unreadable(name: str) -> None:
    launch = parsed(name)
    assert launch.summary is None and launch.error is not None
    assert "output of benchmark_model cannot be read; its last line is: " in launch.error


@pytest.mark.parametrize(
    ("name", "accelerator", "delegate", "ops", "delegated", "partitions", "complete"),
    [
        ("v1-2025", "cpu", "XNNPACK", 238, 238, 1, True),
        ("v1-2021", "cpu", "XNNPACK", None, None, 1, True),
        ("v1-2019", "cpu", None, None, None, None, None),
        ("v1-xnnpack-lost", "cpu", "XNNPACK", None, None, None, False),
        ("v1-gpu-complete", "gpu", "GPU, fp16 allowed", 238, 238, 1, True),
        ("v1-gpu-partial", "gpu", "GPU, fp16 allowed", 64, 60, 3, False),
        ("v1-nnapi-none", "npu", "NNAPI", None, None, None, False),
        ("v2", "cpu", "TfLiteXNNPackDelegate", 238, 238, 1, True),
        ("v2-block", "cpu", "TfLiteXNNPackDelegate", 238, 238, 1, True),
        ("v2-gpu-complete", "gpu", "LITERT_CL, fp16 allowed", 238, 238, 1, True),
        ("v2-gpu-partial", "gpu", "LITERT_CL, fp16 allowed", 238, 230, None, False),
        ("v2-gpu-absent", "gpu", "gpu, fp16 allowed", 238, 0, None, False),
        ("v2-gpu-absent", "npu", "npu", 238, 0, None, False),
        ("v2-npu-complete", "npu", "DispatchDelegate", 238, 238, 1, True),
        ("v2-npu-partial", "npu", "DispatchDelegate", 238, 230, 2, False),
    ],
)
def test_the_output_tells_where_the_ops_ran(
    name: str, accelerator: str, delegate: Any, ops: Any, delegated: Any, partitions: Any, complete: Any
) -> None:
    launch = parsed(name, accelerator, allow_fallback=True)
    assert launch.error is None
    assert (launch.delegate, launch.ops, launch.delegated_ops) == (delegate, ops, delegated)
    assert (launch.partitions, launch.fully_delegated) == (partitions, complete)


@pytest.mark.parametrize(
    ("name", "accelerator", "message"),
    [
        ("v1-gpu-partial", "gpu", "only 60 of 64 ops run in the GPU delegate: --allow-fallback"),
        ("v1-gpu-strict", "gpu", "does not take the whole network: --allow-fallback"),
        ("v1-gpu-failed", "gpu", "the GPU delegate cannot be applied"),
        ("v1-nnapi-none", "npu", "not all ops run in the NNAPI delegate: --allow-fallback"),
        ("v2-gpu-partial", "gpu", "only 230 of 238 ops run in the LITERT_CL delegate: --allow-fallback"),
        ("v2-npu-partial", "npu", "only 230 of 238 ops run in the DispatchDelegate delegate: --allow-fallback"),
        ("v2-npu-no-library", "npu", "no library for this NPU in the folder that the device file names"),
        ("v2-gpu-absent", "gpu", "none of the 238 ops runs on the gpu: --allow-fallback"),
        ("v1-unconsumed", "cpu", "does not know --use_npu=true --dispatch_library_path=/x"),
    ],
)
def test_what_did_not_run_as_asked_is_no_measurement(name: str, accelerator: str, message: str) -> None:
    launch = parsed(name, accelerator)
    assert launch.summary is None and launch.error is not None and message in launch.error


def test_a_crash_keeps_what_the_program_said_last() -> None:
    error = parsed("v1-crashed", failure="x.run was killed by signal 11").error
    assert error is not None and error.startswith("x.run was killed by signal 11: INFO: Running benchmark")


def test_the_versions_are_told_apart_by_their_flags() -> None:
    assert [(flags(n).version, flags(n).accelerators) for n in ("v1", "v2", "2019")] == [
        (1, ("cpu", "gpu", "npu")),
        (2, ("cpu", "gpu", "npu")),
        (1, ("cpu", "gpu", "npu")),
    ]
    assert read_flags(["usage: cat [FILE]"]) is None


def argv(name: str, *arguments: Any, **options: Any) -> list[str]:
    return list(installed(name).command(request(*arguments, **options)).argv)


def test_commands_say_explicitly_what_is_wanted() -> None:
    common = ["--graph=/m.tflite", "--num_threads=4", "--num_runs=3", "--min_secs=0.5", "--max_secs=40"]
    common += ["--warmup_runs=3", "--warmup_min_secs=0.25"]
    assert argv("v1") == ["/b.run", *common, "--use_xnnpack=true", "--result_file_path=/r0.pb"]
    assert argv("v2") == ["/b.run", *common, "--result_file_path=/r0.pb"]
    assert argv("2019") == ["/b.run", *common]
    assert argv("v1", "gpu")[8:-1] == [
        "--use_gpu=true",
        "--gpu_precision_loss_allowed=true",
        "--require_full_delegation=true",
    ]
    assert argv("v1", "gpu", allow_fallback=True)[8:-1] == ["--use_gpu=true", "--gpu_precision_loss_allowed=true"]
    assert argv("v1", "npu")[8:-1] == [
        "--use_nnapi=true",
        "--disable_nnapi_cpu=true",
        "--require_full_delegation=true",
    ]
    strict = ["--require_full_delegation=true", "--use_cpu=false"]
    assert argv("v2", "gpu")[8:-1] == ["--use_gpu=true", "--gpu-precision=auto", *strict]


def test_an_npu_is_reached_through_its_vendors_libraries() -> None:
    with pytest.raises(UsageError, match="only through its vendor's libraries") as caught:
        argv("v2", "npu")
    assert "npu_libraries = ..." in caught.value.hint
    benchmark = replace(installed("v2"), npu_libraries="/data/local/tmp/n p u")
    folder = [f"--{name}=/data/local/tmp/n p u" for name in ("dispatch_library_path", "compiler_plugin_library_path")]
    command = list(benchmark.command(request("npu", cpus=(0,))).argv)
    paths = ["LD_LIBRARY_PATH=/data/local/tmp/n p u", "ADSP_LIBRARY_PATH=/data/local/tmp/n p u"]
    assert command[:6] == ["taskset", "1", "env", *paths, "/b.run"]
    assert command[13:-1] == ["--use_npu=true", "--require_full_delegation=true", "--use_cpu=false", *folder]
    command = list(benchmark.command(request("npu", allow_fallback=True)).argv)
    assert command[11:-1] == ["--use_npu=true", *folder]
    assert "env" not in benchmark.command(request("gpu")).argv  # nor for what needs none
    assert "env" not in replace(installed("v1"), npu_libraries="/x").command(request("npu")).argv


def test_cores_are_a_mask_in_hexadecimal() -> None:
    assert argv("v1", cpus=(4, 5, 6, 7))[:3] == ["taskset", "f0", "/b.run"]


def test_shapes_go_where_there_is_a_flag_for_them() -> None:
    found = argv("v1", shapes={"a": (1, 224, 224, 3), "b": (1,)})
    assert "--input_layer=a,b" in found and "--input_layer_shape=1,224,224,3:1" in found
    with pytest.raises(UsageError, match="cannot be told an input's shape"):
        argv("v2", shapes={"a": (1,)})
    with pytest.raises(UsageError, match="cannot be told of the input 'a,b'"):
        argv("v1", shapes={"a,b": (1,)})


def test_each_launch_writes_a_result_of_its_own() -> None:
    benchmark = installed()
    assert benchmark.command(request()).results != benchmark.command(request()).results


def message() -> Any:
    """BenchmarkResult, as protobuf itself makes it of the fields in the .proto file."""
    file = descriptor_pb2.FileDescriptorProto(name="benchmark_result.proto", package="tflite", syntax="proto2")
    number, kilobytes, small, text = 2, 3, 5, 9  # float, int64, int32, string
    layout: dict[str, list[tuple[str, int]]] = {
        "LatencyMetrics": [
            (n, number) for n in ("avg", "min", "max", "std", "median", "p5", "p95", "init", "first", "warm")
        ],
        "MemoryMetrics": [("init_kb", kilobytes), ("overall_kb", kilobytes), ("peak_mb", number)],
        "MiscMetrics": [("size", number), ("runs", small), ("warmups", small), ("throughput", number), ("fps", number)],
    }
    for name, fields in layout.items():
        kind = file.message_type.add(name=name)
        for index, (field, of) in enumerate(fields, 1):
            kind.field.add(name=field, number=index, type=of, label=1)
    result = file.message_type.add(name="BenchmarkResult")
    result.field.add(name="name", number=1, type=text, label=1)
    for index, name in enumerate(layout, 2):
        result.field.add(name=name[:3].lower(), number=index, type=11, type_name=f".tflite.{name}", label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tflite.BenchmarkResult"))()


def result_file() -> bytes:
    result = message()
    for name, value in {"avg": 33.2094, "min": 32.641, "max": 34.005, "std": 0.45, "median": 33.05, "p5": 32.7}.items():
        setattr(result.lat, name, value)
    result.lat.p95, result.lat.init, result.lat.first, result.lat.warm = 34.0, 15.855, 49.06, 34.8251
    result.mem.init_kb, result.mem.overall_kb, result.mem.peak_mb = 10752, 13056, 61.5
    result.mis.size, result.mis.runs, result.mis.warmups = 21.1, 17, 8
    return bytes(result.SerializeToString())


def test_the_result_file_is_read_and_wins_over_rounded_text() -> None:
    launch = parsed("v2", result=result_file())
    summary = launch.summary
    assert summary is not None and (summary.count, launch.warmup_runs) == (17, 8)
    assert summary.mean_ns == pytest.approx(33.2094e6, rel=1e-6)
    assert summary.median_ns == pytest.approx(33.05e6, rel=1e-6)
    assert (summary.p5_ns, summary.p95_ns) == (pytest.approx(32.7e6), pytest.approx(34e6))
    assert launch.startup_s == pytest.approx(0.015855) and launch.first_inference_s == pytest.approx(0.04906)
    assert launch.memory_delta_bytes == 13056 * 1024
    assert launch.peak_memory_bytes == round(61.5 * 2**20)
    assert launch.delegated_ops == 238  # the text is read for what the file does not hold


def test_a_damaged_result_file_leaves_the_text() -> None:
    whole = result_file()
    for size in range(len(whole) - 40):
        launch = parsed("v1-2025", result=whole[:size])
        assert launch.summary is not None and launch.summary.count in (16, 17)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_passed_over(content: bytes) -> None:
    read_result(content)
