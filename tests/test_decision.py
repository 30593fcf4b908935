"""The decision: exact intervals, verdicts on log-ratios, and Holm's rule."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeeff.compare import Check, Comparison, Pair, Verdict, worst
from edgeeff.gate.decision import BLAMING_TAIL, Plan, decide
from edgeeff.gate.evidence import Evidence
from edgeeff.gate.past import FIRST
from edgeeff.gate.several import confirming_plan, holm, settled
from edgeeff.gate.signed_rank import estimate, probability_above, walsh_averages
from edgeeff.values import DeviceInfo, Launch, Measurement

PLAN = Plan()


def test_the_interval_is_exact_by_enumeration_of_all_signs() -> None:
    """Over all 2^8 ways to sign eight sizes, the interval leaves out the centre exactly as often as it says."""
    sizes = [0.3, 1.1, 1.9, 2.2, 3.7, 4.1, 6.5, 9.2]
    for tail in (1 / 256, 3 / 256, 10 / 256):
        missed = 0
        for signs in itertools.product((-1, 1), repeat=8):
            found = estimate([sign * size for sign, size in zip(signs, sizes, strict=True)], tail)
            missed += found.low > 0
        assert missed <= tail * 256
        assert missed >= tail * 256 - 1


def test_an_end_that_so_few_launches_cannot_give_is_infinite() -> None:
    values = (0.01, -0.02, 0.03, 0.005)
    widest = estimate(values, 1 / 16)
    assert (widest.low, widest.high) == (min(values), max(values))
    found = estimate(values, 1 / 17, 1 / 16)
    assert (found.low, found.high) == (-math.inf, max(values))
    assert found.value == statistics.median(walsh_averages(values))


@given(
    values=st.lists(st.floats(-1, 1), min_size=2, max_size=12, unique=True),
    shift=st.floats(-1, 1),
    tail=st.sampled_from([0.001, 0.005, 0.05]),
)
def test_the_interval_moves_with_the_values_and_mirrors_with_their_signs(
    values: list[float], shift: float, tail: float
) -> None:
    here, there = estimate(values, tail), estimate([value + shift for value in values], tail)
    assert there.low == pytest.approx(here.low + shift, abs=1e-12)
    mirrored = estimate([-value for value in values], tail)
    assert (mirrored.low, mirrored.high) == (-here.high, -here.low)
    assert here.low <= here.value <= here.high


def test_the_two_ends_of_an_interval_are_apart() -> None:
    values = around(0.02, 14)
    here, low, high = estimate(values, 0.01), estimate(values, 0.001, 0.01), estimate(values, 0.01, 0.001)
    assert low.low < here.low == high.low
    assert low.high == here.high < high.high


@pytest.mark.parametrize(("slowdown", "ends"), [(0.05, (0.003, 0.007)), (0.0, (0.007, 0.003)), (-0.05, (0.007, 0.003))])
def test_the_end_that_decided_is_shown_with_more_room(slowdown: float, ends: tuple[float, float]) -> None:
    """Launches that lie far out end a check, so the truth is more often beyond the end that ended it."""
    values = around(slowdown, 14)
    assert decide(values, PLAN).interval == estimate(values, *(end + 1e-9 for end in ends))
    assert decide(values, Plan(), spent=True).interval == decide(values, PLAN).interval


def test_without_a_verdict_both_ends_are_alike() -> None:
    values = around(0.02, 14, spread=0.03)
    for spent in (False, True):
        assert decide(values, PLAN, spent=spent).verdict is (Verdict.INCONCLUSIVE if spent else None)
        assert decide(values, PLAN, spent=spent).interval == estimate(values, 0.005 + 1e-9)


def test_the_p_value_is_that_of_the_textbook() -> None:
    """Hollander, Wolfe & Chicken's table A.4: P(T+ >= 36) = 0.004 and P(T+ >= 33) = 0.020 for n = 8."""
    assert probability_above([float(n) for n in range(1, 9)], 0.0) == 1 / 256
    assert probability_above([1, 2, -3, 4, 5, 6, 7, 8], 0.0) == pytest.approx(0.0195, abs=5e-4)


def around(centre: float, count: int, spread: float = 0.01) -> list[float]:
    rng = random.Random(0)
    return [math.log1p(centre) + rng.gauss(0, spread) for _ in range(count)]


@pytest.mark.parametrize(
    ("slowdown", "launches", "verdict"),
    [(0.0, 10, "passed"), (-0.004, 10, "passed"), (-0.05, 10, "improved"), (0.05, 12, "regressed"), (0.5, 11, None)],
)
def test_verdicts_at_the_first_looks(slowdown: float, launches: int, verdict: str | None) -> None:
    """Ten launches may let a candidate pass; to blame it takes twelve, however slow it is."""
    decision = decide(around(slowdown, launches), PLAN)
    assert decision.verdict == verdict
    assert decision.launches == launches and decision.interval is not None


