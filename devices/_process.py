"""A local program: its output line by line, one deadline, and nothing left running behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.signals import undisturbed

TAIL_BYTES = 4096
"""How much of the end of standard error an error keeps."""

LINE_BYTES = 1 << 24
"""The longest line; some 800,000 samples. A program that exceeds it is broken."""


class Tail:
    """Standard error as it comes: its end is kept for an error's text, its lines go to who asked for them."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._end = bytearray()
        self._pending = bytearray()
        self._on_line = on_line

    def feed(self, block: bytes) -> None:
        self._end[:] = (self._end + block)[-TAIL_BYTES:]
        if self._on_line is None:
            return
        *complete, rest = bytes(self._pending + block).split(b"\n")
        for line in complete:
            self._on_line(line.decode(errors="replace"))
        self._pending[:] = rest[-LINE_BYTES:]

    def end(self) -> None:
        """The last line may have no end."""
        if self._on_line is not None and self._pending:
            self._on_line(self._pending.decode(errors="replace"))
            self._pending.clear()

    def text(self) -> str:
        return self._end.decode(errors="replace").strip()


def run_lines(
    argv: Sequence[str], *, stdin: str, timeout_s: float, on_stderr: Callable[[str], None] | None = None
) -> Iterator[str]:
    """Runs a program and yields the lines of its standard output as they come.

    Its whole process group is killed when the deadline passes, and whenever the caller stops reading: close the
    iterator (contextlib.closing) to be sure of that on every way out.

    Args:
        on_stderr: gets each line of standard error as it comes.

    Raises:
        DeviceError: the program cannot be started.
        MeasurementError: it failed, was killed or exceeded timeout_s; the hint is the end of its standard error.
    """
    deadline = time.monotonic() + timeout_s
    name = Path(argv[1] if len(argv) > 1 else argv[0]).name
    tail = Tail(on_stderr)
    # From a file, so that a program that does not read its input cannot block us.
    with tempfile.TemporaryFile() as given:
        given.write(stdin.encode())
        given.seek(0)
        process: subprocess.Popen[bytes] | None = None
        try:
            with undisturbed():  # else Ctrl-C could come when it runs and we do not know it yet
                process = _start(argv, given.fileno())
            yield from _lines(process, name, deadline, tail)
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, TimeoutError):
            message = f"{name} did not finish within {timeout_s:g} s and was killed"
            raise MeasurementError(message, tail.text()) from None
        finally:
            if process is not None:
                with undisturbed():
                    _kill_group(process)
    if code < 0:
        raise MeasurementError(f"{name} was killed by {_signal_name(-code)}", tail.text())
    if code > 0:
        raise MeasurementError(f"{name} ended with exit code {code}", tail.text())


def _start(argv: Sequence[str], stdin: int) -> subprocess.Popen[bytes]:
    try:
        # A session of its own makes it the leader of a process group, which is what is killed.
        return subprocess.Popen(
            argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise DeviceError(f"cannot start {argv[0]}: {error.strerror}", "check its path and permissions") from error


def _lines(process: subprocess.Popen[bytes], name: str, deadline: float, tail: Tail) -> Iterator[str]:
    """Reads both pipes as they fill, so that neither can block the program; keeps the end of standard error."""
    assert process.stdout is not None and process.stderr is not None
    pending = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                raise TimeoutError
            for key, _ in ready:
                block = os.read(key.fd, 1 << 16)
                if not block:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    tail.feed(block)
                else:
                    *complete, rest = block.split(b"\n")
                    for end in complete:
                        yield (pending + end).decode(errors="replace")
                        pending.clear()
                    pending += rest
            if len(pending) > LINE_BYTES:
                raise MeasurementError(f"{name} wrote a line longer than {LINE_BYTES >> 20} MB", tail.text())
    tail.end()
    if pending:
        yield pending.decode(errors="replace")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills what is left of the program and its children, and collects it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
