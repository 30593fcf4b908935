"""adb's transport: packets of 24 bytes and their data, and the streams in one connection."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Queue

CNXN, AUTH, OPEN, OKAY, CLSE, WRTE = (
    int.from_bytes(name, "little") for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE")
)
MAX_DATA = 1 << 20

Write = Callable[[bytes], None]
Packet = tuple[int, int, int, bytes]


@dataclass
class Stream:
    """One service that the host has opened."""

    local: int
    remote: int
    incoming: Queue[bytes | None] = field(default_factory=Queue)
    acknowledged: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    closed: threading.Event = field(default_factory=threading.Event)
    rest: bytes = b""

    def read(self, size: int) -> bytes:
        """Exactly so many bytes that the host wrote. Raises EOFError where it closed the stream."""
        while len(self.rest) < size:
            block = self.incoming.get()
            if block is None:
                raise EOFError
            self.rest += block
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

    def end(self) -> None:
        """Wakes who waits on either side."""
        self.incoming.put(None)
        self.acknowledged.release()


Service = Callable[[Write, Stream], None]


class Connection:
    """A host's connection, once it is trusted: its streams, each served by a thread of its own.

    Args:
        service: gives what answers to a name; None refuses it.
        written: is told what a service has written and the host has acknowledged.
    """

    def __init__(self, link: socket.socket, service: Callable[[str], Service | None], written: Write) -> None:
        self._link, self._service, self._written = link, service, written
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}

    def send(self, command: int, arg0: int, arg1: int, data: bytes = b"") -> None:
        head = struct.pack("<6I", command, arg0, arg1, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        with self._lock, suppress(OSError):
            self._link.sendall(head + data)

    def receive(self) -> Packet:
        command, arg0, arg1, size, _, magic = struct.unpack("<6I", self._exactly(24))
        if magic != command ^ 0xFFFFFFFF:
            raise EOFError
        return command, arg0, arg1, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            block = self._link.recv(size - len(found))
            if not block:
                raise EOFError
            found += block
        return found

    def take(self, packet: Packet) -> None:
        """A packet that belongs to a stream."""
        command, arg0, arg1, data = packet
        if command == OPEN:
            self._open(arg0, data.rstrip(b"\0").decode(errors="surrogateescape"))
            return
        stream = self._streams.get(arg1)
        if stream is None:
            return
        if command == WRTE:
            stream.incoming.put(data)
            self.send(OKAY, stream.local, stream.remote)
        elif command == OKAY:
            stream.acknowledged.release()
        elif command == CLSE:
            self._close(stream)
            stream.end()

    def lost(self) -> None:
        """Nothing will come any more."""
        for stream in self._streams.values():
            stream.closed.set()
            stream.end()

    def _open(self, remote: int, name: str) -> None:
        service = self._service(name)
        if service is None:
            self.send(CLSE, 0, remote)
            return
        stream = self._streams[len(self._streams) + 1] = Stream(len(self._streams) + 1, remote)
        self.send(OKAY, stream.local, stream.remote)
        threading.Thread(target=self._serve, args=(service, stream), daemon=True).start()

    def _serve(self, service: Service, stream: Stream) -> None:
        def write(data: bytes) -> None:
            for start in range(0, len(data), MAX_DATA):
                if stream.closed.is_set():
                    raise EOFError
                self.send(WRTE, stream.local, stream.remote, data[start : start + MAX_DATA])
                stream.acknowledged.acquire()
            self._written(data)

        with suppress(EOFError, OSError):
            service(write, stream)
        self._close(stream)

    def _close(self, stream: Stream) -> None:
        if not stream.closed.is_set():
            stream.closed.set()
            self.send(CLSE, stream.local, stream.remote)
