"""benchmarks/against/conversion.py: what it says of recorded runs, and that it measures processes truly."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from edgeeff.benchmarks.against._measure import Cost, run_cold
from edgeeff.benchmarks.against._routes import PEERS, find_routes
from edgeeff.benchmarks.against._tables import Pairs, Run, call_ratio, conversions, latencies, verdicts


def runs(route: str, *costs: Cost) -> list[Run]:
    return [Run("b0", "tflite", route, number, cost) for number, cost in enumerate(costs)]


def cost(cpu_s: float, peak_bytes: float = 0.4e9, error: str | None = None) -> Cost:
    return Cost(cpu_s, 2 * cpu_s, int(peak_bytes), error)


OURS = runs("edgeeff", cost(2.0), cost(4.0), cost(3.0))


def test_conversions_are_compared_within_a_round() -> None:
    """In the second round the machine was twice as slow: the ratio does not see it."""
    peer = runs("tensorflow", cost(6.0, 1e9), cost(12.0, 1.2e9), cost(10.5, 1.1e9))
    ours, theirs = conversions([*peer, *OURS], {("b0", "tflite", "edgeeff"): 21_120_000}).rows
    assert ours == [
        "b0",
        "tflite",
        "edgeeff",
        "3",
        "3.00 (2.00 - 4.00)",
        "400 (400 - 400)",
        "1.00 (1.00 - 1.00)",
        "21.12",
    ]
    assert theirs[3:] == ["3", "10.50 (6.00 - 12.00)", "1100 (1000 - 1200)", "3.00 (3.00 - 3.50)", ""]


def test_a_route_that_fails_is_shown_and_does_not_count() -> None:
    died = runs("litert-torch", cost(1.0, error="exit code 1: no memory"), cost(20.0), cost(24.0))
    *_, row = conversions([*OURS, *died], {}).rows
    assert row[3:5] == ["2", "22.00 (20.00 - 24.00)"]
    *_, row = conversions([*OURS, *died[:1]], {}).rows
    assert row[3:5] == ["0", "failed: exit code 1: no memory"]


def test_targets_are_judged_by_the_medians() -> None:
    assert verdicts(OURS) == ["b0 to tflite: 3.00 s of CPU, target 4; 0.40 GB, target 0.5: met"]
    assert verdicts(runs("edgeeff", cost(3.0, 0.6e9))) == [
        "b0 to tflite: 3.00 s of CPU, target 4; 0.60 GB, target 0.5: MISSED"
    ]
    assert verdicts(runs("edgeeff", cost(1.0, error="killed"))) == []


def test_latencies_are_compared_call_by_call() -> None:
    """The machine's speed drifts tenfold, our file is a tenth slower in every round."""
    theirs = tuple(round(1e6 * 10 ** (i / 20)) for i in range(21))
    ours = tuple(round(1.1 * ns) for ns in theirs)
    pairs = [Pairs("b0", "onnx", ("edgeeff", "torch-dynamo"), (ours, theirs), (math.inf, 117.0))] * 6
    own, peer = latencies(pairs).rows
    assert own[3:] == ["6", "3.48", "", "", ""]
    assert peer[3:] == ["6", "3.16", "1.100", "1.100 - 1.100 (95%)", "117.0"]
    assert call_ratio(ours, theirs) == pytest.approx(1 / call_ratio(theirs, ours))


def test_the_process_is_measured_and_nothing_else(tmp_path: Path) -> None:
    code = "import time; data = b'x' * 300_000_000\nwhile time.process_time() < 0.5: pass\nraise SystemExit('no more')"
    argv = [sys.executable, "-c", code]
    # From a small parent, as the script itself is: memory at the fork is inherited.
    measure = (
        "import json, sys; from pathlib import Path; from dataclasses import asdict\n"
        "from edgeeff.benchmarks.against._measure import run_cold\n"
        f"print(json.dumps(asdict(run_cold({argv!r}, {{}}, Path({str(tmp_path / 'log')!r}), 60))))"
    )
    said = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True).stdout
    measured = Cost(**json.loads(said))
    assert 0.5 <= measured.cpu_s < 5
    assert 300e6 < measured.peak_bytes < 400e6
    assert measured.error == "exit code 1: no more"


def test_a_process_that_hangs_is_ended(tmp_path: Path) -> None:
    measured = run_cold([sys.executable, "-c", "import time; time.sleep(600)"], {}, tmp_path / "log", 0.2)
    assert measured.error == "exit code -9: it said nothing"


def test_a_tool_that_is_missing_is_named(tmp_path: Path) -> None:
    bare = tmp_path / "bare" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    routes, missing = find_routes(dict.fromkeys(PEERS, str(bare)), ["tflite", "onnx"], tmp_path)
    assert [(route.name, route.format) for route in routes] == [("edgeeff", "tflite"), ("edgeeff", "onnx")]
    assert [line.partition(":")[0] for line in missing] == list(PEERS)
    assert missing[0] == f"tensorflow: NOT RUN, {bare} has no tensorflow or tensorflow-cpu"
