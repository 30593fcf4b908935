"""Checks to their verdicts. The runner is a script that behaves as its "model" files say; all else is the real one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeeff import registry
from edgeeff.compare import Check, Verdict, exit_code
from edgeeff.devices.host import HostDevice
from edgeeff.errors import DeviceError
from edgeeff.gate.figures import Limits
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.past import FIRST, Past
from edgeeff.gate.session import CheckRun, GatePolicy, PairDone
from edgeeff.gate.several import Build
from edgeeff.gate.verdict import check_of
from edgeeff.graph import Graph, Node
from edgeeff.measuring.conditions import Gate
from edgeeff.measuring.launch import Case
from edgeeff.measuring.pair_records import PairRecordRunner
from edgeeff.measuring.records import RecordRunner
from edgeeff.ops import Conv2d, Mean
from edgeeff.protocols import Device
from edgeeff.report.check_text import checks_text
from edgeeff.values import DeviceInfo, DeviceProfile, DeviceState, Measurement

SCRIPT = """
import base64, json, os, random, struct, sys, time
spec = json.loads(sys.stdin.readline())
def say(record, **fields): print(json.dumps(dict(fields, record=record)), flush=True)
def read(path):
    with open(path) as file: return json.load(file)
def loaded(m, **side):
    if m.get("refuses"): say("error", code="input", message=m["refuses"]); sys.exit(1)
    facts = {"ops": 4, "delegated_ops": 4, "delegate": "XNNPACK", "runtime_version": "litert 2", "startup_s": 0.1,
             "baseline_memory_bytes": 100, "peak_memory_bytes": 200}
    facts.update(m.get("facts", {}))
    say("loaded", **dict(facts, **side))
if spec.get("mode") != "pair":
    m = read(spec["model"])
    loaded(m)
    if m.get("crashes_alone"): os.abort()
    with open(spec["model"] + ".count", "a") as file: file.write("x")
    peaks = m.get("peaks", [m.get("peak", 200)])
    say("samples", samples_ns=[m["ns"]] * 3, peak_memory_bytes=peaks[os.stat(file.name).st_size % len(peaks)])
    sys.exit()
models = {name: read(side["model"]) for name, side in spec["sides"].items()}
rng = random.Random(spec["order_seed"])
for name, m in models.items():
    say("stage", side=name, stage="load")
    loaded(m, side=name)
    say("stage", side=name, stage="run")
    if m.get("crashes") and rng.random() < m["crashes"]: os.abort()
    if spec["outputs"] and not m.get("silent"):
        values = m.get("outputs", [1.0, 2.0])
        text = base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
        say("outputs", side=name, inputs=m.get("inputs", [{"name": "x", "dtype": "float32", "shape": [1, 3]}]),
            outputs=[{"name": "y", "shape": m.get("shape", [1, len(values)]), "values": text}])
say("stage", side=None, stage="turns")
noise = max(m.get("noise", 0.01) for m in models.values())
launch = rng.gauss(0, noise)
count = spec["pairs"]
def calls(name, m, key):
    slow = 1 + (launch if name == "candidate" else 0)
    waits = [m.get("waits", 1) if key == "ns" and call % 10 else 1 for call in range(count)]
    return [max(1, round(m[key] * slow * wait)) for wait in waits]
