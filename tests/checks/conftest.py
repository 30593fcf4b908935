"""Checks whose runner is a script that behaves as its "model" files say; all else is the real one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edgeeff.compare import Check
from edgeeff.devices.host import HostDevice
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.session import CheckRun, GatePolicy
from edgeeff.gate.verdict import check_of
from edgeeff.measuring.conditions import Gate
from edgeeff.measuring.launch import Case
from edgeeff.measuring.pair_records import PairRecordRunner
from edgeeff.measuring.records import RecordRunner
from edgeeff.protocols import Device
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

USUAL = GatePolicy(seconds=3000.0)
"""No check of these takes its time: what ends it is what it found."""


@pytest.fixture
def cases(tmp_path: Path) -> Callable[..., GateCase]:
    """case(candidate={...}, baseline={...}): model files that say how they behave; the sides' context by keyword,
    of a device the fields that differ."""
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
            told = dict(changes or {})
            told["device"] = replace(INFO, **told.get("device", {}))
            measurement = replace(MEASURED, id=f"{name}{number}", path=path.name, **told)
            sides.append(Case(measurement, path, ScriptRunner(script, pairs), {}))
        return GateCase(f"k{number}", f"b{number} int8 tflite", *sides)

    return case


@pytest.fixture
def phone() -> type[Phone]:
    return Phone


@pytest.fixture
def judged() -> Callable[..., Check]:
    """judged(case, device=a phone, policy=the usual, seed=0): the check, run to its verdict."""

    def run(case: GateCase, device: Device | None = None, policy: GatePolicy = USUAL, seed: int = 0) -> Check:
        device = device or Phone()
        checking = CheckRun(case, device, policy, random.Random(seed), Gate(device, 0.0))
        for _ in checking.run():
            pass
        return check_of(checking)

    return run
