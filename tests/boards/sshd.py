"""A real sshd on loopback, with keys, configuration and a home folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass
class Server:
    """A running sshd. `home` is the client's home, `remote` the one that its sessions have."""

    folder: Path
    port: int
    home: Path
    remote: Path
    process: subprocess.Popen[bytes]

    address = "ssh://board"
    """The alias in the client's configuration."""

    def sessions(self) -> list[int]:
        """Process ids of the connections that are served now."""
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):  # the server itself has ended
            return []
        return [int(pid) for pid in children.split()]

    def cut(self) -> None:
        """Kills the connections that are served now; one that has just ended by itself is fine."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def stop(self) -> None:
        self.cut()
        self.process.kill()
        self.process.wait()


def keygen(path: Path) -> Path:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=600)
    return path


def start_server(
    folder: Path, ports: Callable[[], int], *, lines: Sequence[str] = (), before: Sequence[str] = ()
) -> Server:
    """Starts an sshd whose client configuration calls it "board".

    Args:
        ports: gives one that nobody listens at.
        lines: of sshd_config, which win over the usual ones.
        before: what stands before sshd on its command line, such as unshare.
    """
    for _ in range(5):  # another program may take the port that was just free
        server = _started(folder, lines, before, ports())
        if server is not None:
            return server
    raise AssertionError(f"sshd does not start:\n{(folder / 'log').read_text()}")


def _started(folder: Path, lines: Sequence[str], before: Sequence[str], port: int) -> Server | None:
    assert SSHD is not None
    home, remote = folder / "home", folder / "remote"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    remote.mkdir(exist_ok=True)
    host_key, key = folder / "host_key", home / ".ssh" / "id_ed25519"
    for path in (host_key, key):
        if not path.exists():
            keygen(path)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    config = [
        *lines,
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {host_key}",
        "PidFile none",
        f"AuthorizedKeysFile {key}.pub",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "Subsystem sftp internal-sftp",
        f"SetEnv HOME={remote}",
    ]
    (folder / "sshd_config").write_text("\n".join(config) + "\n")
    trusted = (folder / "host_key.pub").read_text().split()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {trusted[0]} {trusted[1]}\n")
    user = os.environ.get("USER") or subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    (home / ".ssh" / "config").write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n  IdentityFile {key}\n"
    )
    with (folder / "log").open("ab") as log:
        argv = [*before, SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    for _ in range(6000):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            if process.poll() is None:  # else it was somebody else that answered
                return Server(folder, port, home, remote, process)
        except OSError:
            time.sleep(0.05)
        if process.poll() is not None:
            return None
    process.kill()
    process.wait()
    return None
