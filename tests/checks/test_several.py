"""Several models as one build, and a model against its own past."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeeff.compare import Check, Verdict, exit_code
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.past import FIRST, RUNS, Past
from edgeeff.gate.session import CheckRun, GatePolicy, PairDone
from edgeeff.gate.several import Build
from edgeeff.measuring.conditions import Gate

Cases = Callable[..., GateCase]
Judged = Callable[..., Check]


def test_regressions_among_several_models_are_confirmed_on_fresh_launches(cases: Cases, phone: type[Any]) -> None:
    build = Build([cases({"ns": 1_080_000}), cases(number=1)], phone(), GatePolicy(seconds=3000.0), random.Random(0))
    seen = [done.comparison.id for done in build.run() if isinstance(done, PairDone)]
    slower, same = build.checks()
    assert seen.count("k0") == 12 and seen.count("k0-fresh") >= 12 and "k1-fresh" not in seen
    assert slower.verdict is Verdict.REGRESSED and "confirmed on" in slower.reasons[-1]
    assert same.verdict is Verdict.PASSED


def test_a_regression_that_fresh_launches_do_not_see_is_not_upheld(
    cases: Cases, tmp_path: Path, phone: type[Any]
) -> None:
    case = cases({"ns": 1_080_000})
    build = Build([case, cases(number=1)], phone(), GatePolicy(seconds=3000.0), random.Random(0))
    for done in build.run():
        if isinstance(done, PairDone) and done.comparison.id == "k1":
            case.candidate.path.write_text('{"ns": 1000000}')
    check, _ = build.checks()
    assert check.verdict in (Verdict.INCONCLUSIVE, Verdict.PASSED)
    assert "12 launches said regressed, 10 fresh ones say passed" in check.reasons


def test_a_first_run_of_a_history_may_be_fine(cases: Cases, judged: Judged) -> None:
    """It is recorded and not compared: never a pass, and an error only where it was not allowed or went wrong."""
    case = replace(cases(), past=Past())
    check = judged(case)
    assert (check.verdict, check.no_baseline, exit_code([check])) == (Verdict.INCONCLUSIVE, False, 3)
    first = GatePolicy(seconds=3000.0, first_time=True)
    check = judged(case, policy=first)
    assert (check.verdict, check.no_baseline, exit_code([check])) == (Verdict.INCONCLUSIVE, True, 0)
    assert check.launches == FIRST
    failing = judged(replace(cases({"crashes": 1.0}), past=Past()), policy=first)
    assert not failing.no_baseline and exit_code([failing]) != 0


def with_its_past(case: GateCase, device: Any, seed: int) -> GateCase:
    """The case with what a run of it has just left, as `--history` would find it."""
    first = CheckRun(
        replace(case, past=Past()), device, GatePolicy(seconds=3000.0), random.Random(seed), Gate(device, 0.0)
    )
    assert [done for done in first.run() if isinstance(done, PairDone)][-1].decision.verdict is Verdict.INCONCLUSIVE
    return replace(case, past=Past(first.comparison, (first.comparison,) * (RUNS - 1)))


def test_a_pass_on_few_earlier_runs_says_how_many_it_takes(cases: Cases, phone: type[Any], judged: Judged) -> None:
    case = with_its_past(cases(), phone(), 0)
    assert case.past is not None and case.past.comparison is not None
    assert not any("earlier runs" in reason for reason in judged(case).reasons)
    check = judged(replace(case, past=Past(case.past.comparison)))
    assert check.verdict is Verdict.PASSED
    assert check.reasons[0].startswith(f"1 of the {RUNS} earlier runs that it takes to blame a file are there")


def test_several_models_are_confirmed_against_their_past_as_well(cases: Cases, phone: type[Any]) -> None:
    slower, same = (with_its_past(cases(number=number), phone(), number) for number in (0, 1))
    slower.candidate.path.write_text('{"ns": 1080000}')
    build = Build([slower, same], phone(), GatePolicy(seconds=3000.0), random.Random(2))
    seen = [done.comparison.id for done in build.run() if isinstance(done, PairDone)]
    assert seen.count("k0") >= FIRST and seen.count("k0-fresh") >= FIRST and "k1-fresh" not in seen
    one, other = build.checks()
    assert one.verdict is Verdict.REGRESSED and "confirmed on 20 fresh launches" in one.reasons[-1]
    assert other.verdict is Verdict.PASSED
    assert other.reasons[0].startswith("the interval tells of the launches alone: two runs of one file, at two times")


def test_a_slower_past_that_fresh_launches_do_not_see_is_not_upheld(cases: Cases, phone: type[Any]) -> None:
    slower, same = (with_its_past(cases(number=number), phone(), number) for number in (0, 1))
    slower.candidate.path.write_text('{"ns": 1080000}')
    build = Build([slower, same], phone(), GatePolicy(seconds=3000.0), random.Random(2))
    for done in build.run():
        if isinstance(done, PairDone) and done.comparison.id == "k1":
            slower.candidate.path.write_text('{"ns": 1000000}')
    check, _ = build.checks()
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "20 launches said regressed, 20 fresh ones say passed" in check.reasons
