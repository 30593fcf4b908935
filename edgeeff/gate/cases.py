"""Matches of candidates and baselines -> what is measured against what on a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeeff.compare import Comparison
from edgeeff.errors import UsageError
from edgeeff.gate.match import Match, label
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.past import latest
from edgeeff.gate.reference import write_reference
from edgeeff.measuring.cases import Wanted, build_cases, check_input_shapes
from edgeeff.measuring.launch import Case
from edgeeff.protocols import Device


@dataclass(frozen=True, slots=True)
class Sides:
    """In what the two sides run, where it is not one and the same.

    Args:
        runtime, against_runtime: by name; None takes the device's for the format.
        python, against_python: a Python interpreter on the device with another version of the runtime.
    """

    runtime: str | None = None
    against_runtime: str | None = None
    python: str | None = None
    against_python: str | None = None

    @property
    def apart(self) -> bool:
        """Whether the user compares runtimes, or versions of one."""
        return self.python != self.against_python or self.against_runtime not in (None, self.runtime)

    @property
    def allowed(self) -> frozenset[str]:
        """What differs on purpose then."""
        return frozenset(("runtime", "runtime build", "delegate")) if self.apart else frozenset()


def gate_cases(matches: Sequence[Match], device: Device, wanted: Wanted, sides: Sides) -> list[GateCase]:
    """Checks all that can be checked before time is spent.

    Raises:
        UsageError: a file is foreign, or a runtime that was asked for does not run it there.
    """
    check_input_shapes([path for match in matches for path in (match.candidate, match.baseline)], wanted.shapes)
    return list(_cases(matches, device, wanted, sides))


def _cases(matches: Sequence[Match], device: Device, wanted: Wanted, sides: Sides) -> Iterator[GateCase]:
    # In one process two runtimes' threads would spin against each other: each side gets a process of its own.
    own = tuple(device.python()) if sides.apart else ()
    candidate_python = (sides.python,) if sides.python else own
    baseline_python = (sides.against_python,) if sides.against_python else own
    for number, match in enumerate(matches):
        candidate = _case(match.candidate, device, wanted, sides.runtime, f"{number}-candidate")
        against = sides.against_runtime or (sides.runtime if match.baseline.suffix == match.candidate.suffix else None)
        theirs = replace(wanted, runtimes_by="--against-runtime") if sides.against_runtime else wanted
        baseline = _case(match.baseline, device, theirs, against, f"{number}-baseline")
        measured = replace(baseline.measurement, path=match.origin)
        baseline = replace(baseline, measurement=measured)
        name = _name(match.name, candidate.measurement.runtime, measured.runtime)
        yield GateCase(f"{wanted.session}-{number}", name, candidate, baseline, candidate_python, baseline_python)


def history_cases(
    candidates: Sequence[Path],
    device: Device,
    wanted: Wanted,
    runtime: str | None,
    stored: Sequence[Comparison],
    folder: Path,
) -> list[GateCase]:
    """Candidates against the reference model, to be compared with earlier runs of theirs.

    Args:
        stored: what earlier runs left.
        folder: where the reference model is written.

    Raises:
        UsageError: a file is foreign, or the runtime does not run it there.
    """
    check_input_shapes(candidates, wanted.shapes)
    cases = []
    for number, path in enumerate(candidates):
        candidate = _case(path, device, wanted, runtime, f"{number}-candidate")
        reference = write_reference(folder, candidate.measurement.format)
        fixed = replace(wanted, shapes={})
        baseline = _case(reference, device, fixed, candidate.measurement.runtime, f"{number}-reference")
        past = latest(candidate.measurement, baseline.measurement.sha256, stored)
        cases.append(GateCase(f"{wanted.session}-{number}", label(path), candidate, baseline, past=past))
    return cases


def _name(name: str, runtime: str, against: str) -> str:
    return name if runtime == against else f"{name}, {runtime} against {against}"


def _case(path: Path, device: Device, wanted: Wanted, runtime: str | None, number: str) -> Case:
    wanted = replace(wanted, runtimes=(runtime,) if runtime else ())
    cases = build_cases([path], device, wanted)
    if len(cases) != 1:
        raise UsageError(f"{len(cases)} numbers of threads cannot be compared at once", "take one: --threads 1")
    (case,) = cases
    return replace(case, measurement=replace(case.measurement, id=f"{wanted.session}-{number}"))
