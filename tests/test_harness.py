"""Sessions on this machine. The runners are scripts, which fail in ways that the real one cannot be made to."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeeff.devices.host import HostDevice
from edgeeff.errors import DeviceError
from edgeeff.measuring import harness
from edgeeff.measuring.cases import Wanted, build_cases
from edgeeff.measuring.commands import LaunchPolicy
from edgeeff.measuring.harness import LaunchDone, Policy, run_session
from edgeeff.measuring.launch import Case
from edgeeff.measuring.records import RecordRunner
from edgeeff.protocols import Device
from edgeeff.values import DeviceProfile, DeviceState

ANSWER = """
import json, random, sys
spec = json.load(sys.stdin)
print(json.dumps({"record": "loaded", "ops": 3, "delegated_ops": 2}), flush=True)
"""
STEADY = ANSWER + 'print(json.dumps({"record": "samples", "samples_ns": [1000000, 1000100, 1000200]}))\n'
JUMPY = ANSWER + 'print(json.dumps({"record": "samples", "samples_ns": [random.randrange(10**6, 10**8)]}))\n'
FAULTS = {
    "import os; os.kill(os.getpid(), 11)": "killed by SIGSEGV while the model was loaded",
    ANSWER + "import os; os.abort()": "killed by SIGABRT while the model ran",
    "import time; time.sleep(100_000)": "did not finish within 0.5 s and was killed while the model was loaded",
    "raise SystemExit('no such\\nlibrary')": "exit code 1 while the model was loaded (library)",
    "print('hello'); print('{'); print('[1]'); print('{\"record\": [1]}')": "gave no samples",
    'print(\'{"record": "samples", "samples_ns": [1, "2"]}\')': "make no sense: 'samples_ns' cannot be '2'",
    'print(\'{"record": "samples", "samples_ns": [NaN]}\')': "gave no samples",
    'print(\'{"record": "error", "code": "shape", "message": "open"}\')': "open; give its shape: --input-shape",
    "print('x' * (1 << 25))": "a line longer than 16 MB",
}


@dataclass(frozen=True)
class ScriptRunner:
    """A runner that is any script."""

    script: Path
    name: str = "script"
    formats: tuple[str, ...] = ("tflite",)
    kinds: tuple[str, ...] = ("host",)

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        return None

    def install(self, device: Device, file: Path | None) -> RecordRunner:
        return RecordRunner((*device.python(), device.push(self.script)))


@pytest.fixture
def make_case(tmp_path: Path, small_tflite: Path):
    numbers = count()

    def make(script: str) -> Case:
        number = next(numbers)
        runner = tmp_path / f"runner{number}.py"
        runner.write_text(script)
        case = build_cases([small_tflite], HostDevice(), Wanted("test"))[0]
        return replace(case, measurement=replace(case.measurement, id=str(number)), runner=ScriptRunner(runner))

    return make


def session(cases: list[Case], device: HostDevice | None = None, **policy: float) -> list[LaunchDone]:
    launch = LaunchPolicy(timeout_s=600.0)
    return list(run_session(cases, device or HostDevice(), Policy(launch=launch, **policy), random.Random(1)))


def test_it_stops_when_the_intervals_are_narrow_enough(make_case) -> None:
    events = session([make_case(STEADY), make_case(STEADY)], seconds=600)
    last = {event.measurement.id: event.measurement for event in events}
    assert [len(m.launches) for m in last.values()] == [6, 6]
    assert all(launch.error is None and launch.ops == 3 for m in last.values() for launch in m.launches)
    assert [launch.index for launch in last["0"].launches] == list(range(6))


def test_it_stops_when_its_time_is_over(make_case, monkeypatch) -> None:
    """By a clock that goes on by 15 s when the device is asked for its state: before each launch and after it."""
    now = [0.0]

    class Slow(HostDevice):
        def state(self) -> DeviceState:
            now[0] += 15
            return super().state()

    monkeypatch.setattr(harness, "time", SimpleNamespace(monotonic=lambda: now[0], time=time.time))
    events = session([make_case(JUMPY)], Slow(), seconds=299, precision_target=1e-9)
    assert [event.elapsed_s for event in events] == [30.0 * done for done in range(1, 10)]  # a tenth would take 300


def test_each_case_gets_a_launch_in_the_shortest_of_sessions(make_case) -> None:
    events = session([make_case(STEADY) for _ in range(3)], seconds=1e-9)
    assert sorted(event.measurement.id for event in events) == ["0", "1", "2"]


def test_every_round_has_all_cases_and_the_order_changes(make_case) -> None:
    events = session([make_case(STEADY) for _ in range(4)], seconds=600)
    ids = [event.measurement.id for event in events]
    rounds = [ids[i : i + 4] for i in range(0, len(ids), 4)]
    assert all(sorted(order) == ["0", "1", "2", "3"] for order in rounds)
    assert len({tuple(order) for order in rounds}) > 1


class Impatient(HostDevice):
    """Gives what sleeps half a second, and all else the time that it takes."""

    def run(self, argv: Sequence[str], **settings: Any) -> Iterator[str]:
        if "sleep" in Path(argv[-1]).read_text():
            settings["timeout_s"] = 0.5
        return super().run(argv, **settings)


@pytest.mark.parametrize("script", FAULTS)
def test_a_failing_launch_costs_itself_alone(script: str, make_case) -> None:
    events = session([make_case(script), make_case(STEADY)], Impatient(), seconds=600)
    last = {event.measurement.id: event.measurement for event in events}
    assert len(last["0"].launches) == 3  # and is given up after three
    for launch in last["0"].launches:
        assert launch.samples_ns == ()
        assert launch.error is not None and FAULTS[script] in launch.error
        assert "\n" not in launch.error
        assert launch.state_after is not None
    assert [launch.error for launch in last["1"].launches] == [None] * 6


def test_a_device_that_is_lost_ends_the_session(make_case) -> None:
    class Lost(HostDevice):
        def run(self, argv: Sequence[str], **settings: object) -> Iterator[str]:
            raise DeviceError("the cable was pulled")

    with pytest.raises(DeviceError, match="cable"):
        session([make_case(STEADY)], Lost(), seconds=600)


def test_a_launch_across_a_reboot_does_not_count(make_case) -> None:
    class Rebooting(HostDevice):
        boots = count()

        def state(self) -> DeviceState:
            return DeviceState(boot_id=str(next(self.boots)))

    events = session([make_case(STEADY)], Rebooting(), seconds=600)
    assert [event.launch.error for event in events] == ["the device rebooted during this launch"] * 3
    assert not any(event.launch.samples_ns for event in events)


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_a_real_launch_fills_every_field(runtime: str, small_onnx: Path, small_tflite: Path) -> None:
    path = small_onnx if runtime == "onnxruntime" else small_tflite
    cases = build_cases([path], HostDevice(), Wanted("test", [runtime], threads=(2,)))
    (event,) = session(cases, seconds=1e-9)
    launch = event.launch
    assert launch.error is None
    assert launch.samples_ns and launch.cpu_ns and len(launch.samples_ns) == len(launch.cpu_ns)
    of_other_runners = {"fully_delegated", "summary", "memory_delta_bytes", "voluntary_switches"}
    not_told = {"partitions"} if runtime == "onnxruntime" else {"build_type"}
    unread = {"error", *of_other_runners, *not_told}
    assert {name for name in launch.__slots__ if getattr(launch, name) is None} == unread
    assert event.measurement.macs == 16 * 16 * 8 * 27 + 80
    assert event.measurement.threads == 2