samples = {name + "_ns": calls(name, m, "ns") for name, m in models.items()}
samples.update((name + "_cpu_ns", calls(name, m, "cpu")) for name, m in models.items() if "cpu" in m)
jump = max(m.get("jumps", 0) for m in models.values())
clock = 3600.0 if rng.random() < jump else 0.0
say("pairs", candidate_first=[True] * count, candidate_loaded_first=True, elapsed_s=1.0, clock_s=1.0 + clock, **samples)
"""


@dataclass(frozen=True)
class ScriptRunner:
    """Runs the script; whether it takes two models at once is up to the test."""

    script: Path
    pairs: bool = True
    name: str = "script"
    formats: tuple[str, ...] = ("tflite",)
    kinds: tuple[str, ...] = ("host",)

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        return None

    def install(self, device: Device, file: Path | None) -> RecordRunner:
        kind = PairRecordRunner if self.pairs else RecordRunner
        return kind((*device.python(), "-S", "-E", device.push(self.script)))


class Phone(HostDevice):
    """This machine, in whatever condition a test wants: `states` are read one after the other, the last for ever."""

    def __init__(self, states: Sequence[DeviceState] = (DeviceState(),), emulated: bool = False) -> None:
        super().__init__("phone")
        self.states = list(states)
        self.emulated = emulated

    def state(self) -> DeviceState:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


INFO = DeviceInfo("phone", "android", "Pixel 8", "Android 15", "6.1", "arm64", 8, 8 << 30)
MEASURED = Measurement(
    "c", "s", "c.tflite", "aa", 1000, "tflite", "int8", "b0", None, 224, 1, 1, "script", 1, "cpu", INFO, "0", 0.0, 0
)

USUAL = GatePolicy()


@pytest.fixture
def cases(tmp_path: Path) -> Callable[..., GateCase]:
    """case(candidate={...}, baseline={...}): model files that say how they behave; the sides' context by keyword."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def case(
        candidate: dict[str, Any] | None = None,
        baseline: dict[str, Any] | None = None,
        *,
        pairs: bool = True,
        number: int = 0,
        ours: dict[str, Any] | None = None,
        theirs: dict[str, Any] | None = None,
    ) -> GateCase:
        sides = []
        for name, content, changes in (("c", candidate, ours), ("b", baseline, theirs)):
            path = tmp_path / f"{name}{number}.tflite"
            path.write_text(json.dumps({"ns": 1_000_000, **(content or {})}))
            measurement = replace(MEASURED, id=f"{name}{number}", path=path.name, **(changes or {}))
            sides.append(Case(measurement, path, ScriptRunner(script, pairs), {}))
        return GateCase(f"k{number}", f"b{number} int8 tflite", *sides)

    return case


def run(case: GateCase, device: Device | None = None, policy: GatePolicy = USUAL, seed: int = 0) -> Check:
    device = device or Phone()
    checking = CheckRun(case, device, policy, random.Random(seed), Gate(device, 0.0))
    for _ in checking.run():
        pass
    return check_of(checking)


def test_the_same_latency_passes_at_the_first_look(cases: Callable[..., GateCase]) -> None:
    check = run(cases())
    assert (check.verdict, check.launches, check.reasons) == (Verdict.PASSED, 10, ())
    assert check.low is not None and check.high is not None and check.low < 1 < check.high < 1.03
    assert not check.coarse


def test_slower_is_regressed_and_faster_is_improved(cases: Callable[..., GateCase]) -> None:
    slower, faster = run(cases({"ns": 1_050_000})), run(cases({"ns": 950_000}))
    assert slower.verdict is Verdict.REGRESSED and slower.low is not None and slower.low > 1.01
    assert slower.ratio == pytest.approx(1.05, abs=0.02)
    assert faster.verdict is Verdict.IMPROVED and faster.high is not None and faster.high < 0.99


def test_the_budget_ends_it_with_what_is_still_needed(cases: Callable[..., GateCase]) -> None:
    check = run(cases({"ns": 1_020_000, "noise": 0.2}), policy=GatePolicy(seconds=2.0))
    assert check.verdict is Verdict.INCONCLUSIVE and check.needed is not None and check.needed > check.launches
    assert "the interval is still +-" in check.reasons[0] or "a verdict takes 10" in check.reasons[0]
    assert "--seconds" in check.reasons[0] or "launches are needed" in check.reasons[0]


def test_no_time_at_all_is_no_pass(cases: Callable[..., GateCase]) -> None:
    check = run(cases(), policy=GatePolicy(seconds=1e-9))
    assert check.verdict is Verdict.INCONCLUSIVE and check.ratio is None
    assert "1 launch was possible; a verdict takes 10" in check.reasons[0]


def test_zero_variance_is_inconclusive(cases: Callable[..., GateCase]) -> None:
    check = run(cases({"noise": 0.0}, {"noise": 0.0}))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "the clock is too coarse" in check.reasons[0]


