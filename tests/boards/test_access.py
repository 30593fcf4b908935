"""Getting in: host keys, the user's keys and configuration, and what each failure says."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeeff import registry
from edgeeff.errors import DeviceError, UsageError
from edgeeff.targets import resolve
from edgeeff.values import Connected


def look(address: str = "ssh://board") -> Connected:
    (found,) = registry.transport("ssh").discover([address])
    return found


def keygen(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=600)
    return path


def fingerprint(public_key: Path) -> str:
    argv = ["ssh-keygen", "-lf", str(public_key)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]


def test_a_board_is_described(server: Any) -> None:
    found = look()
    assert found.ready and found.transport == "ssh" and found.address == "ssh://board"
    assert {"abi", "kernel", "os"} <= found.properties.keys()


def test_an_address_without_the_configuration(server: Any) -> None:
    user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    (server.home / ".ssh" / "config").unlink()
    assert look(f"ssh://{user}@127.0.0.1:{server.port}").ready


def test_an_unknown_host_key_is_never_accepted(server: Any) -> None:
    known = server.home / ".ssh" / "known_hosts"
    known.write_text("")
    found = look()
    assert found.state == "host key unknown"
    assert fingerprint(server.folder / "host_key.pub") in found.cure
    assert "ssh board" in found.cure
    assert known.read_text() == ""


def test_a_changed_host_key_is_never_accepted(server: Any, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other").with_suffix(".pub").read_text().split()
    known = server.home / ".ssh" / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {other[0]} {other[1]}\n")
    before = known.read_text()
    found = look()
    assert found.state == "host key changed"
    assert fingerprint(server.folder / "host_key.pub") in found.cure and "ssh-keygen -R" in found.cure
    assert known.read_text() == before


@pytest.mark.parametrize(
    "line", ["UserKnownHostsFile none", "UserKnownHostsFile /dev/null", "StrictHostKeyChecking no"]
)
def test_no_setting_makes_it_accept_any_key(server: Any, line: str) -> None:
    config = server.home / ".ssh" / "config"
    config.write_text(f"{config.read_text()}  {line}\n")
    (server.home / ".ssh" / "known_hosts").unlink()
    assert look().state == "host key unknown"


def test_no_home_folder_of_ssh_at_all(server: Any) -> None:
    user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    (server.home / ".ssh").rename(server.home / "elsewhere")
    assert look(f"ssh://{user}@127.0.0.1:{server.port}").state == "host key unknown"


def test_a_key_that_is_not_known_there(server: Any) -> None:
    key = server.home / ".ssh" / "id_ed25519"
    key.unlink()
    key.with_suffix(".pub").rename(server.folder / "authorized")
    keygen(key)
    (server.home / ".ssh" / "id_ed25519.pub").write_text("")  # the server's list of those that may come in
    found = look()
    assert found.state == "unauthorized"
    assert "ssh-copy-id" in found.cure and "ssh-add" in found.cure


def test_nobody_listens(server: Any) -> None:
    server.stop()
    found = look()
    assert found.state == "unreachable"
    assert "connection refused" in found.cure and "sshd" in found.cure


def test_an_unknown_name(server: Any) -> None:
    found = look("ssh://no-such-board.invalid")
    assert found.state == "unreachable" and "name is not known" in found.cure


def test_what_listens_is_not_ssh(server: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = server.home / ".ssh" / "config"
        config.write_text(config.read_text().replace(str(server.port), str(listener.getsockname()[1])))

        def answer() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        found = look()
        thread.join()
    assert found.state == "unreachable"


def test_the_configuration_is_honoured_also_over_a_jump(server: Any) -> None:
    config = server.home / ".ssh" / "config"
    inner = f"Host inner\n  HostName 127.0.0.1\n  Port {server.port}\n  ProxyJump board\n"
    config.write_text(config.read_text() + inner)
    assert look("ssh://inner").ready


def test_the_host_between_is_checked_as_strictly(server: Any) -> None:
    config = server.home / ".ssh" / "config"
    jump = f"Host inner\n  HostName localhost\n  Port {server.port}\n  ProxyJump board\n"
    config.write_text(config.read_text() + "  UserKnownHostsFile none\n" + jump)
    (server.home / ".ssh" / "known_hosts").write_text("")
    found = look("ssh://inner")
    assert found.state == "host key unknown" and "ssh://board is not in known_hosts" in found.cure


@pytest.mark.parametrize(
    ("shell", "answer"),
    [
        (
            "echo This account is currently not available.; exit 1",
            "'This account is currently not available.' and ended",
        ),
        ("echo Only git >&2", "it answered 'Only git' and ended with exit code 0"),
        ("/bin/false", "it said nothing and ended with exit code 1"),
    ],
)
def test_an_account_whose_shell_starts_nothing(start: Callable[..., Any], shell: str, answer: str) -> None:
    """nologin(8) says its sentence to standard output."""
    start(lines=[f"ForceCommand {shell}"])
    found = look()
    assert found.state == "unusable"
    assert answer in found.cure and "usermod --shell /bin/sh" in found.cure and "\n" not in found.cure


def test_a_configuration_that_makes_no_sense(server: Any) -> None:
    config = server.home / ".ssh" / "config"
    config.write_text(config.read_text() + "  Port many\n")
    found = look()
    assert found.state == "unreachable" and "ssh/config" in found.cure


def test_several_boards_are_looked_at_together(start: Callable[..., Any]) -> None:
    server = start()
    addresses = ["ssh://board", "ssh://no-such-board.invalid", "ssh://board"]
    found = registry.transport("ssh").discover(addresses)
    assert [device.address for device in found] == addresses
    assert [device.ready for device in found] == [True, False, True]
    assert server.process.poll() is None


def test_a_board_that_cannot_be_used_is_an_error_with_its_cure(server: Any) -> None:
    (server.home / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(DeviceError, match="ssh://board cannot be used: host key unknown") as caught:
        resolve("ssh://board")
    assert "ssh board" in caught.value.hint


@pytest.mark.parametrize(
    "address",
    ["ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://u@h:0", "ssh://u@h:99999", "ssh://u@h/path", "ssh://$(x)"],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError):
        resolve(address)
