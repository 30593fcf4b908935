"""A candidate against its own past, by way of the reference model: a stored latency alone never decides."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgeeff import store
from edgeeff.compare import Comparison, Pair, Verdict
from edgeeff.gate.decision import Plan
from edgeeff.gate.past import FIRST, RUNS, decide_shift, latest
from edgeeff.gate.rank_sum import shift
from edgeeff.gate.reference import write_reference
from edgeeff.values import DeviceInfo, Launch, Measurement

PLAN = Plan()
HASHES = {
    "onnx": "e341f83ea4ea01989f1b66ca66c2339ffea9db9259d32db03cf675ebe4fa8662",
    "tflite": "01f821d5352fcb751a3b156d5f0360e7a8dfc9fb71fff0e06a07d9fd6eaa9f96",
}
"""Of the reference model as it is pinned: other bytes are another reference, and need a new `reference.VERSION`."""


@pytest.mark.parametrize("format_name", HASHES)
def test_the_reference_model_is_the_same_wherever_it_is_made(format_name: str, tmp_path: Path) -> None:
    first = write_reference(tmp_path / "a", format_name).read_bytes()
    assert first == write_reference(tmp_path / "b", format_name).read_bytes()
    assert hashlib.sha256(first).hexdigest() == HASHES[format_name]


def test_the_interval_of_a_shift_is_exact_by_enumeration() -> None:
    """Over all ways to deal nine values to four and five, the interval leaves out 0 as often as it says, at most."""
    values = [0.1, 0.9, 1.7, 2.2, 3.9, 5.0, 6.1, 7.7, 9.0]
    for tail in (1 / 126, 3 / 126, 8 / 126):
        dealt = list(itertools.combinations(range(9), 4))
        missed = sum(
            shift([values[i] for i in ours], [values[i] for i in range(9) if i not in ours], tail).low > 0
            for ours in dealt
        )
        assert tail / 2 * len(dealt) <= missed <= tail * len(dealt)


def drawn(centre: float, count: int, seed: int, spread: float = 0.008) -> list[float]:
    rng = random.Random(seed)
    return [math.log1p(centre) + rng.gauss(0.4, spread) for _ in range(count)]


@pytest.mark.parametrize(("slowdown", "verdict"), [(0.0, "passed"), (0.06, "regressed"), (-0.06, "improved")])
def test_now_against_then(slowdown: float, verdict: str) -> None:
    before = [drawn(0.0, FIRST, seed) for seed in (3, 4, 5)]
    decision = decide_shift(drawn(slowdown, FIRST, 1), drawn(0.0, FIRST, 2), PLAN, before=before)
    assert decision.verdict == verdict
    assert decision.interval is not None
    assert decision.interval.low < math.log1p(slowdown) < decision.interval.high


def test_a_run_is_blamed_where_it_is_slower_than_each_of_four() -> None:
    """Runs of one file at two times differ by more than their launches tell."""
    now, then, slow = drawn(0.06, FIRST, 1), drawn(0.0, FIRST, 2), drawn(0.06, FIRST, 3)
    few = decide_shift(now, then, PLAN, before=[then] * (RUNS - 2))
    assert few.verdict is Verdict.INCONCLUSIVE
    assert few.reason.startswith("slower than each of the 3 earlier runs, too few to blame the file by")
    assert decide_shift(now, then, PLAN).reason.startswith("slower than the one earlier run, too few")
    before = [then, slow, then]
    assert decide_shift(now, then, PLAN, before=before).verdict is None
    some = decide_shift(now, then, PLAN, before=before, spent=True)
    assert some.verdict is Verdict.INCONCLUSIVE and some.interval is not None
    assert some.reason.startswith("slower than the latest run and not than 1 of the 3 before it: ")
    faster = drawn(-0.06, FIRST, 4)
    assert decide_shift(faster, then, PLAN, before=[then, faster, then]).verdict is Verdict.PASSED
    assert decide_shift(now, slow, PLAN, before=[then] * 3).verdict is Verdict.PASSED


def test_without_a_past_it_is_recorded_and_inconclusive() -> None:
    assert decide_shift(drawn(0, 3, 1), (), PLAN).next == FIRST - 3
    decision = decide_shift(drawn(0, FIRST, 1), (), PLAN)
    assert decision.verdict is Verdict.INCONCLUSIVE and "there is no earlier run" in decision.reason


def test_few_launches_and_equal_ones_are_no_verdict() -> None:
    then = drawn(0, FIRST, 2)
    assert decide_shift(drawn(0, 9, 1), then, PLAN, spent=True).verdict is Verdict.INCONCLUSIVE
    assert decide_shift([0.4] * FIRST, then, PLAN).verdict is Verdict.INCONCLUSIVE
    going = decide_shift(drawn(0.02, FIRST, 1, 0.1), drawn(0, FIRST, 2, 0.1), PLAN)
    assert (going.verdict, going.next) == (None, 1)


HOST = DeviceInfo("host", "host", "cpu", "os", "6.1", "x86_64", 2, 1 << 30)
MODEL = Measurement(
    "m", "s", "b0.onnx", "aa", 1, "onnx", "fp32", "b0", None, None, None, None, "r", 1, "cpu", HOST, "0", 0.0, 0
)
REFERENCE = replace(MODEL, id="r", sha256="ref", variant=None, path="reference-1.onnx")


def earlier(created: float, candidate: Measurement = MODEL, reference: Measurement = REFERENCE) -> Comparison:
    pairs = tuple(
        Pair(i, Launch(i, (10 + i,), 0.0), Launch(i, (9,), 0.0), candidate_first=(True,)) for i in range(FIRST)
    )
    return Comparison(f"k{created}", "s", candidate, reference, created, pairs)


def test_the_latest_run_of_the_same_model_against_the_same_reference() -> None:
    others = [
        earlier(9.0, replace(MODEL, precision="int8")),
        earlier(9.0, replace(MODEL, variant="b1")),
        earlier(9.0, replace(MODEL, threads=2)),
        earlier(9.0, reference=replace(REFERENCE, sha256="another")),
        replace(earlier(9.0), pairs=earlier(9.0).pairs[:3]),
    ]
    stored = [earlier(1.0), earlier(3.0), earlier(2.0), *others]
    changed = replace(MODEL, sha256="bb", path="elsewhere.onnx")
    found = latest(changed, "ref", stored)
    assert (found.comparison, found.before) == (stored[1], (stored[0], stored[2]))
    later = [earlier(float(when)) for when in range(4, 9)]
    assert latest(changed, "ref", stored + later).before == tuple(later[1:4])
    elsewhere = earlier(2.5, replace(MODEL, device=replace(HOST, kernel="6.2")))
    assert elsewhere not in latest(changed, "ref", [*stored, elsewhere]).before
    assert latest(changed, "ref", others).comparison is None
    bare = replace(MODEL, variant=None)
    assert latest(bare, "ref", [earlier(1.0, bare)]).comparison is not None
    assert latest(replace(bare, path="x.onnx"), "ref", [earlier(1.0, bare)]).comparison is None


@pytest.mark.parametrize(
    ("hashes", "candidate", "compared"),
    [
        ("aaaa", "b", "0123"),
        ("aaaab", "b", "0123"),  # checked once more, it is not cleared by its own first run
        ("aaaabab", "b", "0123"),
        ("aabb", "b", "01"),
        ("aaaaaa", "a", "2345"),  # an unchanged file, checked daily
        ("aaaab", "a", "0123"),  # and another that was tried in between
        ("abbbb", "a", "1234"),  # put back after others took its place
        ("abbbba", "a", "1234"),
        ("aabccccb", "b", "3456"),
    ],
)
def test_a_file_is_compared_with_what_came_before_it(hashes: str, candidate: str, compared: str) -> None:
    stored = [earlier(float(when), replace(MODEL, sha256=sha256)) for when, sha256 in enumerate(hashes)]
    found = latest(replace(MODEL, sha256=candidate), "ref", random.Random(1).sample(stored, len(stored)))
    assert found.comparison is not None
    assert [*found.before, found.comparison] == [stored[int(place)] for place in compared]


def test_a_file_is_compared_with_itself_where_the_device_changed_since_it_came() -> None:
    old, new = replace(MODEL, sha256="a"), replace(MODEL, sha256="b", device=replace(HOST, kernel="6.2"))
    before, own = earlier(1.0, old), earlier(2.0, new)
    assert latest(new, "ref", [before]).comparison == before
    assert latest(new, "ref", [before, own]).comparison == own


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", "check", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=900, cwd=tmp_path)


def test_the_command_records_first_and_refuses_another_machine_then(tmp_path: Path, small_onnx: Path) -> None:
    arguments = (str(small_onnx), "--history", "--json", "--seconds")
    first = run(tmp_path, *arguments, "9")
    document = json.loads(first.stdout)
    assert (first.returncode, document["verdict"]) == (3, "inconclusive"), first.stderr
    assert "there is no earlier run to compare with" in document["reasons"][0]
    assert document["reasons"][1].startswith("0 of the 4 earlier runs that it takes to blame a file are there")
    (file,) = (tmp_path / "results" / "checks").glob("*.jsonl")
    (comparison,) = store.read_comparisons(file)
    assert comparison.baseline.sha256 == HASHES["onnx"]
    pairs = [json.loads(line) for line in file.read_text().splitlines()]
    again = [pair for pair in pairs if pair["record"] == "pair"]
    moved = file.read_text().replace(f'"kernel":{json.dumps(comparison.candidate.device.kernel)}', '"kernel":"1.0"')
    file.write_text(moved + "".join(json.dumps(again[-1]) + "\n" for _ in range(FIRST)))
    second = run(tmp_path, *arguments, "9")
    document = json.loads(second.stdout)
    assert (second.returncode, document["verdict"], document["ratio"]) == (4, "refused", None)
    assert document["reasons"][0].startswith("kernel differs: ")


def test_one_of_both_is_wanted(tmp_path: Path, small_onnx: Path) -> None:
    for arguments in ((), ("--history", "--against", "x")):
        done = run(tmp_path, str(small_onnx), *arguments)
        assert done.returncode == 2 and "either --against or --history" in done.stderr
