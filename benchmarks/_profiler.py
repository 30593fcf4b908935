"""The runner's profile mode: its command, and what its records say of each step."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeeff.measuring.commands import Command, Output, Request
from edgeeff.measuring.records import on_cpus, read_records, spec, why
from edgeeff.profiling.join import Step, StepTimes
from edgeeff.protocols import Device

from ._python import python_runner


@dataclass(frozen=True, slots=True)
class RecordProfiler:
    """The runner on a device, in its profile mode.

    Args:
        argv: what starts it there.
        method: what takes the times.
        types: the runtime's word for a step -> the types of the file's operators that it may run.
    """

    argv: tuple[str, ...]
    method: str
    types: Callable[[str], tuple[str, ...]]

    def command(self, request: Request) -> Command:
        given = {**spec(request), "mode": "profile"}
        return Command(on_cpus(request.cpus, self.argv), stdin=json.dumps(given), request=request)

    def parse(self, output: Output) -> StepTimes:
        records = read_records(output.lines)
        error = why(records, output.failure)
        if error is None and "profile" not in records:
            error = "the runner gave no profile"
        if error is not None:
            return StepTimes(error=error)
        try:
            return self._times(records["profile"], str(records.get("loaded", {}).get("runtime_version") or "") or None)
        except (KeyError, TypeError, ValueError, AttributeError, statistics.StatisticsError) as fault:
            return StepTimes(error=f"the runner's profile makes no sense: {fault}")

    def _times(self, record: Mapping[str, Any], version: str | None) -> StepTimes:
        return StepTimes(
            steps=tuple(self._step(step) for step in record["steps"]),
            runs=len(record["profiled_us"]),
            profiled_s=statistics.median(record["profiled_us"]) / 1e6,
            steps_s=statistics.median(map(sum, zip(*(step["us"] for step in record["steps"]), strict=True))) / 1e6,
            plain_s=statistics.median(record["plain_ns"]) / 1e9 if record["plain_ns"] else None,
            runtime_version=version,
            method=self.method,
        )

    def _step(self, step: Mapping[str, Any]) -> Step:
        kernel, index = str(step["kernel"]), step.get("index")
        time_s = statistics.median(step["us"]) / 1e6
        return Step(
            kernel, time_s, self.types(kernel), str(step.get("name", "")), None if index is None else int(index)
        )


def python_profiler(
    runtime: str, device: Device, file: Path | None, method: str, types: Callable[[str], tuple[str, ...]]
) -> RecordProfiler:
    """Brings the runner to a device, as `python_runner` does."""
    return RecordProfiler(python_runner(runtime, device, file).argv, method, types)
