"""What can go wrong with an SSH connection, as one sentence and its cure."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncssh

from edgeeff.errors import DeviceError

from ._ssh_address import Address


class Doorkeeper(asyncssh.SSHClient):
    """Remembers the host key that is not in known_hosts; none is ever accepted here."""

    def __init__(self, known_hosts: Any) -> None:
        self._known_hosts = known_hosts
        self.refused: asyncssh.SSHKey | None = None
        self.is_changed = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:
        self.refused = key
        self.is_changed = _has_keys(self._known_hosts, host, addr, port)
        return False


def _has_keys(known_hosts: Any, host: str, addr: str, port: int) -> bool:
    """Whether known_hosts has a key for this host, which is then another than it showed."""
    files = known_hosts or [str(Path("~/.ssh/known_hosts").expanduser())]
    for file in [files] if isinstance(files, str) else files:
        if not isinstance(file, str) or not Path(file).is_file():
            continue
        keys = asyncssh.read_known_hosts(file).match(host, addr, None if port == 22 else port)
        if keys[0]:
            return True
    return False


class UnreachableError(DeviceError):
    """There is no connection; `state` is a word for why, as in `values.Connected`."""

    def __init__(self, state: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.state = state


def connect_error(error: BaseException, address: Address, door: Doorkeeper | None = None) -> UnreachableError:
    """Why there is no connection."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return _host_key(error, address, door)
    if isinstance(error, asyncssh.PermissionDenied):
        return UnreachableError(
            "unauthorized",
            f"{address} refuses every key that was offered: {error.reason}",
            f"let it know yours: {command('ssh-copy-id', address)}; a key with a passphrase is taken from the agent "
            "(ssh-add), and a password is never asked for",
        )
    if isinstance(error, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        return UnreachableError(
            "unauthorized", f"a key for {address} cannot be read: {error}", "give it to the agent: ssh-add"
        )
    if isinstance(error, asyncssh.ConfigParseError):
        return UnreachableError("unreachable", f"~/.ssh/config: {error}", "correct that line")
    return UnreachableError("unreachable", f"{address} cannot be reached: {_reason(error)}", _reach(error, address))


def no_shell(address: Address, answer: str, code: int) -> DeviceError:
    """Of an account that lets in and starts nothing: its login shell is nologin or false, or a command is forced.

    Args:
        answer: what it said instead; may be empty.
    """
    said = f"it answered {answer!r}" if answer else "it said nothing"
    return DeviceError(
        f"{address} lets in, but the account's login shell starts no command: {said} and ended with exit code {code}",
        f"give that account a shell there (as root: usermod --shell /bin/sh {address.user or 'NAME'}), take another "
        "account (ssh://user@host), or remove a command that sshd_config or authorized_keys forces on it",
    )


def _host_key(error: Any, address: Address, door: Doorkeeper | None) -> UnreachableError:
    key = door.refused if door is not None else None
    shown = f"{_algorithm(key)} {key.get_fingerprint()}" if key is not None else str(error.reason)
    where = address.host if address.port in (None, 22) else f"[{address.host}]:{address.port}"
    if door is not None and door.is_changed:
        return UnreachableError(
            "host key changed",
            f"{address} shows another host key than the one in known_hosts: {shown}",
            "either the board was set up anew, or something stands between: compare the fingerprint on the board "
            f"(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then forget the old one with ssh-keygen -R '{where}' "
            f"and accept the new one with {command('ssh', address)}",
        )
    return UnreachableError(
        "host key unknown",
        f"{address} is not in known_hosts; it shows {shown}",
        f"compare the fingerprint and accept it once with {command('ssh', address)}",
    )


def _algorithm(key: Any) -> str:
    return str(key.get_algorithm().removeprefix("ssh-"))


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror):
        return "the name is not known"
    if isinstance(error, OSError) and error.strerror:
        # asyncio puts its own sentence around the system's.
        return "connection refused" if isinstance(error, ConnectionRefusedError) else error.strerror.lower()
    return " ".join(str(getattr(error, "reason", "") or error or type(error).__name__).split())


def _reach(error: BaseException, address: Address) -> str:
    if isinstance(error, socket.gaierror):
        return "check the name, or give the board's address or an alias of your ~/.ssh/config"
    if isinstance(error, ConnectionRefusedError):
        return "is sshd running there, and on that port? ssh://user@host:port"
    return f"is it switched on and in the same network? Try {command('ssh', address)}"


def command(program: str, address: Address) -> str:
    """ "ssh -p 2222 pi@board", for a person to type."""
    port: Iterable[str] = () if address.port is None else ("-p", str(address.port))
    return " ".join([program, *port, f"{address.user}@{address.host}" if address.user else address.host])
