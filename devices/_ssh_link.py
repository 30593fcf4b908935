"""One SSH connection, for callers that wait: asyncssh on an event loop of its own, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from edgeeff.errors import DeviceError, MeasurementError

from ._process import LINE_BYTES, Tail
from ._ssh_address import Address
from ._ssh_connect import CONNECT_S, connect
from ._ssh_errors import no_shell
from ._ssh_shell import KILL, NOT_FOUND, RUN, encoded, started

T = TypeVar("T")

KILL_S = 10.0


class LostError(DeviceError):
    """The connection was there and is gone."""


class Link:
    """A connection that is open. `close` ends it and its thread.

    Raises:
        DeviceError: it cannot be opened.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"{address}", daemon=True)
        self._thread.start()
        try:
            self._connection = self.wait(connect(address), CONNECT_S * 3)
        except BaseException:
            self._stop()
            raise

    def wait(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Runs a coroutine on the connection's loop to its end.

        Raises:
            DeviceError: the connection was lost, or no answer came in time.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            raise LostError(f"{self.address} does not answer within {timeout_s:g} s", _LOST_CURE) from None
        except (asyncssh.DisconnectError, asyncssh.ChannelOpenError, ConnectionError, BrokenPipeError) as error:
            raise self.lost(error) from error
        finally:
            future.cancel()  # where Ctrl-C or the clock came first

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        return self._connection

    def require(self) -> None:
        """Raises where the connection is gone: what failed then failed for that."""
        if self._connection.is_closed():
            raise self.lost()

    def lost(self, error: BaseException | None = None) -> LostError:
        """The error for a connection that was there and is gone."""
        reason = f": {getattr(error, 'reason', '') or error}" if error is not None else ""
        return LostError(f"the connection to {self.address} was lost{reason}", _LOST_CURE)

    def lines(
        self,
        argv: Sequence[str],
        *,
        stdin: str,
        timeout_s: float,
        on_stderr: Callable[[str], None] | None,
        on_start: Callable[[int], None] = lambda pid: None,
    ) -> Iterator[str]:
        """Runs a program there; see `protocols.Device.run`. Whatever ends it, its process group is killed."""
        running = _Running(self, argv, stdin, on_stderr)
        name = Path(argv[1] if len(argv) > 1 and not argv[1].startswith("-") else argv[0]).name
        deadline = time.monotonic() + timeout_s
        try:
            self.wait(running.start(), min(timeout_s, CONNECT_S))
            for line in running.until(deadline):
                if running.pid is None and (pid := started(line)) is not None:
                    running.pid = pid
                    on_start(pid)
                else:
                    running.answer = line.strip() or running.answer
                    yield line
        except TimeoutError:
            message = f"{name} did not finish within {timeout_s:g} s and was killed"
            raise MeasurementError(message, running.tail.text()) from None
        finally:
            running.end()
        running.check(name)

    def kill(self, pid: int) -> None:
        """Kills a process group over a channel of its own."""

        async def kill() -> None:
            await self._connection.run(KILL, input=f"{pid}\n".encode(), encoding=None, check=False)

        self.wait(kill(), KILL_S)

    def close(self) -> None:
        """May be called twice."""
        if not self._thread.is_alive():
            return

        async def close() -> None:
            self._connection.close()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._connection.wait_closed(), 2.0)

        with contextlib.suppress(Exception):
            self.wait(close(), 3.0)
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        if not self._thread.is_alive():
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


_LOST_CURE = "see whether the board is still up and in the network, and run it again; what was measured before is kept"


class _Running:
    """A program that runs on the board. Tasks on the loop read its pipes; the caller takes lines from a queue."""

    def __init__(self, link: Link, argv: Sequence[str], stdin: str, on_stderr: Callable[[str], None] | None) -> None:
        self.pid: int | None = None
        self.answer = ""
        """The last line that was no empty one; of the login shell itself where nothing was started."""
        self.tail = Tail(on_stderr)
        self._has_ended = False
        self._link, self._argv, self._stdin = link, argv, stdin
        self._process: asyncssh.SSHClientProcess[bytes] | None = None
        self._lines: queue.SimpleQueue[bytes | BaseException | None] = queue.SimpleQueue()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        process = await self._link.connection.create_process(RUN, encoding=None)
        self._process = process
        self._tasks = [asyncio.create_task(work) for work in (self._write(process), self._read(process))]

    def until(self, deadline: float) -> Iterator[str]:
        """The lines of standard output, to their end.

        Raises:
            TimeoutError: the deadline passed.
            DeviceError: the connection was lost.
        """
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError from None
            if isinstance(line, BaseException):
                raise line
            if line is None:
                self._has_ended = True
                return
            yield line.decode(errors="replace").rstrip("\n")

    def end(self) -> None:
        """Kills what is left of the program and its children, and frees its channel."""
        if self._process is None or self._is_lost():
            return
        if self.pid is None and not self._has_ended:
            # Interrupted before its first line was read: it may be on its way.
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=1.0)
                self.pid = started(line.decode(errors="replace")) if isinstance(line, bytes) else None
        if self.pid is not None:
            with contextlib.suppress(DeviceError):
                self._link.kill(self.pid)
        with contextlib.suppress(DeviceError):
            self._link.wait(self._close(), KILL_S)

    def check(self, name: str) -> None:
        """Raises how it ended, where that was not well."""
        assert self._process is not None
        signal, code = self._process.exit_signal, self._process.exit_status
        if signal is not None:
            raise MeasurementError(f"{name} was killed by SIG{signal[0]}", self.tail.text())
        if code is None or self._is_lost():
            raise self._link.lost()
        if code == NOT_FOUND and self.pid is None:
            raise DeviceError(
                f"there is no program {self._argv[0]} on {self._link.address}",
                "install it there",
            )
        if self.pid is None:
            raise no_shell(self._link.address, self.tail.text().rpartition("\n")[2] or self.answer, code)
        if code != 0:
            raise MeasurementError(f"{name} ended with exit code {code}", self.tail.text())

    def _is_lost(self) -> bool:
        return self._link.connection.is_closed()

    async def _write(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        # A program that does not read its input must not hold us up, and one that has ended is no error here.
        with contextlib.suppress(OSError, asyncssh.Error):
            process.stdin.write(encoded(self._argv) + self._stdin.encode())
            process.stdin.write_eof()
            await process.stdin.drain()

    async def _read(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        errors = asyncio.create_task(self._read_errors(process))
        try:
            pending = bytearray()
            while block := await process.stdout.read(1 << 16):
                *complete, rest = block.split(b"\n")
                for end in complete:
                    self._lines.put(bytes(pending + end))
                    pending.clear()
                pending += rest
                if len(pending) > LINE_BYTES:
                    raise MeasurementError(f"it wrote a line longer than {LINE_BYTES >> 20} MB", self.tail.text())
            if pending:
                self._lines.put(bytes(pending))
            await errors
            await process.wait_closed()
            self._lines.put(None)
        except (asyncssh.Error, OSError) as error:
            self._lines.put(self._link.lost(error))
        except MeasurementError as error:
            self._lines.put(error)
        finally:
            errors.cancel()

    async def _read_errors(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        while block := await process.stderr.read(1 << 16):
            self.tail.feed(block)
        self.tail.end()

    async def _close(self) -> None:
        if self._process is not None:
            self._process.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
