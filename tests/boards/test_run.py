"""Programs on a board, over a real sshd: what they say, how they end, and that nothing of them is left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from edgeeff.devices import _ssh_link
from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.protocols import Device
from edgeeff.targets import resolve


def open_board(address: str = "ssh://board") -> Device:
    from edgeeff import registry

    (target,) = resolve(address)
    return registry.transport("ssh").open(target)


@pytest.fixture
def board(server: Any) -> Iterator[Device]:
    with open_board() as device:
        yield device


def run(board: Device, *argv: str, stdin: str = "", timeout_s: float = 600.0) -> list[str]:
    return list(board.run(argv, stdin=stdin, timeout_s=timeout_s))


def alive(marker: str) -> list[str]:
    """The processes of this machine that have the marker among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def wait_until_gone(marker: str) -> bool:
    return any(not alive(marker) or time.sleep(0.05) for _ in range(6000))


def test_output_comes_line_by_line(board: Device) -> None:
    script = 'echo one; read line; echo "two $line"; sleep 100000'
    lines = board.run(["sh", "-c", script], stdin="given\n", timeout_s=600)
    with closing(cast(Any, lines)):
        assert next(lines) == "one"
        assert next(lines) == "two given"


def test_the_two_streams_are_kept_apart(board: Device) -> None:
    errors: list[str] = []
    script = "echo out; echo err >&2; printf 'no end' >&2; printf last"
    assert list(board.run(["sh", "-c", script], timeout_s=600, on_stderr=errors.append)) == ["out", "last"]
    assert errors == ["err", "no end"]


HOSTILE = [
    "a b", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"', "\\", "\\0101", "*", "~", "-n", "!x", "", "a\n",
    "\n\nb", "é漢", "%s%b", "{a,b}", "&", "#", "x=y", "\t", "\r", "\udcff",
]  # fmt: skip


def test_arguments_arrive_as_they_are(board: Device, server: Any) -> None:
    script = "import os, sys; print([os.fsencode(a) for a in sys.argv[1:]])"
    (line,) = run(board, "python3", "-c", script, *HOSTILE)
    assert line == str([os.fsencode(argument) for argument in HOSTILE])
    assert not list(server.remote.rglob("pwned")) and not Path("pwned").exists()


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
def test_the_first_line_is_the_programs_own(board: Device, shell: str) -> None:
    """The launcher's report of its process id is not among the lines, also where the program prints one like it."""
    assert run(board, shell, "-c", "echo edgeeff-started 1; echo x") == ["edgeeff-started 1", "x"]


def test_large_input_and_output_do_not_block_each_other(board: Device) -> None:
    line = "x" * 1000
    assert run(board, "cat", stdin=f"{line}\n" * 5000) == [line] * 5000
    assert run(board, "true", stdin=line * 5000) == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo why >&2; exit 3", "sh ended with exit code 3"),
        ("kill -SEGV $$", "sh was killed by SIGSEGV"),
        ("kill -9 $$", "sh was killed by SIGKILL"),
        ("exit 127", "sh ended with exit code 127"),
    ],
)
def test_how_a_program_ended(board: Device, script: str, message: str) -> None:
    with pytest.raises(MeasurementError) as caught:
        run(board, "sh", "-c", script)
    assert caught.value.message == message
    assert caught.value.hint == ("why" if "why" in script else "")


def test_a_program_that_is_not_there(board: Device) -> None:
    with pytest.raises(DeviceError, match="there is no program no-such-program on ssh://board"):
        run(board, "no-such-program")


def sleeper(marker: str) -> list[str]:
    """Sleeps with a child that does, too, and says when both are there."""
    return ["sh", "-c", "sh -c 'sleep 100000; exit' \"$0\" & echo up; sleep 100000; exit", marker]


