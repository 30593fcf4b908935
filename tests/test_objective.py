"""The MnasNet objective against the values in its paper and against brute force."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeeff.errors import UsageError
from edgeeff.objective import (
    HARD,
    SOFT,
    TARGET_MACS,
    TARGET_S,
    Exponents,
    Scored,
    combined,
    objective,
    parse_exponents,
    scored,
    winners,
)
from edgeeff.report._correlation import departures, ranks, spearman

accuracies = st.floats(0.01, 1.0)
costs = st.floats(1e-5, 1e3)
exponents = st.builds(Exponents, st.floats(-3, 0), st.floats(-3, 0)) | st.sampled_from([SOFT, HARD])


@pytest.mark.parametrize(
    ("accuracy", "latency_ms", "soft", "hard"),
    [
        pytest.param(0.752, 78, 0.74994, 0.72308, id="MnasNet-A1"),
        pytest.param(0.767, 103, 0.75016, 0.55850, id="MnasNet-A3"),
        pytest.param(0.752, 51, 0.77258, 0.75200, id="MobileNetV3-Large"),
    ],
)
def test_published_check_values(accuracy: float, latency_ms: float, soft: float, hard: float) -> None:
    assert objective(accuracy, latency_ms / 1e3, TARGET_S, SOFT) == pytest.approx(soft, abs=5e-6)
    assert objective(accuracy, latency_ms / 1e3, TARGET_S, HARD) == pytest.approx(hard, abs=5e-6)


def test_on_flops_at_the_target_is_the_accuracy_itself() -> None:
    assert objective(0.763, TARGET_MACS, TARGET_MACS) == 0.763
    assert objective(0.763, 390e6, TARGET_MACS) == pytest.approx(0.763 * 0.975**-0.07)


@given(accuracies, costs, costs, costs, exponents)
def test_never_rises_with_the_cost(acc: float, cost_a: float, cost_b: float, target: float, w: Exponents) -> None:
    low, high = sorted([cost_a, cost_b])
    assert objective(acc, low, target, w) >= objective(acc, high, target, w) * (1 - 1e-12)


@given(accuracies, costs, exponents)
def test_is_continuous_at_the_target(acc: float, target: float, w: Exponents) -> None:
    assert objective(acc, target, target, w) == acc
    assert objective(acc, math.nextafter(target, math.inf), target, w) == pytest.approx(acc, rel=1e-12)


def test_interval_of_the_latency_is_carried_through() -> None:
    found = scored(0.751, 0.080, 0.075, SOFT, (0.070, 0.090))
    assert (found.low, found.high) == (objective(0.751, 0.090, 0.075), objective(0.751, 0.070, 0.075))
    assert scored(0.751, 0.080, 0.075).low is None


def test_hard_interval_across_the_target_is_one_sided() -> None:
    found = scored(0.751, 0.074, 0.075, HARD, (0.070, 0.080))
    assert found.value == found.high == 0.751
    assert found.low == pytest.approx(0.751 * 75 / 80)


@pytest.mark.parametrize(("accuracy", "cost", "target"), [
    (-0.1, 1, 1), (1.001, 1, 1), (75.1, 1, 1), (math.nan, 1, 1), (0.7, 0, 1), (0.7, -1, 1), (0.7, math.inf, 1),
    (0.7, math.nan, 1), (0.7, 1, 0), (0.7, 1, -75), (0.7, 1, math.inf), (0.7, 1, math.nan),
])  # fmt: skip
def test_what_is_out_of_the_domain_is_refused(accuracy: float, cost: float, target: float) -> None:
    with pytest.raises(UsageError, match="must be"):
        objective(accuracy, cost, target)


@pytest.mark.parametrize(("text", "expected"), [
    ("soft", SOFT), ("Hard", HARD), ("-0.15", Exponents(-0.15, -0.15)), ("-0.07", SOFT), ("0, -1", HARD),
    ("0,-0.5", Exponents(0, -0.5)),
])  # fmt: skip
def test_exponents_are_read_by_name_or_as_numbers(text: str, expected: Exponents) -> None:
    assert parse_exponents(text) == expected
    assert parse_exponents(expected.name) == expected


@pytest.mark.parametrize("text", ["", "sft", "0.07", "nan", "-inf", "1,2,3", "-1,-1,-1", "0,1"])
def test_what_is_no_exponent_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_exponents(text)


def test_soft_winner_does_not_depend_on_the_target() -> None:
    found = winners([(0.751, 0.012), (0.776, 0.026), (0.815, 0.076)], SOFT)
    assert [(r.low, r.high) for r in found] == [(0.0, math.inf)]


def test_hard_breakpoints_of_lite_on_a_pixel_4() -> None:
    """A larger network takes over where its discounted accuracy passes the smaller one's: T = LAT * ACC_small / ACC."""
    lite = [(0.751, 12.0), (0.767, 18.0), (0.776, 26.0), (0.798, 41.0), (0.815, 76.0)]
    found = winners(lite, HARD)
    assert [r.winner for r in found] == [0, 1, 2, 3, 4]
    assert [r.high for r in found[:-1]] == pytest.approx(
        [18 * 0.751 / 0.767, 26 * 0.767 / 0.776, 41 * 0.776 / 0.798, 76 * 0.798 / 0.815]
    )
    assert found[0].low == 0
    assert found[-1].high == math.inf


