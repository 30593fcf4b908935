"""Files on an Android device: in one folder under their hashes, never under a user's names."""

from __future__ import annotations

import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.files import sha256_of

from ._adb_shell import AdbShell
from ._adb_sync import receive_file, send_file
from ._adb_wire import LostError, RefusedError

TRANSFER_S = 600.0
"""For a file: 1 GB at USB 2's 20 MB/s takes a minute."""


class _DamagedError(Exception):
    """What arrived is not what was sent."""


class Files:
    """The folder on a device that is ours.

    Raises:
        DeviceError: it cannot be made.
    """

    def __init__(self, shell: AdbShell, folder: str) -> None:
        self.folder = folder
        self._shell = shell
        self._token = secrets.token_hex(4)
        self._scratch: list[str] = []
        self._pushed: dict[str, str] = {}
        self._make_folder()

    def push(self, path: Path, *, executable: bool = False) -> str:
        """Makes a file available there; see `protocols.Device.push`."""
        digest = sha256_of(path)
        suffix = path.suffix.lower() if re.fullmatch(r"\.[a-z0-9]{1,8}", path.suffix.lower()) else ""
        remote = f"{self.folder}/{digest[:32]}{'.run' if executable else suffix}"
        if self._pushed.get(remote) != digest and self._hash(remote) != digest:
            self._send(path, remote, digest, 0o755 if executable else 0o644)
        self._pushed[remote] = digest
        return remote

    def pull(self, remote: str, path: Path) -> None:
        """Fetches a file from there."""
        deadline = time.monotonic() + TRANSFER_S
        connection = self._shell.open("sync:", deadline)
        try:
            receive_file(connection, remote, path, deadline)
        except RefusedError as error:
            raise DeviceError(f"{self._shell.serial}: cannot read {remote}: {error}") from error
        except (LostError, TimeoutError) as error:
            raise self._shell.lost(f"while {remote} was fetched", error) from error
        finally:
            connection.close()

    def scratch(self, suffix: str) -> str:
        """A path that is not in use, which `close` removes."""
        path = f"{self.folder}/{self._token}-{len(self._scratch)}{suffix}"
        self._scratch.append(path)
        return path

    def close(self) -> None:
        """Removes what was only for this session."""
        for start in range(0, len(self._scratch), 100):
            with suppress(DeviceError, MeasurementError):
                self._shell.ask(["rm", "-f", *self._scratch[start : start + 100]])
        self._scratch.clear()

    def _make_folder(self) -> None:
        """Makes our folder, and removes what was used last a week ago, or was half written an hour ago."""
        problem = self._shell.problem(["mkdir", "-p", self.folder])
        if problem is not None:
            raise self._cannot_write(problem)
        for what in (("-type", "f", "-mtime", "+7"), ("-name", "*.part", "-mmin", "+60")):
            self._shell.problem(["find", self.folder, *what, "-exec", "rm", "-f", "{}", ";"])

    def _hash(self, remote: str) -> str:
        return self._shell.ask(["sha256sum", remote]).partition(" ")[0]

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
                raise _DamagedError
            problem = self._shell.problem(["mv", "-f", part, remote])
            if problem is not None:
                raise RefusedError(problem)
        except _DamagedError as error:
            self._shell.problem(["rm", "-f", part])
            raise DeviceError(
                f"{self._shell.serial}: what arrived of {path} is not what was sent", "try another cable or port"
            ) from error
        except RefusedError as error:
            self._shell.problem(["rm", "-f", part])
            raise self._cannot_write(str(error), path) from error
        except (LostError, TimeoutError) as error:
            raise self._shell.lost(f"while {path} was sent", error) from error

    def _require_space(self, path: Path) -> None:
        needed, free = path.stat().st_size, self._free_bytes()
        if free is not None and needed > free:
            raise self._no_space(needed, free)

    def _free_bytes(self) -> int | None:
        found = re.search(r"^(\d+) (\d+)$", self._shell.ask(["stat", "-f", "-c", "%a %S", self.folder]), re.MULTILINE)
        return int(found[1]) * int(found[2]) if found else None

    def _no_space(self, needed: int, free: int | None) -> DeviceError:
        there = "an unknown amount is free" if free is None else f"{free / 1e6:.1f} MB are free"
        if free is not None and free >= needed:
            there = f"and it ran full, though {free / 1e6:.1f} MB seem free"
        serial = self._shell.serial
        return DeviceError(
            f"{serial} has no space in {self.folder}: {needed / 1e6:.1f} MB are needed, {there}",
            f"free some on the device: adb -s {serial} shell rm -r {self.folder} removes what edgeeff keeps",
        )

    def _cannot_write(self, reason: str, path: Path | None = None) -> DeviceError:
        if "no space" in reason.lower() and path is not None:
            return self._no_space(path.stat().st_size, self._free_bytes())
        what = "" if path is None else f" {path}"
        return DeviceError(
            f"{self._shell.serial}: cannot write{what} to {self.folder}: {reason}",
            'name a folder that adb\'s shell may write and run programs in: folder = "..." in a device file',
        )
