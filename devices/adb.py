"""Android devices over the Android Debug Bridge."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.files import sha256_of
from edgeeff.protocols import Device, Transport
from edgeeff.values import Connected, DeviceInfo, DeviceState, Target

from ._adb_shell import CURES, QUESTION_S, AdbShell
from ._adb_sync import receive_file, send_file
from ._adb_wire import LostError, RefusedError, Server
from ._android import INFO_SCRIPT, STATE_SCRIPT, matched, properties, read_info, read_state
from ._closing import Closing, undisturbed
from ._lock import Lock

FOLDER = "/data/local/tmp/edgeeff"
"""Where adb's shell may write and start programs."""

TRANSFER_S = 600.0
"""For a file: 1 GB at USB 2's 20 MB/s takes a minute."""


class AdbTransport:
    """What the adb server sees."""

    name = "adb"

    def discover(self, addresses: Sequence[str]) -> Sequence[Connected]:
        server = Server.from_environment()
        found = [self._connected(server, line) for line in self._listed(server)]
        usable = [device.address for device in found if device.state != "offline"]
        wanted = [address for address in addresses if re.search(r":\d+$", address) and address not in usable]
        for address in wanted:
            # `adb connect` says "already connected" of one that is offline, and "connected" for whoever listens
            # there: it is let go first, and what it is then the list says.
            for step in ("disconnect", "connect"):
                with suppress(RefusedError):
                    server.ask(f"host:{step}:{address}", QUESTION_S)
        if wanted:
            found = [self._connected(server, line) for line in self._listed(server)]
        return found

    def open(self, target: Target) -> Device:
        return AdbDevice(target, Server.from_environment())

    def _listed(self, server: Server) -> list[str]:
        try:
            return [line for line in server.ask("host:devices-l").splitlines() if line.strip()]
        except RefusedError as error:
            raise DeviceError(f"the adb server lists no devices: {error}", "adb kill-server, then again") from error

    def _connected(self, server: Server, line: str) -> Connected:
        """A line of `adb devices -l`: serial, state, and key:value pairs of a ready device."""
        serial, _, rest = line.partition(" ") if "\t" not in line else line.partition("\t")
        rest = rest.strip()
        if not re.match(r"device\b", rest):
            state = next((known for known in CURES if rest.startswith(known)), rest.partition(" ")[0] or "unknown")
            return Connected(self.name, serial, state, {}, CURES.get(state, "reconnect it, and see adb devices -l"))
        target = AdbShell(server, serial)
        try:
            found = matched(properties("".join(f"{line}\n" for line in target.lines(["getprop"], QUESTION_S))))
        except (DeviceError, MeasurementError) as error:
            return Connected(self.name, serial, "not answering", {}, str(error))
        return Connected(self.name, serial, "ready", found)


