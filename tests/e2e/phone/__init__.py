"""The other side of adb: a device that speaks its protocol over TCP to the real adb server.

Written after AOSP's packages/modules/adb/protocol.txt, SYNC.TXT and shell_protocol.h: CNXN, AUTH with RSA, OPEN, OKAY,
WRTE, CLSE; services `shell,v2,raw:` and `sync:`. Programs really run, under this machine's sh, with a few stand-ins for
Android's own (getprop, dumpsys, settings, ...) first on the path; /sys, /proc and /data are plain folders of the phone.
What it says of clocks and temperatures is made up. It can do what no real device does on demand: see `Faults`.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import _sync
from ._files import Files
from ._keys import Key, public_key, verifies
from ._shell import Shell
from ._wire import AUTH, CNXN, MAX_DATA, Connection, Service, Stream, Write

TOKEN, SIGNATURE, RSAPUBLICKEY = 1, 2, 3
VERSION = 0x01000001


@dataclass
class Faults:
    """What is wrong with the device at the moment.

    Args:
        offline: it never finishes the handshake.
        free_bytes: what the file system of /data takes.
        seemed_free_bytes: what it says to take, where that is something else.
        read_only: the same file system cannot be written.
        cut_after: the power goes when this has been in what a program wrote.
        corrupt: files arrive with a byte changed.
        features: that it says to have.
    """

    offline: bool = False
    free_bytes: int = 10_000_000_000
    seemed_free_bytes: int | None = None
    read_only: bool = False
    cut_after: bytes | None = None
    corrupt: bool = False
    features: str = "shell_v2,cmd"


class Phone(Files):
    """A device that listens on a port of this machine.

    Args:
        root: the folder that holds its files.
        port: where it listens.
        known_keys: of the computers that its owner has allowed.
        allows: whether its owner allows an unknown computer that asks.
    """

    def __init__(
        self, root: Path, properties: dict[str, str], port: int, known_keys: Sequence[Key] = (), *, allows: bool = True
    ) -> None:
        super().__init__(root, properties)
        self.port, self.allows = port, allows
        self.faults = Faults()
        self.known_keys = list(known_keys)
        self.commands: list[str] = []
        self._shell = Shell(root)
        self.running = self._shell.running
        self._links: list[socket.socket] = []
        self.power_on()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def power_on(self) -> None:
        """It boots, and listens where it listened before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.boot()
        threading.Thread(target=self._listen, daemon=True).start()

    def power_cut(self) -> None:
        """Everything stops at once: no packet says so, and nobody listens any more."""
        # Closing alone would leave the thread that waits for a connection waiting, and take one more.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop()

    def reboot(self) -> None:
        """The same, and it comes back with another boot_id."""
        self._drop()
        self.boot()

    def close(self) -> None:
        self.power_cut()
        shutil.rmtree(self.root, ignore_errors=True)

    def _drop(self) -> None:
        self._shell.kill()
        self.unplug()

    def unplug(self) -> None:
        """The connections end, and what runs runs on."""
        while self._links:
            link = self._links.pop()
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _listen(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self._links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        connection = Connection(link, self._service, self._cut_if_told)
        try:
            self._trust(connection)
            while True:
                connection.take(connection.receive())
        except (OSError, EOFError, struct.error):
            connection.lost()

    def _trust(self, connection: Connection) -> None:
        """The handshake; it ends when the host's key is known, or allowed."""
        token = secrets.token_bytes(20)
        while True:
            command, kind, _, data = connection.receive()
            if command == CNXN and not self.faults.offline:
                connection.send(AUTH, TOKEN, 0, token)
            elif command == AUTH and kind == SIGNATURE:
                if any(verifies(key, token, data) for key in self.known_keys):
                    break
                token = secrets.token_bytes(20)
                connection.send(AUTH, TOKEN, 0, token)
            elif command == AUTH and kind == RSAPUBLICKEY and self.allows:
                self.known_keys.append(public_key(data))
                break
        banner = f"device::ro.product.name=double;ro.product.model=double;features={self.faults.features}"
        connection.send(CNXN, VERSION, MAX_DATA, banner.encode())

    def _service(self, name: str) -> Service | None:
        if name.startswith("shell,v2,raw:"):
            return partial(self._run, name.partition(":")[2])
        return partial(_sync.serve, self, self.faults) if name == "sync:" else None

    def _run(self, line: str, write: Write, stream: Stream) -> None:
        self.commands.append(line)
        seemed = self.faults.seemed_free_bytes
        self.write("/free", str(self.faults.free_bytes if seemed is None else seemed))
        (self.root / "readonly").touch() if self.faults.read_only else (self.root / "readonly").unlink(missing_ok=True)
        self._shell.serve(line, write, stream)

    def _cut_if_told(self, written: bytes) -> None:
        if self.faults.cut_after is not None and self.faults.cut_after in written:
            self.power_cut()
