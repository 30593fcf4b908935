"""`edgeeff check` on a phone by benchmark_model, which takes one model at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeeff import store


def test_sides_are_paired_by_process_which_is_coarser_and_is_told(
    phone: Callable[..., Any], runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    """Each process of the stand-in is slower than the one before; after ten it fails, and the check gives up.

    Ten are three of each side alone, and two pairs.
    """
    begun = tmp_path / "begun"
    noisy = runner(before=f"echo x >> '{begun}'; count=$(wc -l < '{begun}'); [ $count -le 10 ] || exit 3")
    median = "$((30000 + count * count * 100))"
    printed = noisy.read_text().replace(
        "cat >&2 <<'END'\nINFO", f"sed 's/median=33050/median='{median}/ >&2 <<'END'\nINFO"
    )
    noisy.write_text(printed)
    argv = [sys.executable, "-m", "edgeeff", "check", small_tflite, "--against", small_tflite, "--json"]
    argv += ["--device", f"adb:{phone().serial}", "--runner", noisy, "--out", tmp_path / "out", "--seconds", "600"]
    done = subprocess.run(list(map(str, argv)), cwd=tmp_path, capture_output=True, text=True, timeout=900)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"], document["coarse"]) == (3, "inconclusive", True), done.stderr
    assert "3 launches in a row failed: the candidate: " in document["reasons"][0]
    coarser = "benchmark_model takes one model at a time: the sides were paired by process and not by call"
    assert document["reasons"][-1].startswith(coarser)
    (comparison,) = store.read_comparisons(tmp_path / "out")
    assert comparison.clock == "wall" and len(comparison.log_ratios) == document["launches"] == 2
    assert len(set(comparison.log_ratios)) == 2 and not any(pair.interleaved for pair in comparison.pairs)
    assert {pair.candidate_first for pair in comparison.pairs} <= {(True,), (False,)}
