"""The gate of `edgeeff check` against the gates that people use, on the same recorded launches.

    python -m edgeeff.benchmarks.against.gate                    # resampled: false alarms, detection, coverage, peers
    python -m edgeeff.benchmarks.against.gate --live 100         # real checks on this machine, both cores kept busy

Resampled checks draw launches from those in data/ and run the very decision of `edgeeff check`. A slowdown is injected
in two ways, which are told apart: by multiplying recorded samples, and by files that really do more work. Live checks
run the whole command: the same file on both sides, and a file with further convolutions.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeeff.compare import Verdict
from edgeeff.gate.decision import SHOWN_TAIL, Plan
from edgeeff.gate.evidence import Evidence
from edgeeff.gate.past import FIRST, RUNS
from edgeeff.gate.signed_rank import estimate
from edgeeff.report._table import Column, Table, text

from . import _gate_data as recorded
from ._gate_peers import PEERS

BUDGET_S = 180.0
PEER_LAUNCHES = 10
EARLY = 12
"""Launches by which every verdict is possible, that of a regression last."""
WORK = ("b1", "b3", "r1", "r3")
"""Recorded files that really do more work."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One cell: launches of a kind, how they were made slower, and what is looked for.

    Args:
        past: whether they are held against earlier runs against the same reference model, as by `--history`.
    """

    kind: str
    other: str
    slowdown: float
    max_slowdown: float = 0.03
    clock: str = "cpu"
    past: bool = False

    @property
    def label(self) -> str:
        if self.other != "a":
            return f"{self.other}, really more work"
        scaled = f"+{self.slowdown * 100:g} %, scaled" if self.slowdown else "identical"
        return f"{scaled}, by --history" if self.past else scaled


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check's end."""

    verdict: Verdict
    launches: int
    seconds: float
    covered: bool


def check(recording: recorded.Paired, setting: Setting, seed: int) -> Outcome:
    """One resampled check, decided as `edgeeff check` decides."""
    rng = random.Random(seed)
    source = recorded.launches(recording, setting.slowdown, rng, same_file=setting.other == "a")
    earlier = recorded.launches(recording, 0.0, rng, same_file=True)
    runs = [tuple(next(earlier)[0] for _ in range(FIRST)) for _ in range(RUNS if setting.past else 0)]
    then, before = (runs[0], tuple(runs[1:])) if runs else (None, ())
    plan = Plan(setting.max_slowdown)
    truth = recording.value if setting.other != "a" else math.log1p(setting.slowdown)
    ratios: list[float] = []
    seconds = 0.0
    while True:
        found = Evidence(tuple(ratios), then, before).decide(plan, spent=seconds > BUDGET_S)
        if found.verdict is not None:
            covered = found.interval is not None and found.interval.low <= truth <= found.interval.high
            return Outcome(found.verdict, len(ratios), seconds, covered)
        for _ in range(found.next):
            ratio, took = next(source)
            ratios.append(ratio)
            seconds += took


def coverage(recording: recorded.Paired, other: str, checks: int, launches: int) -> float:
    """How often the interval of so many launches, looked at once, holds the truth: without any rule to stop."""
    truth = recording.value if other != "a" else 0.0
    rng = random.Random(0)
    source = recorded.launches(recording, 0.0, rng, same_file=other == "a")
    intervals = (estimate([next(source)[0] for _ in range(launches)], SHOWN_TAIL) for _ in range(checks))
    return statistics.fmean(interval.low <= truth <= interval.high for interval in intervals)


def few(checks: int) -> None:
    count = Plan().first
    print(f"the printed interval of {count} launches, looked at once, {checks} checks a cell: % that hold the truth\n")
    rows = []
    for kind in recorded.KINDS:
        others = ("a", *WORK)
        cells = [coverage(recorded.paired(kind, other), other, checks, count) for other in others]
        rows.append([kind, *(f"{100 * cell:.2f}" for cell in cells)])
    columns = [Column("launches"), Column("identical", "decimal"), *(Column(name, "decimal") for name in WORK)]
    print(text(Table(columns, rows)))


def _cell(argument: tuple[Setting, int, int]) -> list[Outcome]:
    setting, first, count = argument
    recording = recorded.paired(setting.kind, setting.other, setting.clock)
    return [check(recording, setting, seed) for seed in range(first, first + count)]


def settings() -> Iterator[Setting]:
    for kind in recorded.KINDS:
        for slowdown in (0.0, 0.03, 0.05):
            yield Setting(kind, "a", slowdown)
        for slowdown in (0.0, 0.02):
            yield Setting(kind, "a", slowdown, 0.02)
        for other in WORK:
            yield Setting(kind, other, 0.0)
        for slowdown in (0.0, 0.03, 0.05):
            yield Setting(kind, "a", slowdown, clock="wall")
        yield Setting(kind, "a", 0.02, 0.02, clock="wall")
        for other in WORK:
            yield Setting(kind, other, 0.0, clock="wall")
        for slowdown in (0.0, 0.03, 0.05):
            yield Setting(kind, "a", slowdown, past=True)


