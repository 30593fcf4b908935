"""What goes between a launch and a runner: what is wanted, the command that does it, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeeff.errors import MeasurementError


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
class Request:
    """One launch as it is wanted.

    Args:
        model: its path on the device.
        runtime: the runner's name.
        shapes: input name -> shape, for inputs that the file leaves open.
        cpus: the cores that it may use; None leaves that to the system.
        allow_fallback: whether a run that left the accelerator counts.
    """

    model: str
    runtime: str
    accelerator: str
    threads: int
    seed: int
    shapes: Mapping[str, tuple[int, ...]]
    policy: LaunchPolicy = field(default_factory=LaunchPolicy)
    cpus: tuple[int, ...] | None = None
    allow_fallback: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What is run on the device.

    Args:
        results: paths there that the program writes; they are fetched when it has ended, where they are there.
        request: that it answers, for who reads the output.
    """

    argv: tuple[str, ...]
    stdin: str = ""
    results: tuple[str, ...] = ()
    request: Request | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What came back of a command.

    Args:
        lines: of standard output.
        errors: lines of standard error.
        failure: how it failed; None where it ended well.
        results: the bytes of the command's result files, by path; one that was not written is absent.
        request: the command's.
    """

    lines: tuple[str, ...]
    errors: tuple[str, ...] = ()
    failure: MeasurementError | None = None
    results: Mapping[str, bytes] = field(default_factory=dict)
    request: Request | None = None
