"""Files on a board: kept under their content's hash, so that none is ever sent twice and none is ever stale."""

from __future__ import annotations

import contextlib
import posixpath
import re
import secrets
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.files import sha256_of

from ._ssh_link import Link

T = TypeVar("T")

ANSWER_S = 30.0
SLOWEST_BYTES_PER_S = 100_000
"""A transfer that is slower than this is taken for lost."""

STALE_S, UNUSED_S = 24 * 3600, 7 * 24 * 3600
"""After which what a lost session left is swept out, and a file that no session has used."""

READ_ONLY = 1
"""SSH_FXE_STATVFS_ST_RDONLY"""

SPARE_BYTES = 1 << 20
"""Left free beside what a file needs: a full disk upsets more than us."""


class Files:
    """The folder on a board that is ours.

    Args:
        folders: where it may be, in order of preference: the first that can be written is taken.
    """

    def __init__(self, link: Link, folders: Sequence[str]) -> None:
        self._link = link
        self._folders = folders
        self._folder: str | None = None
        self._scratch: str | None = None
        self._written = 0
        self._sftp: asyncssh.SFTPClient | None = None

    def push(self, path: Path, *, executable: bool) -> str:
        """Makes a file available there; see `protocols.Device.push`."""
        folder = self._ready_folder()
        digest, size = sha256_of(path), path.stat().st_size
        suffix = re.sub(r"[^A-Za-z0-9.]", "", path.suffix)[:16]
        target = posixpath.join(folder, digest + suffix)
        if self._size_of(target) == size and self._digest_of(target) in (digest, None):
            self._do(self._touch(target), f"cannot write {target}")
            return target
        self._require_space(folder, path, size)
        temporary = f"{target}.{secrets.token_hex(4)}.tmp"
        try:
            self._transfer(self._put(path, temporary), path, folder, size)
            if self._size_of(temporary) != size or self._digest_of(temporary) not in (digest, None):
                raise DeviceError(f"{path} arrived damaged on {self._link.address}", "check the board's disk or card")
            self._do(self._place(temporary, target, executable), f"cannot write {target}")
        except BaseException:
            with contextlib.suppress(DeviceError):
                self._do(self._remove(temporary), "")
            raise
        return target

    def pull(self, remote: str, path: Path) -> None:
        """Fetches a file from there."""

        async def get() -> None:
            sftp = await self._client()
            await sftp.get(_raw(remote), str(path))

        self._do(get(), f"cannot read {remote}", ANSWER_S * 10)

    def scratch(self, suffix: str) -> str:
        """A path that is not in use, in a folder that `close` removes."""
        if self._scratch is None:
            folder = posixpath.join(self._ready_folder(), f"run-{secrets.token_hex(4)}")
            self._do(self._make(folder), f"cannot make {folder}")
            self._scratch = folder
        self._written += 1
        return posixpath.join(self._scratch, f"{self._written}{re.sub(r'[^A-Za-z0-9.]', '', suffix)[:16]}")

    def close(self) -> None:
        """Removes what was only for this session."""
        if self._scratch is not None:
            with contextlib.suppress(DeviceError):
                self._do(self._remove_folder(self._scratch), "")
            self._scratch = None

    def _ready_folder(self) -> str:
        """The folder, made at first use.

        Raises:
            DeviceError: none of those that may be can be written.
        """
        if self._folder is not None:
            return self._folder
        problems = []
        for folder in self._folders:
            try:
                self._do(self._claim(folder), f"cannot write {folder}")
            except _RefusedError as error:
                reason = "the file system is read-only" if self._is_read_only(folder) else error.reason
                problems.append(f"{folder}: {reason}")
                continue
            self._folder = folder
            return folder
        raise DeviceError(
            f"no folder on {self._link.address} can be written: {'; '.join(problems)}",
            'name one that can be in a device file: folder = "/path"',
        )

    async def _claim(self, folder: str) -> None:
        """Makes the folder, ours alone, tries to write in it, and sweeps out what a lost session left."""
        sftp = await self._client()
        await self._make(folder)
        attributes = await sftp.stat(_raw(folder))
        if (attributes.permissions or 0) & 0o022:
            raise asyncssh.SFTPFailure("others can write there")
        probe = _raw(posixpath.join(folder, f"{secrets.token_hex(4)}.tmp"))
        await (await sftp.open(probe, "wb")).close()
        await sftp.remove(probe)
        for entry in await sftp.readdir(_raw(folder)):
            name = _text(entry.filename)
            age_s = time.time() - (entry.attrs.mtime or time.time())
            if (age_s > STALE_S and name.endswith(".tmp")) or (age_s > UNUSED_S and _is_ours(name)):
                await self._remove(posixpath.join(folder, name))
            elif age_s > STALE_S and name.startswith("run-"):
                await self._remove_folder(posixpath.join(folder, name))

    async def _make(self, folder: str) -> None:
        sftp = await self._client()
        if not await sftp.isdir(_raw(folder)):
            parent = posixpath.dirname(folder)
            if not await sftp.isdir(_raw(parent)):
                await sftp.makedirs(_raw(parent), exist_ok=True)
            await sftp.mkdir(_raw(folder), asyncssh.SFTPAttrs(permissions=0o700))

    async def _put(self, path: Path, remote: str) -> None:
        sftp = await self._client()
        await sftp.put(str(path), _raw(remote))

    async def _place(self, temporary: str, target: str, executable: bool) -> None:
        sftp = await self._client()
        await sftp.chmod(_raw(temporary), 0o700 if executable else 0o600)
        await sftp.posix_rename(_raw(temporary), _raw(target))

    async def _touch(self, remote: str) -> None:
        """Marks a file as used now."""
        sftp = await self._client()
        await sftp.utime(_raw(remote))

    async def _remove(self, remote: str) -> None:
        sftp = await self._client()
        with contextlib.suppress(asyncssh.SFTPNoSuchFile):
            await sftp.remove(_raw(remote))

    async def _remove_folder(self, remote: str) -> None:
        sftp = await self._client()
        with contextlib.suppress(asyncssh.SFTPNoSuchFile):
            await sftp.rmtree(_raw(remote))

    def _size_of(self, remote: str) -> int | None:
        async def size() -> int | None:
            sftp = await self._client()
            try:
                return (await sftp.stat(_raw(remote))).size
            except asyncssh.SFTPNoSuchFile:
                return None

        return self._do(size(), f"cannot look at {remote}")

    def _digest_of(self, remote: str) -> str | None:
        """SHA-256 by the board's own sha256sum; None where it has none."""
        try:
            argv = ["sha256sum", remote]
            lines = list(self._link.lines(argv, stdin="", timeout_s=ANSWER_S * 10, on_stderr=None))
        except (MeasurementError, DeviceError):
            self._link.require()
            return None
        found = re.match(r"\\?([0-9a-f]{64}) ", lines[0] + " ") if lines else None
        return found[1] if found else None

    def _require_space(self, folder: str, path: Path, size: int) -> None:
        free = self._free_bytes(folder)
        if free is not None and free < size + SPARE_BYTES:
            raise self._no_space(folder, path, size, free)

    def _no_space(self, folder: str, path: Path, size: int, free: int) -> DeviceError:
        return DeviceError(
            f"{self._link.address} has no space for {path.name} in {folder}: {_mb(size + SPARE_BYTES)} are needed, "
            f"{_mb(free)} are free",
            'free some there, or name another place in a device file: folder = "/path"',
        )

    def _free_bytes(self, folder: str) -> int | None:
        """Free for us, None where the server does not tell."""
        status = self._file_system(folder)
        return None if status is None else status.bavail * (status.frsize or status.bsize)

    def _is_read_only(self, folder: str) -> bool:
        """Whether the file system is, by the nearest folder above that there is. Servers say only "Failure"."""
        while True:
            status = self._file_system(folder)
            if status is not None or folder in ("/", ""):
                return status is not None and bool(status.flags & READ_ONLY)
            folder = posixpath.dirname(folder)

    def _file_system(self, folder: str) -> asyncssh.SFTPVFSAttrs | None:
        """What the server says of the file system that a folder is on; None where it says nothing."""

        async def ask() -> asyncssh.SFTPVFSAttrs | None:
            sftp = await self._client()
            try:
                return await sftp.statvfs(_raw(folder))
            except asyncssh.SFTPError:
                return None

        return self._do(ask(), f"cannot look at {folder}")

    def _transfer(self, work: Coroutine[Any, Any, None], path: Path, folder: str, size: int) -> None:
        """Sends a file. Servers say only "Failure" where the disk ran full, so the space tells."""
        try:
            self._do(work, f"cannot send {path}", ANSWER_S + size / SLOWEST_BYTES_PER_S)
        except _RefusedError as error:
            free = self._free_bytes(folder)
            if free is not None and free < size + SPARE_BYTES:
                raise self._no_space(folder, path, size, free) from error
            raise

    async def _client(self) -> asyncssh.SFTPClient:
        if self._sftp is None:
            self._sftp = await self._link.connection.start_sftp_client()
        return self._sftp

    def _do(self, work: Coroutine[Any, Any, T], purpose: str, timeout_s: float = ANSWER_S) -> T:
        """Runs SFTP's part; what the server refuses is an error that says for what."""
        try:
            return self._link.wait(work, timeout_s)
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
            raise self._link.lost(error) from error
        except asyncssh.SFTPError as error:
            self._link.require()
            reason = " ".join(str(error.reason).split()).lower() or type(error).__name__
            raise _RefusedError(f"{purpose} on {self._link.address}: {reason}", reason) from error
        except OSError as error:
            self._link.require()
            raise DeviceError(f"{purpose}: {(error.strerror or str(error)).lower()}") from error


class _RefusedError(DeviceError):
    """The server refused a file operation."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, "is that file system full or mounted read-only? df and mount on the board tell")
        self.reason = reason


def _is_ours(name: str) -> bool:
    """Whether a file bears a hash, as those that are pushed do."""
    return re.fullmatch(r"[0-9a-f]{64}[A-Za-z0-9.]*", name) is not None


def _raw(remote: str) -> bytes:
    """Paths go as bytes: a name that is not UTF-8 must not end in a traceback."""
    return remote.encode("utf-8", "surrogateescape")


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
