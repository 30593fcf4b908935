"""Checks to their verdicts, and what is told beside them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgeeff import registry
from edgeeff.compare import Check, Verdict
from edgeeff.devices.host import HostDevice
from edgeeff.gate import session
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.session import GatePolicy
from edgeeff.graph import Graph, Node
from edgeeff.ops import Conv2d, Mean
from edgeeff.report.check_text import checks_text
from edgeeff.values import DeviceState

Cases = Callable[..., GateCase]
Judged = Callable[..., Check]


def test_the_same_latency_passes_at_the_first_look(cases: Cases, judged: Judged) -> None:
    check = judged(cases())
    assert (check.verdict, check.launches, check.reasons) == (Verdict.PASSED, 10, ())
    assert check.low is not None and check.high is not None and check.low < 1 < check.high < 1.03
    assert not check.coarse


def test_slower_is_regressed_and_faster_is_improved(cases: Cases, judged: Judged) -> None:
    slower, faster = judged(cases({"ns": 1_050_000})), judged(cases({"ns": 950_000}))
    assert slower.verdict is Verdict.REGRESSED and slower.low is not None and slower.low > 1.01
    assert slower.ratio == pytest.approx(1.05, abs=0.02)
    assert faster.verdict is Verdict.IMPROVED and faster.high is not None and faster.high < 0.99


def test_the_budget_ends_it_with_what_is_still_needed(
    cases: Cases, judged: Judged, phone: type[HostDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a second when the device is asked for its state: before each launch and after it."""
    now = [0.0]

    class Slow(phone):  # type: ignore[valid-type, misc]
        def state(self) -> DeviceState:
            now[0] += 1
            return super().state()  # type: ignore[no-any-return]

    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: now[0], time=time.time))
    check = judged(cases({"ns": 1_020_000, "noise": 0.2}), Slow(), GatePolicy(seconds=52.0))
    # Each side alone three times, which takes 12 s; then one pair every two seconds.
    assert check.verdict is Verdict.INCONCLUSIVE and check.launches == 20
    assert check.needed is not None and check.needed > 20
    assert "the interval is still +-" in check.reasons[0]
    assert "--seconds" in check.reasons[0] or "launches are needed" in check.reasons[0]


def test_no_time_at_all_is_no_pass(cases: Cases, judged: Judged) -> None:
    check = judged(cases(), policy=GatePolicy(seconds=1e-9))
    assert check.verdict is Verdict.INCONCLUSIVE and check.ratio is None
    assert "1 launch was possible; a verdict takes 10" in check.reasons[0]


def test_zero_variance_is_inconclusive(cases: Cases, judged: Judged) -> None:
    check = judged(cases({"noise": 0.0}, {"noise": 0.0}))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "the clock is too coarse" in check.reasons[0]


def test_a_clock_that_jumps_costs_launches_and_then_the_verdict(cases: Cases, judged: Judged) -> None:
    rarely, always = judged(cases({"jumps": 0.1}), seed=3), judged(cases({"jumps": 1.0}))
    assert rarely.verdict is Verdict.PASSED
    assert always.verdict is Verdict.INCONCLUSIVE and always.launches == 0
    assert "the clock jumped by 3600.0 s" in always.reasons[0]
    often = judged(cases({"jumps": 0.45}), seed=2)
    assert often.verdict is Verdict.INCONCLUSIVE and often.launches == 10


@pytest.mark.parametrize(("build", "shown"), [
    ({"build_type": "RelWithDebInfo"}, "litert 2 (RelWithDebInfo)"),
    ({}, "litert 2 (build type unknown)"),
])  # fmt: skip
def test_how_the_runtime_was_compiled_is_shown(build: dict[str, str], shown: str, cases: Cases, judged: Judged) -> None:
    check = judged(cases({"facts": build}, {"facts": build}))
    assert check.verdict is Verdict.PASSED and check.runtime_build == shown
    assert f" s on phone, {shown}, 1 thread\n" in checks_text([check])


def test_what_is_slower_by_the_wall_clock_alone_does_not_pass(cases: Cases, judged: Judged) -> None:
    """Nine calls of ten wait for something, the tenth does not: CPU time says nothing of it."""
    check = judged(cases({"ns": 1_000_000, "cpu": 1_000_000, "waits": 1.2}, {"ns": 1_000_000, "cpu": 1_000_000}))
    assert check.clock == "cpu" and check.verdict is Verdict.INCONCLUSIVE
    assert any("by the wall clock it is 2" in reason for reason in check.reasons)


def test_runners_of_one_model_are_paired_by_process_and_say_so(cases: Cases, judged: Judged) -> None:
    policy = GatePolicy(seconds=60.0)
    check = judged(cases({"ns": 1_100_000}, {"ns": 1_000_000}, pairs=False), policy=policy)
    # The script's samples are always the same: that is told, and no verdict is taken from it.
    assert check.coarse and check.launches == 10 and check.verdict is Verdict.INCONCLUSIVE
    assert "paired by process and not by call" in check.reasons[-1]
    assert check.ratio == pytest.approx(1.1)


def test_where_the_runner_gives_no_outputs_the_files_are_run_here(cases: Cases, tmp_path: Path, judged: Judged) -> None:
    """The script only times; the two real files of different networks are told apart all the same."""
    small_tflite, negated = (convolution(tmp_path / f"{weight}.tflite", weight) for weight in (1.0, -1.0))
    case = cases(pairs=False)
    unreadable = judged(case, policy=GatePolicy(seconds=1e-9))
    assert any("were not compared" in reason for reason in unreadable.reasons)
    sides = {}
    for name, path in (("candidate", small_tflite), ("baseline", negated)):
        runner = replace(getattr(case, name).runner, script=case.candidate.runner.script.with_name("timer.py"))
        runner.script.write_text(TIMER)
        sides[name] = replace(getattr(case, name), path=path, runner=runner)
    other = judged(replace(case, **sides), policy=GatePolicy(seconds=1e-9))
    assert other.verdict is Verdict.REFUSED and other.reasons[0].startswith("outputs disagree")
    same = judged(
        replace(case, candidate=sides["candidate"], baseline=sides["candidate"]), policy=GatePolicy(seconds=1e-9)
    )
    assert same.verdict is Verdict.INCONCLUSIVE and not any("compared" in reason for reason in same.reasons)


def convolution(path: Path, weight: float) -> Path:
    conv = Conv2d(np.full((2, 3, 1, 1), weight, np.float32), np.zeros(2, np.float32), (1, 1), (0, 0, 0, 0))
    nodes = (Node("conv", conv, ("x",)), Node("mean", Mean((2, 3), False), ("conv",)))
    graph = Graph("net", {"x": (1, 3, 4, 4)}, nodes, ("mean",))
    registry.converter("tflite").write(graph, path, precision="fp32", metadata={})
    return path


TIMER = """
import json
print(json.dumps({"record": "loaded"}))
print(json.dumps({"record": "samples", "samples_ns": [1000000, 1000001, 1000002]}))
"""
