"""What is said to the adb server: services and the shell protocol (v2), each under one deadline.

The formats are those of AOSP's packages/modules/adb: SERVICES.TXT and shell_protocol.h. adbutils brings the
adb program and the connection; its own shell and push lose the exit code and the text of an error.
"""

from __future__ import annotations

import re
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgeeff.errors import DeviceError

if TYPE_CHECKING:
    from adbutils import AdbConnection

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
"""Kinds of packets of the shell protocol: one byte, then the length as four bytes, little-endian."""

BLOCK_BYTES = 64 * 1024
"""The most that goes into one packet."""


class LostError(Exception):
    """The connection ended where more was due."""


class RefusedError(Exception):
    """The server or the device answered FAIL; the text is theirs."""


def left(deadline: float) -> float:
    """Seconds until a deadline of time.monotonic(). Raises TimeoutError where it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def quoted(argv: Sequence[str]) -> str:
    """An argument list as the one line that the device's shell takes apart again into the same list.

    Single quotes keep everything from mksh and sh alike. The program is always in quotes, so that it is neither a
    keyword nor an assignment nor an alias.

    Raises:
        DeviceError: an argument holds a NUL, which none can.
    """
    for argument in argv:
        if "\0" in argument:
            raise DeviceError(f"the argument {argument!r} holds a NUL character", "rename what it names")
    inside = [a if re.fullmatch(r"[A-Za-z0-9_./-]+", a) else "'" + a.replace("'", "'\\''") + "'" for a in argv[1:]]
    return " ".join(["'" + argv[0].replace("'", "'\\''") + "'", *inside])


def shell_packets(connection: AdbConnection, outgoing: bytearray, deadline: float) -> Iterator[tuple[int, bytes]]:
    """The packets that come of a `shell,v2,raw:` service; ends behind the exit packet.

    Args:
        outgoing: packets to be sent (see `shell_input`); more may be put into it while these are read.

    Raises:
        LostError: the connection ended without an exit packet: the device is gone.
        TimeoutError
    """
    conn = connection.conn
    conn.setblocking(False)
    incoming = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(conn, selectors.EVENT_READ)
        while True:
            selector.modify(conn, selectors.EVENT_READ | (selectors.EVENT_WRITE if outgoing else 0))
            for _, mask in selector.select(left(deadline)):
                if mask & selectors.EVENT_WRITE:
                    _send_some(conn, outgoing)
                if mask & selectors.EVENT_READ:
                    incoming += _receive_some(conn)
            for kind, payload in _taken(incoming):
                yield kind, payload
                if kind == EXIT:
                    return


def shell_input(stdin: bytes) -> bytes:
    """The packets of a whole standard input, and its end."""
    blocks = (stdin[i : i + BLOCK_BYTES] for i in range(0, len(stdin), BLOCK_BYTES))
    return b"".join(_packet(STDIN, block) for block in blocks) + _packet(CLOSE_STDIN, b"")


def _packet(kind: int, payload: bytes) -> bytes:
    return struct.pack("<BI", kind, len(payload)) + payload


def _send_some(conn: socket.socket, outgoing: bytearray) -> None:
    try:
        sent = conn.send(outgoing[:BLOCK_BYTES])
    except BlockingIOError:
        return
    except OSError:
        sent = len(outgoing)  # it reads no more; why, its packets say, or their absence
    del outgoing[:sent]


def _receive_some(conn: socket.socket) -> bytes:
    try:
        block = conn.recv(1 << 16)
    except BlockingIOError:
        return b""
    except OSError as error:
        raise LostError(str(error)) from error
    if not block:
        raise LostError("the connection was closed")
    return block


def _taken(incoming: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes the whole packets off the front."""
    while len(incoming) >= 5:
        kind, size = struct.unpack_from("<BI", incoming)
        if len(incoming) < 5 + size:
            return
        payload = bytes(incoming[5 : 5 + size])
        del incoming[: 5 + size]
        yield kind, payload


def request(connection: AdbConnection, service: str) -> None:
    """Asks for a service and reads whether it is given."""
    encoded = service.encode(errors="surrogateescape")
    connection.conn.sendall(b"%04x" % len(encoded) + encoded)
    answer = exactly(connection, 4)
    if answer == b"OKAY":
        return
    if answer == b"FAIL":
        raise RefusedError(exactly(connection, int(exactly(connection, 4), 16)).decode(errors="replace"))
    raise LostError(f"the adb server sent {answer!r}")


def exactly(connection: AdbConnection, size: int) -> bytes:
    """So many bytes. Raises LostError where the connection ends before."""
    found = bytearray()
    while len(found) < size:
        block = connection.conn.recv(size - len(found))
        if not block:
            raise LostError("the connection was closed")
        found += block
    return bytes(found)
