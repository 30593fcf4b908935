"""`edgeeff check` on a board: the runner alternates there, call by call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeeff import store


@pytest.fixture
def board(server: Any, tmp_path: Path, python_on_board: str) -> Path:
    """A device file: the board, and the Python there that has the runtimes."""
    path = tmp_path / "board.toml"
    path.write_text(f'kind = "linux"\naddress = "ssh://board"\npython = "{python_on_board}"\n')
    return path


def test_both_sides_take_turns_on_the_board(board: Path, small_onnx: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "edgeeff", "check", str(small_onnx), "--against", str(small_onnx), "--json"]
    argv += ["--device", str(board), "--out", str(tmp_path / "out"), "--seconds", "6"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900)
    document = json.loads(done.stdout)
    assert document["verdict"] in ("passed", "inconclusive"), (document, done.stderr)
    assert document["launches"] > 0 and not document["coarse"] and document["device"] == str(board)
    (comparison,) = store.read_comparisons(tmp_path / "out")
    pair = comparison.pairs[0]
    assert pair.interleaved and len(pair.candidate.samples_ns) == len(pair.candidate_first) == 40
    assert pair.state_before is not None and pair.state_before.boot_id is not None
    assert comparison.candidate.device.kind == "linux"