def test_a_clock_that_jumps_costs_launches_and_then_the_verdict(cases: Callable[..., GateCase]) -> None:
    rarely, always = run(cases({"jumps": 0.1}), seed=3), run(cases({"jumps": 1.0}))
    assert rarely.verdict is Verdict.PASSED
    assert always.verdict is Verdict.INCONCLUSIVE and always.launches == 0
    assert "the clock jumped by 3600.0 s" in always.reasons[0]
    often = run(cases({"jumps": 0.45}), seed=2)
    assert often.verdict is Verdict.INCONCLUSIVE and often.launches == 10


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_side_that_never_runs_is_refused(side: str, cases: Callable[..., GateCase]) -> None:
    check = run(cases(**{side: {"crashes_alone": True}}))
    assert check.verdict is Verdict.REFUSED
    assert check.reasons[0].startswith(f"the {side} does not run: ")
    assert "killed by SIGABRT while the model ran" in check.reasons[0]
    foreign = run(cases(**{side: {"refuses": "not a model"}}))
    assert foreign.verdict is Verdict.REFUSED and "input: not a model" in foreign.reasons[0]


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_side_that_crashes_now_and_then_never_passes(side: str, cases: Callable[..., GateCase]) -> None:
    check = run(cases(**{side: {"crashes": 0.2}}))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert f"killed by SIGABRT while the {side} ran" in check.reasons[0]


SINGLE: dict[str, tuple[dict[str, Any], str]] = {
    "device": ({"device": replace(INFO, model="Pixel 9")}, "device differs: Pixel 8 against the baseline's Pixel 9"),
    "os": ({"device": replace(INFO, os="Android 16")}, "os differs: Android 15 against the baseline's Android 16"),
    "kernel": ({"device": replace(INFO, kernel="6.6")}, "kernel differs: 6.1 against the baseline's 6.6"),
    "kernel unknown": ({"device": replace(INFO, kernel=None)}, "kernel differs: 6.1 against the baseline's unknown"),
    "abi": ({"device": replace(INFO, abi="x86_64")}, "abi differs: arm64 against the baseline's x86_64"),
    "runtime": ({"runtime": "other"}, "runtime differs: script against the baseline's other"),
    "accelerator": ({"accelerator": "gpu"}, "accelerator differs: cpu against the baseline's gpu"),
    "threads": ({"threads": 4}, "threads differs: 1 against the baseline's 4"),
    "affinity": ({"cpus": (4, 5)}, "affinity differs: all cores against the baseline's 4,5"),
    "precision": ({"precision": "fp32"}, "precision differs: int8 against the baseline's fp32"),
    "fixed performance": (
        {"context": {"fixed_performance": "True"}},
        "fixed performance differs: unknown against the baseline's True",
    ),
    "input shapes": (
        {"context": {"shape:x": "1x3x64x64"}},
        "input shapes differs: unknown against the baseline's x=1x3x64x64",
    ),
}


@pytest.mark.parametrize("field", SINGLE)
def test_every_single_field_that_differs_is_named_and_refused(field: str, cases: Callable[..., GateCase]) -> None:
    changes, reason = SINGLE[field]
    check = run(cases(theirs=changes))
    assert (check.verdict, check.reasons, check.launches) == (Verdict.REFUSED, (reason,), 0)
    assert check.ratio is None and check.low is None


FACTS = {
    "runtime build": ("runtime_version", "litert 3", "runtime build differs: litert 2 against the baseline's litert 3"),
    "delegate": ("delegate", None, "delegate differs: XNNPACK against the baseline's unknown"),
}


@pytest.mark.parametrize("field", FACTS)
def test_what_only_a_launch_tells_is_refused_before_the_pairs(field: str, cases: Callable[..., GateCase]) -> None:
    key, value, reason = FACTS[field]
    case = cases(baseline={"facts": {key: value}})
    check = run(case)
    assert (check.verdict, check.reasons, check.launches) == (Verdict.REFUSED, (reason,), 0)
    assert run(case, policy=GatePolicy(allowed=frozenset([field]))).verdict is Verdict.PASSED


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
def test_a_condition_that_changes_on_the_way_is_refused(field: str, when: int, cases: Callable[..., GateCase]) -> None:
    before, after, told = CHANGED[field]
    check = run(cases(), Phone([DeviceState(**before)] * when + [DeviceState(**after)]))
    assert (check.verdict, check.ratio) == (Verdict.REFUSED, None)
    assert f"the {field} changed while it was measured: {told}" in check.reasons


