"""The service `sync:`: files both ways (AOSP's SYNC.TXT)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ._files import Files
from ._wire import Stream, Write

if TYPE_CHECKING:
    from . import Faults

BLOCK_BYTES = 1 << 16


def serve(files: Files, faults: Faults, write: Write, stream: Stream) -> None:
    """Until the host quits."""
    while True:
        kind, size = struct.unpack("<4sI", stream.read(8))
        argument = stream.read(size).decode(errors="surrogateescape") if kind != b"QUIT" else ""
        if kind == b"SEND":
            _receive(files, faults, argument, write, stream)
        elif kind == b"RECV":
            _give(files, argument, write)
        else:
            return


def _receive(files: Files, faults: Faults, argument: str, write: Write, stream: Stream) -> None:
    name, _, mode = argument.rpartition(",")
    path, content, problem = files.path(name), bytearray(), ""
    while True:
        kind, size = struct.unpack("<4sI", stream.read(8))
        if kind == b"DONE":
            break
        content += stream.read(size)
    if faults.read_only:
        problem = "couldn't create file: Read-only file system"
    elif not path.parent.is_dir():
        problem = "couldn't create file: No such file or directory"
    elif len(content) > faults.free_bytes:
        content = content[: faults.free_bytes]
        problem = "write failed: No space left on device"
    if faults.corrupt and content:
        content[-1] ^= 1
    if not faults.read_only and path.parent.is_dir():
        path.write_bytes(content)
        path.chmod(int(mode) & 0o777)
    write(_message(b"FAIL", problem.encode()) if problem else b"OKAY\0\0\0\0")


def _give(files: Files, name: str, write: Write) -> None:
    try:
        content = files.path(name).read_bytes()
    except OSError as error:
        write(_message(b"FAIL", f"open failed: {error.strerror}".encode()))
        return
    for start in range(0, len(content), BLOCK_BYTES):
        write(_message(b"DATA", content[start : start + BLOCK_BYTES]))
    write(b"DONE\0\0\0\0")


def _message(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data
