"""Google's benchmark_model, TFLite's (v1) and LiteRT's (v2): what times .tflite files where there is no Python.

It keeps no raw samples, so a launch is a summary, and the spread is the one between launches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeeff.errors import DeviceError, UsageError
from edgeeff.files import sha256_of
from edgeeff.measuring.commands import Command, Output, Request
from edgeeff.measuring.launch import run_command
from edgeeff.measuring.records import failed, on_cpus, one_line, why_failed
from edgeeff.protocols import Device, InstalledProfiler, InstalledRunner, Runner
from edgeeff.values import DeviceProfile, Launch

from ._benchmark_flags import Flags, arguments, environment, read_flags
from ._benchmark_placement import Placement, read_fault, read_placement
from ._benchmark_profile import FLAG, BenchmarkProfiler
from ._benchmark_result import read_result
from ._benchmark_text import Timings, last_error, read_timings
from ._prebuilt import check_abi, fetched, mentions, prebuilt

NAME = "benchmark_model"
HELP_S = 30.0


@dataclass(frozen=True, slots=True)
class InstalledBenchmark:
    """A benchmark_model on a device.

    Args:
        path: its own, there.
        scratch: gives a path there that no launch has used, since an old result must not pass for a new one.
        digest: of the program, which has no version of its own.
        npu_libraries: the folder there with the NPU vendor's libraries.
    """

    path: str
    flags: Flags
    scratch: Callable[[str], str]
    digest: str
    npu_libraries: str | None = None

    def command(self, request: Request) -> Command:
        result = self.scratch(".pb")
        libraries = self.npu_libraries
        flags = arguments(self.flags, request, result, libraries)
        argv = (*environment(self.flags, request, libraries), self.path, *flags)
        return Command(on_cpus(request.cpus, argv), results=(result,), request=request)

    def parse(self, output: Output) -> Launch:
        lines = (*output.lines, *output.errors)
        request = output.request
        fault = read_fault(lines)
        if fault is not None:
            return failed(fault)
        if output.failure is not None:
            return failed(f"{why_failed(output.failure)}: {last_error(lines)}")
        timings = read_result(b"".join(output.results.values())) or read_timings(lines)
        if timings is None:
            return failed(f"the output of {NAME} cannot be read; its last line is: {last_error(lines)}")
        accelerator = request.accelerator if request is not None else "cpu"
        placement = read_placement(lines, accelerator)
        fell_back = placement.complete is False and accelerator != "cpu"
        if fell_back and not (request is not None and request.allow_fallback):
            return failed(f"{_fell_back(placement)}: --allow-fallback measures it as it is")
        return self._launch(timings, placement, accelerator)

    def _launch(self, timings: Timings, placement: Placement, accelerator: str) -> Launch:
        half = accelerator == "gpu"  # see _benchmark_flags
        delegate = placement.delegate and f"{placement.delegate}{', fp16 allowed' if half else ''}"
        return Launch(
            0,
            (),
            0.0,
            summary=timings.summary,
            startup_s=timings.startup_s,
            first_inference_s=timings.first_inference_s,
            warmup_runs=timings.warmup_runs,
            memory_delta_bytes=timings.memory_delta_bytes,
            peak_memory_bytes=timings.peak_memory_bytes,
            ops=placement.ops,
            delegated_ops=placement.delegated_ops,
            delegate=delegate,
            partitions=placement.partitions,
            fully_delegated=placement.complete,
            runtime_version=f"{NAME} v{self.flags.version} {self.digest[:12]}",
        )


def _fell_back(placement: Placement) -> str:
    """In one clause. Where no delegate is named, the placement names the accelerator."""
    if placement.delegated_ops == 0:
        return f"none of the {placement.ops} ops runs on the {placement.delegate}"
    if placement.ops is not None:
        return f"only {placement.delegated_ops} of {placement.ops} ops run in the {placement.delegate} delegate"
    return f"not all ops run in the {placement.delegate} delegate"


class BenchmarkModel:
    """benchmark_model, given by the user or downloaded for the pinned release."""

    name = NAME
    formats = ("tflite",)
    kinds = ("android", "linux", "host")

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        if file is not None:
            return None if mentions(file, b"num_threads") else f"{file} does not look like {NAME}"
        wanted = prebuilt(NAME, profile.kind, profile.abi or ("arm64-v8a" if profile.kind == "android" else None))
        if wanted is None:
            return "not prebuilt for this device; give your own with --runner FILE"
        if wanted.sha256 is None:
            return f"the hash of the prebuilt {wanted.version} is not known here; give your own with --runner FILE"
        return None

    def install(self, device: Device, file: Path | None) -> InstalledRunner:
        return self._install(device, file)

    def _install(self, device: Device, file: Path | None) -> InstalledBenchmark:
        abi = device.info().abi
        program = self._program(device, abi) if file is None else file
        check_abi(program, abi, device.name)
        path = device.push(program, executable=True)
        answer = run_command(device, Command((path, "--help")), HELP_S)
        lines = (*answer.lines, *answer.errors)
        flags = read_flags(lines)
        if flags is None:
            why = one_line(last_error(lines))
            raise DeviceError(
                f"{program} is no {NAME} that runs on {device.name}: its answer to --help is: {why}",
                "give Google's benchmark_model for the device's ABI with --runner FILE",
            )
        return InstalledBenchmark(path, flags, device.scratch, sha256_of(program), device.profile.npu_libraries)

    def install_profiler(self, device: Device, file: Path | None) -> InstalledProfiler:
        installed = self._install(device, file)
        if FLAG not in installed.flags.offered:
            raise UsageError(
                f"this {NAME} cannot profile ops: it does not offer --{FLAG}",
                "take TFLite's (v1) with --runner FILE: devices/README.md says where it is",
            )
        return BenchmarkProfiler(installed, f"{NAME} v{installed.flags.version} {installed.digest[:12]}")

    def _program(self, device: Device, abi: str | None) -> Path:
        wanted = prebuilt(NAME, device.profile.kind, abi)
        if wanted is None:
            raise DeviceError(
                f"there is no prebuilt {NAME} for {device.name} ({abi or 'unknown ABI'})", "give one with --runner FILE"
            )
        return fetched(wanted)


ADAPTER: Runner = BenchmarkModel()