@pytest.mark.parametrize("when", [1, READ + 3])
def test_a_hot_device_is_refused(when: int, cases: Callable[..., GateCase]) -> None:
    check = run(cases(), Phone([DeviceState(thermal_status=1)] * when + [DeviceState(thermal_status=2)]))
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
    held_back: DeviceState, cases: Callable[..., GateCase]
) -> None:
    cool = replace(held_back, throttling=None, cpu_frequency_limit_khz=held_back.cpu_frequency_max_khz)
    few = Phone([cool] * READ + [held_back] * 4 + [cool])
    assert run(cases(), few).verdict is Verdict.PASSED
    many = run(cases(), Phone([cool] * READ + [held_back] * 6 + [cool]))
    assert many.verdict is Verdict.REFUSED
    assert many.reasons == ("3 of 10 launches were throttled; at most 20% may be",)


def test_emulated_devices_and_debug_builds_are_refused(cases: Callable[..., GateCase]) -> None:
    emulated = {"device": replace(INFO, emulated=True)}
    check = run(cases(ours=emulated, theirs=emulated))
    assert check.verdict is Verdict.REFUSED and "is emulated" in check.reasons[0]
    for side, build in (("candidate", "Debug"), ("baseline", "debug")):
        debug = run(cases(**{side: {"facts": {"build_type": build}}}))
        said = f"the {side}'s runtime is a debug build: its times say nothing of the one that is shipped"
        assert debug.verdict is Verdict.REFUSED and debug.reasons == (said,) and debug.launches == 0


@pytest.mark.parametrize(("build", "shown"), [
    ({"build_type": "RelWithDebInfo"}, "litert 2 (RelWithDebInfo)"),
    ({}, "litert 2 (build type unknown)"),
])  # fmt: skip
def test_how_the_runtime_was_compiled_is_shown(
    build: dict[str, str], shown: str, cases: Callable[..., GateCase]
) -> None:
    check = run(cases({"facts": build}, {"facts": build}))
    assert check.verdict is Verdict.PASSED and check.runtime_build == shown
    assert f" s on phone, {shown}, 1 thread\n" in checks_text([check])


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
def test_sides_that_do_not_do_the_same_work_are_refused(field: str, cases: Callable[..., GateCase]) -> None:
    content, reason = ANSWERS[field]
    check = run(cases(baseline=content))
    assert check.verdict is Verdict.REFUSED and check.reasons[0].startswith(reason)
    if field == "outputs":
        assert run(cases(baseline=content), policy=GatePolicy(allowed=frozenset(["outputs"]))).verdict is Verdict.PASSED


def test_sides_whose_answers_nobody_saw_do_not_pass(cases: Callable[..., GateCase]) -> None:
    check = run(cases(baseline={"silent": True}))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.reasons == ("no launch told what the two compute, so they may not do the same work",)


def test_rounding_is_no_disagreement(cases: Callable[..., GateCase]) -> None:
    assert run(cases(baseline={"outputs": [1.0001, 2.0]})).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("limits", "sides", "verdict", "reason"),
    [
        (
            Limits(max_size_growth=0.05),
            {"ours": {"size_bytes": 1060}},
            "regressed",
            "size grew by 6.0 %, the limit is 5 %",
        ),
        (Limits(max_size_growth=0.05), {"ours": {"size_bytes": 1040}}, "passed", ""),
        (Limits(max_memory_growth=0.1), {"candidate": {"peak": 220}}, "regressed", "memory grew by 20.0 %"),
        (Limits(max_memory_growth=0.1), {"candidate": {"peak": 200}}, "passed", ""),
        (
            Limits(max_memory_growth=0.1),
            {"candidate": {"facts": {"baseline_memory_bytes": None}}},
            "inconclusive",
            "memory of a side cannot be read",
        ),
        (
            Limits(require_delegation=True),
            {"candidate": {"facts": {"delegated_ops": 3}}},
            "regressed",
            "1 of 4 ops do not run in the XNNPACK delegate",
        ),
        (
            Limits(require_delegation=True),
            {"candidate": {"facts": {"delegated_ops": None, "ops": None}}},
            "inconclusive",
            "does not say which ops are delegated",
        ),
        (Limits(require_delegation=True), {}, "passed", ""),
        (Limits(), {"ours": {"size_bytes": 10**9}}, "passed", ""),
    ],
)
def test_figures_beside_latency_gate_where_they_are_asked_to(
    limits: Limits, sides: dict[str, Any], verdict: str, reason: str, cases: Callable[..., GateCase]
) -> None:
    check = run(cases(**sides), policy=GatePolicy(limits=limits))
    assert check.verdict == verdict
    assert reason in " ".join(check.reasons)
    assert [figure.name for figure in check.figures] == ["size", "memory", "startup", "delegated"]


