"""The history: steps and creep, an index that is derived from the lines and never worth more than they are."""

from __future__ import annotations

import json
import math
import random
import signal
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeeff import store
from edgeeff.cli.history import history
from edgeeff.compare import Comparison, Pair
from edgeeff.errors import EdgeeffError, UsageError
from edgeeff.history.chain import chained
from edgeeff.history.change_points import LEAST_STEP, SIGNIFICANCE, creep, steps
from edgeeff.history.index import SCHEMA, Index, default_url
from edgeeff.history.points import Point
from edgeeff.values import DeviceInfo, Launch, Measurement

HOST = DeviceInfo("host", "host", "Some CPU", "Debian 12", "6.1", "x86_64", 2, None)


def noise(count: int, seed: int, spread: float = 0.02) -> list[float]:
    generator = random.Random(seed)
    return [0.01 * math.exp(generator.gauss(0, spread)) for _ in range(count)]


def test_a_step_is_found_where_it_is() -> None:
    values = noise(30, 1)
    values[18:] = [value * 1.08 for value in values[18:]]
    (step,) = steps(values)
    assert abs(step.index - 18) <= 1
    assert 0.06 < step.change < 0.10
    assert step.p_value <= SIGNIFICANCE


def test_two_steps_are_found() -> None:
    values = noise(45, 2)
    values[15:30] = [value * 1.1 for value in values[15:30]]
    found = steps(values)
    assert [abs(step.index - place) <= 1 for step, place in zip(found, (15, 30), strict=True)] == [True, True]
    assert [step.change > 0 for step in found] == [True, False]


def test_noise_alone_seldom_has_steps_or_creep() -> None:
    series = [noise(24, seed) for seed in range(200)]
    assert sum(bool(steps(values)) for values in series) <= 6
    assert sum(creep(values) is not None for values in series) <= 6


def test_a_heavy_tail_is_no_step() -> None:
    values = noise(30, 3)
    values[11] *= 3
    values[22] *= 2
    assert steps(values) == []


def test_creep_is_found_although_no_step_is_large() -> None:
    values = [value * 1.004**i for i, value in enumerate(noise(30, 4, spread=0.01))]
    found = creep(values)
    assert found is not None
    assert 0.08 < found.change < 0.16


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 7, [1.0] * 30])
def test_too_few_or_equal_points_show_nothing(values: list[float]) -> None:
    assert steps(values) == []
    assert creep(values) is None


def test_a_step_too_small_to_matter_is_not_shown() -> None:
    values = [0.01] * 15 + [0.01 * (1 + LEAST_STEP / 2)] * 15
    assert steps(values) == []


def test_the_same_series_gives_the_same_answer() -> None:
    values = noise(20, 5) + [value * 1.05 for value in noise(20, 6)]
    assert steps(values) == steps(values)


def write(folder: Path, session: str, ms: float = 10.0, created: float = 1.79e9) -> Path:
    launches = tuple(Launch(i, (round(ms * 1e6),) * 3, created) for i in range(6))
    m = Measurement(
        f"{session}-0", session, "b0.tflite", "a" * 64, 1, "tflite", "fp32", "b0", "random(seed=0)", 224, 1, 1,
        "litert", 1, "cpu", HOST, "0.1.0", created, 0,
    )  # fmt: skip
    with store.Writer(folder, session, "0.1.0") as writer:
        for launch in launches:
            writer.launch(m, launch)
    return writer.path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for number in range(12):
        write(
            folder, f"s{number:02}", 10 + 0.01 * (number % 5) + (1.0 if number >= 6 else 0.0), 1.79e9 + 86400 * number
        )
    return folder


def compare(folder: Path, session: str, baseline: str, candidate: str, ratio: float, against: str = "litert") -> None:
    """A check's file, in the folder that `edgeeff check` writes to: eight paired launches, each of that ratio."""
    created = 1.79e9 + 86400 * int(session[1:])
    sides = [
        Measurement(
            f"{session}-{name}", session, f"{name}.tflite", sha256 * 32, 1, "tflite", "fp32", "b0", None, None, None,
            None, against if name == "baseline" else "litert", 1, "cpu", HOST, "0.1.0", created, 0,
        )
        for name, sha256 in (("candidate", candidate), ("baseline", baseline))
    ]  # fmt: skip
    comparison = Comparison(f"{session}-k", session, *sides, created)
    with store.Writer(folder / "checks", session, "0.1.0") as writer:
        for side in sides:
            writer.launch(side, Launch(0, (10_000_000,), created))
        for i in range(8):
            both = (Launch(i, (round(1e9 * ratio) + i,), created), Launch(i, (10**9,), created))
            writer.pair(comparison, Pair(i, *both, candidate_first=(True,)))


