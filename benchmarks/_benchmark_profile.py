"""benchmark_model's profile of the ops: its flag, and the table that it prints, in all forms that are known.

    ============================== Run Order ==============================
      [node type]  [start]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  [Name]

with a tab between the columns; [start] is in older ones only. XNNPACK's operators stand among the others ("Delegate/Add
(ND):3" by name), or, in older ones, in a table of their own behind "Delegate internal:". Source: LiteRT's
tflite/profiling/profile_summarizer.cc and TensorFlow's core/util/stats_calculator.cc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edgeeff.measuring.commands import Command, Output, Request
from edgeeff.measuring.records import why_failed
from edgeeff.profiling.join import Step, StepTimes

from ._benchmark_placement import read_fault
from ._benchmark_text import last_error, read_timings
from ._xnnpack import file_types

FLAG = "enable_op_profiling"
CAVEAT = "benchmark_model gives the mean of each op over its runs, not the median"

_REGULAR = "Profiling Info for Regular Benchmark Runs"
_ORDER = "= Run Order ="
_INTERNAL = "Delegate internal:"


class Installed(Protocol):
    """A benchmark_model on a device."""

    def command(self, request: Request) -> Command: ...


@dataclass(frozen=True, slots=True)
class BenchmarkProfiler:
    """A benchmark_model that profiles.

    Args:
        version: as the measurement has it.
    """

    installed: Installed
    version: str

    def command(self, request: Request) -> Command:
        command = self.installed.command(request)
        return replace(command, argv=(*command.argv, f"--{FLAG}=true"))

    def parse(self, output: Output) -> StepTimes:
        lines = (*output.lines, *output.errors)
        fault = read_fault(lines)
        if fault is None and output.failure is not None:
            fault = f"{why_failed(output.failure)}: {last_error(lines)}"
        if fault is not None:
            return StepTimes(error=fault)
        steps, timings = read_steps(lines), read_timings(lines)
        if not steps or timings is None:
            return StepTimes(error="benchmark_model printed no profile of the ops: it may be built without one")
        summary = timings.summary
        return StepTimes(
            steps=steps,
            runs=summary.count,
            profiled_s=summary.mean_ns / 1e9,
            steps_s=sum(step.time_s for step in steps),
            runtime_version=self.version,
            method="benchmark_model's profiler",
            caveats=(CAVEAT,),
        )


def read_steps(lines: Sequence[str]) -> tuple[Step, ...]:
    """The steps of the regular runs, in order; those inside of a delegate in the delegate's place."""
    start = next((i for i, line in enumerate(lines) if _REGULAR in line), None)
    if start is None:
        return ()
    behind = list(lines[start:])
    inside = next((i for i, line in enumerate(behind) if _INTERNAL in line), len(behind))
    own, parts = [step for step, _ in _table(behind[:inside])], _partitions(_table(behind[inside:]))
    if not parts:
        return tuple(own)
    places = [i for i, step in enumerate(own) if not step.types]
    if len(parts) != len(places):
        parts = [[step for part in parts for step in part]]
    steps: list[Step] = []
    for i, step in enumerate(own):
        if step.types:
            steps.append(step)
        elif places.index(i) < len(parts):
            steps += parts[places.index(i)]
    return tuple(steps)


def _partitions(rows: Iterable[tuple[Step, int]]) -> list[list[Step]]:
    """A delegate's steps by the parts of the network that it took: in each it counts from the start."""
    parts: list[list[Step]] = []
    last = -1
    for step, number in rows:
        if number <= last or not parts:
            parts.append([])
        parts[-1].append(step)
        last = number
    return parts


def _table(lines: Sequence[str]) -> Iterator[tuple[Step, int]]:
    """The rows of the first table in run order, each with the number behind its name."""
    start = next((i for i, line in enumerate(lines) if _ORDER in line), None)
    if start is None:
        return
    columns: list[str] = []
    for line in lines[start + 1 :]:
        # A log prefix may stand before the first tab.
        cells = [cell.strip() for cell in line.split("\t")[1:]]
        if not columns:
            columns = cells
        elif len(cells) == len(columns):
            row = dict(zip(columns, cells, strict=True))
            number = re.search(r":(\d+)$", row.get("[Name]", ""))
            yield _step(row, int(number[1]) if number else None), int(number[1]) if number else 0
        else:
            return


def _step(row: dict[str, str], number: int | None) -> Step:
    time_s = float(row["[avg ms]"]) / 1e3
    inside = re.fullmatch(r"Delegate/(.*):\d+", row.get("[Name]", ""))
    if inside:
        return Step(inside[1], time_s, file_types(inside[1]))
    kernel = row.get("[node type]", "").partition("/")[0]
    if "delegate" in kernel.lower():
        return Step(kernel, time_s, ())
    return Step(kernel, time_s, (kernel,), index=number)
