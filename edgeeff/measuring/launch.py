"""One launch: its command on the device, what came back, and in which state the device was."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.measuring.commands import Command, LaunchPolicy, Output, Request
from edgeeff.protocols import Device, InstalledRunner, Runner
from edgeeff.values import DeviceState, Launch, Measurement


@dataclass(frozen=True, slots=True)
class Case:
    """One file in one runtime with one number of threads: what the launches of a measurement have in common.

    Args:
        measurement: the context, without launches.
        path: the model file here.
        shapes: input name -> shape, for inputs that the file leaves open.
        runner_file: the user's own runner (--runner).
        allow_fallback: whether launches count that left the accelerator.
    """

    measurement: Measurement
    path: Path
    runner: Runner
    shapes: Mapping[str, tuple[int, ...]]
    runner_file: Path | None = None
    allow_fallback: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """The runner and the model's path on the device."""

    runner: InstalledRunner
    model: str


def push(case: Case, device: Device) -> Pushed:
    """Makes a case's files available on the device."""
    return Pushed(case.runner.install(device, case.runner_file), device.push(case.path))


def run_launch(
    case: Case, device: Device, pushed: Pushed, policy: LaunchPolicy, index: int, before: DeviceState | None = None
) -> Launch:
    """Runs one process; whatever goes wrong in it is this launch's error and nobody else's.

    Args:
        before: the device's state, where the caller has just read it.

    Raises:
        DeviceError: the device was lost, which concerns all launches.
    """
    before = device.state() if before is None else before
    started = time.time()
    output = run_command(device, pushed.runner.command(_request(case, pushed.model, policy)), policy.timeout_s)
    after = device.state()
    launch = replace(pushed.runner.parse(output), index=index, started_unix_s=started)
    if before.boot_id != after.boot_id:
        launch = Launch(index, (), started, error="the device rebooted during this launch")
    return replace(launch, state_before=before, state_after=after)


def run_command(device: Device, command: Command, timeout_s: float) -> Output:
    """Runs a command to its end and collects what it gave.

    Raises:
        DeviceError: the device was lost.
    """
    lines: list[str] = []
    errors: list[str] = []
    failure: MeasurementError | None = None
    try:
        running = device.run(command.argv, stdin=command.stdin, timeout_s=timeout_s, on_stderr=errors.append)
        with closing(running):  # type: ignore[type-var]  # an iterator that is closed kills what it reads from
            lines.extend(running)
    except MeasurementError as error:
        failure = error
    return Output(tuple(lines), tuple(errors), failure, _results(device, command), command.request)


def _results(device: Device, command: Command) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for remote in command.results:
        with tempfile.TemporaryDirectory() as folder, suppress(DeviceError):
            path = Path(folder) / "result"
            device.pull(remote, path)
            found[remote] = path.read_bytes()
    return found


def _request(case: Case, model: str, policy: LaunchPolicy) -> Request:
    context = case.measurement
    return Request(
        model,
        context.runtime,
        context.accelerator,
        context.threads,
        context.seed,
        case.shapes,
        policy,
        context.cpus,
        case.allow_fallback,
    )
