"""`edgeeff check` as a user runs it, with the real runner on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeeff import registry, store
from edgeeff.gate import kept_baseline as baseline
from edgeeff.graph import Graph, Node
from edgeeff.ops import Conv2d, Mean

COMMAND = [sys.executable, "-m", "edgeeff", "check"]


def network(path: Path, convolutions: int, channels: int = 8, pixels: int = 32, weight: float = 0.0) -> Path:
    """So many 3x3 convolutions and a mean; with weights of 0 the outputs are the same, whatever the work."""
    rng = np.random.default_rng(0)
    nodes, source, width = [], "image", 3
    for index in range(convolutions):
        kernel = (weight * rng.standard_normal((channels, width, 3, 3))).astype(np.float32)
        bias = np.ones(channels, np.float32)
        nodes.append(Node(f"conv{index}", Conv2d(kernel, bias, (1, 1), (1, 1, 1, 1)), (source,)))
        source, width = f"conv{index}", channels
    nodes.append(Node("mean", Mean((2, 3), False), (source,)))
    graph = Graph("net", {"image": (1, 3, pixels, pixels)}, tuple(nodes), ("mean",))
    registry.converter(path.suffix[1:]).write(graph, path, precision="fp32", metadata={})
    return path


def check(tmp_path: Path, *arguments: object) -> tuple[int, dict[str, Any], str]:
    argv = [*COMMAND, *map(str, arguments), "--out", str(tmp_path / "out"), "--json"]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    return run.returncode, json.loads(run.stdout), run.stderr


def test_work_that_was_added_is_found_and_written_down(tmp_path: Path) -> None:
    """A file that really calls more work: 24 convolutions against 2, which no load of the machine can hide."""
    slow, fast = network(tmp_path / "slow.onnx", 24), network(tmp_path / "fast.onnx", 2)
    code, document, errors = check(tmp_path, slow, "--against", fast, "--seconds", "500")
    assert (code, document["verdict"]) == (1, "regressed"), errors
    assert 1.01 < document["low"] < document["ratio"] < document["high"]
    assert {"verdict", "ratio", "low", "high", "launches", "reasons"} <= set(document)
    assert {figure["name"] for figure in document["figures"]} == {"size", "memory", "startup", "delegated"}
    (comparison,) = store.read_comparisons(tmp_path / "out")
    assert len(comparison.log_ratios) == document["launches"] >= 10
    first = comparison.pairs[0]
    assert len(first.candidate.samples_ns) == len(first.candidate.cpu_ns or ()) == len(first.candidate_first) == 40
    assert len({pair.candidate_loaded_first for pair in comparison.pairs}) == 2
    assert (comparison.candidate.path, comparison.baseline.path) == (str(slow), str(fast))
    assert len(comparison.candidate.launches) == len(comparison.baseline.launches) == 3


def test_two_interpreters_take_turns(tmp_path: Path, small_onnx: Path, small_tflite: Path) -> None:
    """TFLite on LiteRT against ONNX on onnxruntime: NHWC and NCHW, a process each, the same answers."""
    arguments = ("--against-runtime", "onnxruntime", "--runtime-python", sys.executable, "--seconds", "0.001")
    code, document, errors = check(tmp_path, small_tflite, "--against", small_onnx, *arguments)
    assert document["verdict"] != "refused", (document, errors)
    assert document["launches"] > 0 and code == 3  # one pair decides nothing
    assert document["name"] == "small.tflite, litert against onnxruntime"
    alone, _, _ = check(tmp_path, small_tflite, "--against", small_onnx)
    assert alone == 4


def test_the_cure_names_the_option_that_was_wrong(tmp_path: Path, small_onnx: Path) -> None:
    code, document, _ = check(tmp_path, small_onnx, "--against", small_onnx, "--against-runtime", "litert")
    assert (code, document["error"]["hint"].split()[:2]) == (2, ["take", "--against-runtime"])
    code, document, _ = check(tmp_path, small_onnx, "--against", small_onnx, "--runtime", "litert")
    assert (code, document["error"]["hint"].split()[:2]) == (2, ["take", "--runtime"])


def test_networks_that_do_other_work_are_refused(tmp_path: Path) -> None:
    ours = network(tmp_path / "a.onnx", 1, weight=1.0)
    code, document, _ = check(tmp_path, ours, "--against", network(tmp_path / "b.onnx", 1, pixels=48))
    assert (code, document["verdict"], document["ratio"], document["launches"]) == (4, "refused", None, 1)
    assert document["reasons"] == ["inputs differ: float32 1x3x32x32 against the baseline's float32 1x3x48x48"]
    code, document, _ = check(tmp_path, ours, "--against", network(tmp_path / "b.onnx", 2, weight=1.0))
    assert code == 4 and document["reasons"][0].startswith("outputs disagree: ")


@pytest.mark.parametrize(("damage", "reason"), [
    ("kept", "the baseline in kept cannot be trusted: "),
    ("file", "old.onnx cannot be read as an ONNX model"),
    ("foreign", "old.txt is no model file"),
    ("future", "old.onnx.json was written by a later edgeeff"),
    ("results", "x.jsonl was written by a later edgeeff"),
])  # fmt: skip
def test_a_baseline_that_cannot_be_trusted_is_a_verdict_in_every_report(
    damage: str, reason: str, tmp_path: Path, small_onnx: Path
) -> None:
    model = small_onnx.read_bytes()
    (tmp_path / "old.onnx").write_bytes(model[:50] if damage == "file" else model)
    (tmp_path / "old.txt").write_text("no model")
    against = {"kept": "kept", "foreign": "old.txt"}.get(damage, "old.onnx")
    if damage == "kept":
        (entry,) = baseline.save([small_onnx], tmp_path / "kept")
        (tmp_path / "kept" / entry.file).write_bytes(model[:-9])
    if damage == "future":
        (tmp_path / "old.onnx.json").write_text('{"schema": 99}')
    if damage == "results":
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "x.jsonl").write_text('{"record": "session", "schema": 99}\n')
    how = ["--history"] if damage == "results" else ["--against", against, "--allow-missing-baseline"]
    code, document, _ = check(tmp_path, small_onnx, *how, "--junit", "junit.xml")
    assert (code, document["verdict"], document["launches"]) == (4, "refused", 0)
    assert reason in document["reasons"][0]
    assert 'errors="1"' in (tmp_path / "junit.xml").read_text()


def test_several_models_are_one_document_and_the_gravest_code(tmp_path: Path, small_onnx: Path) -> None:
    for folder in ("new", "old"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.onnx").write_bytes(small_onnx.read_bytes())
        network(tmp_path / folder / "b.onnx", 1, pixels=32 if folder == "new" else 48)
    code, document, _ = check(tmp_path, tmp_path / "new", "--against", tmp_path / "old", "--seconds", "0.001")
    assert (code, document["verdict"]) == (4, "refused")
    assert [each["verdict"] for each in document["checks"]] == ["inconclusive", "refused"]


def test_ctrl_c_keeps_what_was_measured_and_is_never_a_pass(tmp_path: Path, small_onnx: Path) -> None:
    """In the second pair, whose candidate never comes to its first call: so the check cannot have ended before."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nif grep -qs \'"record":"pair"\' {tmp_path}/out/*.jsonl; then\n'
        f"    touch {tmp_path}/waits\n    exec sleep 100000\nfi\nexec '{sys.executable}' \"$@\"\n"
    )
    python.chmod(0o755)
    argv = [*COMMAND, str(small_onnx), "--against", str(small_onnx), "--runtime-python", str(python)]
    argv += ["--out", str(tmp_path / "out"), "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "waits").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=600)
    document = json.loads(out)
    assert (process.returncode, document["verdict"]) == (130, "inconclusive"), errors
    assert document["reasons"][0].startswith("interrupted, after ")
    (comparison,) = store.read_comparisons(tmp_path / "out")
    assert len(comparison.log_ratios) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.onnx", "--against", "x.onnx"], "there is no file missing.onnx"),
        (["{model}", "--against", "gone"], "no file, no folder, no git ref and no stored run"),
        (["{model}", "--against", "{model}", "--seconds", "0"], "'--seconds': it must be finite and above 0"),
        (["{model}", "--against", "{model}", "--threads", "1,2"], "2 numbers of threads cannot be compared at once"),
        (["{broken}", "--against", "{model}"], "broken.onnx cannot be read as an ONNX model"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], message: str, tmp_path: Path, small_onnx: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(small_onnx.read_bytes()[:50])
    names = {"model": small_onnx, "broken": tmp_path / "broken.onnx"}
    argv = [*COMMAND, *(argument.format(**names) for argument in arguments)]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert message in run.stderr and "Traceback" not in run.stderr
