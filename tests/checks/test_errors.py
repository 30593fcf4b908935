"""What goes wrong in a check ends in a verdict of refused or inconclusive, never in a pass."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from edgeeff.compare import Check, Verdict
from edgeeff.errors import DeviceError
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.session import GatePolicy, PairDone
from edgeeff.gate.several import Build
from edgeeff.values import DeviceState

Cases = Callable[..., GateCase]
Judged = Callable[..., Check]


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_side_that_never_runs_is_refused(side: str, cases: Cases, judged: Judged) -> None:
    check = judged(cases(**{side: {"crashes_alone": True}}))
    assert check.verdict is Verdict.REFUSED
    assert check.reasons[0].startswith(f"the {side} does not run: ")
    assert "killed by SIGABRT while the model ran" in check.reasons[0]
    foreign = judged(cases(**{side: {"refuses": "not a model"}}))
    assert foreign.verdict is Verdict.REFUSED and "input: not a model" in foreign.reasons[0]


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_side_that_crashes_now_and_then_never_passes(side: str, cases: Cases, judged: Judged) -> None:
    check = judged(cases(**{side: {"crashes": 0.2}}))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert f"killed by SIGABRT while the {side} ran" in check.reasons[0]


def test_an_interrupted_check_is_inconclusive_and_keeps_its_launches(cases: Cases, phone: type[Any]) -> None:
    device = phone()
    build = Build([cases(), cases(number=1)], device, GatePolicy(seconds=3000.0), random.Random(0))
    for done in build.run():
        if isinstance(done, PairDone) and done.pair.index == 4:
            break
    first, second = build.checks(interrupted=True)
    assert (first.verdict, first.launches) == (Verdict.INCONCLUSIVE, 5)
    assert first.reasons[0] == "interrupted, after 5 launches"
    assert (second.verdict, second.launches) == (Verdict.INCONCLUSIVE, 0)


def test_a_device_that_is_lost_ends_it_without_a_pass(cases: Cases, phone: type[Any]) -> None:
    class Lost(phone):
        def run(self, *arguments: Any, **options: Any) -> Any:
            raise DeviceError("the phone is gone")

    build = Build([cases()], Lost(), GatePolicy(seconds=3000.0), random.Random(0))
    with pytest.raises(DeviceError):
        list(build.run())
    (check,) = build.checks(lost="the phone is gone")
    assert check.verdict is Verdict.INCONCLUSIVE and "the phone is gone" in check.reasons[0]


def test_a_reboot_costs_its_launch(cases: Cases, judged: Judged, phone: type[Any]) -> None:
    states = [DeviceState(boot_id="a")] * (6 * 2 + 1) + [DeviceState(boot_id="b")]
    check = judged(cases(), phone(states))
    assert check.verdict is Verdict.INCONCLUSIVE and "the device rebooted during this launch" in check.reasons[0]
