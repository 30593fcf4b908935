"""Results on disk: JSON lines that are only ever appended to, one file a session.

A file is `<UTC time>-<session>.jsonl`. Its lines are records:

    {"record": "session", "schema": 1, "session": ..., "tool_version": ...}          first, once
    {"record": "measurement", ...}   what is measured where: `values.Measurement` without its launches
    {"record": "launch", "measurement": <id>, ...}                                    a `values.Launch`, as it ends

    {"record": "comparison", "candidate": <measurement id>, "baseline": <measurement id>, ...}  `compare.Comparison`
    {"record": "pair", "comparison": <id>, ...}                                       a `compare.Pair`, as it ends

A measurement's record comes before those of its launches; launches of several measurements alternate. Each line is
on the disk before the next launch starts, so a killed run loses the launch that it was in.

Schema history. A field may be added without a new number: readers ignore what they do not know, and what is
absent is unknown.
    1  2026-11  the first.
    2  2026-11  the records "comparison" and "pair", of edgeeff check.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeeff.codec import decode, encode
from edgeeff.compare import Comparison, Pair
from edgeeff.documents import from_later_edgeeff
from edgeeff.errors import EdgeeffError, UsageError
from edgeeff.files import cannot_read, cannot_write, read_bytes
from edgeeff.stored_launches import StoredLaunches, damaged, record_of
from edgeeff.values import Launch, Measurement

SCHEMA = 2


class Writer:
    """Writes one session's file, as a context; a file without a launch is not left behind.

    Args:
        folder: made where it is not there.
        session: the session's id.
        tool_version: edgeeff's.

    Raises:
        UsageError: from every method, where the folder cannot be written or the disk is full; what was written
            before stays, and stays readable.
    """

    def __init__(self, folder: Path, session: str, tool_version: str) -> None:
        self.path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{session}.jsonl"
        self._header = {"record": "session", "schema": SCHEMA, "session": session, "tool_version": tool_version}
        self._handle = -1
        self._known: set[str] = set()

    def __enter__(self) -> Writer:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
            self._append(self._header)
        except FileExistsError as error:  # not ours
            raise cannot_write(self.path, error) from error
        except BaseException as error:  # Ctrl-C too: it comes when it comes, also while the file is being opened
            self._close()
            if isinstance(error, OSError):
                raise cannot_write(self.path, error) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        if not self._known:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def launch(self, measurement: Measurement, launch: Launch) -> None:
        """Appends one launch, and before the first of its measurement what is measured."""
        try:
            self._introduce(measurement)
            self._append({"record": "launch", "measurement": measurement.id, **encode(launch)})
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def pair(self, comparison: Comparison, pair: Pair) -> None:
        """Appends one paired launch, and before the first what is compared."""
        try:
            if comparison.id not in self._known:
                self._introduce(comparison.candidate)
                self._introduce(comparison.baseline)
                compared = _Compared(
                    comparison.id,
                    comparison.session,
                    comparison.candidate.id,
                    comparison.baseline.id,
                    comparison.created_unix_s,
                    comparison.policy,
                )
                self._append({"record": "comparison", **encode(compared)})
                self._known.add(comparison.id)
            self._append({"record": "pair", "comparison": comparison.id, **encode(pair)})
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _introduce(self, measurement: Measurement) -> None:
        if measurement.id not in self._known:
            fields = encode(replace(measurement, launches=()))
            del fields["launches"]
            self._append({"record": "measurement", **fields})
            self._known.add(measurement.id)

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        before = os.fstat(self._handle).st_size
        try:
            while line:
                line = line[os.write(self._handle, line) :]
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, before)  # half a line is of no use to any reader
            raise


def read(path: Path) -> list[Measurement]:
    """The measurements of a results file, or of all files of a folder, the oldest first.

    A last line without its end is what a killed writer leaves, and is passed over.

    Raises:
        UsageError: no such file, not a results file, damaged, or from a later edgeeff.
    """
    return [_whole(measurement) for measurement in read_lazily(path)]


def read_lazily(path: Path) -> list[Measurement]:
    """As `read`, with launches that are decoded when they are asked for: of a large folder most never are.

    Raises:
        UsageError: as `read`; but a damaged launch is found out when somebody looks at it.
    """
    return [measurement for file in _files(path) for measurement in _parse(file, read_bytes(file))[0]]


def read_comparisons(path: Path) -> list[Comparison]:
    """The comparisons of a results file, or of all files of a folder, the oldest first.

    Raises:
        UsageError: as `read`.
    """
    return [comparison for file in _files(path) for comparison in read_session(file)[1]]


def read_session(path: Path) -> tuple[list[Measurement], list[Comparison]]:
    """All that one results file holds.

    Raises:
        UsageError: as `read`.
    """
    measurements, comparisons = _parse(path, read_bytes(path))
    whole = {measurement.id: _whole(measurement) for measurement in measurements}
    return list(whole.values()), [
        replace(c, candidate=whole[c.candidate.id], baseline=whole[c.baseline.id]) for c in comparisons
    ]


def _whole(measurement: Measurement) -> Measurement:
    return replace(measurement, launches=tuple(measurement.launches))


def _files(path: Path) -> list[Path]:
    try:
        return sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    except OSError as error:
        raise cannot_read(path, error) from error


def _parse(path: Path, content: bytes) -> tuple[list[Measurement], list[Comparison]]:
    """Measurements and comparisons; the measurements' launches are not decoded yet."""
    found = _Found(path)
    for number, line in _lines(path, content):
        try:
            if line.startswith(_LAUNCH):  # the usual line, as `Writer` has it
                end = line.index(b'"', len(_LAUNCH))
                found.launches[line[len(_LAUNCH) : end].decode()].add(number, line)
            else:
                found.add(number, line, record_of(path, number, line))
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(path, number, str(error)) from error
    return list(found.measurements.values()), [
        replace(comparison, pairs=tuple(found.pairs[key])) for key, comparison in found.comparisons.items()
    ]