def test_candidates_that_tie_are_settled_by_cost_then_order() -> None:
    assert [r.winner for r in winners([(0.7, 9.0), (0.7, 8.0), (0.7, 8.0)], HARD)] == [1]
    assert winners([], HARD) == []


@given(st.lists(st.tuples(accuracies, costs), min_size=1, max_size=8), exponents, st.lists(costs, min_size=5))
def test_winners_agree_with_brute_force(
    candidates: list[tuple[float, float]], w: Exponents, targets: list[float]
) -> None:
    found = winners(candidates, w)
    assert found[0].low == 0
    assert found[-1].high == math.inf
    assert all(a.high == b.low and a.winner != b.winner for a, b in pairwise(found))
    for target in targets + [r.low for r in found[1:]]:
        best = max(objective(acc, cost, target, w) for acc, cost in candidates)
        winner = next(r.winner for r in found if r.low <= target <= r.high)
        assert objective(*candidates[winner], target, w) == pytest.approx(best, rel=1e-9)


def test_ranks_share_their_mean_when_they_tie() -> None:
    assert ranks([30, 10, 20, 20]) == [4, 1, 2.5, 2.5]


@pytest.mark.parametrize(("x", "y", "expected"), [
    ([1, 2, 3], [10, 20, 30], 1.0),
    ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
    # Wikipedia's worked example (IQ against hours of television): -29 / 165
    ([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], [7, 27, 2, 50, 28, 29, 20, 12, 6, 17], -29 / 165),
    # Ties on both sides: covariance of the mean ranks 7.25, variances 9.5
    ([1, 2, 2, 3, 5], [1, 3, 2, 2, 6], 7.25 / 9.5),
    ([1, 2], [1, 2], None),
    ([4, 4, 4], [1, 2, 3], None),
])  # fmt: skip
def test_spearman(x: list[float], y: list[float], expected: float | None) -> None:
    assert spearman(x, y) == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_departures_name_the_point_off_the_line() -> None:
    macs = [100e6, 200e6, 400e6, 600e6, 1000e6, 2000e6]
    latency = [m * 2e-11 for m in macs]
    assert departures(macs, latency) == {}
    latency[3] *= 3
    assert departures(macs, latency) == {3: pytest.approx(3)}
    latency[3] = macs[3] * 2e-11 * 1.1
    assert departures(macs, latency) == {}, "10 % off the line is within what papers differ by"
    assert departures(macs[:4], [1, 1, 1, 100]) == {}, "four points do not make a line"


def test_an_accuracy_that_was_counted_widens_the_interval() -> None:
    """In logarithms the two intervals add up as the root of the sum of squares, each side for itself."""
    value = objective(0.85, 0.080, 0.075)
    alone = scored(0.85, 0.080, 0.075, SOFT, None, (0.64, 0.95))
    assert (alone.value, alone.low, alone.high) == pytest.approx((value, value * 0.64 / 0.85, value * 0.95 / 0.85))
    both = scored(0.85, 0.080, 0.075, SOFT, (0.070, 0.090), (0.64, 0.95))
    latency = scored(0.85, 0.080, 0.075, SOFT, (0.070, 0.090))
    assert both.low is not None and both.high is not None and latency.low is not None and latency.high is not None
    down = math.hypot(math.log(0.85 / 0.64), math.log(value / latency.low))
    up = math.hypot(math.log(0.95 / 0.85), math.log(latency.high / value))
    assert (both.low, both.high) == pytest.approx((value * math.exp(-down), value * math.exp(up)))


def test_factors_without_an_interval_only_scale() -> None:
    assert combined([Scored(2.0), Scored(3.0)]) == Scored(6.0)
    found = combined([Scored(2.0), Scored(3.0, 1.5, 6.0)])
    assert (found.value, found.low, found.high) == pytest.approx((6.0, 3.0, 12.0))
    assert combined([Scored(1.0, 0.0, 2.0)]).low == 0.0
