"""What forbids a comparison, and that it is named: in the files, the runtime, the device and its conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgeeff.compare import Check, Verdict
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.session import GatePolicy
from edgeeff.values import DeviceState

Cases = Callable[..., GateCase]
Judged = Callable[..., Check]


SINGLE: dict[str, tuple[dict[str, Any], str]] = {
    "device": ({"device": {"model": "Pixel 9"}}, "device differs: Pixel 8 against the baseline's Pixel 9"),
    "kernel unknown": ({"device": {"kernel": None}}, "kernel differs: 6.1 against the baseline's unknown"),
    "threads": ({"threads": 4}, "threads differ: 1 against the baseline's 4"),
    "affinity": ({"cpus": (4, 5)}, "affinity differs: all cores against the baseline's 4,5"),
    "input shapes": (
        {"context": {"shape:x": "1x3x64x64"}},
        "input shapes differ: unknown against the baseline's x=1x3x64x64",
    ),
}
"""Fields of each kind; all of them are in test_comparable.py."""


@pytest.mark.parametrize("field", SINGLE)
def test_a_field_that_differs_is_named_and_refused_before_any_launch(field: str, cases: Cases, judged: Judged) -> None:
    changes, reason = SINGLE[field]
    check = judged(cases(theirs=changes))
    assert (check.verdict, check.reasons, check.launches) == (Verdict.REFUSED, (reason,), 0)
    assert check.ratio is None and check.low is None


FACTS = {
    "runtime build": ("runtime_version", "litert 3", "litert 2 against the baseline's litert 3"),
    "delegate": ("delegate", None, "XNNPACK against the baseline's unknown"),
}


@pytest.mark.parametrize("field", FACTS)
def test_what_only_a_launch_tells_is_refused_before_the_pairs(field: str, cases: Cases, judged: Judged) -> None:
    key, value, differs = FACTS[field]
    reason = f'{field} differs: {differs} (where that is meant: --allow "{field}")'
    case = cases(baseline={"facts": {key: value}})
    check = judged(case)
    assert (check.verdict, check.reasons, check.launches) == (Verdict.REFUSED, (reason,), 0)
    assert judged(case, policy=GatePolicy(allowed=frozenset([field]))).verdict is Verdict.PASSED


READ = 6 * 2
"""States that are read while the sides run alone."""

CHANGED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "governor": ({"governors": ("performance",)}, {"governors": ("powersave",)}, "performance -> powersave"),
    "power source": ({"power_source": "usb"}, {"power_source": "battery"}, "usb -> battery"),
    "power mode": ({"power_mode": "MAXN"}, {"power_mode": "15W"}, "MAXN -> 15W"),
    "battery saver": ({"battery_saver": False}, {"battery_saver": True}, "off -> on"),
}


@pytest.mark.parametrize("field", CHANGED)
@pytest.mark.parametrize("when", [3, READ + 5])
def test_a_condition_that_changes_on_the_way_is_refused(
    field: str, when: int, cases: Cases, judged: Judged, phone: type[Any]
) -> None:
    before, after, told = CHANGED[field]
    check = judged(cases(), phone([DeviceState(**before)] * when + [DeviceState(**after)]))
    assert (check.verdict, check.ratio) == (Verdict.REFUSED, None)
    assert f"the {field} changed while it was measured: {told}" in check.reasons


@pytest.mark.parametrize("when", [1, READ + 3])
def test_a_hot_device_is_refused(when: int, cases: Cases, judged: Judged, phone: type[Any]) -> None:
    check = judged(cases(), phone([DeviceState(thermal_status=1)] * when + [DeviceState(thermal_status=2)]))
    assert check.verdict is Verdict.REFUSED
    assert check.reasons[0] == "thermal status 2 (moderate): from 2 (moderate) on nothing is compared"


@pytest.mark.parametrize(
    "held_back",
    [
        DeviceState(throttling=("undervoltage",)),
        DeviceState(cpu_frequency_limit_khz=(1_000_000,), cpu_frequency_max_khz=(2_000_000,)),
    ],
)
def test_launches_that_were_throttled_are_refused_from_a_fifth_on(
    held_back: DeviceState, cases: Cases, judged: Judged, phone: type[Any]
) -> None:
    cool = replace(held_back, throttling=None, cpu_frequency_limit_khz=held_back.cpu_frequency_max_khz)
    few = phone([cool] * READ + [held_back] * 4 + [cool])
    assert judged(cases(), few).verdict is Verdict.PASSED
    many = judged(cases(), phone([cool] * READ + [held_back] * 6 + [cool]))
    assert many.verdict is Verdict.REFUSED
    assert many.reasons == ("3 of 10 launches were throttled; at most 20% may be",)


def test_emulated_devices_and_debug_builds_are_refused(cases: Cases, judged: Judged) -> None:
    emulated = {"device": {"emulated": True}}
    check = judged(cases(ours=emulated, theirs=emulated))
    assert check.verdict is Verdict.REFUSED and "is emulated" in check.reasons[0]
    for side, build in (("candidate", "Debug"), ("baseline", "debug")):
        debug = judged(cases(**{side: {"facts": {"build_type": build}}}))
        said = f"the {side}'s runtime is a debug build: its times say nothing of the one that is shipped"
        assert debug.verdict is Verdict.REFUSED and debug.reasons == (said,) and debug.launches == 0


ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "inputs": (
        {"inputs": [{"name": "x", "dtype": "float32", "shape": [1, 4]}]},
        "inputs differ: float32 1x3 against the baseline's float32 1x4",
    ),
    "input type": (
        {"inputs": [{"name": "x", "dtype": "int8", "shape": [1, 3]}]},
        "inputs differ: float32 1x3 against the baseline's int8 1x3",
    ),
    "output shape": ({"shape": [2]}, "outputs differ in shape: 1x2 against the baseline's 2"),
    "outputs": ({"outputs": [2.0, -1.0]}, "outputs disagree: -3.0 dB on the same input, int8 needs 5 dB"),
    "not a number": ({"outputs": [1.0, float("nan")]}, "outputs disagree: -inf dB"),
}


@pytest.mark.parametrize("field", ANSWERS)
def test_sides_that_do_not_do_the_same_work_are_refused(field: str, cases: Cases, judged: Judged) -> None:
    content, reason = ANSWERS[field]
    check = judged(cases(baseline=content))
    assert check.verdict is Verdict.REFUSED and check.reasons[0].startswith(reason)
    if field == "outputs":
        assert (
            judged(cases(baseline=content), policy=GatePolicy(allowed=frozenset(["outputs"]))).verdict is Verdict.PASSED
        )


def test_sides_whose_answers_nobody_saw_do_not_pass(cases: Cases, judged: Judged) -> None:
    check = judged(cases(baseline={"silent": True}))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.reasons == ("no launch told what the two compute, so they may not do the same work",)


def test_rounding_is_no_disagreement(cases: Cases, judged: Judged) -> None:
    assert judged(cases(baseline={"outputs": [1.0001, 2.0]})).verdict is Verdict.PASSED
