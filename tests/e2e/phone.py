"""The other side of adb: a device that speaks its protocol over TCP to the real adb server.

Written after AOSP's packages/modules/adb/protocol.txt, SYNC.TXT and shell_protocol.h: CNXN, AUTH with RSA, OPEN, OKAY,
WRTE, CLSE; services `shell,v2,raw:` and `sync:`. Programs really run, under this machine's sh, with a few stand-ins for
Android's own (getprop, dumpsys, settings, ...) first on the path; /sys, /proc and /data are plain folders of the phone.
What it says of clocks and temperatures is made up. It can do what no real device does on demand: see `Faults`.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

A_CNXN, A_AUTH, A_OPEN, A_OKAY, A_CLSE, A_WRTE = (int.from_bytes(n, "little") for n in
    (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE"))  # fmt: skip
TOKEN, SIGNATURE, RSAPUBLICKEY = 1, 2, 3
VERSION, MAX_DATA = 0x01000001, 1 << 20
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
MAPPED = re.compile(rb"(?<![\w/])/(?=(?:data/local/tmp|sys|proc)\b)")
"""Paths of the phone in what it is told to run."""


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


class Phone:
    """A device that listens on a port of this machine.

    Args:
        root: the folder that holds its files.
        allows: whether its owner allows an unknown computer that asks.
    """

    def __init__(self, root: Path, properties: dict[str, str], *, allows: bool = True, authenticates: bool = True):
        self.root = root
        self.allows, self.authenticates = allows, authenticates
        self.faults = Faults()
        self.known_keys: list[tuple[int, int]] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.commands: list[str] = []
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.write("/prop", "".join(f"[{name}]: [{value}]\n" for name, value in properties.items()))
        self.path("/data/local/tmp/x").parent.mkdir(parents=True)
        self._install_stand_ins()
        self.boot()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def write(self, inside: str, text: str) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text)
        temporary.replace(path)

    def files(self) -> list[str]:
        """What lies in the folder that adb's shell may write."""
        base = self.path("/data/local/tmp")
        return sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_file())

    def running(self) -> list[int]:
        """The programs that have not ended."""
        return [process.pid for process in self.processes if process.poll() is None]

    def boot(self) -> None:
        """A fresh boot: another boot_id, a calm state."""
        bid = secrets.token_hex(16)
        self.write("/proc/sys/kernel/random/boot_id", f"{bid[:8]}-{bid[8:12]}-{bid[12:16]}-{bid[16:20]}-{bid[20:]}\n")
        self.write("/proc/loadavg", "0.50 0.40 0.30 1/1000 4242\n")
        self.write("/proc/meminfo", "MemTotal:        7777777 kB\nMemFree:  100000 kB\nMemAvailable:    4444444 kB\n")
        self.write("/sys/devices/system/cpu/possible", "0-3\n")
        for core in range(4):
            top = 1_800_000 if core < 2 else 2_800_000
            folder = f"/sys/devices/system/cpu/cpu{core}/cpufreq"
            for name, value in (("scaling_governor", "sched_pixel"), ("scaling_cur_freq", top // 2),
                                ("scaling_max_freq", top), ("cpuinfo_max_freq", top)):  # fmt: skip
                self.write(f"{folder}/{name}", f"{value}\n")
        self.write("/sys/class/thermal/thermal_zone0/type", "BIG\n")
        self.write("/sys/class/thermal/thermal_zone0/temp", "31000\n")
        self.write("/sys/class/thermal/thermal_zone1/type", "usb_pwr_therm\n")
        self.write("/sys/class/thermal/thermal_zone1/temp", "45000\n")
        self.thermal(0)
        self.write("/dump/battery", "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n"
                   "  Wireless powered: false\n  status: 2\n  level: 83\n  scale: 100\n"
                   "  temperature: 296\n")  # fmt: skip
        self.write("/dump/power", "POWER MANAGER (dumpsys power)\n  mWakefulness=Asleep\nDisplay Power: state=OFF\n")
        self.write("/settings/low_power", "0\n")

    def thermal(self, status: int, *, faked: bool = False) -> None:
        self.write("/dump/thermalservice", f"IsStatusOverride: {str(faked).lower()}\nThermalEventListeners:\n"
                   f"Thermal Status: {status}\nCached temperatures:\n"
                   "\tTemperature{mValue=33.0, mType=3, mName=VIRTUAL-SKIN, mStatus=0}\nHAL Ready: true\n"
                   "Current temperatures from HAL:\n"
                   f"\tTemperature{{mValue={33.5 + 4 * status}, mType=3, mName=VIRTUAL-SKIN, mStatus={status}}}\n"
                   "\tTemperature{mValue=29.6, mType=2, mName=battery, mStatus=0}\n"
                   "Current cooling devices from HAL:\n")  # fmt: skip

    def install(self, name: str, script: str) -> None:
        """Puts a program on the path."""
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def _install_stand_ins(self) -> None:
        root = self.root
        self.install("getprop", f"#!/bin/sh\ncat '{root}/prop'\n")
        self.install("dumpsys", f"#!/bin/sh\ncat '{root}/dump/'\"$1\"\n")
        self.install("settings", f"#!/bin/sh\ncat '{root}/settings/'\"$3\"\n")
        self.install("cmd", f"#!/bin/sh\necho \"$@\" >> '{root}/cmd.log'\n")
        self.install(
            "stat", f'#!/bin/sh\ncase "$1" in -f) echo "$(cat \'{root}/free\') 1";; *) exec /usr/bin/stat "$@";; esac\n'
        )
        self.install("mkdir", f"#!/bin/sh\n[ -e '{root}/readonly' ] || exec /bin/mkdir \"$@\"\n"
                     "echo \"mkdir: '$2': Read-only file system\" >&2\nexit 1\n")  # fmt: skip
        self.install("taskset", '#!/bin/sh\necho "taskset $1" >&2\nshift\nexec "$@"\n')

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
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._connections.clear()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    # The transport: packets of 24 bytes and their data.

    def _send(self, connection: socket.socket, command: int, arg0: int, arg1: int, data: bytes = b"") -> None:
        head = struct.pack("<6I", command, arg0, arg1, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        with self._lock, suppress(OSError):
            connection.sendall(head + data)

    def _serve(self, connection: socket.socket) -> None:
        streams: dict[int, Stream] = {}
        token = secrets.token_bytes(20)
        trusted = not self.authenticates
        try:
            while True:
                command, arg0, arg1, data = _packet(connection)
                if command == A_CNXN and not self.faults.offline:
                    self._greet(connection) if trusted else self._send(connection, A_AUTH, TOKEN, 0, token)
                elif command == A_AUTH and arg0 == SIGNATURE:
                    trusted = any(_verifies(key, token, data) for key in self.known_keys)
                    token = token if trusted else secrets.token_bytes(20)
                    self._greet(connection) if trusted else self._send(connection, A_AUTH, TOKEN, 0, token)
                elif command == A_AUTH and arg0 == RSAPUBLICKEY and self.allows:
                    self.known_keys.append(_public_key(data))
                    trusted = True
                    self._greet(connection)
                elif trusted:
                    self._stream(connection, streams, command, arg0, arg1, data)
        except (OSError, EOFError, struct.error):
            for stream in streams.values():
                stream.closed.set()
                stream.incoming.put(None)
                stream.acknowledged.release()

    def _greet(self, connection: socket.socket) -> None:
        banner = f"device::ro.product.name=double;ro.product.model=double;features={self.faults.features}"
        self._send(connection, A_CNXN, VERSION, MAX_DATA, banner.encode())

    def _stream(self, connection: socket.socket, streams: dict[int, Stream], command: int, arg0: int, arg1: int,
                data: bytes) -> None:  # fmt: skip
        if command == A_OPEN:
            stream = streams[len(streams) + 1] = Stream(len(streams) + 1, arg0)
            service = data.rstrip(b"\0").decode(errors="surrogateescape")
            handler = self._service(service)
            if handler is None:
                self._send(connection, A_CLSE, 0, arg0)
                return
            self._send(connection, A_OKAY, stream.local, stream.remote)
            threading.Thread(target=self._handle, args=(handler, connection, stream), daemon=True).start()
        elif command == A_WRTE and arg1 in streams:
            streams[arg1].incoming.put(data)
            self._send(connection, A_OKAY, arg1, arg0)
        elif command == A_OKAY and arg1 in streams:
            streams[arg1].acknowledged.release()
        elif command == A_CLSE and arg1 in streams:
            stream = streams[arg1]
            if not stream.closed.is_set():
                stream.closed.set()
                self._send(connection, A_CLSE, stream.local, stream.remote)
            stream.incoming.put(None)
            stream.acknowledged.release()

    def _service(self, service: str) -> Callable[[Callable[[bytes], None], Stream], None] | None:
        if service.startswith("shell,v2,raw:"):
            return lambda write, stream: self._shell(service.partition(":")[2], write, stream)
        if service == "sync:":
            return self._sync
        return None

    def _handle(self, handler: Callable[[Callable[[bytes], None], Stream], None], connection: socket.socket,
                stream: Stream) -> None:  # fmt: skip
        def write(data: bytes) -> None:
            for start in range(0, len(data), MAX_DATA):
                if stream.closed.is_set():
                    raise EOFError
                self._send(connection, A_WRTE, stream.local, stream.remote, data[start : start + MAX_DATA])
                stream.acknowledged.acquire()
            if self.faults.cut_after is not None and self.faults.cut_after in data:
                self.power_cut()

        with suppress(EOFError, OSError):
            handler(write, stream)
        if not stream.closed.is_set():
            stream.closed.set()
            self._send(connection, A_CLSE, stream.local, stream.remote)

    # shell,v2

    def _shell(self, line: str, write: Callable[[bytes], None], stream: Stream) -> None:
        self.commands.append(line)
        seemed = self.faults.seemed_free_bytes
        self.write("/free", str(self.faults.free_bytes if seemed is None else seemed))
        (self.root / "readonly").touch() if self.faults.read_only else (self.root / "readonly").unlink(missing_ok=True)
        prefix = f"{self.root}/".encode()
        script = MAPPED.sub(prefix, line.encode(errors="surrogateescape"))
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}", "LC_ALL": "C"}
        pipe = subprocess.PIPE
        process = subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe, stderr=pipe,
                                   start_new_session=True, env=environment)  # fmt: skip
        self.processes.append(process)
        lock = threading.Lock()

        def pump(kind: int, source: int) -> None:
            with suppress(EOFError, OSError):
                while block := os.read(source, 1 << 14):
                    block = block.replace(str(self.root).encode(), b"")
                    with lock:
                        write(struct.pack("<BI", kind, len(block)) + block)

        def feed() -> None:
            assert process.stdin is not None
            with suppress(EOFError, OSError):
                while True:
                    kind, size = struct.unpack("<BI", stream.read(5))
                    data = stream.read(size)
                    if kind == 3 or (kind == 0 and process.stdin.closed):
                        break
                    if kind == 0:
                        process.stdin.write(MAPPED.sub(prefix, data))
                        process.stdin.flush()
                    elif not process.stdin.closed:
                        process.stdin.close()

        assert process.stdout is not None and process.stderr is not None
        pumps = [threading.Thread(target=pump, args=(1, process.stdout.fileno())),
                 threading.Thread(target=pump, args=(2, process.stderr.fileno()))]  # fmt: skip
        for thread in (*pumps, threading.Thread(target=feed, daemon=True)):
            thread.start()
        for thread in pumps:
            thread.join()
        code = process.wait()
        process.stdout.close()
        process.stderr.close()
        write(struct.pack("<BIB", 3, 1, 128 - code if code < 0 else code))

    # sync

    def _sync(self, write: Callable[[bytes], None], stream: Stream) -> None:
        while True:
            kind, size = struct.unpack("<4sI", stream.read(8))
            argument = stream.read(size).decode(errors="surrogateescape") if kind != b"QUIT" else ""
            if kind == b"SEND":
                self._receive(argument, write, stream)
            elif kind == b"RECV":
                self._give(argument, write)
            else:
                return

    def _receive(self, argument: str, write: Callable[[bytes], None], stream: Stream) -> None:
        name, _, mode = argument.rpartition(",")
        path, content, problem = self.path(name), bytearray(), ""
        while True:
            kind, size = struct.unpack("<4sI", stream.read(8))
            if kind == b"DONE":
                break
            content += stream.read(size)
        if self.faults.read_only:
            problem = "couldn't create file: Read-only file system"
        elif not path.parent.is_dir():
            problem = "couldn't create file: No such file or directory"
        elif len(content) > self.faults.free_bytes:
            content = content[: self.faults.free_bytes]
            problem = "write failed: No space left on device"
        if self.faults.corrupt and content:
            content[-1] ^= 1
        if not self.faults.read_only and path.parent.is_dir():
            path.write_bytes(content)
            path.chmod(int(mode) & 0o777)
        write(b"FAIL" + struct.pack("<I", len(problem)) + problem.encode() if problem else b"OKAY\0\0\0\0")

    def _give(self, name: str, write: Callable[[bytes], None]) -> None:
        try:
            content = self.path(name).read_bytes()
        except OSError as error:
            problem = f"open failed: {error.strerror}".encode()
            write(b"FAIL" + struct.pack("<I", len(problem)) + problem)
            return
        for start in range(0, len(content), 1 << 16):
            block = content[start : start + (1 << 16)]
            write(b"DATA" + struct.pack("<I", len(block)) + block)
        write(b"DONE\0\0\0\0")


def _packet(connection: socket.socket) -> tuple[int, int, int, bytes]:
    command, arg0, arg1, size, _, magic = struct.unpack("<6I", _exactly(connection, 24))
    if magic != command ^ 0xFFFFFFFF:
        raise EOFError
    return command, arg0, arg1, _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        block = connection.recv(size - len(found))
        if not block:
            raise EOFError
        found += block
    return found


def _public_key(data: bytes) -> tuple[int, int]:
    """Modulus and exponent of adb's own format: words, n0inv, modulus, R^2, exponent, in base64."""
    blob = base64.b64decode(data.split(b" ")[0].rstrip(b"\0"))
    words = int.from_bytes(blob[:4], "little")
    return int.from_bytes(blob[8 : 8 + 4 * words], "little"), int.from_bytes(blob[8 + 8 * words :][:4], "little")


def _verifies(key: tuple[int, int], token: bytes, signature: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 with SHA-1, where the token itself is the digest (adb's way)."""
    modulus, exponent = key
    size = (modulus.bit_length() + 7) // 8
    message = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    info = SHA1_INFO + token
    return message == b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