@pytest.mark.parametrize(("launch", "verdict"), [(-0.01, None), (0.0001, "regressed")])
def test_on_a_noisy_machine_it_must_be_ruled_out_that_both_are_equal(launch: float, verdict: str | None) -> None:
    """Both lists are above the margin, sure enough to blame where the machine is quiet."""
    values = [0.1 + n / 1000 for n in range(11)] + [launch]
    assert estimate(values, BLAMING_TAIL).low > math.log1p(0.01)
    assert decide(values, PLAN).verdict == verdict


def test_between_the_margins_it_goes_on_launch_by_launch_and_then_gives_up() -> None:
    undecided = around(0.02, 10, 0.05)
    assert decide([], PLAN).next == 10 and decide(undecided[:3], PLAN).next == 7
    going = decide(undecided, PLAN)
    assert (going.verdict, going.next) == (None, 1) and (going.needed or 0) > 10
    spent = decide(undecided, PLAN, spent=True)
    assert spent.verdict is Verdict.INCONCLUSIVE and spent.needed == going.needed
    assert "after 10 launches the interval is still +-" in spent.reason
    most = decide(around(0.02, 128, 0.2), PLAN)
    assert most.verdict is Verdict.INCONCLUSIVE


def test_few_launches_are_no_verdict() -> None:
    decision = decide([0.0] * 9, PLAN, spent=True)
    assert decision.verdict is Verdict.INCONCLUSIVE and decision.interval is None
    assert decision.reason == "9 launches were possible; a verdict takes 10"


def test_the_margins_follow_max_slowdown() -> None:
    values = around(0.04, 12, 0.004)
    assert decide(values, Plan(0.03)).verdict is Verdict.REGRESSED
    assert decide(values, Plan(0.06)).verdict is Verdict.REGRESSED
    assert decide(values, Plan(0.20)).verdict is Verdict.PASSED


@given(values=st.lists(st.floats(-0.2, 0.2), min_size=10, max_size=40))
def test_no_list_of_ratios_is_both_slow_and_passed(values: list[float]) -> None:
    decision = decide(values, PLAN, spent=True)
    assert decision.verdict is not None
    if decision.verdict is Verdict.PASSED:
        assert decision.interval is not None and decision.interval.high < math.log1p(0.03)
    if decision.verdict is Verdict.REGRESSED:
        assert estimate(values, BLAMING_TAIL).low > math.log1p(0.01)


@pytest.mark.parametrize(
    ("verdicts", "gravest", "code"),
    [
        (["passed", "improved"], "passed", 0),
        (["improved"], "improved", 0),
        (["passed", "inconclusive"], "inconclusive", 3),
        (["inconclusive", "refused", "passed"], "refused", 4),
        (["refused", "regressed", "inconclusive"], "regressed", 1),
        ([], "refused", 4),
    ],
)
def test_the_gravest_verdict_is_the_builds(verdicts: Sequence[str], gravest: str, code: int) -> None:
    verdict = worst(Check(name, Verdict(name)) for name in verdicts)
    assert (verdict.value, verdict.exit_code) == (gravest, code)


def test_holms_rule() -> None:
    assert holm([0.001, 0.004, 0.2], 0.01) == [True, True, False]
    assert holm([0.004, 0.001], 0.01, models=3) == [True, True]
    assert holm([0.006, 0.001], 0.01, models=3) == [False, True]
    assert holm([], 0.01) == []


def test_confirming_launches_can_reach_what_holm_asks_for() -> None:
    for models in (2, 10, 100, 1000):
        plan = confirming_plan(PLAN, models)
        launches = next(n for n in range(plan.first, plan.most) if said(n, plan) is Verdict.REGRESSED)
        slower = slow(launches)
        assert launches <= 17 and Evidence(slower).p_value(plan) <= 0.01 / models
        assert Evidence(slower, tuple(n / 100 for n in range(FIRST))).p_value(plan) <= 0.01 / models


def slow(launches: int) -> tuple[float, ...]:
    return tuple(0.5 + n / 100 for n in range(launches))


def said(launches: int, plan: Plan) -> Verdict | None:
    return decide(slow(launches), plan).verdict


def test_the_p_value_against_an_earlier_run_is_exact_by_enumeration() -> None:
    """Of all ways to deal nine values to four and five, those that rank as high."""
    values = [0.1, 0.9, 1.7, 2.2, 3.9, 5.0, 6.1, 7.7, 9.0]
    ours = (3.9, 6.1, 7.7, 9.0)
    others = tuple(value for value in values if value not in ours)
    as_high = [
        sum(a > b for a in dealt for b in values if b not in dealt) >= sum(a > b for a in ours for b in others)
        for dealt in itertools.combinations(values, 4)
    ]
    plan = Plan(max_slowdown=0.0)
    assert Evidence(ours, others).p_value(plan) == pytest.approx(sum(as_high) / len(as_high))
    assert Evidence(ours, ()).p_value(plan) == Evidence((), others).p_value(plan) == Evidence(()).p_value(plan) == 1.0


