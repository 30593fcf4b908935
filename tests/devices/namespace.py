"""Starts a program that can run another architecture's programs, and touches nothing of this machine for it.

    python namespace.py --interpreter qemu-aarch64-static [--bind FROM TO]... [--alone] -- PROGRAM ARGUMENT...

The program gets a user and a mount namespace of its own, in which the kernel's table of binary formats (binfmt_misc,
which has one a user namespace since Linux 6.7) names qemu for arm64. With --alone it sees no network but a loopback
device of its own, and whatever it starts ends with it. Only the superuser can give it more than one user id, which sshd
needs.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40

# ELF, 64 bits, little-endian, version 1, any ABI; executable or shared; machine 183 (AArch64).
MAGIC = "".join(f"\\x{byte:02x}" for byte in b"\x7fELF\x02\x01\x01\x00" + bytes(8) + b"\x02\x00\xb7\x00")
MASK = "".join(f"\\x{byte:02x}" for byte in b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff")

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise SystemExit(f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int = 0) -> None:
    encoded = None if kind is None else kind.encode()
    check(libc.mount(source.encode(), target.encode(), encoded, flags, None), f"mounting {target}")


def enter(flags: int) -> None:
    """New namespaces for this process; a child that stays outside maps the users."""
    ready = os.pipe()
    uid, gid, target = os.getuid(), os.getgid(), os.getpid()
    child = os.fork()
    if child == 0:
        os.close(ready[1])
        os.read(ready[0], 1)
        process = Path(f"/proc/{target}")
        if uid == 0:
            for name in ("uid_map", "gid_map"):
                (process / name).write_text("0 0 65536\n")
        else:
            (process / "setgroups").write_text("deny")
            (process / "uid_map").write_text(f"0 {uid} 1\n")
            (process / "gid_map").write_text(f"0 {gid} 1\n")
        os._exit(0)
    check(libc.unshare(flags), "unshare")
    os.write(ready[1], b"x")
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit("the users of the namespace cannot be mapped")
    for end in ready:
        os.close(end)


def register(interpreter: str, folder: Path) -> None:
    """Tells this namespace's kernel table who runs arm64. F: the program is opened now, so it is found in any root."""
    mount("binfmt_misc", str(folder), "binfmt_misc")
    (folder / "register").write_text(f":qemu-aarch64:M::{MAGIC}:{MASK}:{interpreter}:F")


def set_loopback_up() -> None:
    """A new network namespace has a loopback device that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--interpreter", required=True)
    parser.add_argument("--bind", nargs=2, action="append", default=[])
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    enter(CLONE_NEWUSER | CLONE_NEWNS | (CLONE_NEWNET | CLONE_NEWPID if options.alone else 0))
    if options.alone:
        # The first process of the new namespace; when it ends, the kernel ends all others in it.
        child = os.fork()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    for source, target in options.bind:
        mount(source, target, None, MS_BIND | MS_REC)
    register(options.interpreter, Path("/proc/sys/fs/binfmt_misc"))
    if options.alone:
        set_loopback_up()
    os.execvp(options.program[0], options.program)


if __name__ == "__main__":
    sys.exit(main())
