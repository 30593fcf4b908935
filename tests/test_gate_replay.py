"""The gate's decisions on recorded launches: these verdicts, no false alarm, slowdowns found, intervals that cover.

The launches and the draw are fixed, so every figure here repeats exactly; benchmarks/against/gate.py has 10,000 a row.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from edgeeff.benchmarks.against import _gate_data, gate
from edgeeff.benchmarks.against._gate_peers import PEERS
from edgeeff.benchmarks.against.gate import Setting, check
from edgeeff.compare import Verdict
from edgeeff.gate.decision import Plan

CHECKS = 120
EXPECTED = [13, 15, 13, 12, 14, 24, 12, 12]
"""Of seeds 0 to 7, 3 % slower and loaded: launches until "regressed"."""


@pytest.fixture(scope="module")
def pairs() -> dict[tuple[str, str], _gate_data.Paired]:
    return {(kind, other): _gate_data.paired(kind, other) for kind in _gate_data.KINDS for other in ("a", "r3")}


def outcomes(pairs: dict[tuple[str, str], _gate_data.Paired], setting: Setting) -> list[gate.Outcome]:
    return [check(pairs[setting.kind, setting.other], setting, seed) for seed in range(CHECKS)]


@pytest.mark.parametrize("kind", _gate_data.KINDS)
def test_identical_files_raise_no_alarm(pairs: dict[tuple[str, str], _gate_data.Paired], kind: str) -> None:
    found = outcomes(pairs, Setting(kind, "a", 0.0))
    assert {outcome.verdict for outcome in found} == {Verdict.PASSED}
    assert sum(outcome.covered for outcome in found) >= 0.97 * CHECKS


@pytest.mark.parametrize(("kind", "slowdown", "least"), [
    ("quiet", 0.03, 0.98), ("loaded", 0.03, 0.97), ("quiet", 0.05, 1.0), ("loaded", 0.05, 1.0),
])  # fmt: skip
def test_scaled_slowdowns_are_found(
    pairs: dict[tuple[str, str], _gate_data.Paired], kind: str, slowdown: float, least: float
) -> None:
    found = outcomes(pairs, Setting(kind, "a", slowdown))
    assert sum(outcome.verdict is Verdict.REGRESSED for outcome in found) >= least * CHECKS
    assert sum(outcome.covered for outcome in found) >= 0.96 * CHECKS


def test_a_file_that_does_more_work_is_found(pairs: dict[tuple[str, str], _gate_data.Paired]) -> None:
    assert 0.025 < pairs["quiet", "r3"].value < 0.035
    found = outcomes(pairs, Setting("quiet", "r3", 0.0))
    assert sum(outcome.verdict is Verdict.REGRESSED for outcome in found) >= 0.97 * CHECKS


def test_the_decisions_are_exactly_these(pairs: dict[tuple[str, str], _gate_data.Paired]) -> None:
    setting = Setting("loaded", "a", 0.03)
    found = [check(pairs["loaded", "a"], setting, seed) for seed in range(8)]
    assert [outcome.launches for outcome in found] == EXPECTED
    assert {outcome.verdict for outcome in found} == {Verdict.REGRESSED}


@pytest.mark.parametrize("kind", _gate_data.KINDS)
def test_the_interval_of_the_fewest_launches_covers_as_it_says(
    pairs: dict[tuple[str, str], _gate_data.Paired], kind: str
) -> None:
    for other in ("a", "r3"):
        assert 0.98 <= gate.coverage(pairs[kind, other], other, 2000, Plan().first) <= 0.997


@pytest.mark.parametrize("other", ["r1", "r3"])
def test_the_interval_covers_where_looking_again_selects(other: str) -> None:
    """Really slower, loaded: of 10,000 r3's it covers 98.3 % with equal ends, and 98.8 % as it is shown.

    Of 1,500 that is known to 0.2 %.
    """
    recording = _gate_data.paired("loaded", other)
    found = [check(recording, Setting("loaded", other, 0.0), seed) for seed in range(1500)]
    assert 0.985 <= sum(outcome.covered for outcome in found) / len(found) <= 0.997


def test_an_earlier_run_against_the_reference_model_raises_no_alarm_and_finds_slowdowns(
    pairs: dict[tuple[str, str], _gate_data.Paired],
) -> None:
    setting = Setting("quiet", "a", 0.0, past=True)
    assert {found.verdict for found in outcomes(pairs, setting)} == {Verdict.PASSED}
    slower = [found.verdict for found in outcomes(pairs, replace(setting, slowdown=0.03))]
    assert slower.count(Verdict.REGRESSED) >= 0.97 * CHECKS


def test_the_others_cry_wolf_on_the_same_launches() -> None:
    blocks = _gate_data.singles("loaded")
    rng = random.Random(0)
    dealt = [_gate_data.two_sides(blocks, gate.PEER_LAUNCHES, rng) for _ in range(60)]
    alarms = {name: sum(peer(a, b) for a, b in dealt) for name, peer in PEERS.items()}
    assert alarms["mean, 105 % threshold"] > 10
    assert alarms["U test, all samples"] > 10
    assert alarms["mean, 200 % threshold"] == 0


def test_a_peer_sees_what_is_plain() -> None:
    quiet = [[100.0 + (i * 7 + j) % 5 for i in range(30)] for j in range(10)]
    slower = [[x * 3 for x in launch] for launch in quiet]
    assert {name: peer(quiet, slower) for name, peer in PEERS.items()} == dict.fromkeys(PEERS, True)
    assert not any(peer(quiet, quiet) for peer in PEERS.values())