@pytest.mark.parametrize(("peaks", "launches", "verdict"), [
    ([200], 8, "passed"),
    ([200, 204, 208, 212], 40, "inconclusive"),  # of 100 bytes before the model was there: 6 % more on average
])  # fmt: skip
def test_launches_alone_go_on_until_memory_is_told(
    peaks: list[int], launches: int, verdict: str, cases: Callable[..., GateCase]
) -> None:
    case = cases({"peaks": peaks}, {"peak": 200})
    checking = CheckRun(
        case, Phone(), GatePolicy(limits=Limits(max_memory_growth=0.05)), random.Random(0), Gate(Phone(), 0.0)
    )
    for _ in checking.run():
        pass
    check = check_of(checking)
    assert (check.verdict, len(checking.candidate.launches)) == (verdict, launches)
    assert ("memory varies too much" in " ".join(check.reasons)) == (verdict == "inconclusive")


def test_runners_of_one_model_are_paired_by_process_and_say_so(cases: Callable[..., GateCase]) -> None:
    policy = GatePolicy(seconds=60.0)
    check = run(cases({"ns": 1_100_000}, {"ns": 1_000_000}, pairs=False), policy=policy)
    # The script's samples are always the same: that is told, and no verdict is taken from it.
    assert check.coarse and check.launches == 10 and check.verdict is Verdict.INCONCLUSIVE
    assert "paired by process and not by call" in check.reasons[-1]
    assert check.ratio == pytest.approx(1.1)


