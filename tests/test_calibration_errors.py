"""A folder that cannot serve is one sentence that names it, with its cure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


def convert(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", "convert", "--variant", "lite0", "--precision", "int8-weights"]
    return subprocess.run(
        [*argv, "--resolution", "64", "--weights", "random", "--calibration", str(folder), "--out", str(out)],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", "there is no such folder"),
        ("empty", "holds 0 images"),
        ("few", "holds 3 images"),
        ("corrupt", "0.png cannot be decoded"),
    ],
)
def test_a_bad_folder_is_one_sentence_and_nothing_is_written(fault, message, tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "out"
    if fault != "missing":
        folder.mkdir()
    for i in range({"few": 3, "corrupt": 9}.get(fault, 0)):
        Image.new("RGB", (80, 80)).save(folder / f"{i}.png")
    if fault == "corrupt":
        path = folder / "0.png"
        path.write_bytes(path.read_bytes()[:60])
    done = convert(folder, out)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists() or list(out.iterdir()) == []


@pytest.mark.parametrize("option", [("--calibration", "photos"), ("--min-sqnr", "20")])
def test_an_option_that_would_do_nothing_is_refused(option):
    argv = [sys.executable, "-m", "edgeeff", "convert", "--variant", "lite0", "--precision", "fp16", *option]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{option[0]} changes nothing at --precision fp16" in done.stderr


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["--format", "onnx", "--precision", "int8", "--for", "x86avx2"], ["unknown machine 'x86avx2'", "x86-avx2"]),
        (["--precision", "int8", "--for", "arm"], ["--for arm changes nothing here", "add --format onnx"]),
        (["--format", "onnx", "--for", "arm"], ["--for arm changes nothing here", "--precision int8"]),
        (["--precision", "dynamic", "--io", "int8"], ["--io int8 changes nothing", "add --precision int8"]),
        (["--precision", "int8", "--io", "int16"], ["unknown type of --io 'int16'", "known: float, int8, uint8"]),
    ],
    ids=["machine", "format", "precision", "io", "type"],
)
def test_for_whom_and_of_which_type_are_checked_before_work_begins(options, messages):
    argv = [sys.executable, "-m", "edgeeff", "convert", "--variant", "lite0", *options]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    for message in messages:
        assert message in done.stderr
