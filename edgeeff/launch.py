"""One launch: the spec that the runner gets, and what its records say."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgeeff.codec import decode
from edgeeff.errors import MeasurementError
from edgeeff.protocols import Device, Runtime
from edgeeff.values import Launch, Measurement

CURES = {
    "shape": "give its shape: --input-shape NAME=1x3x224x224",
    "runtime_missing": "install it on the device, or take another with --runtime",
    "accelerator": "take one that the device has with --accelerator",
}
"""What cures the runner's errors, by their code."""


@dataclass(frozen=True, slots=True)
class LaunchPolicy:
    """How one process measures. Short and many is better than long and few: see `edgeeff.stats`.

    Three runs and a quarter of a second are where a quiet machine's warm-up is over; a loaded one never settles,
    so to wait for a steady state would be to wait for ever (measured on onnxruntime, 138 launches).
    """

    warmup_runs: int = 3
    warmup_s: float = 0.25
    min_runs: int = 3
    max_runs: int = 100
    max_s: float = 0.5
    timeout_s: float = 120.0
    """The one deadline of a launch, from its start to its end."""


@dataclass(frozen=True, slots=True)
class Case:
    """One file in one runtime with one number of threads: what the launches of a measurement have in common.

    Args:
        measurement: the context, without launches.
        path: the model file here.
        shapes: input name -> shape, for inputs that the file leaves open.
    """

    measurement: Measurement
    path: Path
    runtime: Runtime
    shapes: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where the runner and the model are on the device."""

    runner: str
    model: str


def push(case: Case, device: Device) -> Pushed:
    """Makes a case's files available on the device."""
    return Pushed(device.push(case.runtime.runner), device.push(case.path))


def run_launch(case: Case, device: Device, pushed: Pushed, policy: LaunchPolicy, index: int) -> Launch:
    """Runs one process; whatever goes wrong in it is this launch's error and nobody else's.

    Raises:
        DeviceError: the device was lost, which concerns all launches.
    """
    before = device.state()
    started = time.time()
    records: dict[str, dict[str, Any]] = {}
    failure: MeasurementError | None = None
    try:
        spec = json.dumps(_spec(case, pushed.model, policy))
        for line in device.run([*device.python(), pushed.runner], stdin=spec, timeout_s=policy.timeout_s):
            records |= _record(line)
    except MeasurementError as error:
        failure = error
    after = device.state()
    launch = _launch(index, started, records, failure)
    if before.boot_id != after.boot_id:
        launch = Launch(index, (), started, error="the device rebooted during this launch")
    return replace(launch, state_before=before, state_after=after)


def _spec(case: Case, model: str, policy: LaunchPolicy) -> dict[str, Any]:
    context = case.measurement
    return {
        "model": model,
        "runtime": context.runtime,
        "accelerator": context.accelerator,
        "threads": context.threads,
        "seed": context.seed,
        "shapes": case.shapes,
        **asdict(policy),
    }


def _record(line: str) -> dict[str, dict[str, Any]]:
    """A line of the runner by its kind; nothing where a foreign hand wrote the line."""
    try:
        record = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}
    return {str(record.pop("record")): record} if isinstance(record, dict) and "record" in record else {}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _launch(
    index: int, started: float, records: Mapping[str, dict[str, Any]], failure: MeasurementError | None
) -> Launch:
    loaded, samples = records.get("loaded", {}), records.get("samples", {})
    error = _why(records, failure)
    if error is not None:
        samples = {"samples_ns": []}
    try:
        return decode(Launch, {**loaded, **samples, "index": index, "started_unix_s": started, "error": error})
    except ValueError as fault:
        return Launch(index, (), started, error=f"the runner's records make no sense: {fault}")


def _why(records: Mapping[str, dict[str, Any]], failure: MeasurementError | None) -> str | None:
    """Why a launch gave no samples, in one line; None where it gave some."""
    if "error" in records:
        code, message = (str(records["error"].get(key)) for key in ("code", "message"))
        return _one_line(f"{message}; {CURES[code]}" if code in CURES else f"{code}: {message}")
    if failure is not None:
        stage = "while the model ran" if "loaded" in records else "while the model was loaded"
        last = failure.hint.splitlines()[-1:]
        return _one_line(" ".join([f"{failure.message} {stage}", *(f"({line.strip()})" for line in last)]))
    return None if records.get("samples", {}).get("samples_ns") else "the runner gave no samples"


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 400 else words[:397] + "..."
