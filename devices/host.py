"""This machine."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeeff.protocols import Device
from edgeeff.values import DeviceInfo, DeviceState

from ._linux import cpu_count, cpu_model, memory_bytes, read_state, system_name
from ._process import run_lines


class HostDevice:
    """The machine that edgeeff runs on; files are used where they are."""

    name = "host"
    accelerators = ("cpu",)

    def info(self) -> DeviceInfo:
        return DeviceInfo(
            name=self.name,
            kind="host",
            model=cpu_model(),
            os=system_name(),
            kernel=platform.release() or None,
            abi=platform.machine() or None,
            cpu_count=cpu_count(),
            memory_bytes=memory_bytes(),
        )

    def state(self) -> DeviceState:
        return read_state()

    def push(self, path: Path) -> str:
        return str(path.resolve())

    def python(self) -> Sequence[str]:
        return (sys.executable,)

    def run(self, argv: Sequence[str], *, stdin: str, timeout_s: float) -> Iterator[str]:
        return run_lines(argv, stdin=stdin, timeout_s=timeout_s)


ADAPTER: Device = HostDevice()