def test_a_program_that_exceeds_its_time_is_killed_with_its_children(
    board: Device, pass_time: Callable[..., None]
) -> None:
    marker = f"edgeeff-timeout-{os.getpid()}"
    lines = board.run(sleeper(marker), timeout_s=600)
    assert next(lines) == "up"
    assert len(alive(marker)) >= 2  # and what these are about to become
    pass_time(599.9, _ssh_link)  # a tenth of a second is left, in which nothing comes
    with pytest.raises(MeasurementError, match=r"did not finish within 600 s and was killed"):
        list(lines)
    assert wait_until_gone(marker)


def test_a_reader_that_stops_leaves_nothing_running(board: Device) -> None:
    """So it is with Ctrl-C: the interrupt closes the iterator."""
    marker = f"edgeeff-closed-{os.getpid()}"
    lines = cast(Any, board.run(sleeper(marker), timeout_s=600))
    assert next(lines) == "up"
    with pytest.raises(KeyboardInterrupt):
        lines.throw(KeyboardInterrupt)
    assert wait_until_gone(marker)


def test_children_that_outlive_the_program_are_killed(board: Device) -> None:
    marker = f"edgeeff-orphan-{os.getpid()}"
    script = "python3 -c 'import time; time.sleep(100_000)' \"$1\" >/dev/null 2>&1 & echo started"
    assert run(board, "sh", "-c", script, "sh", marker) == ["started"]
    assert wait_until_gone(marker)


def test_a_lost_connection_is_a_device_error_and_what_ran_is_stopped(board: Device, server: Any) -> None:
    marker = f"edgeeff-lost-{os.getpid()}"
    lines = board.run(sleeper(marker), timeout_s=600)
    assert next(lines) == "up"
    server.cut()
    with pytest.raises(DeviceError, match="the connection to ssh://board was lost") as caught:
        list(lines)
    assert "what ran there was stopped" in caught.value.hint
    assert wait_until_gone(marker)
    with pytest.raises(DeviceError, match="was lost"):
        board.state()


def test_a_board_that_is_gone_for_good(board: Device, server: Any) -> None:
    lines = board.run(["sh", "-c", "echo up; sleep 1000"], timeout_s=600)
    assert next(lines) == "up"
    server.stop()
    with pytest.raises(DeviceError, match="was lost") as caught:
        list(lines)
    assert "what was measured before is kept" in caught.value.hint


def test_two_programs_at_once(board: Device) -> None:
    """The pair mode keeps two alive and measures them in turn."""
    one, two = (board.run(["sh", "-c", f"echo {n}; echo {n}"], timeout_s=600) for n in "ab")
    assert [next(one), next(two), next(one), next(two)] == ["a", "b", "a", "b"]
    assert list(one) == list(two) == []


def test_closing_ends_the_connection_and_its_thread(server: Any) -> None:
    before = set(threading.enumerate())
    board = open_board()
    assert run(board, "echo", "x") == ["x"]
    board.close()
    board.close()
    assert not [thread for thread in threading.enumerate() if thread not in before]


def mounted_over(path: str, content: Path) -> list[str]:
    """What starts a program that sees another file at a path (a mount namespace of its own)."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(content), path]


@pytest.mark.skipif(os.geteuid() != 0, reason="another boot id is mounted, which takes root")
def test_a_reboot_is_told_from_a_lost_network(start: Callable[..., Any], tmp_path: Path) -> None:
    first, second = tmp_path / "boot1", tmp_path / "boot2"
    first.write_text("11111111-1111-1111-1111-111111111111\n")
    second.write_text("22222222-2222-2222-2222-222222222222\n")
    path = "/proc/sys/kernel/random/boot_id"
    server = start(before=mounted_over(path, first))
    with open_board() as board:
        assert board.state().boot_id == first.read_text().strip()
        lines = board.run(["sh", "-c", "echo up; sleep 1000"], timeout_s=600)
        assert next(lines) == "up"
        server.stop()
        start(before=mounted_over(path, second), port=server.port)
        with pytest.raises(DeviceError, match="was rebooted while it was measured"):
            list(lines)
