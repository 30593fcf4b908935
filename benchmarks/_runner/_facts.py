"""What the runner reads of its own process, and its one error."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Facts = dict[str, Any]


class RunnerError(Exception):
    """Why the model cannot be timed: a code for programs and a message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def memory_bytes(field: str) -> int | None:
    """VmHWM (peak) or VmRSS (now) of this process.

    Not ru_maxrss on Linux: it survives fork and exec, so it starts at the parent's size. macOS has only that one.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        if resource is not None and sys.platform == "darwin":
            return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return None


def involuntary_switches() -> int | None:
    """How often others took this process's core; None where the system does not count it."""
    return None if resource is None else int(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)


def voluntary_switches() -> int | None:
    """How often this thread gave up its core, to wait for something; what others took from it is not counted."""
    who = getattr(resource, "RUSAGE_THREAD", None)
    return None if resource is None or who is None else int(resource.getrusage(who).ru_nvcsw)


def read_into_page_cache(path: str) -> None:
    """So that start-up and first inference measure the runtime and not the disk."""
    with Path(path).open("rb") as file:
        while file.read(1 << 20):
            pass


def first_installed(*names: str) -> tuple[Any, str]:
    """The first of these modules that works, and its package's name and version.

    One that is there and does not work (of another glibc, say) is passed over where a later one does.
    """
    broken: ImportError | None = None
    for name in names:
        package = name.partition(".")[0]
        try:
            module = import_module(name)
        except ImportError as error:
            if not isinstance(error, ModuleNotFoundError) or error.name not in (package, name):
                broken = broken or error
            continue
        return module, f"{package} {getattr(sys.modules[package], '__version__', '')}".strip()
    if broken is not None:
        raise broken
    raise RunnerError("runtime_missing", f"not installed: {' or '.join(names)}")
