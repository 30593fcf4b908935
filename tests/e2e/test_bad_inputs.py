"""What a shell, a disk and a user's own code do to the command line: one sentence, one document, nothing left over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = """
import functools, os, signal, sys, time
import torch
from torch import nn

print("imported")

def small():
    print("called")
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())

def leaves():
    sys.exit(0)

class Leaving(nn.Module):
    def forward(self, x):
        sys.exit(0)

class Passing(nn.Module):
    def forward(self, x):
        return x

class Endless(nn.Module):
    def forward(self, x):
        while True:
            x = torch.sin(x)

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def stopped():
    Finalized()  # what is raised in a finalizer Python swallows
    time.sleep(100_000)
    return small()

def caught():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(100_000)
    except BaseException:
        pass
    return small()

def nan():
    return nn.Sequential(nn.Conv2d(3, 8, 3).requires_grad_(False).apply(lambda m: m.weight.fill_(float("nan"))))

def script():
    return torch.jit.script(small())

partial = functools.partial(small, 1)
"""


def edgeeff(*arguments: str, cwd: Path, **how: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", *arguments]
    given = {"cwd": cwd, "capture_output": True, "text": True, "timeout": 600, "check": False, **how}
    return subprocess.run(argv, **given)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("user")
    (made / "mynet.py").write_text(NETWORK)
    (made / "leaving.py").write_text("raise SystemExit(0)")
    convert = ["convert", "--module", "mynet:small", "--input", "1x3x16x16", "--json", "--out", "."]
    done = edgeeff(*convert, cwd=made)
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]  # what the network printed is not among it
    (made / artifact["path"]).rename(made / "small.tflite")
    return made


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["convert", "--module", "leaving:f", "--input", "1x3x8x8"], 6, "SystemExit"),
        (["convert", "--module", "mynet:leaves", "--input", "1x3x8x8"], 6, "SystemExit"),
        (["convert", "--module", "mynet:Leaving", "--input", "1x3x8x8"], 6, "fails on an input of 1x3x8x8"),
        (["convert", "--module", "mynet:Passing", "--input", "1x3x8x8"], 6, "nothing to convert"),
        (["convert", "--module", "mynet:nan", "--input", "1x3x8x8"], 6, "NaN"),
        (["convert", "--module", "mynet:script", "--input", "1x3x8x8"], 6, "TorchScript"),
        (["convert", "--module", "mynet:partial", "--input", "1x3x8x8"], 6, "mynet:partial"),
        # More than a processor can address, whatever memory the machine has and promises.
        (["convert", "--module", "mynet:small", "--input", "1x99999x99999x99999"], 2, "memory"),
        (["convert", "--variant", "b0", "--weights", "a" * 300], 2, "name too long"),
        (["convert", "--variant", "b0", "--classes", "0"], 2, "--classes"),
        (["bench", "a" * 300 + ".onnx"], 2, "name too long"),
        (["bench", "small.tflite", "--threads", "0"], 2, "--threads"),
        (["bench", "small.tflite", "--seed", str(2**63)], 2, "--seed"),
        (["report", "a" * 300], 2, "name too long"),
        (["report", "/dev/zero"], 2, "not a regular file"),
        (["report", "--accuracy", "/dev/zero"], 2, "not a regular file"),
    ],
)
def test_one_sentence_and_one_document(folder: Path, arguments: list[str], code: int, words: str) -> None:
    done = edgeeff(*arguments, "--json", cwd=folder)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    error = json.loads(done.stdout)["error"]
    assert words in error["message"]
    assert error["exit_code"] == code


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    done = edgeeff("report", ".", cwd=tmp_path, timeout=600)
    assert (done.returncode, "not a regular file" in done.stderr) == (2, True)


def test_a_name_commands_no_terminal(tmp_path: Path) -> None:
    done = edgeeff("bench", "\x1b[31m.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert "\\x1b[31m.onnx" in done.stderr


def test_a_full_output_is_a_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = edgeeff("variants", cwd=tmp_path, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write to standard output: no space left")
    assert len(done.stderr.splitlines()) == 2


def test_bench_needs_no_stream(folder: Path, tmp_path: Path) -> None:
    arguments = ["bench", str(folder / "small.tflite"), "--seconds", "1", "--out", "results"]
    line = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "edgeeff", *arguments]
    assert subprocess.run(line, cwd=tmp_path, timeout=600, check=False).returncode == 0
    assert edgeeff("report", cwd=tmp_path).returncode == 0


def test_a_package_that_does_not_load_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('failed to map segment')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    arguments = ["--module", "mynet:small", "--input", "1x3x8x8", "--format", "onnx", "--json"]
    done = edgeeff("convert", *arguments, cwd=folder, env=environment)
    assert done.returncode == 2
    assert "failed to map segment" in json.loads(done.stdout)["error"]["message"]


def test_a_closed_stderr_takes_no_message_into_the_file(folder: Path, tmp_path: Path) -> None:
    arguments = ["convert", "--module", "mynet:small", "--input", "1x3x16x16", "--out", str(tmp_path)]
    line = ["sh", "-c", '"$@" 2>&-', "sh", sys.executable, "-m", "edgeeff", *arguments]
    assert subprocess.run(line, cwd=folder, capture_output=True, timeout=600, check=False).returncode == 0
    (written,) = tmp_path.glob("*.tflite")
    assert written.read_bytes() == (folder / "small.tflite").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("line", ["tracing", "launch 1"])
def test_stopping_leaves_nothing_half_done(folder: Path, tmp_path: Path, number: int, line: str) -> None:
    """Neither ends by itself within the test: the tracing never, the session after an hour."""
    endless = ["convert", "--module", "mynet:Endless", "--input", "1x3x8x8"]
    unsure = ["bench", "small.tflite", "--seconds", "3600", "--precision-target", "0.0001%"]
    arguments = [*{"tracing": endless, "launch 1": unsure}[line], "--out", str(tmp_path)]
    argv = [sys.executable, "-m", "edgeeff", *arguments, "--json"]

    def unblocked() -> None:  # nohup's children ignore SIGHUP, and so would this one
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, cwd=folder, preexec_fn=unblocked, **pipes) as process:
        assert process.stderr is not None
        while line not in (text := process.stderr.readline()):
            assert text
        process.send_signal(number)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "interrupted"
    document = json.loads(out)
    assert ("error" if line == "tracing" else "measurements") in document
    kept = [path.suffix for path in tmp_path.iterdir()]
    assert kept == ([] if line == "tracing" else [".jsonl"])
    if kept:
        assert edgeeff("report", str(tmp_path), cwd=folder).returncode == 0


@pytest.mark.parametrize("network", ["stopped", "caught"])
def test_a_stop_that_is_swallowed_still_counts(folder: Path, tmp_path: Path, network: str) -> None:
    arguments = ["convert", "--module", f"mynet:{network}", "--input", "1x3x8x8", "--out", str(tmp_path), "--json"]
    done = edgeeff(*arguments, cwd=folder)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "interrupted"
    assert "Exception ignored" not in done.stderr
    json.loads(done.stdout)
    # Code that catches everything finishes its work, and the files are whole; a finalizer's stop ends it.
    assert len(list(tmp_path.glob("*.tflite"))) == (network == "caught")


def test_weights_without_values_are_refused() -> None:
    import torch

    from edgeeff.errors import UsageError
    from edgeeff.weights.layouts import as_float

    with pytest.raises(UsageError, match="conv has a shape and no values"):
        as_float("x.pth", {"conv": torch.zeros(2, device="meta")})