def test_where_the_runner_gives_no_outputs_the_files_are_run_here(
    cases: Callable[..., GateCase], tmp_path: Path
) -> None:
    """The script only times; the two real files of different networks are told apart all the same."""
    small_tflite, negated = (convolution(tmp_path / f"{weight}.tflite", weight) for weight in (1.0, -1.0))
    case = cases(pairs=False)
    unreadable = run(case, policy=GatePolicy(seconds=1e-9))
    assert any("were not compared" in reason for reason in unreadable.reasons)
    sides = {}
    for name, path in (("candidate", small_tflite), ("baseline", negated)):
        runner = replace(getattr(case, name).runner, script=case.candidate.runner.script.with_name("timer.py"))
        runner.script.write_text(TIMER)
        sides[name] = replace(getattr(case, name), path=path, runner=runner)
    other = run(replace(case, **sides), policy=GatePolicy(seconds=1e-9))
    assert other.verdict is Verdict.REFUSED and other.reasons[0].startswith("outputs disagree")
    same = run(
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


def test_an_interrupted_check_is_inconclusive_and_keeps_its_launches(cases: Callable[..., GateCase]) -> None:
    device = Phone()
    build = Build([cases(), cases(number=1)], device, GatePolicy(), random.Random(0))
    for done in build.run():
        if isinstance(done, PairDone) and done.pair.index == 4:
            break
    first, second = build.checks(interrupted=True)
    assert (first.verdict, first.launches) == (Verdict.INCONCLUSIVE, 5)
    assert first.reasons[0] == "interrupted, after 5 launches"
    assert (second.verdict, second.launches) == (Verdict.INCONCLUSIVE, 0)


def test_a_device_that_is_lost_ends_it_without_a_pass(cases: Callable[..., GateCase]) -> None:
    class Lost(Phone):
        def run(self, *arguments: Any, **options: Any) -> Any:
            raise DeviceError("the phone is gone")

    build = Build([cases()], Lost(), GatePolicy(), random.Random(0))
    with pytest.raises(DeviceError):
        list(build.run())
    (check,) = build.checks(lost="the phone is gone")
    assert check.verdict is Verdict.INCONCLUSIVE and "the phone is gone" in check.reasons[0]


def test_a_reboot_costs_its_launch(cases: Callable[..., GateCase]) -> None:
    states = [DeviceState(boot_id="a")] * (READ + 1) + [DeviceState(boot_id="b")]
    check = run(cases(), Phone(states))
    assert check.verdict is Verdict.INCONCLUSIVE and "the device rebooted during this launch" in check.reasons[0]


def test_regressions_among_several_models_are_confirmed_on_fresh_launches(cases: Callable[..., GateCase]) -> None:
    build = Build([cases({"ns": 1_080_000}), cases(number=1)], Phone(), GatePolicy(), random.Random(0))
    seen = [done.comparison.id for done in build.run() if isinstance(done, PairDone)]
    slower, same = build.checks()
    assert seen.count("k0") == 12 and seen.count("k0-fresh") >= 12 and "k1-fresh" not in seen
    assert slower.verdict is Verdict.REGRESSED and "confirmed on" in slower.reasons[-1]
    assert same.verdict is Verdict.PASSED


def test_a_regression_that_fresh_launches_do_not_see_is_not_upheld(
    cases: Callable[..., GateCase], tmp_path: Path
) -> None:
    case = cases({"ns": 1_080_000})
    build = Build([case, cases(number=1)], Phone(), GatePolicy(), random.Random(0))
    for done in build.run():
        if isinstance(done, PairDone) and done.comparison.id == "k1":
            case.candidate.path.write_text('{"ns": 1000000}')
    check, _ = build.checks()
    assert check.verdict in (Verdict.INCONCLUSIVE, Verdict.PASSED)
    assert "12 launches said regressed, 10 fresh ones say passed" in check.reasons


def test_a_first_run_of_a_history_may_be_fine(cases: Callable[..., GateCase]) -> None:
    """It is recorded and not compared: never a pass, and an error only where it was not allowed or went wrong."""
    case = replace(cases(), past=Past())
    check = run(case)
    assert (check.verdict, check.no_baseline, exit_code([check])) == (Verdict.INCONCLUSIVE, False, 3)
    first = replace(USUAL, first_time=True)
    check = run(case, policy=first)
    assert (check.verdict, check.no_baseline, exit_code([check])) == (Verdict.INCONCLUSIVE, True, 0)
    assert check.launches == FIRST
    failing = run(replace(cases({"crashes": 1.0}), past=Past()), policy=first)
    assert not failing.no_baseline and exit_code([failing]) != 0


def with_its_past(case: GateCase, seed: int) -> GateCase:
    """The case with what a run of it has just left, as `--history` would find it."""
    device = Phone()
    first = CheckRun(replace(case, past=Past()), device, USUAL, random.Random(seed), Gate(device, 0.0))
    assert [done for done in first.run() if isinstance(done, PairDone)][-1].decision.verdict is Verdict.INCONCLUSIVE
    return replace(case, past=Past(first.comparison))


def test_several_models_are_confirmed_against_their_past_as_well(cases: Callable[..., GateCase]) -> None:
    slower, same = (with_its_past(cases(number=number), number) for number in (0, 1))
    slower.candidate.path.write_text('{"ns": 1080000}')
    build = Build([slower, same], Phone(), GatePolicy(), random.Random(2))
    seen = [done.comparison.id for done in build.run() if isinstance(done, PairDone)]
    assert seen.count("k0") >= FIRST and seen.count("k0-fresh") >= FIRST and "k1-fresh" not in seen
    one, other = build.checks()
    assert one.verdict is Verdict.REGRESSED and "confirmed on 20 fresh launches" in one.reasons[-1]
    assert other.verdict is Verdict.PASSED


def test_a_slower_past_that_fresh_launches_do_not_see_is_not_upheld(cases: Callable[..., GateCase]) -> None:
    slower, same = (with_its_past(cases(number=number), number) for number in (0, 1))
    slower.candidate.path.write_text('{"ns": 1080000}')
    build = Build([slower, same], Phone(), GatePolicy(), random.Random(2))
    for done in build.run():
        if isinstance(done, PairDone) and done.comparison.id == "k1":
            slower.candidate.path.write_text('{"ns": 1000000}')
    check, _ = build.checks()
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "20 launches said regressed, 20 fresh ones say passed" in check.reasons


def test_what_is_slower_by_the_wall_clock_alone_does_not_pass(cases: Callable[..., GateCase]) -> None:
    """Nine calls of ten wait for something, the tenth does not: CPU time says nothing of it."""
    check = run(cases({"ns": 1_000_000, "cpu": 1_000_000, "waits": 1.2}, {"ns": 1_000_000, "cpu": 1_000_000}))
    assert check.clock == "cpu" and check.verdict is Verdict.INCONCLUSIVE
    assert any("by the wall clock it is +2" in reason for reason in check.reasons)
