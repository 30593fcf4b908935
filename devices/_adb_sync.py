"""Files to and from an Android device, over the sync protocol of adb (AOSP's packages/modules/adb, SYNC.TXT)."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ._adb_wire import LostError, RefusedError, exactly, left

if TYPE_CHECKING:
    from adbutils import AdbConnection

BLOCK_BYTES = 64 * 1024
"""The most that one DATA message may hold."""


def send_file(connection: AdbConnection, path: Path, remote: str, mode: int, deadline: float) -> None:
    """Writes a file on the device, over a `sync:` service.

    Raises:
        RefusedError: the device's reason, for example "couldn't create file: Read-only file system".
        LostError, TimeoutError
    """
    try:
        _sync(connection, b"SEND", f"{remote},{0o100000 | mode}")
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                connection.conn.settimeout(left(deadline))
                connection.conn.sendall(b"DATA" + struct.pack("<I", len(block)) + block)
        connection.conn.sendall(b"DONE" + struct.pack("<I", int(time.time())))
    except TimeoutError:
        raise
    except OSError:
        pass  # it stopped reading: it has said why
    _check_sync(connection)


def receive_file(connection: AdbConnection, remote: str, path: Path, deadline: float) -> None:
    """Fetches a file over a `sync:` service. Raises RefusedError, LostError or TimeoutError."""
    try:
        _sync(connection, b"RECV", remote)
        with path.open("wb") as file:
            while True:
                connection.conn.settimeout(left(deadline))
                kind, size = struct.unpack("<4sI", exactly(connection, 8))
                if kind == b"DONE":
                    return
                if kind == b"FAIL":
                    raise RefusedError(exactly(connection, size).decode(errors="replace"))
                if kind != b"DATA" or size > BLOCK_BYTES:
                    raise LostError(f"the device sent {kind!r}")
                file.write(exactly(connection, size))
    except (ConnectionError, BrokenPipeError) as error:
        raise LostError(str(error)) from error


def _sync(connection: AdbConnection, kind: bytes, argument: str) -> None:
    encoded = argument.encode(errors="surrogateescape")
    connection.conn.sendall(kind + struct.pack("<I", len(encoded)) + encoded)


def _check_sync(connection: AdbConnection) -> None:
    try:
        kind, size = struct.unpack("<4sI", exactly(connection, 8))
        if kind == b"OKAY":
            return
        if kind != b"FAIL":
            raise LostError(f"the device sent {kind!r}")
        raise RefusedError(exactly(connection, size).decode(errors="replace"))
    except TimeoutError:
        raise
    except OSError as error:
        raise LostError(str(error)) from error
