"""This machine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgeeff.errors import DeviceError
from edgeeff.protocols import Device, Transport
from edgeeff.values import Connected, DeviceInfo, DeviceProfile, DeviceState, Target

from ._closing import Closing
from ._linux import read_info, read_state
from ._process import run_lines

HOST = DeviceProfile("host", "this machine", "host", "host", runners={"tflite": ("litert",), "onnx": ("onnxruntime",)})
"""Where there is no catalog to ask."""


class HostDevice(Closing):
    """The machine that edgeeff runs on; files are used where they are."""

    def __init__(self, name: str = "host", profile: DeviceProfile = HOST) -> None:
        self.name = name
        self.profile = profile
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._written = 0

    def info(self) -> DeviceInfo:
        return read_info(self.name)

    def state(self) -> DeviceState:
        return read_state()

    def push(self, path: Path, *, executable: bool = False) -> str:
        if executable and not os.access(path, os.X_OK):
            raise DeviceError(f"{path} is not executable", f"chmod +x {shlex.quote(str(path))}")
        return str(path.resolve())

    def pull(self, remote: str, path: Path) -> None:
        try:
            shutil.copyfile(remote, path)
        except OSError as error:
            raise DeviceError(f"cannot read {remote}: {(error.strerror or str(error)).lower()}") from error

    def scratch(self, suffix: str) -> str:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="edgeeff-")
        self._written += 1
        return str(Path(self._scratch.name) / f"{self._written}{suffix}")

    def python(self) -> Sequence[str]:
        return (sys.executable,)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float,
        on_stderr: Callable[[str], None] | None = None,
    ) -> Iterator[str]:
        return run_lines(argv, stdin=stdin, timeout_s=timeout_s, on_stderr=on_stderr)

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


class HostTransport:
    """This machine is always connected."""

    name = "host"

    def discover(self, addresses: Sequence[str]) -> Sequence[Connected]:
        info = read_info("host")
        properties = {"model": info.model or "", "abi": info.abi or "", "os": info.os or ""}
        return [Connected(self.name, "localhost", "ready", properties)]

    def open(self, target: Target) -> Device:
        return HostDevice(target.name, target.profile)


ADAPTER: Transport = HostTransport()