def test_what_becomes_of_a_regression_after_fresh_launches() -> None:
    first = Check("b0", Verdict.REGRESSED, ratio=1.05, launches=10, seconds=10.0)
    again = Check("b0", Verdict.REGRESSED, ratio=1.04, launches=10, seconds=12.0)
    fine = Check("b0", Verdict.PASSED, launches=10)
    upheld = settled(first, again, rejected=True, together=decide(around(0.05, 20), PLAN))
    assert upheld.verdict is Verdict.REGRESSED and upheld.seconds == 22.0
    assert upheld.reasons == ("confirmed on 10 fresh launches: +4.0 %",)
    for second, slowdown, verdict in (
        (again, 0.05, "inconclusive"),
        (fine, 0.025, "inconclusive"),
        (fine, 0.0, "passed"),
    ):
        together = decide(around(slowdown, 20), PLAN, spent=True)
        assert settled(first, second, rejected=False, together=together).verdict == verdict
    refused = Check("b0", Verdict.REFUSED)
    assert settled(first, refused, rejected=False, together=decide((), PLAN, spent=True)) is refused


HOST = DeviceInfo("host", "host", None, None, None, None, 2, None)
CONTEXT = Measurement(
    "m", "s", "x", "aa", 1, "onnx", "fp32", None, None, None, None, None, "r", 1, "cpu", HOST, "0", 0.0, 0
)


def compared(
    wall_ns: tuple[int, ...],
    cpu_ns: tuple[int, ...] | None,
    baseline_ns: tuple[int, ...],
    baseline_cpu_ns: tuple[int, ...] | None,
    **context: Any,
) -> Comparison:
    pair = Pair(0, Launch(0, wall_ns, 0.0, cpu_ns=cpu_ns), Launch(0, baseline_ns, 0.0, cpu_ns=baseline_cpu_ns))
    measured = replace(CONTEXT, **context)
    return Comparison("k", "s", measured, measured, 0.0, (pair, replace(pair, index=1), replace(pair, error="x")))


MS = 1_000_000


def test_a_thread_that_never_waits_is_timed_by_its_cpu_time() -> None:
    """Other programs took half the time of two calls of three; the undisturbed one shows that it waits for nothing."""
    wall, cpu = (2 * MS, 4 * MS, 9 * MS), (2 * MS, 2 * MS, 2 * MS)
    slower = tuple(ns * 3 // 2 for ns in wall), tuple(ns * 3 // 2 for ns in cpu)
    busy = compared(*slower, wall, cpu)
    assert busy.clock == "cpu"
    assert busy.log_ratios == pytest.approx([math.log(1.5)] * 2)


@pytest.mark.parametrize(
    ("changes", "context"),
    [
        ({"wall_ns": (4 * MS, 4 * MS, 9 * MS)}, {}),  # the candidate waits in every call
        ({"baseline_cpu_ns": None}, {}),
        ({"cpu_ns": (0, 2 * MS, 2 * MS)}, {}),  # a CPU clock that ticks by the millisecond
        ({}, {"threads": 2}),
        ({}, {"accelerator": "gpu"}),
    ],
)
def test_else_the_wall_clock_decides(changes: dict[str, Any], context: dict[str, Any]) -> None:
    cpu, wall = (2 * MS, 2 * MS, 2 * MS), (2 * MS, 2 * MS, 4 * MS)
    sides: dict[str, Any] = {"wall_ns": wall, "cpu_ns": cpu, "baseline_ns": wall, "baseline_cpu_ns": cpu}
    assert compared(**sides, threads=1).clock == "cpu"
    found = compared(**{**sides, **changes}, **context)
    assert found.clock == "wall"
    assert found.log_ratios == found.ratios_by("wall") != ()


@pytest.mark.parametrize(("switches", "clock"), [(0, "cpu"), (2, "wall")])
def test_the_system_knows_best_who_waits(switches: int, clock: str) -> None:
    """On a machine so busy that no call is left alone, times cannot tell; the thread's own switches do."""
    wall, cpu = (4 * MS, 4 * MS, 9 * MS), (2 * MS, 2 * MS, 2 * MS)
    launch = Launch(0, wall, 0.0, cpu_ns=cpu, voluntary_switches=switches)
    assert Comparison("k", "s", CONTEXT, CONTEXT, 0.0, (Pair(0, launch, launch),)).clock == clock


def test_short_calls_are_timed_by_the_wall_clock() -> None:
    assert compared((9000,), (9800,), (9000,), (9800,)).clock == "wall"
