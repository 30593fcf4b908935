"""Joins what a runtime's profiler reports with the operators of the file.

A runtime does not run a file's operators one by one: it fuses some, adds steps of its own, and calls them by other
names. What it reports is therefore matched in three steps: by the operator's index where the runtime tells it, by
name, and what is left by its type, in order. An operator that has no step of its own ran within another's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgeeff.profiling.profiles import OpTime, block_of
from edgeeff.values import Operator


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the runtime, as its profiler reports it.

    Args:
        kernel: what the runtime calls it.
        time_s: the median over the runs of a launch.
        types: of the file's operators that it may run, in the format's words; empty for one that runs none.
        name: it bears, which starts with that of the file's operator; "" where it has none.
        index: of the file's operator, where the runtime tells it.
    """

    kernel: str
    time_s: float
    types: tuple[str, ...]
    name: str = ""
    index: int | None = None


@dataclass(frozen=True, slots=True)
class StepTimes:
    """What one launch of a profiler gave.

    Args:
        profiled_s: the median of a whole inference under the profiler.
        steps_s: the median, over the runs, of what the steps of a run add up to. On a machine that is not quiet that
            is more than the steps' own medians add up to: each run is interrupted somewhere else.
        plain_s: without it; None where that was not measured.
        error: why there are no steps.
    """

    steps: tuple[Step, ...] = ()
    runs: int = 0
    profiled_s: float = 0.0
    steps_s: float = 0.0
    plain_s: float | None = None
    runtime_version: str | None = None
    method: str = ""
    caveats: tuple[str, ...] = ()
    error: str | None = None


@dataclass(slots=True)
class _Row:
    """A step and the operators that it runs: that which it is called after, and those fused into it."""

    step: Step
    main: int | None
    fused: list[int] = field(default_factory=list)


def join(operators: Sequence[Operator], launches: Sequence[Sequence[Step]]) -> tuple[OpTime, ...]:
    """The steps of several launches with what the file says of them.

    Args:
        launches: the steps of each launch.

    Raises:
        ValueError: the launches ran different steps.
    """
    rows = _rows(operators, launches[0])
    times = {key: [row.step.time_s] for key, row in rows.items()}
    for other in launches[1:]:
        again = _rows(operators, other)
        if again.keys() != rows.keys():
            raise ValueError("two launches ran different steps")
        for key, row in again.items():
            times[key].append(row.step.time_s)
    for op, row in _fused(operators, list(rows.values())).items():
        row.fused.append(op)
    return tuple(_op_time(operators, row, tuple(times[key])) for key, row in rows.items())


def _rows(operators: Sequence[Operator], steps: Sequence[Step]) -> dict[tuple[int | None, str, int], _Row]:
    """The steps by what they run, their kernel, and which of several such they are.

    Not by their place: onnxruntime may order two launches' steps in two ways.
    """
    rows: dict[tuple[int | None, str, int], _Row] = {}
    seen: Counter[tuple[int | None, str]] = Counter()
    for step, main in zip(steps, match(operators, steps), strict=True):
        rows[main, step.kernel, seen[main, step.kernel]] = _Row(step, main)
        seen[main, step.kernel] += 1
    return rows


def match(operators: Sequence[Operator], steps: Sequence[Step]) -> list[int | None]:
    """For each step the index of the operator that it runs, None for one that the runtime added."""
    found: list[int | None] = [
        step.index if step.index is not None and step.index < len(operators) else None for step in steps
    ]
    _match_names(operators, steps, found)
    taken = {index for index in found if index is not None}
    # A gap between two steps that are known is matched within itself: order is kept.
    start = 0
    for end in range(len(steps) + 1):
        if end < len(steps) and found[end] is None:
            continue
        low = max((i for i in found[:start] if i is not None), default=-1) + 1
        high = found[end] if end < len(steps) else len(operators)
        if start < end and high is not None:
            free = [i for i in range(low, high) if i not in taken]
            for step, operator in _in_order(operators, free, steps, range(start, end)):
                found[step] = operator
                taken.add(operator)
        start = end + 1
    return found