class AdbDevice(Closing):
    """One Android device. Files lie in one folder under their hashes, never under a user's names."""

    def __init__(self, target: Target, server: Server) -> None:
        self.name = target.name
        self.profile = target.profile
        self.serial = target.connected.address
        self._shell = AdbShell(server, self.serial)
        self._folder = target.profile.folder or FOLDER
        self._token = secrets.token_hex(4)
        self._scratch: list[str] = []
        self._pushed: dict[str, str] = {}
        self._lock = Lock(f"adb:{self.serial}")
        try:
            self._require_shell_v2(server)
            self._make_folder()
        except BaseException:
            self._lock.close()
            raise

    def info(self) -> DeviceInfo:
        return read_info(self.name, self._ask(["sh", "-c", INFO_SCRIPT]))

    def state(self) -> DeviceState:
        return read_state(self._ask(["sh", "-c", STATE_SCRIPT]))

    def push(self, path: Path, *, executable: bool = False) -> str:
        digest = sha256_of(path)
        suffix = path.suffix.lower() if re.fullmatch(r"\.[a-z0-9]{1,8}", path.suffix.lower()) else ""
        remote = f"{self._folder}/{digest[:32]}{'.run' if executable else suffix}"
        if self._pushed.get(remote) != digest and self._hash(remote) != digest:
            self._send(path, remote, digest, 0o755 if executable else 0o644)
        self._pushed[remote] = digest
        return remote

    def pull(self, remote: str, path: Path) -> None:
        deadline = time.monotonic() + TRANSFER_S
        connection = self._shell.open("sync:", deadline)
        try:
            receive_file(connection, remote, path, deadline)
        except RefusedError as error:
            raise DeviceError(f"{self.serial}: cannot read {remote}: {error}") from error
        except (LostError, TimeoutError) as error:
            raise self._shell.lost(f"while {remote} was fetched", error) from error
        finally:
            connection.close()

    def scratch(self, suffix: str) -> str:
        path = f"{self._folder}/{self._token}-{len(self._scratch)}{suffix}"
        self._scratch.append(path)
        return path

    def python(self) -> Sequence[str]:
        raise DeviceError(
            f"{self.serial} is an Android device, which has no Python",
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

    @contextmanager
    def hold_performance(self) -> Iterator[None]:
        switch = ["cmd", "power", "set-fixed-performance-mode-enabled"]
        try:
            answer = self._ask([*switch, "true"])
            if re.search(r"fail|unknown|not supported|exception", answer, re.IGNORECASE):
                raise DeviceError(
                    f"{self.serial} refuses its mode of fixed performance: {answer.strip().splitlines()[0]}",
                    "leave --fixed-performance out",
                )
            yield
        finally:
            with undisturbed():
                self._try([*switch, "false"])

    def close(self) -> None:
        with undisturbed():
            for start in range(0, len(self._scratch), 100):
                with suppress(DeviceError, MeasurementError):
                    self._ask(["rm", "-f", *self._scratch[start : start + 100]])
            self._scratch.clear()
            self._lock.close()

    def _ask(self, argv: Sequence[str]) -> str:
        """The output of a short program, whatever its exit code: a part of it may be missing and the rest sound."""
        found: list[str] = []
        try:
            found.extend(self._shell.lines(argv, QUESTION_S))
        except MeasurementError as error:
            if "did not finish" in error.message:
                raise DeviceError(f"{self.serial} does not answer: {error.message}", CURES["offline"]) from error
        return "".join(f"{line}\n" for line in found)

    def _try(self, argv: Sequence[str]) -> str | None:
        """What went wrong with a short program; None where nothing did."""
        try:
            for _ in self._shell.lines(argv, QUESTION_S):
                pass
        except MeasurementError as error:
            return error.hint.splitlines()[-1] if error.hint else error.message
        return None

    def _require_shell_v2(self, server: Server) -> None:
        try:
            features = server.ask(f"host-serial:{self.serial}:features").split(",")
        except RefusedError as error:
            raise self._shell.lost("", error) from error
        if "shell_v2" not in features:
            raise DeviceError(
                f"{self.serial} has no shell with exit codes (shell_v2)", "Android 7 or later is needed, and adb 1.0.36"
            )

    def _make_folder(self) -> None:
        """Makes our folder, and removes what was used last a week ago, or was half written an hour ago."""
        problem = self._try(["mkdir", "-p", self._folder])
        if problem is not None:
            raise self._cannot_write(problem)
        self._try(["find", self._folder, "-type", "f", "-mtime", "+7", "-exec", "rm", "-f", "{}", ";"])
        self._try(["find", self._folder, "-name", "*.part", "-mmin", "+60", "-exec", "rm", "-f", "{}", ";"])

    def _hash(self, remote: str) -> str:
        return self._ask(["sha256sum", remote]).partition(" ")[0]

    def _send(self, path: Path, remote: str, digest: str, mode: int) -> None:
        """Writes to a name of its own, checks what arrived, and only then gives it its name."""
        part = f"{remote}.{self._token}.part"
        deadline = time.monotonic() + TRANSFER_S
        self._require_space(path)
        try:
            connection = self._shell.open("sync:", deadline)
            try:
                send_file(connection, path, part, mode, deadline)
            finally:
                connection.close()
            if self._hash(part) != digest:
                raise RefusedError("what arrived is not what was sent")
            problem = self._try(["mv", "-f", part, remote])
            if problem is not None:
                raise RefusedError(problem)
        except RefusedError as error:
            self._try(["rm", "-f", part])
            raise self._cannot_write(str(error), path) from error
        except (LostError, TimeoutError) as error:
            raise self._shell.lost(f"while {path} was sent", error) from error

    def _require_space(self, path: Path) -> None:
        needed, free = path.stat().st_size, self._free_bytes()
        if free is not None and needed > free:
            raise self._no_space(needed, free)

    def _free_bytes(self) -> int | None:
        found = re.search(r"^(\d+) (\d+)$", self._ask(["stat", "-f", "-c", "%a %S", self._folder]), re.MULTILINE)
        return int(found[1]) * int(found[2]) if found else None

    def _no_space(self, needed: int, free: int | None) -> DeviceError:
        there = "an unknown amount" if free is None else f"{free / 1e6:.1f} MB"
        return DeviceError(
            f"{self.serial} has no space in {self._folder}: {needed / 1e6:.1f} MB are needed, {there} is free",
            f"free some on the device: adb -s {self.serial} shell rm -r {self._folder} removes what edgeeff keeps",
        )

    def _cannot_write(self, reason: str, path: Path | None = None) -> DeviceError:
        if "no space" in reason.lower() and path is not None:
            return self._no_space(path.stat().st_size, self._free_bytes())
        what = "" if path is None else f" {path}"
        return DeviceError(
            f"{self.serial}: cannot write{what} to {self._folder}: {reason}",
            'name a folder that adb\'s shell may write and run programs in: folder = "..." in a device file',
        )


ADAPTER: Transport = AdbTransport()
