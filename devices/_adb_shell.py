"""Programs on an Android device, over the shell protocol of adb."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.signals import undisturbed

from ._adb_server import Server
from ._adb_wire import EXIT, STDERR, STDOUT, LostError, RefusedError, quoted, shell_input, shell_packets
from ._process import LINE_BYTES, Tail

if TYPE_CHECKING:
    from adbutils import AdbConnection

QUESTION_S = 30.0
"""For a short command: some phones take seconds for dumpsys while they are busy."""

BOOT_ID = "/proc/sys/kernel/random/boot_id"
KEPT = "what was measured before is kept"

CURES = {
    "unauthorized": "unlock the device and allow this computer's key (Settings > Developer options > USB debugging)",
    "offline": "reconnect the cable, or adb disconnect and adb connect; restart the device if it stays so",
    "no permissions": "allow this user to use the USB device: on Linux install android-sdk-platform-tools-common "
    "(udev rules) and join the group plugdev",
    "authorizing": "wait a moment, then allow this computer's key on the device's screen",
    "recovery": "the device is in its recovery: restart it into Android (adb reboot)",
    "bootloader": "the device is in its bootloader: restart it into Android (fastboot reboot)",
    "sideload": "the device waits for an update: restart it into Android (adb reboot)",
}
"""State, as adb calls it -> what makes the device usable."""


class AdbShell:
    """Programs on one device: exit codes, both outputs apart and as they come, one deadline."""

    def __init__(self, server: Server, serial: str) -> None:
        self.server = server
        self.serial = serial
        self._boot_id = ""

    def remember_boot(self) -> None:
        """Notes which boot this is, so that a reboot can be told from a connection that broke."""
        self._boot_id = self.ask(["cat", BOOT_ID])

    def ask(self, argv: Sequence[str]) -> str:
        """The output of a short program, whatever its exit code: a part of it may be missing and the rest sound."""
        found: list[str] = []
        try:
            found.extend(self.lines(argv, QUESTION_S))
        except MeasurementError as error:
            if "did not finish" in error.message:
                raise DeviceError(f"{self.serial} does not answer: {error.message}", CURES["offline"]) from error
        return "".join(f"{line}\n" for line in found)

    def problem(self, argv: Sequence[str]) -> str | None:
        """What went wrong with a short program; None where nothing did."""
        try:
            for _ in self.lines(argv, QUESTION_S):
                pass
        except MeasurementError as error:
            return error.hint.splitlines()[-1] if error.hint else error.message
        return None

    def lines(
        self,
        argv: Sequence[str],
        timeout_s: float,
        *,
        stdin: str = "",
        on_stderr: Callable[[str], None] | None = None,
    ) -> Iterator[str]:
        """Runs a program; see `protocols.Device.run`."""
        deadline = time.monotonic() + timeout_s
        name = argv[0].rpartition("/")[2]
        tail, ended, pid = Tail(on_stderr), False, ""
        # The shell becomes the program, so its number is the program's; adbd makes it the leader of a group. It waits
        # for our word, so that nothing ever runs of which we could not tell which process to kill.
        line = f"echo $$; read go && exec {quoted(argv)}"
        code: int | None = None
        try:
            with contextlib.closing(self._lines(line, stdin, deadline, tail, name)) as output:
                pid = next(output, "")
                while True:
                    try:
                        yield next(output)
                    except StopIteration as stop:
                        code = stop.value
                        break
            ended = True
        except TimeoutError:
            message = f"{name} did not finish within {timeout_s:g} s and was killed"
            raise MeasurementError(message, tail.text()) from None
        except LostError as error:
            ended = True
            raise self.lost(f"while {name} ran", error, pid) from error
        finally:
            if not ended:
                with undisturbed():
                    self._kill(pid)
        if code:
            raise _ended(name, code, tail.text())

    def _lines(self, line: str, stdin: str, deadline: float, tail: Tail, name: str) -> Generator[str, None, int]:
        """The lines of standard output; the generator's value is the exit code."""
        connection = self.open(f"shell,v2,raw:{line}", deadline)
        pending, outgoing = bytearray(), bytearray()
        code, started = 0, False
        try:
            for kind, payload in shell_packets(connection, outgoing, deadline):
                if kind == STDERR:
                    tail.feed(payload)
                elif kind == EXIT:
                    code = payload[0] if payload else 0
                elif kind == STDOUT:
                    *complete, rest = payload.split(b"\n")
                    for end in complete:
                        yield (pending + end).decode(errors="replace")
                        pending.clear()
                        if not started:
                            outgoing += shell_input(b"go\n" + stdin.encode())
                            started = True
                    pending += rest
                if len(pending) > LINE_BYTES:
                    raise MeasurementError(f"{name} wrote a line longer than {LINE_BYTES >> 20} MB", tail.text())
        finally:
            connection.close()
        tail.end()
        if pending:
            yield pending.decode(errors="replace")
        return code

    def open(self, service: str, deadline: float) -> AdbConnection:
        """A service of this device."""
        try:
            return self.server.open(self.serial, service, deadline)
        except RefusedError as error:
            raise self.lost("", error) from error

    def lost(self, when: str, error: Exception, pid: str = "") -> DeviceError:
        """The error for a device that went away, with what the server says of it now.

        Args:
            pid: of a program that ran: where the device is back in the same boot, it is killed.
        """
        state, told = "gone", f" {when}" if when else ""
        with suppress(DeviceError, RefusedError):
            state = self.server.states().get(self.serial, "no longer connected")
        if state == "device":
            boot_id = self._said(quoted(["cat", BOOT_ID]))
            if boot_id and self._boot_id and boot_id != self._boot_id:
                cure = "nothing of that launch counts; let it settle and run it again"
                return DeviceError(f"{self.serial} was rebooted{told}", f"{cure}; {KEPT}")
            self._kill(pid)
            state = "back"
        cure = CURES.get(state, "check the cable and the device's power")
        return DeviceError(f"{self.serial} was lost{told}: {error}; it is {state}", f"{cure}; {KEPT}")

    def _kill(self, pid: str) -> None:
        """Kills a program and its children; where the device is gone, so are they, or nobody can reach them."""
        if re.fullmatch(r"[1-9]\d*", pid):
            self._said(f"kill -9 -{pid} {pid}")

    def _said(self, line: str) -> str:
        """Standard output of a short line of ours; empty where the device does not answer."""
        deadline = time.monotonic() + QUESTION_S
        with suppress(LostError, RefusedError, TimeoutError, DeviceError, OSError):
            connection = self.server.open(self.serial, f"shell,v2,raw:{line}", deadline)
            try:
                packets = shell_packets(connection, bytearray(shell_input(b"")), deadline)
                return b"".join(payload for kind, payload in packets if kind == STDOUT).decode(errors="replace")
            finally:
                connection.close()
        return ""


def _ended(name: str, code: int, tail: str) -> MeasurementError:
    """What a program's exit code says; a shell gives 128 and the signal's number."""
    if code in (126, 127):
        return MeasurementError(f"{name} cannot be started on the device (exit code {code})", tail)
    if 128 < code <= 128 + 64:
        return MeasurementError(f"{name} was killed by signal {code - 128}", tail)
    return MeasurementError(f"{name} ended with exit code {code}", tail)
