"""Ctrl-C where it would cut in two what belongs together: it comes after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeeff.cli import _bench_many
from edgeeff.devices import _process
from edgeeff.signals import undisturbed
from edgeeff.targets import resolve
from edgeeff.values import Target


def stop(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def test_what_is_undisturbed_comes_to_its_end_and_then_the_signal_counts() -> None:
    """Also where a thread runs, to which the system could give the signal."""
    ended, steps = threading.Event(), []
    thread = threading.Thread(target=ended.wait)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        with undisturbed():
            stop()
            stop()
            steps.append("end")
        steps.append("never")
    assert steps == ["end"]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    ended.set()
    thread.join()


def test_in_a_thread_of_its_own_nothing_is_put_off() -> None:
    thread = threading.Thread(target=lambda: undisturbed().__enter__())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_a_program_that_is_started_undisturbed_can_be_stopped() -> None:
    code = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGTERM))"
    with undisturbed():
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["set()", str(int(signal.SIG_DFL))]


class Interrupted(subprocess.Popen[Any]):
    """Ctrl-C comes when the program has started and nobody knows it yet."""

    made: list[subprocess.Popen[Any]] = []

    def __init__(self, argv: Any, **how: Any) -> None:
        super().__init__(["sleep", "100000"], **how)
        self.made.append(self)
        stop()


@pytest.fixture
def targets() -> Sequence[Target]:
    """This machine; it is found before programs are interrupted."""
    return resolve("host")


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> type[Interrupted]:
    monkeypatch.setattr(Interrupted, "made", [])
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    return Interrupted


def test_a_program_that_was_just_started_is_killed(interrupted: type[Interrupted]) -> None:
    with pytest.raises(KeyboardInterrupt):
        next(_process.run_lines(["sleep"], stdin="", timeout_s=600))
    assert [process.returncode for process in interrupted.made] == [-signal.SIGKILL]


def test_of_several_devices_none_is_left_that_was_just_started(
    targets: Sequence[Target], interrupted: type[Interrupted], tmp_path: Path
) -> None:
    measured, stopped = _bench_many.run_many([*targets, *targets], [], "s", tmp_path)
    assert measured == [] and isinstance(stopped, KeyboardInterrupt)
    assert [process.returncode for process in interrupted.made] == [-signal.SIGTERM]


NETWORK = """
import atexit, os, pathlib, signal, time
from torch import nn

def stop():
    os.kill(os.getpid(), signal.SIGINT)

def twice():
    try:
        stop()
    except KeyboardInterrupt:
        stop()
        pathlib.Path("cleaned").touch()
        raise

def within():
    exec("stop(); [0 for _ in range(9)]")

def late():
    atexit.register(stop)
    return nn.Conv2d(3, 8, 3)
"""


def convert(folder: Path, network: str) -> subprocess.CompletedProcess[str]:
    (folder / "mynet.py").write_text(NETWORK)
    argv = [sys.executable, "-m", "edgeeff", "convert", "--module", f"mynet:{network}", "--input", "1x3x8x8", "--json"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


def test_ctrl_c_twice_does_not_interrupt_the_cleaning_up(tmp_path: Path) -> None:
    done = convert(tmp_path, "twice")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in done.stderr and (tmp_path / "cleaned").exists()


def test_ctrl_c_after_the_end_changes_nothing(tmp_path: Path) -> None:
    done = convert(tmp_path, "late")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    assert json.loads(done.stdout)["artifacts"]


def test_the_exit_code_is_ours_also_where_the_stop_came_within_an_exec(tmp_path: Path) -> None:
    """As in the making of a dataclass. Python ends by SIGINT where it believes that nobody handled the interrupt."""
    done = convert(tmp_path, "within")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "interrupted")


def test_ctrl_c_after_the_document_prints_no_second_one() -> None:
    code = (
        "import click, os, signal; from edgeeff.cli import main; real = click.echo\n"
        "def echo(*arguments, **how):\n    real(*arguments, **how)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "click.echo = echo\nmain(['variants', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "interrupted")
    assert "error" not in json.loads(done.stdout)
