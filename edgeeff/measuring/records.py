"""The language of edgeeff's own runners: a spec as JSON on standard input, records as JSON lines on standard output.

What is in the spec and in which record is written down in benchmarks/_runner/__init__.py; the native runner keeps
to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeeff.codec import decode
from edgeeff.errors import MeasurementError
from edgeeff.measuring.commands import Command, Output, Request
from edgeeff.values import Launch

CURES = {
    "shape": "give its shape: --input-shape NAME=1x3x224x224",
    "runtime_missing": "install it on the device, or take another runtime",
    "accelerator": "take one that the device has with --accelerator",
    "profiler": "install ai-edge-litert 2.2 or later there",
}
"""What cures the runner's errors, by their code."""


@dataclass(frozen=True, slots=True)
class RecordRunner:
    """A runner on a device that speaks this language.

    Args:
        argv: what starts it there.
    """

    argv: tuple[str, ...]

    def command(self, request: Request) -> Command:
        return Command(on_cpus(request.cpus, self.argv), stdin=json.dumps(spec(request)), request=request)

    def parse(self, output: Output) -> Launch:
        return parse(output)


def spec(request: Request) -> dict[str, Any]:
    """A request as the runner gets it."""
    return {
        "model": request.model,
        "runtime": request.runtime,
        "accelerator": request.accelerator,
        "threads": request.threads,
        "seed": request.seed,
        "shapes": request.shapes,
        **asdict(request.policy),
    }


def on_cpus(cpus: Sequence[int] | None, argv: tuple[str, ...]) -> tuple[str, ...]:
    """A command bound to cores: by taskset, whose mask is hexadecimal in Android's toybox and in util-linux alike."""
    return argv if not cpus else ("taskset", f"{sum(1 << cpu for cpu in set(cpus)):x}", *argv)


def parse(output: Output) -> Launch:
    """A launch from the records; whatever is wrong with them is the launch's error."""
    return _launch(read_records(output.lines), output.failure)


def read_records(lines: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The records by their kind; of two of a kind the last."""
    records: dict[str, dict[str, Any]] = {}
    for record in filter(None, map(read_record, lines)):
        records[str(record.pop("record"))] = record
    return records


def read_record(line: str) -> dict[str, Any] | None:
    """A line of the runner; None where a foreign hand wrote it."""
    try:
        record = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "record" in record else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _launch(records: Mapping[str, dict[str, Any]], failure: MeasurementError | None) -> Launch:
    loaded, samples = records.get("loaded", {}), records.get("samples", {})
    error = why(records, failure)
    if error is None and not samples.get("samples_ns"):
        error = "the runner gave no samples"
    if error is not None:
        samples = {"samples_ns": []}
    try:
        return decode(Launch, {**loaded, **samples, "index": 0, "started_unix_s": 0.0, "error": error})
    except ValueError as fault:
        return failed(f"the runner's records make no sense: {fault}")


def why(records: Mapping[str, dict[str, Any]], failure: MeasurementError | None) -> str | None:
    """Why a launch failed, in one line; None where it did not."""
    if "error" in records:
        code, message = (str(records["error"].get(key)) for key in ("code", "message"))
        return one_line(f"{message}; {CURES[code]}" if code in CURES else f"{code}: {message}")
    if failure is not None:
        return why_failed(failure, "while the model ran" if "loaded" in records else "while the model was loaded")
    return None


def failed(error: str, samples_ns: Sequence[int] = ()) -> Launch:
    """A launch that gave nothing; its index and times are the caller's to set."""
    return Launch(0, tuple(samples_ns), 0.0, error=one_line(error))


def why_failed(failure: MeasurementError, stage: str = "") -> str:
    """How a program failed, with the last line of what it said to standard error."""
    last = failure.hint.splitlines()[-1:]
    if last and last[0].strip().startswith("taskset:"):
        return one_line(f"it cannot be bound to these cores ({last[0].strip()}): take others with --cores, or all")
    return one_line(" ".join([f"{failure.message} {stage}".strip(), *(f"({line.strip()})" for line in last)]))


def one_line(text: str) -> str:
    """A foreign text as the reason of a failed launch: in one line, and of a bounded length."""
    words = " ".join(text.split())
    return words if len(words) <= 400 else words[:397] + "..."
