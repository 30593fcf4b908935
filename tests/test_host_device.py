"""Programs on this machine: lines as they come, one deadline, nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeeff.devices import _process
from edgeeff.devices.host import HostDevice
from edgeeff.errors import DeviceError, MeasurementError

HOST = HostDevice()


def run(script: str, *, stdin: str = "", timeout_s: float = 600) -> list[str]:
    return list(HOST.run([*HOST.python(), "-c", script], stdin=stdin, timeout_s=timeout_s))


def gone(pid: int) -> bool:
    """Whether a process ends within minutes; one that ended and waits to be collected counts."""
    for _ in range(6000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_lines_come_out_and_input_goes_in() -> None:
    assert run("print(input()); print('ü'); import sys; sys.stdout.write('end')", stdin="given\n") == [
        "given",
        "ü",
        "end",
    ]


def test_lines_come_as_they_are_written() -> None:
    lines = HOST.run([*HOST.python(), "-uc", "print(1); import time; time.sleep(100_000)"], stdin="", timeout_s=600)
    assert next(lines) == "1"
    lines.close()  # type: ignore[attr-defined]


def test_neither_full_pipes_nor_unread_input_block() -> None:
    script = "import sys\nfor _ in range(3000): sys.stderr.write('e' * 1000); print('o' * 1000)"
    assert run(script, stdin="x" * 3_000_000) == ["o" * 1000] * 3000


def test_a_failure_keeps_the_exit_code_and_the_end_of_standard_error() -> None:
    with pytest.raises(MeasurementError, match="exit code 3") as caught:
        run("import sys; sys.stderr.write('e' * 100_000 + 'the end'); sys.exit(3)")
    assert caught.value.hint.endswith("the end")
    assert len(caught.value.hint) <= 4096


def test_a_deadline_kills_the_program_and_its_children(pass_time: Callable[..., None]) -> None:
    script = (
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100_000)']).pid, flush=True)\n"
        "time.sleep(100_000)"
    )
    lines = HOST.run([*HOST.python(), "-c", script], stdin="", timeout_s=600)
    pid = int(next(lines))
    pass_time(599.9, _process)  # a tenth of a second is left, in which nothing comes
    with pytest.raises(MeasurementError, match="within 600 s"):
        next(lines)
    assert gone(pid)


def test_output_without_end_cannot_pass_the_deadline(pass_time: Callable[..., None]) -> None:
    lines = HOST.run([*HOST.python(), "-c", "while True: print('y')"], stdin="", timeout_s=600)
    assert next(lines) == "y"
    pass_time(600, _process)
    with pytest.raises(MeasurementError, match="within 600 s"):
        for _ in lines:
            pass


def test_closing_kills_the_program() -> None:
    lines = HOST.run(
        [*HOST.python(), "-uc", "import os, time; print(os.getpid()); time.sleep(100_000)"], stdin="", timeout_s=600
    )
    pid = int(next(lines))
    os.kill(pid, 0)
    lines.close()  # type: ignore[attr-defined]
    assert gone(pid)


def test_a_program_that_is_not_there_is_the_devices_fault() -> None:
    with pytest.raises(DeviceError, match="cannot start /no/such/program"):
        list(HOST.run(["/no/such/program"], stdin="", timeout_s=1))


def test_what_the_host_says_of_itself() -> None:
    info, state = HOST.info(), HOST.state()
    assert (info.name, info.kind, info.emulated) == ("host", "host", False)
    assert info.cpu_count and info.cpu_count >= 1
    assert info.memory_bytes and state.memory_available_bytes
    assert 0 < state.memory_available_bytes < info.memory_bytes
    assert state.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert HOST.push(Path(sys.executable)) == str(Path(sys.executable).resolve())
