"""Carries connections from one address to another, as a process of its own or as a thread.

    python relay.py unix:PATH tcp:PORT -- PROGRAM ARGUMENT...

What listens in a network namespace is reached from outside by a Unix socket, which is a file and so in both. The
program is started beside it, and both end together.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path


def listen(address: str) -> socket.socket:
    """A listening socket at "unix:PATH" or "tcp:PORT" (of 127.0.0.1; 0 takes a free one)."""
    kind, _, where = address.partition(":")
    if kind == "tcp":
        return socket.create_server(("127.0.0.1", int(where)))
    Path(where).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(where)
    listener.listen()
    return listener


def connect(address: str) -> socket.socket:
    kind, _, where = address.partition(":")
    if kind == "tcp":
        return socket.create_connection(("127.0.0.1", int(where)))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(where)
    return connection


def carry(source: socket.socket, target: socket.socket) -> None:
    """One direction, to its end."""
    with contextlib.suppress(OSError):
        while block := source.recv(1 << 16):
            target.sendall(block)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def serve(listener: socket.socket, to: str) -> None:
    """Carries each connection, until the listener is closed."""
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            try:
                far = connect(to)
            except OSError:
                near.close()
                continue
            for pair in ((near, far), (far, near)):
                threading.Thread(target=carry, args=pair, daemon=True).start()


if __name__ == "__main__":
    start, target, _, *program = sys.argv[1:]
    threading.Thread(target=serve, args=(listen(start), target), daemon=True).start()
    sys.exit(subprocess.run(program, check=False).returncode)
