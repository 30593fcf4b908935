"""Launches that are read from their lines when they are asked for.

Nearly all of a results file is launches, and of a folder that has grown for a year a report needs the latest ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

from edgeeff.codec import decode
from edgeeff.errors import EdgeeffError, UsageError
from edgeeff.values import Launch


class StoredLaunches(Sequence[Launch]):
    """The launches of one measurement, in the order in which they ran.

    Raises:
        UsageError: from all that looks at a launch, where a line is damaged.
    """

    __slots__ = ("lines", "numbers", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.numbers: list[int] = []
        self.lines: list[bytes] = []

    def add(self, number: int, line: bytes) -> None:
        """Takes a line, numbered as an editor does, that is known to be a launch of this measurement."""
        self.numbers.append(number)
        self.lines.append(line)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Launch]:
        return iter(_launches(self))

    @overload
    def __getitem__(self, place: int) -> Launch: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Launch]: ...
    def __getitem__(self, place: int | slice) -> Launch | Sequence[Launch]:
        return _launches(self)[place]


@lru_cache(maxsize=1)
def _launches(stored: StoredLaunches) -> tuple[Launch, ...]:
    """Kept for the last one alone: whoever looks at a measurement looks at its launches several times."""
    try:
        # All lines at once, for a third of the time that they take one by one.
        records = json.loads(b"[" + b",".join(stored.lines) + b"]")
        if len(records) == len(stored.lines):
            return tuple([decode(Launch, record) for record in records])
    except (ValueError, RecursionError):
        pass  # the loop finds the line
    return tuple([_launch(stored.path, *line) for line in zip(stored.numbers, stored.lines, strict=True)])


def _launch(path: Path, number: int, line: bytes) -> Launch:
    record = record_of(path, number, line)
    try:
        return decode(Launch, record)
    except ValueError as error:
        raise damaged(path, number, str(error)) from error


def record_of(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        UsageError: it is none.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise damaged(path, number, "not JSON") from error
    if not isinstance(record, dict):
        raise damaged(path, number, "not an object")
    return record


def damaged(path: Path, number: int, what: str) -> EdgeeffError:
    """The error of a line that cannot be read."""
    return UsageError(f"{path}, line {number} is damaged: {what}", "delete that line to read the others")