def ratios(folder: Path) -> dict[str, list[float]]:
    with Index(default_url(folder)) as index:
        index.refresh(folder)
        found = index.series()
    return {key.reference[:2]: [round(p.value, 4) for p in points] for key, points in found.items()}


def test_checks_are_a_series_of_ratios_to_their_reference(tmp_path: Path) -> None:
    for number, candidate in enumerate(("aa", "bb", "bb", "cc")):
        compare(tmp_path, f"s{number}", "ee", candidate, 2.0 + number / 100)
    assert ratios(tmp_path) == {"ee": [2.0, 2.01, 2.02, 2.03]}


def test_where_the_baseline_moves_the_ratios_multiply(tmp_path: Path) -> None:
    names = [f"{number:02x}" for number in range(0xA0, 0xB4)]
    for number, (baseline, candidate) in enumerate(pairwise(names)):
        compare(tmp_path, f"s{number:02}", baseline, candidate, 1.005)
    compare(tmp_path, "s90", "f0", "f1", 1.5)  # of another chain
    (_, creeping), (_, other) = sorted(ratios(tmp_path).items())
    assert creeping == [round(1.005 ** (number + 1), 4) for number in range(19)]
    assert other == [1.5]
    text = CliRunner().invoke(history, [str(tmp_path)], catch_exceptions=False).stdout
    assert "creep +9." in text or "step +" in text
    assert "a0a0a0a0" in text and "their ratios are multiplied" in text.replace("\n", " ")


def test_a_chain_is_less_sure_the_longer_it_is() -> None:
    def point(sha256: str, low: float | None = 0.99) -> Point:
        return Point(0.0, "s", 1.0, low, 1.02, sha256, "0")

    (series,) = chained([("a", point("b")), ("b", point("c")), ("b", point("d", None)), ("d", point("e"))]).values()
    first, second, third, fourth = series
    assert first.low == pytest.approx(0.99) and first.high == pytest.approx(1.02)
    assert second.low == pytest.approx(0.99 ** math.sqrt(2)) and second.high == pytest.approx(1.02 ** math.sqrt(2))
    assert third.low is None and fourth.low is None
    assert fourth.high == pytest.approx(1.02 ** math.sqrt(3))


def test_a_check_gives_no_latency_and_two_runtimes_no_ratio(tmp_path: Path) -> None:
    compare(tmp_path, "s1", "aa", "bb", 1.1, against="onnxruntime")
    assert ratios(tmp_path) == {}


def values(url: str) -> list[float]:
    with Index(url) as index:
        found = index.series()
    return [round(point.value * 1e3, 2) for points in found.values() for point in points]


def refreshed(url: str, folder: Path) -> list[float]:
    with Index(url) as index:
        index.refresh(folder)
    return values(url)


def test_only_what_changed_is_read_again(results: Path) -> None:
    with Index(default_url(results)) as index:
        assert index.refresh(results) == 12
        assert index.refresh(results) == 0
        write(results, "s99", 12.0, 1.8e9)
        assert index.refresh(results) == 1
        next(results.glob("*-s00.jsonl")).unlink()
        assert index.refresh(results) == 0
        (series,) = index.series().values()
    assert len(series) == 12
    assert series[-1].session == "s99"


def test_a_session_that_goes_on_is_read_again(results: Path) -> None:
    url = default_url(results)
    before = refreshed(url, results)
    path = next(results.glob("*-s03.jsonl"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1].replace("10030000", "99000000")] * 1))
    assert len(refreshed(url, results)) == len(before)


@pytest.mark.parametrize("harm", ["lost", "foreign", "truncated", "older"])
def test_an_index_that_is_lost_or_damaged_is_made_again(results: Path, harm: str) -> None:
    url = default_url(results)
    expected = refreshed(url, results)
    path = results / ".index.sqlite"
    if harm == "lost":
        path.unlink()
    elif harm == "foreign":
        path.write_bytes(b"no database, " * 1000)
    elif harm == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        with sqlite3.connect(path) as connection:
            connection.execute(f"UPDATE edgeeff_meta SET schema = {SCHEMA - 1}")
            connection.execute("DELETE FROM edgeeff_points")
    assert refreshed(url, results) == expected


def test_an_index_of_a_later_edgeeff_is_left_alone(results: Path) -> None:
    url = default_url(results)
    refreshed(url, results)
    with sqlite3.connect(results / ".index.sqlite") as connection:
        connection.execute(f"UPDATE edgeeff_meta SET schema = {SCHEMA + 1}")
    with pytest.raises(UsageError, match="made by a later edgeeff"):
        refreshed(url, results)