_LAUNCH = b'{"record":"launch","measurement":"'


class _Found:
    """What the lines of a file have told so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.measurements: dict[str, Measurement] = {}
        self.launches: dict[str, StoredLaunches] = {}
        self.comparisons: dict[str, Comparison] = {}
        self.pairs: dict[str, list[Pair]] = {}

    def add(self, number: int, line: bytes, record: dict[str, Any]) -> None:
        kind = record["record"]
        if kind == "measurement":
            launches = StoredLaunches(self.path)
            measurement = decode(Measurement, record | {"launches": launches})
            self.measurements[measurement.id] = measurement
            self.launches[measurement.id] = launches
        elif kind == "launch":
            self.launches[record["measurement"]].add(number, line)
        elif kind == "comparison":
            comparison = _comparison(record, self.measurements)
            self.comparisons[comparison.id] = comparison
            self.pairs[comparison.id] = []
        elif kind == "pair":
            self.pairs[record["comparison"]].append(decode(Pair, record))


def _comparison(record: dict[str, Any], measurements: dict[str, Measurement]) -> Comparison:
    fields = decode(_Compared, record)
    candidate, baseline = measurements[fields.candidate], measurements[fields.baseline]
    return Comparison(fields.id, fields.session, candidate, baseline, fields.created_unix_s, (), fields.policy)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A comparison's record: its sides by their ids."""

    id: str
    session: str
    candidate: str
    baseline: str
    created_unix_s: float
    policy: Mapping[str, str] = field(default_factory=dict)


def _lines(path: Path, content: bytes) -> Iterator[tuple[int, bytes]]:
    """The complete lines behind the header, numbered as an editor does."""
    lines = content.split(b"\n")[:-1]
    if not lines and content:
        raise _foreign(path)
    for header in lines[:1]:
        try:
            record = json.loads(header)
        except (ValueError, RecursionError) as error:
            raise _foreign(path) from error
        _check_header(path, record)
    return enumerate(lines[1:], 2)


def _check_header(path: Path, record: Any) -> None:
    schema = record.get("schema") if isinstance(record, dict) and record.get("record") == "session" else None
    if type(schema) is not int:
        raise _foreign(path)
    if schema > SCHEMA:
        raise from_later_edgeeff(path, schema, SCHEMA)


def _foreign(path: Path) -> EdgeeffError:
    return UsageError(
        f"{path} is not a results file of edgeeff", "results are the .jsonl files that edgeeff bench writes"
    )
