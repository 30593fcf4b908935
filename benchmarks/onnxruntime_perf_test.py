"""onnxruntime_perf_test, onnxruntime's own: what times .onnx files where there is no Python. The user brings it.

It writes each run's time into its result file, so its samples are raw ones; without that file its percentiles are
taken from what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from edgeeff.errors import DeviceError, UsageError
from edgeeff.files import sha256_of
from edgeeff.measuring.commands import Command, LaunchPolicy, Output, Request
from edgeeff.measuring.launch import run_command
from edgeeff.measuring.records import failed, on_cpus, one_line, why_failed
from edgeeff.protocols import Device, InstalledRunner, Runner
from edgeeff.values import DeviceProfile, Launch, Summary

from ._benchmark_text import last_error
from ._prebuilt import check_abi, mentions

NAME = "onnxruntime_perf_test"
CURE = "build it (./build.sh --android --build_shared_lib off), and give it with --runner FILE"
PROVIDERS = {"cpu": "cpu", "npu": "nnapi"}
HELP_S = 30.0


@dataclass(frozen=True, slots=True)
class InstalledPerfTest:
    """An onnxruntime_perf_test on a device; `scratch` gives a path there that no launch has used."""

    path: str
    scratch: Callable[[str], str]
    digest: str
    build_type: str | None = None

    def command(self, request: Request) -> Command:
        if request.accelerator not in PROVIDERS:
            raise UsageError(f"{NAME} has no accelerator {request.accelerator}", f"take {' or '.join(PROVIDERS)}")
        if request.shapes:
            raise UsageError(f"{NAME} cannot be told an input's shape", "convert the network for one shape")
        result = self.scratch(".csv")
        # -I makes inputs up; times are asked for in whole seconds.
        seconds = max(1, round(request.policy.warmup_s + request.policy.max_s))
        options = ["-e", PROVIDERS[request.accelerator], "-m", "duration", "-t", str(seconds), "-o", "99"]
        options += ["-x", str(request.threads), "-y", "1", "-s", "-I", request.model, result]
        return Command(on_cpus(request.cpus, (self.path, *options)), results=(result,), request=request)

    def parse(self, output: Output) -> Launch:
        lines = (*output.lines, *output.errors)
        if output.failure is not None:
            return failed(f"{why_failed(output.failure)}: {last_error(lines)}")
        text = "\n".join(lines)
        policy = output.request.policy if output.request is not None else LaunchPolicy()
        samples, warmups = _warm(_raw(b"".join(output.results.values())), policy)
        summary = None if samples else _summary(text)
        if not samples and summary is None:
            return failed(f"the output of {NAME} cannot be read; its last line is: {last_error(lines)}")
        created = re.search(r"Session creation time cost: ?([\d.e+-]+) s", text)
        first = re.search(r"First inference time cost: ?([\d.]+) ms", text)
        peak = re.search(r"Peak working set size: ?(\d+)", text)
        return Launch(
            0,
            samples,
            0.0,
            summary=summary,
            startup_s=float(created[1]) if created else None,
            first_inference_s=float(first[1]) / 1e3 if first else None,
            warmup_runs=1 + warmups,
            peak_memory_bytes=int(peak[1]) if peak and int(peak[1]) else None,
            runtime_version=f"{NAME} {self.digest[:12]}",
            build_type=self.build_type,
        )


def _raw(content: bytes) -> list[int]:
    """The runs' times in nanoseconds, of lines `model,seconds,peak,cpu,run`; the model's name may hold commas."""
    found = re.findall(rb"(?m)^.*,([\d.]+(?:e[+-]?\d+)?),\d+,-?\d+,\d+$", content)
    return [round(float(seconds) * 1e9) for seconds in found]


def _warm(samples: Sequence[int], policy: LaunchPolicy) -> tuple[tuple[int, ...], int]:
    """The runs behind the warm-up, which it has for one run only; and how many were dropped."""
    passed = accumulate(samples, initial=0)
    warm = next((i for i, ns in enumerate(passed) if i + 1 >= policy.warmup_runs and ns >= policy.warmup_s * 1e9), 0)
    return (tuple(samples[warm:]), warm) if len(samples) - warm >= policy.min_runs else (tuple(samples), 0)


def _summary(text: str) -> Summary | None:
    """Of what it prints with -s: "P50 Latency: 0.0995086 s", or "P50 Latency is 0.0587108sec" in 2019."""

    def seconds(name: str) -> float | None:
        found = re.search(rf"{name} Latency(?: is|:) ?([\d.e+-]+) ?s", text)
        return float(found[1]) * 1e9 if found else None

    count = re.search(r"Total (?:inference requests|iterations): ?(\d+)", text)
    mean = re.search(r"Average (?:inference )?time cost(?: total)?: ?([\d.e+-]+) ms", text)
    low, high = seconds("Min"), seconds("Max")
    if not count or not mean or low is None or high is None:
        return None
    return Summary(int(count[1]), float(mean[1]) * 1e6, low, high, median_ns=seconds("P50"), p95_ns=seconds("P95"))


def build_type(file: Path) -> str | None:
    """Of the line that onnxruntime has about itself in the program; None where it is in a library beside it."""
    found = re.search(rb"ORT Build Info: [^\0]*?build type=(\w+)", file.read_bytes())
    return found[1].decode() if found else None


class PerfTest:
    """The user's own onnxruntime_perf_test."""

    name = NAME
    formats = ("onnx",)
    kinds = ("android", "linux", "host")

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        if file is None:
            return "not prebuilt anywhere; give your own with --runner FILE"
        return None if mentions(file, b"perf_test") else f"{file} does not look like {NAME}"

    def install(self, device: Device, file: Path | None) -> InstalledRunner:
        if file is None:
            raise UsageError(f"{NAME} is not prebuilt anywhere", CURE)
        check_abi(file, device.info().abi, device.name)
        path = device.push(file, executable=True)
        answer = run_command(device, Command((path, "-h")), HELP_S)
        lines = (*answer.lines, *answer.errors)
        if "perf_test" not in "\n".join(lines):
            raise DeviceError(
                f"{file} is no {NAME} that runs on {device.name}: its answer to -h is: {one_line(last_error(lines))}",
                CURE,
            )
        return InstalledPerfTest(path, device.scratch, sha256_of(file), build_type(file))


ADAPTER: Runner = PerfTest()
