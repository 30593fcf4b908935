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
class PairPolicy:
    """How one process measures two models against each other.

    Forty pairs of a network of 7 ms give the launch's median ratio to about 1 % on a quiet machine, where what
    differs from launch to launch is 1.5 %.
    """

    warmup_runs: int = 3
    warmup_s: float = 0.25
    pairs: int = 40
    min_pairs: int = 5
    max_s: float = 20.0
    """Networks of a quarter of a second and more get fewer pairs, but min_pairs."""
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class PairSide:
    """One of the two models.

    Args:
        model: its path on the device.
        python: the argument list of the interpreter that runs it, where it is not the runner's own.
    """

    model: str
    runtime: str
    python: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairRequest:
    """One launch of two models that take turns.

    Args:
        seed: of the inputs, which are the same for both.
        order_seed: of the order in which they are loaded and called.
        outputs: whether they are to give their outputs.
    """

    candidate: PairSide
    baseline: PairSide
    accelerator: str
    threads: int
    seed: int
    order_seed: int
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: bool = False
    policy: PairPolicy = field(default_factory=PairPolicy)
    cpus: tuple[int, ...] | None = None


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
