"""Profiles a file: several launches of the runtime's profiler, joined with what the file says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edgeeff import registry
from edgeeff.errors import MeasurementError, UsageError
from edgeeff.measuring.cases import inspected, is_reshaped
from edgeeff.measuring.commands import LaunchPolicy, Request
from edgeeff.measuring.launch import Case, run_command
from edgeeff.profiling.join import StepTimes, join
from edgeeff.profiling.profiles import OpTime, Profile
from edgeeff.protocols import Device, Profiler

MAX_FAILURES = 2
"""Launches that failed in a row after which a profile is given up."""


@dataclass(frozen=True, slots=True)
class ProfilePolicy:
    """How a file is profiled.

    Args:
        launches: processes; what differs between two (placement, the load of the moment) shows only with several.
        launch: of each, with and without the profiler.
    """

    launches: int = 3
    launch: LaunchPolicy = field(
        default_factory=lambda: LaunchPolicy(warmup_runs=5, min_runs=5, max_runs=100, max_s=1.0, timeout_s=300.0)
    )


def profile_case(
    case: Case, device: Device, policy: ProfilePolicy, told: Callable[[int, StepTimes], None] = lambda i, t: None
) -> Profile:
    """Profiles one file in one runtime.

    Args:
        told: gets each launch as it ends.

    Raises:
        UsageError: the runtime has no profiler, or the file cannot be read.
        MeasurementError: no launch gave a profile.
        DeviceError: the device was lost.
    """
    if not isinstance(case.runner, Profiler):
        able = sorted(name for name, runner in registry.runners().items() if isinstance(runner, Profiler))
        raise UsageError(f"{case.runner.name} has no profiler", f"take --runtime {' or '.join(able)}")
    operators = registry.converter(case.measurement.format).operators(case.path)
    if is_reshaped(inspected(case.path).inputs, case.shapes):  # theirs are of the file's own shapes
        operators = [replace(operator, macs=None) for operator in operators]
    profiler = case.runner.install_profiler(device, case.runner_file)
    request = _request(case, device.push(case.path), policy.launch)
    good: list[StepTimes] = []
    failures = 0
    for number in range(policy.launches):
        times = profiler.parse(run_command(device, profiler.command(request), policy.launch.timeout_s))
        told(number, times)
        failures = failures + 1 if times.error is not None else 0
        if times.error is None:
            good.append(times)
        elif failures == MAX_FAILURES:
            break
    if not good:
        raise MeasurementError(f"{case.measurement.path} could not be profiled", times.error or "")
    try:
        ops = join(operators, [times.steps for times in good])
    except ValueError as error:
        raise MeasurementError(f"{case.measurement.path} could not be profiled: {error}", "try it again") from error
    return _profile(case, good, ops)


def _request(case: Case, model: str, policy: LaunchPolicy) -> Request:
    m = case.measurement
    return Request(model, m.runtime, m.accelerator, m.threads, m.seed, case.shapes, policy, case.measurement.cpus)


def _profile(case: Case, good: list[StepTimes], ops: tuple[OpTime, ...]) -> Profile:
    m = case.measurement
    plain = tuple(times.plain_s for times in good if times.plain_s is not None)
    return Profile(
        id=m.id,
        path=m.path,
        sha256=m.sha256,
        size_bytes=m.size_bytes,
        format=m.format,
        precision=m.precision,
        variant=m.variant,
        weights=m.weights,
        macs=m.macs,
        runtime=m.runtime,
        runtime_version=good[0].runtime_version,
        threads=m.threads,
        accelerator=m.accelerator,
        device=m.device,
        tool_version=m.tool_version,
        created_unix_s=time.time(),
        method=good[0].method,
        runs=min(times.runs for times in good),
        profiled_s=tuple(times.profiled_s for times in good),
        steps_s=tuple(times.steps_s for times in good),
        plain_s=plain if len(plain) == len(good) else (),
        ops=ops,
        caveats=good[0].caveats,
    )
