"""`edgeeff report` as it is called: golden files of each form, and what goes wrong.

The recorded results are made up (so says their device) and cover what a report has to tell apart. After a wanted
change, `EDGEEFF_ACCEPT=1 pytest tests/test_report_command.py` writes the golden files anew: read their diff.
"""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeeff.benchmarks.against import large_report

GOLDEN = Path(__file__).parent / "golden"
RESULTS = "report.results"


def edgeeff(*arguments: str, cwd: Path = GOLDEN) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", "report", *arguments]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize(("name", "arguments"), [
    ("report.txt", []),
    ("report.md", ["--format", "markdown"]),
    ("report.json", ["--json"]),
    ("report.csv", ["--format", "csv"]),
    ("report.hard.txt", ["--w", "hard", "--target-ms", "20", "--accuracy", "report.accuracy.csv"]),
])  # fmt: skip
def test_golden(name: str, arguments: list[str]) -> None:
    done = edgeeff(RESULTS, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    if os.environ.get("EDGEEFF_ACCEPT") == "1":
        (GOLDEN / name).write_text(done.stdout, encoding="utf-8")
    assert done.stdout == (GOLDEN / name).read_text(encoding="utf-8")


def test_json_has_the_names_that_scripts_read() -> None:
    document = json.loads(edgeeff(RESULTS, "--json", "--w", "-0.15").stdout)
    row = document["rows"][0]
    assert (row["variant"], row["precision"], row["rank"], row["meets_target"]) == ("lite0", "int8", 1, "yes")
    assert row["latency_s"]["low"] < row["latency_s"]["median"] < row["latency_s"]["high"]
    assert set(row["objective"]) == {"soft", "hard", "-0.15"}
    assert all(r.keys() == row.keys() for r in document["rows"])
    assert document["groups"][0]["winners"]["hard"][-1]["to_s"] is None


def test_csv_and_json_agree() -> None:
    rows = json.loads(edgeeff(RESULTS, "--json").stdout)["rows"]
    lines = list(csv.DictReader(io.StringIO(edgeeff(RESULTS, "--format", "csv").stdout)))
    assert [line["path"] for line in lines] == [row["path"] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        value = row["objective"]["soft"]["value"]
        assert line["objective.soft.value"] == ("" if value is None else str(value))


@pytest.mark.parametrize(("files", "rows"), [([], 40), (["--files", "6"], 6)])
def test_a_large_folder_is_made_and_reported(files: list[str], rows: int, tmp_path: Path) -> None:
    """What benchmarks/against/large_report.py times is what edgeeff report reads."""
    arguments = [str(tmp_path / "made"), "--measurements", "40", "--states", *files]
    done = CliRunner().invoke(large_report.main, arguments, catch_exceptions=False)
    assert f"40 measurements (1 MB), {rows} rows, CPU: reading" in done.output
    assert len(json.loads(edgeeff(str(tmp_path / "made"), "--json").stdout)["rows"]) == rows


def test_out_writes_the_document_and_keeps_stdout_free(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.md"
    done = edgeeff(RESULTS, "--format", "markdown", "--out", str(target))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {target}\n")
    assert target.read_text(encoding="utf-8") == (GOLDEN / "report.md").read_text(encoding="utf-8")
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "there are no results at results\n  measure first: edgeeff bench"),
    (["."], "no measurement in .\n  measure first: edgeeff bench"),
    (["x.csv"], "x.csv is not a results file of edgeeff"),
    (["--w", "sfot"], "w is not understood: 'sfot'"),
    (["--w", "0.07"], "w must not be positive, and alpha is 0.07: the slower network would score higher"),
    (["--accuracy", "none.csv"], "cannot read none.csv: no such file or directory"),
    (["--accuracy", "x.csv"], "x.csv has no column top1 in its first line"),
])  # fmt: skip
def test_errors_are_one_sentence_with_a_cure(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    done = edgeeff(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "message"), [
    (["--target-ms", "0"], "'--target-ms': it must be finite and above 0, not 0"),
    (["--target-ms", "inf"], "'--target-ms': it must be finite and above 0, not inf"),
    (["--target-ms", "7x"], "'--target-ms': '7x' is not a number"),
    (["--target-macs", "4x"], "'--target-macs': '4x' is not an amount such as 1G or 400M"),
    (["--target-macs", "0M"], "'--target-macs': '0M' is not an amount such as 1G or 400M"),
])  # fmt: skip
def test_a_target_that_makes_no_sense_is_named(arguments: list[str], message: str) -> None:
    done = edgeeff(RESULTS, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Error: Invalid value for {message}" in done.stderr


@pytest.mark.parametrize(("text", "macs"), [("400M", 4e8), ("0.4g", 4e8), ("400e6", 4e8), (" 39B ", 3.9e10), ("7", 7)])
def test_multiply_adds_read_as_papers_write_them(text: str, macs: float) -> None:
    document = json.loads(edgeeff(RESULTS, "--json", "--target-macs", text).stdout)
    assert document["target_macs"] == pytest.approx(macs)
