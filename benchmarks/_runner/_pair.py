"""Two models against each other: single calls in turn, so that both meet the same state of the machine."""

from __future__ import annotations

import gc
import random
import time

from ._facts import RunnerError
from ._sides import Local, Remote, open_side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._facts import Facts
    from ._records import Records

    Sides = dict[str, Local | Remote]

NAMES = ("candidate", "baseline")


def pair(spec: Facts, emit: Records) -> None:
    """Mode "pair": loads both models, and times single calls of the two in turn."""
    rng = random.Random(spec["order_seed"])
    loaded = list(NAMES)
    rng.shuffle(loaded)  # which is loaded first has an influence of its own
    sides: Sides = {}
    try:
        for name in loaded:
            emit("stage", side=name, stage="load")
            sides[name] = _blaming(name, open_side, spec, name)
            emit("loaded", side=name, **sides[name].facts)
        for name in loaded:
            emit("stage", side=name, stage="run")
            _blaming(name, sides[name].call)
            if spec["outputs"]:
                emit("outputs", side=name, **sides[name].outputs())
        emit("stage", side=None, stage="turns")
        gc.collect()
        gc.disable()
        rounds = _warm_up(sides, loaded, spec)
        emit("pairs", candidate_loaded_first=loaded[0] == NAMES[0], warmup_runs=rounds, **_take_turns(sides, rng, spec))
    finally:
        for side in sides.values():
            side.close()


def _blaming(name: str, step: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a step of one side; its errors say whose they are."""
    try:
        return step(*arguments)
    except Exception as error:
        code = error.code if isinstance(error, RunnerError) else type(error).__name__
        raise RunnerError(code, f"the {name}: {error}") from error


def _warm_up(sides: Sides, order: list[str], spec: Facts) -> int:
    end = time.perf_counter() + spec["warmup_s"]
    rounds = 0
    while rounds < spec["warmup_runs"] or time.perf_counter() < end:
        for name in order:
            sides[name].call()
        rounds += 1
    return rounds


def _take_turns(sides: Sides, rng: random.Random, spec: Facts) -> Facts:
    wall: dict[str, list[int]] = {name: [] for name in NAMES}
    cpu: dict[str, list[int]] = {name: [] for name in NAMES}
    firsts = []
    before = _switches(sides)
    waited = {name: sides[name].waited() for name in NAMES}
    began, began_clock = time.perf_counter(), time.time()
    for done in range(spec["pairs"]):
        if done >= spec["min_pairs"] and time.perf_counter() - began > spec["max_s"]:
            break
        first = rng.random() < 0.5
        for name in NAMES if first else reversed(NAMES):
            wall_ns, cpu_ns = _blaming(name, sides[name].call)
            wall[name].append(wall_ns)
            cpu[name].append(cpu_ns)
        firsts.append(first)
    elapsed_s, clock_s = time.perf_counter() - began, time.time() - began_clock
    after = _switches(sides)
    facts: Facts = {
        "elapsed_s": elapsed_s,
        "clock_s": clock_s,
        "involuntary_switches": _since(before, after),
        "candidate_first": firsts,
    }
    facts.update({f"{name}_voluntary_switches": _since(waited[name], sides[name].waited()) for name in NAMES})
    facts.update({f"{name}_ns": wall[name] for name in NAMES})
    facts.update({f"{name}_cpu_ns": cpu[name] for name in NAMES})
    return facts


def _since(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _switches(sides: Sides) -> int | None:
    """Of all processes that take part; two models in this one share its count."""
    local = [side.switches() for side in sides.values() if isinstance(side, Local)][:1]
    counts = local + [side.switches() for side in sides.values() if isinstance(side, Remote)]
    return None if None in counts else sum(count for count in counts if count is not None)
