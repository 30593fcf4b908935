"""Linux boards over SSH: Raspberry Pi, Jetson and whatever else runs sshd and Python."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff.errors import DeviceError, MeasurementError, MissingExtraError
from edgeeff.protocols import Device, Transport
from edgeeff.values import Connected, DeviceInfo, DeviceProfile, DeviceState, Target

from ._closing import Closing
from ._ssh_address import parse_address

if TYPE_CHECKING:
    from ._board import Facts
    from ._ssh_link import Link, LostError

ANSWER_S = 30.0


class SshDevice(Closing):
    """A board with an open connection."""

    def __init__(self, target: Target, link: Link) -> None:
        from ._board import info_of
        from ._ssh_files import Files

        self.name = target.name
        self.profile: DeviceProfile = target.profile
        self._link = link
        facts = _facts(link)
        self._info = info_of(facts, target.name)
        self._boot_id = facts.first("boot_id")
        self._folders = _folders(target.profile, facts)
        self._files = Files(link, self._folders)
        self._python: tuple[str, ...] | None = None

    def info(self) -> DeviceInfo:
        return self._info

    def state(self) -> DeviceState:
        from ._board import STATE_SCRIPT, parse, state_of

        return state_of(parse(list(self.run(["sh", "-s"], stdin=STATE_SCRIPT, timeout_s=ANSWER_S))))

    def push(self, path: Path, *, executable: bool = False) -> str:
        return self._files.push(path, executable=executable)

    def pull(self, remote: str, path: Path) -> None:
        self._files.pull(remote, path)

    def scratch(self, suffix: str) -> str:
        return self._files.scratch(suffix)

    def python(self) -> Sequence[str]:
        from ._ssh_python import VENV, find_python

        if self._python is None:
            venvs = [posixpath.join(folder, VENV, "bin", "python") for folder in self._folders]
            named = [self.profile.python] if self.profile.python else []
            self._python = find_python(self._link, named or [*venvs, "python3", "python"]).argv
        return self._python

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float,
        on_stderr: Callable[[str], None] | None = None,
    ) -> Iterator[str]:
        from ._ssh_link import LostError

        started: list[int] = []
        try:
            yield from self._link.lines(
                argv, stdin=stdin, timeout_s=timeout_s, on_stderr=on_stderr, on_start=started.append
            )
        except LostError as error:
            raise self._after_loss(error, started) from error

    def _after_loss(self, error: LostError, started: Sequence[int]) -> DeviceError:
        """Knocks once more: kills what was left running there, and tells a board that rebooted from a lost network."""
        from ._ssh_link import Link

        try:
            link = Link(self._link.address)
        except DeviceError:
            return error
        try:
            boot_id = _facts(link).first("boot_id")
            if boot_id != self._boot_id:
                return DeviceError(
                    f"{self._link.address} was rebooted while it was measured",
                    "nothing of that launch counts; let it settle and run it again",
                )
            for pid in started:
                link.kill(pid)
            return DeviceError(
                error.message,
                "the board is up, and what ran there was stopped: look at the network between, and run it again; "
                "what was measured before is kept",
            )
        except (DeviceError, MeasurementError):
            return error
        finally:
            link.close()

    def close(self) -> None:
        self._files.close()
        self._link.close()


class SshTransport:
    """Looks at the addresses that it is given: SSH does not see by itself what is there."""

    name = "ssh"

    def discover(self, addresses: Sequence[str]) -> Sequence[Connected]:
        _require_asyncssh()
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, min(16, len(addresses)))) as pool:
            return list(pool.map(_look, addresses))

    def open(self, target: Target) -> Device:
        _require_asyncssh()
        from ._ssh_link import Link

        link = Link(parse_address(target.connected.address))
        try:
            return SshDevice(target, link)
        except BaseException:
            link.close()
            raise


def _look(text: str) -> Connected:
    """What is at an address; what is wrong there is its state."""
    from ._ssh_errors import UnreachableError
    from ._ssh_link import Link

    try:
        link = Link(parse_address(text))
    except DeviceError as error:
        state = error.state if isinstance(error, UnreachableError) else "unreachable"
        return Connected(SshTransport.name, text, state, cure=_cure(error, text))
    try:
        return Connected(SshTransport.name, text, "ready", _properties(_facts(link)))
    except DeviceError as error:
        return Connected(SshTransport.name, text, "unusable", cure=_cure(error, text))
    finally:
        link.close()


def _cure(error: DeviceError, address: str) -> str:
    """In one line; who shows it names the board already."""
    return f"{error.message}: {error.hint}".replace(f"{address} ", "it ", 1)


def _facts(link: Link) -> Facts:
    from ._board import FACTS_SCRIPT, parse

    return parse(list(link.lines(["sh", "-s"], stdin=FACTS_SCRIPT, timeout_s=ANSWER_S, on_stderr=None)))


def _properties(facts: Facts) -> dict[str, str]:
    """What the catalog matches on."""
    from ._board import info_of

    info = info_of(facts, "")
    found = {"model": info.model, "os": info.os, "abi": info.abi, "kernel": info.kernel}
    return {key: value for key, value in found.items() if value is not None}


def _folders(profile: DeviceProfile, facts: Facts) -> Sequence[str]:
    """Where our folder may be: as the device file says, or in the home's cache, or else where everybody can write."""
    if profile.folder is not None:
        return [profile.folder]
    home, user = facts.first("home"), facts.first("uid") or "user"
    caches = [posixpath.join(home, ".cache", "edgeeff")] if home and home.startswith("/") else []
    return [*caches, f"/var/tmp/edgeeff-{user}", f"/tmp/edgeeff-{user}"]


def _require_asyncssh() -> None:
    try:
        import asyncssh  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("asyncssh", "ssh", "measuring on a board over SSH") from error


ADAPTER: Transport = SshTransport()