REFRESH = """
import sys
from pathlib import Path
from edgeeff.history.index import Index
for _ in range(5):
    with Index(sys.argv[1]) as index:
        index.refresh(Path(sys.argv[2]))
"""


def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)


def test_two_writers_at_once_lose_nothing(results: Path) -> None:
    url = default_url(results)
    both = [start(REFRESH, url, str(results)) for _ in range(2)]
    for number in range(20, 26):
        write(results, f"s{number}", 11.0, 1.8e9 + number)
    for process in both:
        error = process.communicate(timeout=900)[1]
        assert process.returncode == 0, error.decode()
    assert len(refreshed(url, results)) == 18


HANGS = """
import sys, time
from pathlib import Path
from edgeeff.history import index
rows = index.rows
def slow(path):
    for row in rows(path):
        yield row
    if path.name.endswith("s05.jsonl"):
        print("there", flush=True)
        time.sleep(100_000)
index.rows = slow
with index.Index(sys.argv[1]) as opened:
    opened.refresh(Path(sys.argv[2]))
"""


def test_a_killed_writer_loses_nothing(results: Path) -> None:
    url = default_url(results)
    process = subprocess.Popen([sys.executable, "-c", HANGS, url, str(results)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert 0 < len(values(url)) < 12
    assert len(refreshed(url, results)) == 12


def test_a_full_disk_loses_nothing(results: Path) -> None:
    url = default_url(results)
    with Index(url) as index:
        index.refresh(results)
    expected = values(url)
    for number in range(20, 60):
        write(results, f"s{number}", 11.0, 1.8e9 + number)
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = {(results / ".index.sqlite").stat().st_size}
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
from edgeeff.cli import main
main(["history", {str(results)!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 2, done.stderr
    assert "the results themselves are safe; see that it can be reached and has space" in done.stderr
    assert "Traceback" not in done.stderr
    assert values(url)[: len(expected)] == expected
    assert len(refreshed(url, results)) == 52


def test_a_damaged_results_file_is_named_and_the_others_stay(results: Path) -> None:
    path = next(results.glob("*-s07.jsonl"))
    path.write_text(path.read_text() + "{broken\n")
    with pytest.raises(UsageError, match=r"s07\.jsonl, line \d+ is damaged"), Index(default_url(results)) as index:
        index.refresh(results)
    assert len(values(default_url(results))) == 7


@pytest.mark.parametrize(("url", "said"), [
    ("mysql://host/x", "mysql is not supported"), ("nonsense", "is not a database's URL"),
    ("sqlite:////nowhere/at/all.sqlite", "cannot be used: unable to open"),
    ("postgresql+psycopg://u:secret@127.0.0.1:1/x", r"u:\*\*\*@127.0.0.1:1/x cannot be used"),
])  # fmt: skip
def test_an_index_that_cannot_be_had_is_one_sentence(url: str, said: str) -> None:
    with pytest.raises(EdgeeffError, match=said) as error, Index(url):
        pass
    assert "secret" not in str(error.value)


def test_the_command_shows_the_step(results: Path) -> None:
    text = CliRunner().invoke(history, [str(results)], catch_exceptions=False).stdout
    assert "step +10.0 % on 2026-09-27" in text
    assert "They gate nothing" in text.replace("\n", " ")
    document = json.loads(CliRunner().invoke(history, [str(results), "--json"], catch_exceptions=False).stdout)
    (series,) = document["series"]
    assert series["steps"][0]["index"] == 6
    assert len(series["points"]) == 12
    details = CliRunner().invoke(history, [str(results), "--model", "b0"], catch_exceptions=False).stdout
    assert "+10.0 % (p = 0.0" in details


def test_missing_history_is_one_sentence(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no results"):
        CliRunner().invoke(history, [str(tmp_path / "none")], catch_exceptions=False)
    with pytest.raises(UsageError, match=r"unknown model in the history of .* 'b9'") as error:
        CliRunner().invoke(history, [str(results), "--model", "b9"], catch_exceptions=False)
    assert error.value.hint == "did you mean b0? known: b0"
    with pytest.raises(UsageError, match=r"unknown device in the history of .* 'hots'") as error:
        CliRunner().invoke(history, [str(results), "--device", "hots"], catch_exceptions=False)
    assert error.value.hint == "did you mean host? known: host"


def test_several_machines_share_an_index_in_postgresql(postgres: str, results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for number in range(5):
        write(other, f"o{number}", 20.0, 1.81e9 + number)
    both = [start(REFRESH, postgres, str(folder)) for folder in (results, other)]
    for process in both:
        error = process.communicate(timeout=900)[1]
        assert process.returncode == 0, error.decode()
    assert len(values(postgres)) == 17
    assert values(postgres) == refreshed(postgres, results)