def resampled(checks: int) -> None:
    print(f"edgeeff check: {checks} resampled checks a row, budget {BUDGET_S:g} s, printed interval 99 %\n")
    texts, verdicts = ("launches", "candidate", "clock"), ("regressed", "improved", "passed", "inconclusive")
    numbers = ["true, %", "--max-slowdown", *(f"{name}, %" for name in verdicts)]
    numbers += ["coverage, %", f"stopped by {EARLY}, %", "mean, s", "95th, s"]
    columns = [*map(Column, texts), *(Column(name, "decimal") for name in numbers)]
    rows = []
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for setting in settings():
            parts = [(setting, first, min(250, checks - first)) for first in range(0, checks, 250)]
            outcomes = [outcome for part in pool.map(_cell, parts) for outcome in part]
            rows.append(_row(setting, outcomes))
    print(text(Table(columns, rows)))


def _row(setting: Setting, outcomes: Sequence[Outcome]) -> list[str]:
    count = Counter(outcome.verdict for outcome in outcomes)
    verdicts = (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.PASSED, Verdict.INCONCLUSIVE)
    early = [outcome.covered for outcome in outcomes if outcome.launches <= EARLY]
    seconds = sorted(outcome.seconds for outcome in outcomes)
    truth = (
        setting.slowdown if setting.other == "a" else recorded.paired(setting.kind, setting.other, setting.clock).value
    )
    return [
        setting.kind,
        setting.label,
        setting.clock,
        f"{truth * 100:+.2f}",
        f"{setting.max_slowdown * 100:g} %",
        *(f"{100 * count[verdict] / len(outcomes):.2f}" for verdict in verdicts),
        f"{100 * statistics.fmean(outcome.covered for outcome in outcomes):.2f}",
        f"{100 * statistics.fmean(early):.2f} of {len(early)}" if early else "-",
        f"{statistics.fmean(seconds):.0f}",
        f"{seconds[int(0.95 * len(seconds))]:.0f}",
    ]


def peers(checks: int) -> None:
    """What the others say on launches of one file, dealt to two sides; slowdowns by scaling."""
    print(f"others, {PEER_LAUNCHES} launches a side, {checks} checks a cell: % that say the candidate is slower\n")
    slowdowns = (0.0, 0.02, 0.03, 0.05, 0.1)
    names = [f"{kind} {f'+{s * 100:g} %' if s else 'identical'}" for kind in recorded.KINDS for s in slowdowns]
    rows = []
    for name, gate in PEERS.items():
        cells = []
        for kind in recorded.KINDS:
            blocks = recorded.singles(kind)
            for slowdown in slowdowns:
                rng = random.Random(0)
                said = 0
                for _ in range(checks):
                    a, b = recorded.two_sides(blocks, PEER_LAUNCHES, rng)
                    said += gate(a, [[x * (1 + slowdown) for x in launch] for launch in b])
                cells.append(f"{100 * said / checks:.1f}")
        rows.append([name, *cells])
    print(text(Table([Column("gate"), *(Column(name, "decimal") for name in names)], rows)))


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keeps every core busy with other programs."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def live(checks: int, candidate: Path, baseline: Path, options: Sequence[str]) -> None:
    """Whole checks on this machine, both cores busy; prints each verdict as it comes and the counts at the end."""
    count: Counter[str] = Counter()
    seconds = []
    with busy(os.cpu_count() or 1), tempfile.TemporaryDirectory() as folder:
        for number in range(checks):
            began = time.monotonic()
            command = [sys.executable, "-m", "edgeeff", "check", str(candidate), "--against", str(baseline), "--json"]
            command += ["--out", folder, "--seed", str(number), *options]
            done = subprocess.run(command, capture_output=True, check=False)
            report = json.loads(done.stdout)
            seconds.append(time.monotonic() - began)
            count[report.get("verdict", "error")] += 1
            shown = {key: report.get(key) for key in ("verdict", "ratio", "low", "high", "launches")}
            print(json.dumps({"check": number, **shown, "seconds": round(seconds[-1], 1)}), flush=True)
    seconds.sort()
    print(f"{dict(count)}; mean {statistics.fmean(seconds):.0f} s, 95th {seconds[int(0.95 * len(seconds))]:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=10_000, help="resampled ones a row; the others get a fifth")
    parser.add_argument("--live", type=int, default=0, help="so many real checks in place of resampled ones")
    parser.add_argument("--candidate", type=Path, help="of live checks; the baseline itself where it is not given")
    parser.add_argument("--baseline", type=Path, default=Path("artifacts/lite0-fp32.onnx"), help="of live checks")
    options, rest = parser.parse_known_args()
    if options.live:
        live(options.live, options.candidate or options.baseline, options.baseline, rest)
        return
    resampled(options.checks)
    few(options.checks)
    peers(max(options.checks // 5, 1))


if __name__ == "__main__":
    main()
