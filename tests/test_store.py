"""Results on disk: exact, append-only, and readable after whatever happened to the writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeeff import store
from edgeeff.errors import UsageError
from edgeeff.values import DeviceInfo, DeviceState, Launch, Measurement

GOLDEN = Path(__file__).with_name("golden") / "results-schema1.jsonl"

STATE = DeviceState(("performance", "schedutil"), (1_800_000,), None, (2_400_000,), 41.5, 0.25, 2**33, 1.5, 7, "boot")
FULL = Launch(
    index=0,
    samples_ns=(7_000_001, 6_999_999),
    started_unix_s=1_790_000_000.123456,
    startup_s=0.1,
    first_inference_s=0.01,
    warmup_runs=3,
    cpu_ns=(6_900_000, 6_900_001),
    involuntary_switches=0,
    peak_memory_bytes=90_000_000,
    baseline_memory_bytes=40_000_000,
    ops=60,
    delegated_ops=59,
    delegate="XNNPACK",
    partitions=2,
    runtime_version="ai_edge_litert 2.3.0",
    state_before=STATE,
    state_after=DeviceState(),
)
MEASUREMENT = Measurement(
    id="0a-0",
    session="0a",
    path="artifacts/lite0-fp32.tflite",
    sha256="0" * 64,
    size_bytes=18_540_000,
    format="tflite",
    precision="fp32",
    variant="lite0",
    weights=None,
    resolution=224,
    macs=385_200_000,
    parameters=None,
    runtime="litert",
    threads=1,
    accelerator="cpu",
    device=DeviceInfo("host", "host", "A CPU", None, "6.1", "x86_64", 4, 2**34),
    tool_version="0.1.0",
    created_unix_s=1_790_000_000.0,
    seed=0,
    launches=(FULL, Launch(1, (), 1_790_000_001.0, error="killed by SIGSEGV")),
    context={"seconds": "60.0", "precision_target": "0.02"},
)


def write(folder: Path, *measurements: Measurement) -> Path:
    """Writes the measurements with their launches alternating, as a session does."""
    with store.Writer(folder, "0a", "0.1.0") as writer:
        rounds = max(len(m.launches) for m in measurements)
        for i in range(rounds):
            for m in measurements:
                if i < len(m.launches):
                    writer.launch(m, m.launches[i])
    return writer.path


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    other = replace(MEASUREMENT, id="0a-1", path="b\udce9 \u2028\n.onnx", launches=(FULL, FULL, FULL))
    path = write(tmp_path / "new" / "folder", MEASUREMENT, other)
    assert store.read(path) == [MEASUREMENT, other]
    assert store.read(path.parent) == [MEASUREMENT, other]
    assert path.name.endswith("Z-0a.jsonl")


numbers = st.integers(0, 2**63 - 1)
launches = st.builds(
    Launch,
    index=st.integers(0, 100),
    samples_ns=st.lists(numbers, max_size=5).map(tuple),
    started_unix_s=st.floats(0, 1e12),
    startup_s=st.none() | st.floats(0, 1e6),
    cpu_ns=st.none() | st.lists(numbers, max_size=5).map(tuple),
    delegate=st.none() | st.text(),
    state_before=st.none()
    | st.builds(DeviceState, governors=st.none() | st.lists(st.text()).map(tuple), temperature_c=st.floats(-60, 200)),
    error=st.none() | st.text(),
)


@given(st.lists(launches, min_size=1, max_size=4))
def test_any_launch_survives(tmp_path_factory: pytest.TempPathFactory, found: list[Launch]) -> None:
    measurement = replace(MEASUREMENT, launches=tuple(found))
    assert store.read(write(tmp_path_factory.mktemp("r"), measurement)) == [measurement]


def test_the_first_schema_stays_readable() -> None:
    """The file was written by the first edgeeff. It never changes; what is read from it may only grow."""
    assert store.read(GOLDEN) == [MEASUREMENT]


def holds(written: Any, first: Any) -> bool:
    """Whether all that the first schema said is there and unchanged; fields may have come since."""
    if isinstance(first, dict):
        return isinstance(written, dict) and all(k in written and holds(written[k], v) for k, v in first.items())
    return bool(written == first)


def test_the_writer_still_says_all_that_the_first_schema_said(tmp_path: Path) -> None:
    written = [json.loads(line) for line in write(tmp_path, MEASUREMENT).read_bytes().splitlines()]
    first = [json.loads(line) for line in GOLDEN.read_bytes().splitlines()]
    first[0]["schema"] = store.SCHEMA
    assert [holds(*both) for both in zip(written, first, strict=True)] == [True] * len(first)


def test_a_killed_writer_costs_the_line_it_was_in(tmp_path: Path) -> None:
    whole = write(tmp_path, MEASUREMENT).read_bytes()
    torn = tmp_path / "torn.jsonl"
    complete = [0]
    for size in range(0, len(whole), 3):
        torn.write_bytes(whole[:size])
        if whole[:size].count(b"\n") == 0 and size:
            with pytest.raises(UsageError, match="not a results file"):
                store.read(torn)
            continue
        found = store.read(torn)
        complete.append(sum(len(m.launches) for m in found))
    assert set(complete) == {0, 1}
    assert complete == sorted(complete)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"3", "not an object"),
        (b"\xff\xfe", "not JSON"),
        (b'{"record": "launch", "measurement": "none"}', "none"),
        (b'{"record": "measurement"}', "'id' is missing"),
        (b'{"record": "launch", "measurement": "0a-0", "index": "1"}', "'index' cannot be '1'"),
        (b'{"record": "launch", "measurement": "0a-0", "index": true}', "'index' cannot be True"),
        (b'{"record": "launch", "measurement": [], "index": 1}', "unhashable"),
        (
            b'{"record": "launch", "measurement": "0a-0", "index": 1, "samples_ns": [1e999]}',
            "'samples_ns' cannot be inf",
        ),
        (
            b'{"record": "launch", "measurement": "0a-0", "index": 1, "samples_ns": [' + b"9" * 30 + b"]}",
            "cannot be 999",
        ),
        (b'{"measurement": "0a-0"}', "record"),
    ],
)
def test_a_damaged_line_is_named(line: bytes, what: str, tmp_path: Path) -> None:
    path = write(tmp_path, MEASUREMENT)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:3], line, *lines[3:]]) + b"\n")
    with pytest.raises(UsageError, match="line 4 is damaged") as caught:
        store.read(path)
    assert what in caught.value.message


def test_a_damaged_launch_is_named_when_somebody_looks_at_it(tmp_path: Path) -> None:
    path = write(tmp_path, MEASUREMENT)
    path.write_bytes(path.read_bytes() + b'{"record":"launch","measurement":"0a-0","index":"1"}\n')
    (found,) = store.read_lazily(path)
    assert len(found.launches) == len(MEASUREMENT.launches) + 1
    for look in (list, lambda launches: launches[0]):
        with pytest.raises(UsageError, match="line 5 is damaged: 'index' cannot be '1'"):
            look(found.launches)


def test_launches_of_one_measurement_never_show_in_another(tmp_path: Path) -> None:
    several = [replace(MEASUREMENT, id=f"0a-{i}", launches=(replace(FULL, index=i),)) for i in range(3)]
    with store.Writer(tmp_path, "0a", "0.1.0") as writer:
        for measurement in several:
            writer.launch(measurement, measurement.launches[0])
    found = store.read_lazily(writer.path)
    assert [m.launches[0].index for m in (*found, *reversed(found))] == [0, 1, 2, 2, 1, 0]
    assert [replace(m, launches=tuple(m.launches)) for m in found] == several == store.read(writer.path)


@given(st.binary(max_size=300), st.integers(0, 5))
def test_no_content_is_a_traceback(tmp_path_factory: pytest.TempPathFactory, junk: bytes, place: int) -> None:
    lines = GOLDEN.read_bytes().split(b"\n")
    path = tmp_path_factory.mktemp("fuzz") / "r.jsonl"
    path.write_bytes(b"\n".join([*lines[:place], junk, *lines[place:]]))
    try:
        assert all(isinstance(m, Measurement) for m in store.read(path))
    except UsageError as error:
        assert str(path) in error.message


@pytest.mark.parametrize("content", [b"name,value\n", b"{}\n", b'{"record": "session"}\n', b"[]\n", b"\x00" * 50])
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a results file"):
        store.read(path)


def test_a_later_schema_is_refused_with_its_cure(tmp_path: Path) -> None:
    path = tmp_path / "later.jsonl"
    path.write_text('{"record": "session", "schema": 99}\n')
    with pytest.raises(UsageError, match=f"schema 99, this one reads up to {store.SCHEMA}\\b") as caught:
        store.read(path)
    assert "upgrade" in caught.value.hint


def test_fields_of_a_later_edgeeff_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, MEASUREMENT)
    records = [json.loads(line) | {"new_field": {"a": 1}} for line in path.read_text().splitlines()]
    records.append({"record": "new_kind"})
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert store.read(path) == [MEASUREMENT]


def test_a_session_without_a_launch_leaves_no_file(tmp_path: Path) -> None:
    with store.Writer(tmp_path, "0a", "0.1.0"):
        pass
    assert list(tmp_path.iterdir()) == []
    assert store.read(tmp_path) == []


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_file_whose_beginning_is_interrupted_is_not_left_behind(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)

    def interrupted(*arguments: Any) -> None:
        real(*arguments)
        raise KeyboardInterrupt  # as a signal that came while the kernel was at it

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(KeyboardInterrupt), store.Writer(tmp_path, "0a", "0.1.0"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["/proc/results", "/dev/null"])
def test_a_folder_that_cannot_be_written_is_an_error_with_a_cure(folder: str) -> None:
    with pytest.raises(UsageError, match=f"cannot write {folder}") as caught, store.Writer(Path(folder), "0a", "0.1.0"):
        pass
    assert "--out" in caught.value.hint


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        store.read(tmp_path / "none.jsonl")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from edgeeff import errors, store
measurement = store.read(Path(sys.argv[1]))[0]
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with store.Writer(Path(sys.argv[2]), "0a", "0.1.0") as writer:
        for _ in range(1000):
            writer.launch(measurement, measurement.launches[0])
except errors.UsageError as error:
    print(error.message)
"""


def test_a_disk_that_is_full_from_the_start_gets_no_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK.replace("20_000", "20"), str(GOLDEN), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert "cannot write" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_every_line_that_was_whole(tmp_path: Path) -> None:
    """The kernel itself refuses to let the file grow, in the middle of a line."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(GOLDEN), str(tmp_path)], capture_output=True, text=True, timeout=900
    )
    assert "cannot write" in done.stdout, done.stderr
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    assert content.endswith(b"\n") and 10_000 < len(content) <= 20_000
    (measurement,) = store.read(path)
    assert len(measurement.launches) > 5
    assert set(measurement.launches) == {FULL}
