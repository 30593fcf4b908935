"""Processes: one conversion as one cold process, measured by the operating system, and helpers that are not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeeff.errors import MeasurementError, UsageError

_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process used, the processes that it waited for included. `error` is its last line where it failed.

    `peak_bytes` is the largest of the processes' peaks. It starts at the size of the process that started it, since
    that is inherited through fork: the caller has to be small.
    """

    cpu_s: float
    wall_s: float
    peak_bytes: int
    error: str | None = None


def run_cold(argv: Sequence[str], environment: Mapping[str, str], log: Path, timeout_s: float) -> Cost:
    """Runs a command to its end and returns what it used; what it prints goes to the file `log`."""
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment
        )
        try:
            pid = 0
            while not pid:
                time.sleep(_POLL_S)
                # Not Popen.wait: only wait4 tells what this one child used.
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if time.monotonic() - started > timeout_s:
                    process.kill()
        except BaseException:
            process.kill()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=time.monotonic() - started,
        peak_bytes=usage.ru_maxrss * _RSS_UNIT_BYTES,
        error=None if process.returncode == 0 else f"exit code {process.returncode}: {_last_line(log)}",
    )


def output_of(argv: Sequence[str], environment: Mapping[str, str], given: str = "") -> str:
    """What a helper process that is not measured prints.

    Raises:
        MeasurementError: it fails; the hint is the end of what it said.
    """
    try:
        run = subprocess.run(argv, input=given, capture_output=True, text=True, env=os.environ | environment)
    except OSError as error:
        raise UsageError(f"{argv[0]} cannot be started: {error.strerror}", "give the path of a python") from error
    if run.returncode:
        raise MeasurementError(f"{' '.join(argv[:4])} ends with exit code {run.returncode}", run.stderr[-1000:])
    return run.stdout


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")[:300]
