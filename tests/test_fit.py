"""Tables on a terminal that is narrower than they are."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from edgeeff.cli._fit import fitted
from edgeeff.report._table import Column, Table, text

TABLE = Table(
    [Column("#"), Column("variant"), Column("median, ms", "decimal"), Column("where it ran")],
    [["1", "b0", "9.5", "60/60 XNNPACK"], ["2", "", "12.25", ""], ["3", "lite0", "8", "60/60 XNNPACK"]],
)


def test_a_table_that_fits_stays_as_it_is() -> None:
    whole = f"before\n{text(TABLE)}after\n"
    assert fitted(whole, max(map(len, whole.splitlines()))) == whole


def test_a_wider_table_is_shown_in_parts_that_begin_with_what_the_row_is() -> None:
    assert fitted(f"before\n{text(TABLE)}after, a line that is longer than the terminal is\n", 30).splitlines() == [
        "before",
        "#  variant  median, ms",
        "-  -------  ----------",
        "1  b0             9.5",
        "2                12.25",
        "3  lite0          8",
        "",
        "#  variant  where it ran",
        "-  -------  -------------",
        "1  b0       60/60 XNNPACK",
        "2",
        "3  lite0    60/60 XNNPACK",
        "after, a line that is longer than the terminal is",
    ]


def test_a_short_line_under_a_table_is_no_row_of_it() -> None:
    wide = text(Table([Column("the value"), Column("what it costs")], [["head.conv", "much"], ["stem.conv", "little"]]))
    assert fitted(wide + "3 more\n", 20).endswith("stem.conv  little\n3 more\n")
    assert fitted(wide + "3 more\n", 20).count("3 more") == 1


@pytest.mark.parametrize("width", [80, 200])
def test_a_report_on_a_terminal(width: int) -> None:
    """Through a real pseudo-terminal, whose width COLUMNS says."""
    results = Path(__file__).parent / "golden" / "report.results"
    main, worker = pty.openpty()
    argv = [sys.executable, "-m", "edgeeff", "report", str(results)]
    running = subprocess.Popen(argv, stdout=worker, env={**os.environ, "COLUMNS": str(width)})
    os.close(worker)
    shown = b""
    while True:
        try:
            read = os.read(main, 65536)
        except OSError:  # its other end is closed
            break
        if not read:
            break
        shown += read
    os.close(main)
    assert running.wait() == 0
    lines = shown.decode().replace("\r\n", "\n").splitlines()
    rules = [line for line in lines if line.startswith("----")]
    assert rules and max(map(len, rules)) <= width
    as_in_a_file = (Path(__file__).parent / "golden" / "report.txt").read_text(encoding="utf-8").splitlines()
    assert (lines == as_in_a_file) is (width == 200)
