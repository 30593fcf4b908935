"""The files that users copy into their CI: the action's script as it stands, and options that exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from edgeeff.cli.check import check
from edgeeff.files import sha256_of
from edgeeff.gate import kept_baseline as baseline

CI = Path(__file__).parents[1] / "edgeeff" / "ci"
FILES = sorted(path for path in CI.rglob("*") if path.is_file())


def action(
    folder: Path, candidates: str, seconds: str = "40", allow_missing: str = "true"
) -> tuple[int, str, dict[str, object]]:
    """Runs the action's step as GitHub does; returns its exit code, its output and its report."""
    step = yaml.safe_load((CI / "github" / "action.yml").read_text())["runs"]["steps"][0]
    inputs = {
        "CANDIDATES": candidates,
        "BASELINE": "baseline",
        "MAX_SLOWDOWN": "3%",
        "SECONDS_EACH": seconds,
        "ALLOW_MISSING": allow_missing,
        "EXTRA": "",
    }
    assert set(step["env"]) == set(inputs)
    outputs, summary = folder / "outputs.txt", folder / "summary.md"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary), **inputs}
    command = ["bash", "-e", "-c", step["run"]]
    environment = os.environ | environment
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    (verdict,) = re.findall(r"^verdict=(.*)$", outputs.read_text(), re.M)
    outputs.unlink()  # each step has its own
    return done.returncode, verdict, {"stderr": done.stderr, **json.loads((folder / "edgeeff-check.json").read_text())}


def test_the_action_measures_and_reports(tmp_path: Path, small_tflite: Path) -> None:
    model = tmp_path / "artifacts" / "small.tflite"
    model.parent.mkdir()
    model.write_bytes(small_tflite.read_bytes())
    baseline.save([model], tmp_path / "baseline")
    code, verdict, report = action(tmp_path, "artifacts")
    assert verdict == report["verdict"]
    # The same file on both sides is never a regression; on a busy machine there may be no verdict in 40 s.
    assert (verdict, code) in [("passed", 0), ("inconclusive", 3)], report
    assert "::" in str(report["stderr"])
    assert "edgeeff check:" in (tmp_path / "summary.md").read_text()
    assert 'tests="1"' in (tmp_path / "edgeeff-junit.xml").read_text()
    assert "| small" in (tmp_path / "edgeeff-check.md").read_text()


def test_the_first_pull_request_has_no_baseline(tmp_path: Path, small_tflite: Path) -> None:
    model = tmp_path / "artifacts" / "small.tflite"
    model.parent.mkdir()
    model.write_bytes(small_tflite.read_bytes())
    code, verdict, report = action(tmp_path, "artifacts")
    assert (code, verdict, report["no_baseline"], report["launches"]) == (0, "inconclusive", True, 0)
    assert (report["format"], report["precision"], report["device"], report["threads"]) == ("tflite", "fp32", "host", 1)
    assert report["candidate_sha256"] == sha256_of(model)
    assert "::notice file=artifacts/small.tflite,title=edgeeff%3A small.tflite no baseline yet::" in str(
        report["stderr"]
    )
    assert "### edgeeff check: no baseline yet: 1 of 1 model" in (tmp_path / "summary.md").read_text()
    assert 'skipped="1"' in (tmp_path / "edgeeff-junit.xml").read_text()
    code, verdict, report = action(tmp_path, "artifacts", allow_missing="false")
    assert (code, verdict) == (2, "refused") and "no_baseline" not in report


def test_an_input_is_data_and_not_shell(tmp_path: Path) -> None:
    code, verdict, report = action(tmp_path, "$(touch${IFS}taken) `touch taken` ; touch taken")
    assert code != 0
    assert verdict == "refused"
    assert not (tmp_path / "taken").exists(), report


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_options_in_the_files_exist(path: Path) -> None:
    known = {name for option in check.params for name in option.opts} | {"--to", "--out", "--artifacts", "--help"}
    lines = [line for line in path.read_text().splitlines() if "pip" not in line]
    used = {name for line in lines for name in re.findall(r"--[a-z][a-z-]+", line)}
    assert used <= known
