"""Android devices over the Android Debug Bridge."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.protocols import Device, Transport
from edgeeff.signals import undisturbed
from edgeeff.values import Connected, DeviceInfo, DeviceState, Target

from ._adb_files import Files
from ._adb_performance import FixedPerformance
from ._adb_server import Server
from ._adb_shell import CURES, QUESTION_S, AdbShell
from ._adb_wire import RefusedError
from ._android import INFO_SCRIPT, STATE_SCRIPT, matched, properties, read_info, read_state
from ._closing import Closing
from ._lock import Lock

FOLDER = "/data/local/tmp/edgeeff"
"""Where adb's shell may write and start programs."""


SETTLING_S = {"connecting": 30.0, "authorizing": 30.0, "unauthorized": 3.0}
"""How long a device that has just been connected may be in a state that passes. A new computer's key makes it
unauthorized until it has taken the key, or until its owner allows it, which nobody waits for."""

UNREACHABLE = "is it switched on and in this network, and does it listen there (wireless debugging, or adb tcpip 5555)?"


class AdbTransport:
    """What the adb server sees."""

    name = "adb"

    def discover(self, addresses: Sequence[str]) -> Sequence[Connected]:
        server = Server.from_environment()
        found = self._seen(server)
        states = {device.address: device.state for device in found}
        gone = [address for address in addresses if states.get(address, "offline") == "offline"]
        told = {address: _reconnected(server, address) for address in gone if re.search(r":\d+$", address)}
        if not told and not any(states.get(address) in SETTLING_S for address in addresses):
            return found
        _wait_until_settled(server, addresses)
        found = self._seen(server)
        absent = told.keys() - {device.address for device in found}
        cures = {address: f"{told[address]}: {UNREACHABLE}" for address in sorted(absent)}
        return [*found, *(Connected(self.name, address, "unreachable", cure=cures[address]) for address in cures)]

    def open(self, target: Target) -> Device:
        return AdbDevice(target, Server.from_environment())

    def _seen(self, server: Server) -> list[Connected]:
        try:
            lines = server.ask("host:devices-l").splitlines()
        except RefusedError as error:
            raise DeviceError(f"the adb server lists no devices: {error}", "adb kill-server, then again") from error
        return [self._connected(server, line) for line in lines if line.strip()]

    def _connected(self, server: Server, line: str) -> Connected:
        """A line of `adb devices -l`: serial, state, and key:value pairs of a ready device."""
        found_line = re.match(r"(\(no serial number\)|\S+)\s+(.*)", line)
        serial, rest = (found_line[1], found_line[2]) if found_line else (line, "")
        if not re.match(r"device\b", rest):
            state = next((known for known in CURES if rest.startswith(known)), rest.partition(" ")[0] or "unknown")
            return Connected(self.name, serial, state, {}, CURES.get(state, "reconnect it, and see adb devices -l"))
        target = AdbShell(server, serial)
        try:
            found = matched(properties("".join(f"{line}\n" for line in target.lines(["getprop"], QUESTION_S))))
        except (DeviceError, MeasurementError) as error:
            return Connected(self.name, serial, "not answering", {}, str(error))
        return Connected(self.name, serial, "ready", found)


def _reconnected(server: Server, address: str) -> str:
    """Connects to a device anew; what the server says of it.

    `adb connect` says "already connected" of one that is offline, and "connected" for whoever listens there: it is let
    go first, and what it is then the list says.
    """
    with suppress(RefusedError):
        server.ask(f"host:disconnect:{address}", QUESTION_S)
    try:
        return server.ask(f"host:connect:{address}", QUESTION_S)
    except RefusedError as error:
        return str(error)


def _wait_until_settled(server: Server, addresses: Sequence[str]) -> None:
    """Until no device is any more in a state that passes, or has been for too long."""
    began = time.monotonic()
    with suppress(RefusedError):
        while True:
            states, waited_s = server.states(), time.monotonic() - began
            if not any(waited_s < SETTLING_S.get(states.get(address, ""), 0.0) for address in addresses):
                return
            time.sleep(0.1)


class AdbDevice(Closing):
    """One Android device."""

    def __init__(self, target: Target, server: Server) -> None:
        self.name = target.name
        self.profile = target.profile
        self._shell = AdbShell(server, target.connected.address)
        self._lock = Lock(f"adb:{self._shell.serial}")
        try:
            self._require_shell_v2(server)
            self._shell.remember_boot()
            folder = target.profile.folder or FOLDER
            self._performance = FixedPerformance(self._shell, folder)  # before old files are swept out
            self._files = Files(self._shell, folder)
        except BaseException:
            self._lock.close()
            raise

    def info(self) -> DeviceInfo:
        return read_info(self.name, self._shell.ask(["sh", "-c", INFO_SCRIPT]))

    def state(self) -> DeviceState:
        return read_state(self._shell.ask(["sh", "-c", STATE_SCRIPT]))

    def push(self, path: Path, *, executable: bool = False) -> str:
        return self._files.push(path, executable=executable)

    def pull(self, remote: str, path: Path) -> None:
        self._files.pull(remote, path)

    def scratch(self, suffix: str) -> str:
        return self._files.scratch(suffix)

    def python(self) -> Sequence[str]:
        raise DeviceError(
            f"{self._shell.serial} is an Android device, which has no Python",
            "take --runtime benchmark_model, or leave it out",
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float,
        on_stderr: Callable[[str], None] | None = None,
    ) -> Iterator[str]:
        return self._shell.lines(argv, timeout_s, stdin=stdin, on_stderr=on_stderr)

    def hold_performance(self) -> AbstractContextManager[None]:
        return self._performance.held()

    def close(self) -> None:
        with undisturbed():
            self._files.close()
            self._lock.close()

    def _require_shell_v2(self, server: Server) -> None:
        try:
            features = server.ask(f"host-serial:{self._shell.serial}:features").split(",")
        except RefusedError as error:
            raise self._shell.lost("", error) from error
        if "shell_v2" not in features:
            raise DeviceError(
                f"{self._shell.serial} has no shell with exit codes (shell_v2)",
                "Android 7 or later is needed, and adb 1.0.36",
            )


ADAPTER: Transport = AdbTransport()