def _match_names(operators: Sequence[Operator], steps: Sequence[Step], found: list[int | None]) -> None:
    """By the longest operator's name that the step's name begins with: runtimes add "_nchwc" or "/QuickGelu/"."""
    by_name = {operator.name: i for i, operator in enumerate(operators) if operator.name}
    for number, step in enumerate(steps):
        if found[number] is not None or not step.types:
            continue
        end = len(step.name)
        while end > 0:
            if step.name[:end] in by_name:
                found[number] = by_name[step.name[:end]]
                break
            end = max(step.name.rfind(mark, 0, end) for mark in "_/")


def _in_order(
    operators: Sequence[Operator], free: Sequence[int], steps: Sequence[Step], gap: range
) -> list[tuple[int, int]]:
    """The most pairs (step, operator) of fitting types that keep the order of both: a longest common subsequence.

    Where the first of both fit, they are a pair of some longest one; so the quadratic part begins at the first misfit.
    """
    pairs: list[tuple[int, int]] = []
    while len(pairs) < min(len(free), len(gap)) and operators[free[len(pairs)]].type in steps[gap[len(pairs)]].types:
        pairs.append((gap[len(pairs)], free[len(pairs)]))
    free, gap = free[len(pairs) :], gap[len(pairs) :]
    best = [[0] * (len(free) + 1) for _ in range(len(gap) + 1)]

    def fits(i: int, j: int) -> bool:
        return operators[free[j]].type in steps[gap[i]].types

    for i in reversed(range(len(gap))):
        for j in reversed(range(len(free))):
            without = max(best[i + 1][j], best[i][j + 1])
            best[i][j] = max(without, best[i + 1][j + 1] + 1) if fits(i, j) else without
    i = j = 0
    while i < len(gap) and j < len(free):
        if fits(i, j) and best[i][j] == best[i + 1][j + 1] + 1:
            pairs.append((gap[i], free[j]))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _fused(operators: Sequence[Operator], rows: Sequence[_Row]) -> Mapping[int, _Row]:
    """The operators without a step of their own, each with the step in which it ran.

    That is the step of a neighbour: of one that reads it or that it reads. Multiply-adds move with what reads them (a
    convolution and the activation behind it are one step, called after the activation); all else with the neighbour
    whose name is most like its own.
    """
    row_of = {row.main: row for row in rows if row.main is not None}
    maker = {value: i for i, operator in enumerate(operators) for value in operator.outputs}
    readers: dict[int, list[int]] = {}
    for i, operator in enumerate(operators):
        for value in operator.inputs:
            if value in maker:
                readers.setdefault(maker[value], []).append(i)
    homes: dict[int, _Row] = {}
    # Backwards, so that a chain of fused operators finds the end that has a step; then forwards for the rest.
    for forwards in (False, True):
        for i in range(len(operators)) if forwards else reversed(range(len(operators))):
            if i in row_of or i in homes:
                continue
            before = [maker[value] for value in operators[i].inputs if value in maker]
            near = [n for n in (*before, *readers.get(i, ())) if n in row_of or n in homes]
            if operators[i].macs:
                near = [n for n in near if n in readers.get(i, ())] or (near if forwards else [])
            if near:
                closest = max(near, key=lambda n: _likeness(operators[n].name, operators[i].name))
                homes[i] = row_of.get(closest) or homes[closest]
    return homes


def _likeness(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _op_time(operators: Sequence[Operator], row: _Row, times_s: tuple[float, ...]) -> OpTime:
    if row.main is None:
        return OpTime("", row.step.kernel, row.step.kernel, None, 0, (), None, times_s)
    main = operators[row.main]
    parts = [main, *(operators[i] for i in sorted(row.fused))]
    ordered = [operators[i] for i in sorted([row.main, *row.fused])]
    counts = [part.macs for part in parts]
    # A convolution that ran with its activation is a convolution, whichever of the two gave the name.
    head = max(parts, key=lambda part: part.macs or 0) if not main.macs else main
    return OpTime(
        name=head.name,
        kind=head.kind if head.macs else "+".join(dict.fromkeys(part.kind for part in ordered)),
        kernel=row.step.kernel,
        block=block_of(head.name),
        macs=None if None in counts else sum(count or 0 for count in counts),
        fused=tuple(part.name for part in parts if part is not head),
        output_shape=head.output_shape,
        times_s=times_s,
    )
