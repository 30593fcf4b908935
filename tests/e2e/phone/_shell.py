"""The service `shell,v2,raw:`: a program's outputs apart, its input, and its exit code (AOSP's shell_protocol.h)."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from ._wire import Stream, Write

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
MAPPED = re.compile(rb"(?<![\w/])/(?=(?:data/local/tmp|sys|proc)\b)")
"""Paths of the phone in what it is told to run."""


class Shell:
    """Runs what it is told under this machine's sh, with the phone's folders in the place of /data, /sys and /proc."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._processes: list[subprocess.Popen[bytes]] = []

    def running(self) -> list[int]:
        """The programs that have not ended."""
        return [process.pid for process in self._processes if process.poll() is None]

    def kill(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError, PermissionError):  # it may be gone, and its number another's
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def serve(self, line: str, write: Write, stream: Stream) -> None:
        process = self._started(line)
        assert process.stdout is not None and process.stderr is not None
        lock = threading.Lock()

        def send(kind: int, data: bytes) -> None:
            with lock:
                write(struct.pack("<BI", kind, len(data)) + data)

        def pump(kind: int, source: int) -> None:
            with suppress(EOFError, OSError):
                while block := os.read(source, 1 << 14):
                    send(kind, block.replace(str(self._root).encode(), b""))

        pumps = [
            threading.Thread(target=pump, args=(kind, pipe.fileno()))
            for kind, pipe in ((STDOUT, process.stdout), (STDERR, process.stderr))
        ]
        for thread in (*pumps, threading.Thread(target=self._feed, args=(process, stream), daemon=True)):
            thread.start()
        for thread in pumps:
            thread.join()
        code = process.wait()
        process.stdout.close()
        process.stderr.close()
        send(EXIT, bytes([128 - code if code < 0 else code]))

    def _started(self, line: str) -> subprocess.Popen[bytes]:
        script = MAPPED.sub(self._prefix(), line.encode(errors="surrogateescape"))
        environment = {**os.environ, "PATH": f"{self._root}/bin:{os.environ['PATH']}", "LC_ALL": "C"}
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            ["sh", "-c", script], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env=environment
        )
        self._processes.append(process)
        return process

    def _feed(self, process: subprocess.Popen[bytes], stream: Stream) -> None:
        """The host's input to the program."""
        assert process.stdin is not None
        with suppress(EOFError, OSError):
            while True:
                kind, size = struct.unpack("<BI", stream.read(5))
                data = stream.read(size)
                if kind == EXIT or (kind == STDIN and process.stdin.closed):
                    break
                if kind == STDIN:
                    process.stdin.write(MAPPED.sub(self._prefix(), data))
                    process.stdin.flush()
                elif not process.stdin.closed:
                    process.stdin.close()

    def _prefix(self) -> bytes:
        return f"{self._root}/".encode()
