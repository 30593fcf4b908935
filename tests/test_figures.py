"""The figures beside latency: growth of memory is told only where the launches' spread allows it."""

from __future__ import annotations

import random
from dataclasses import replace

from edgeeff.compare import Verdict
from edgeeff.gate.figures import Limits, failures, figures, memory_is_open
from edgeeff.report.checks.sentence import figure_sentence
from edgeeff.values import DeviceInfo, Launch, Measurement

HOST = DeviceInfo("host", "host", "cpu", "os", "6.1", "x86_64", 2, 1 << 30)
MODEL = Measurement(
    "m", "s", "b0.onnx", "aa", 1, "onnx", "fp32", "b0", None, None, None, None, "r", 1, "cpu", HOST, "0", 0.0, 0
)
RECORDED = (78.04, 74.89, 70.52, 66.62, 70.5, 78.0, 70.51, 70.5, 74.85, 71.38, 76.48, 76.52, 70.5, 74.81, 71.39, 76.46)
"""MB that launches of one and the same file of B0 at 112 px took in onnxruntime: it comes in steps."""

LIMITS = Limits(max_memory_growth=0.1)


def measured(*megabytes: float) -> Measurement:
    launches = (Launch(0, (1,), 0.0, peak_memory_bytes=round(mb * 1e6), baseline_memory_bytes=0) for mb in megabytes)
    return replace(MODEL, launches=tuple(launches))


def verdicts(candidate: Measurement, baseline: Measurement, limits: Limits = LIMITS) -> list[tuple[Verdict, str]]:
    return list(failures(figures(candidate, baseline, limits), candidate, limits))


def test_the_same_file_is_not_blamed() -> None:
    """The least of eight launches differs by 6 % now and then, which a limit of 5 % took for growth."""
    rng = random.Random(0)
    by_the_least = 0
    for _ in range(300):
        one, other = (measured(*rng.choices(RECORDED, k=8)) for _ in range(2))
        _, memory, *_ = figures(one, other, Limits(max_memory_growth=0.05))
        by_the_least += (memory.growth or 0) > 0.05
        assert [v for v, _ in verdicts(one, other, Limits(max_memory_growth=0.05))] in ([], [Verdict.INCONCLUSIVE])
    assert by_the_least > 5


def test_growth_is_told_where_the_launches_show_it() -> None:
    baseline = measured(*RECORDED)
    grown = measured(*(mb * 1.25 for mb in RECORDED))
    ((verdict, reason),) = verdicts(grown, baseline)
    assert verdict is Verdict.REGRESSED and reason == "memory grew by 25.0 %, the limit is 10 %"
    assert not memory_is_open(grown, baseline, 0.1)
    same = measured(*reversed(RECORDED))
    assert verdicts(same, baseline) == [] and not memory_is_open(same, baseline, 0.1)
    _, memory, *_ = figures(same, baseline, LIMITS)
    assert memory.low is not None and memory.high is not None and memory.low < 0 < memory.high <= 0.1


def test_what_the_spread_leaves_open_is_inconclusive() -> None:
    baseline, larger = measured(*RECORDED), measured(*(mb * 1.1 for mb in RECORDED))
    ((verdict, reason),) = verdicts(larger, baseline)
    assert verdict is Verdict.INCONCLUSIVE
    assert reason == "memory varies too much from launch to launch to tell: the limit is 10 %"
    assert memory_is_open(larger, baseline, 0.1)


def test_few_launches_tell_nothing_and_equal_ones_all() -> None:
    ((verdict, _),) = verdicts(measured(90, 90, 90), measured(70, 70, 70))
    assert verdict is Verdict.INCONCLUSIVE and not memory_is_open(measured(90, 90, 90), measured(70, 70, 70), 0.1)
    assert verdicts(measured(*[77.0] * 8), measured(*[70.0] * 8)) == []
    ((verdict, _),) = verdicts(measured(*[77.1] * 8), measured(*[70.0] * 8))
    assert verdict is Verdict.REGRESSED


def test_growth_of_memory_is_shown_with_its_interval_or_not_at_all() -> None:
    baseline, grown = measured(*RECORDED), measured(*(mb * 1.25 for mb in RECORDED))
    _, gating, *_ = figures(grown, baseline, LIMITS)
    assert figure_sentence(gating).startswith("memory 66.62 MB -> 83.28 MB (+25.0 %, 99 % interval +18.1 .. ")
    assert figure_sentence(gating).endswith("), the limit is +10 %")
    _, shown, *_ = figures(grown, baseline, Limits())
    assert figure_sentence(shown) == "memory 66.62 MB -> 83.28 MB" and not shown.exceeded
