"""Sustained runs: the curve over time, from recorded launches and from this machine."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from edgeeff.devices.host import HostDevice
from edgeeff.measuring.cases import Wanted, build_cases
from edgeeff.measuring.commands import LaunchPolicy
from edgeeff.measuring.harness import Policy, run_session, run_sustained
from edgeeff.measuring.sustained import SUSTAINED, curve, is_sustained
from edgeeff.objective import SOFT
from edgeeff.report.build import Inputs, build
from edgeeff.report.sustained_table import sustained_json, sustained_text
from edgeeff.report.values import Settings
from edgeeff.values import DeviceState, Launch, Measurement

STATE = DeviceState(cpu_frequency_limit_khz=(2_000_000, 2_800_000), cpu_frequency_max_khz=(2_000_000, 2_800_000))


@pytest.fixture(scope="module")
def measured(small_tflite: Path) -> Measurement:
    (case,) = build_cases([small_tflite], HostDevice(), Wanted("test", ["litert"], (1,)))
    policy = LaunchPolicy(warmup_s=0.0, max_runs=3)
    *_, last = run_sustained(case, HostDevice(), 1e-9, policy)
    return last.measurement


def over_time(m: Measurement, *medians_ms: float | None, seconds: float = 100.0) -> Measurement:
    """One launch a tenth of the time; None is a failed one. The device heats up and its clock falls to a half."""
    launches = []
    for i, ms in enumerate(medians_ms):
        share = 1 - i / (2 * len(medians_ms))
        state = replace(
            STATE,
            temperature_c=30.0 + i,
            thermal_status=int(i > 1),
            cpu_frequency_limit_khz=(2_000_000, round(2_800_000 * share)),
        )
        samples = () if ms is None else (round(ms * 1e6),) * 3
        error = "failed" if ms is None else None
        launches.append(Launch(i, samples, 1000.0 + i * 10, error=error, state_after=state))
    return replace(m, launches=tuple(launches), context={SUSTAINED: f"{seconds:g}"})


def test_a_run_lasts_its_time_and_says_what_it_is(measured: Measurement) -> None:
    assert is_sustained(measured) and len(measured.launches) == 1
    (step,) = curve(measured)
    assert step.launches == 1 and step.median_s and step.change is None
    assert measured.context["max_runs"] == "3"  # as it was run, not as an ordinary bench would have been


def test_the_curve_shows_latency_heat_and_clock(measured: Measurement) -> None:
    m = over_time(measured, 10, 10, 11, 12, 12, 13, 13, 14, 14, 15)
    steps = curve(m)
    assert [step.median_s for step in steps] == pytest.approx(
        [x / 1e3 for x in (10, 10, 11, 12, 12, 13, 13, 14, 14, 15)]
    )
    assert steps[-1].change == pytest.approx(0.5)
    assert [step.temperature_c for step in steps] == [30 + i for i in range(10)]
    assert [step.thermal_status for step in steps] == [0, 0] + [1] * 8
    assert steps[0].limit_share == 1 and steps[-1].limit_share == pytest.approx(0.55)
    assert (steps[0].begin_s, steps[-1].end_s) == (0, 100)
    text = sustained_text([m])
    assert "+50.0" in text and "39.0" in text and "#" * 20 in text
    (document,) = sustained_json([m])["sustained"]
    assert len(document["steps"]) == 10


def test_stretches_in_which_nothing_ran_are_unknown(measured: Measurement) -> None:
    steps = curve(over_time(measured, 10, None, 12, seconds=30), steps=3)
    assert [step.median_s for step in steps] == [0.01, None, 0.012]
    assert [(step.launches, step.failed) for step in steps] == [(1, 0), (0, 1), (1, 0)]
    assert steps[1].change is None and steps[2].change == pytest.approx(0.2)
    assert curve(replace(measured, launches=())) == []


def test_a_clock_that_cannot_be_read_is_unknown(measured: Measurement) -> None:
    blind = replace(measured, launches=(Launch(0, (1,), 0.0, state_after=DeviceState()),))
    (step,) = curve(blind)
    assert (step.temperature_c, step.thermal_status, step.limit_share) == (None, None, None)
    assert "?" in sustained_text([blind])


def test_it_does_not_stand_among_ordinary_measurements(measured: Measurement, small_tflite: Path) -> None:
    (case,) = build_cases([small_tflite], HostDevice(), Wanted("test", ["litert"], (1,)))
    (event,) = run_session([case], HostDevice(), Policy(seconds=1e-9), random.Random(0))
    report = build([event.measurement, measured], Inputs({}, ()), Settings(0.075, 4e8, SOFT))
    assert sum(len(group.rows) for group in report.groups) == 1
