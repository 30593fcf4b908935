"""Files on a board: by their content, whole or not at all, and what is said where there is no room."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeeff import registry
from edgeeff.errors import DeviceError
from edgeeff.files import sha256_of
from edgeeff.protocols import Device
from edgeeff.targets import resolve


def open_board(folder: str | None = None) -> Device:
    (target,) = resolve("ssh://board")
    target = replace(target, profile=replace(target.profile, folder=folder))
    return registry.transport("ssh").open(target)


@pytest.fixture
def board(server: Any) -> Iterator[Device]:
    with open_board() as device:
        yield device


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(os.urandom(300_000))
    return path


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_sent_once_and_anew_when_its_content_changes(board: Device, server: Any, model: Path) -> None:
    first = Path(board.push(model))
    assert first.read_bytes() == model.read_bytes()
    assert first.name == f"{sha256_of(model)}.tflite"
    assert first.is_relative_to(server.remote / ".cache" / "edgeeff")
    assert stat.S_IMODE(first.stat().st_mode) == 0o600 and stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    inode = first.stat().st_ino
    assert board.push(model) == str(first) and first.stat().st_ino == inode
    model.write_bytes(os.urandom(300_000))
    second = Path(board.push(model))
    assert second != first and second.read_bytes() == model.read_bytes()


def test_a_program_can_be_executed(board: Device, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho works\n")
    assert list(board.run([board.push(program, executable=True)], timeout_s=600)) == ["works"]


def test_a_file_in_use_is_not_swept_out(server: Any, model: Path) -> None:
    with open_board() as board:
        there = Path(board.push(model))
    os.utime(there, (time.time() - 6 * 86400,) * 2)
    for _ in range(2):
        with open_board() as board:
            assert board.push(model) == str(there)
        assert there.stat().st_mtime > time.time() - 3600


def test_a_file_that_was_damaged_there_is_replaced(board: Device, model: Path) -> None:
    """Of the same length: the content is looked at, not the size."""
    there = Path(board.push(model))
    content = bytearray(there.read_bytes())
    content[100] ^= 1
    there.write_bytes(content)
    assert Path(board.push(model)).read_bytes() == model.read_bytes()
    assert listing(there.parent) == [there.name]


@contextlib.contextmanager
def halfway(server: Any, then: Callable[[], object]) -> Iterator[None]:
    """What stands between client and server, and does something when two megabytes have gone to the server.

    Meanwhile the rest waits, so that a transfer of more is in its middle on the slowest and on the fastest machine.
    """
    passed, done = 0, False

    def carry(source: socket.socket, target: socket.socket, *, counts: bool) -> None:
        nonlocal passed, done
        with contextlib.suppress(OSError):
            while block := source.recv(1 << 16):
                passed += len(block) if counts else 0
                if passed >= 2_000_000 and not done:
                    done = True
                    then()
                target.sendall(block)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", server.port))
                for pair, counts in (((client, there), True), ((there, client), False)):
                    threading.Thread(target=carry, args=pair, kwargs={"counts": counts}, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        for name in ("config", "known_hosts"):
            path = server.home / ".ssh" / name
            path.write_text(path.read_text().replace(str(server.port), str(listener.getsockname()[1])))
        threading.Thread(target=accept, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def test_a_transfer_that_breaks_off_leaves_nothing_that_counts(server: Any, model: Path) -> None:
    model.write_bytes(b"\0" * 8_000_000)
    with halfway(server, server.cut):
        with open_board() as board:
            folder = Path(board.push(_small(model))).parent
            with pytest.raises(DeviceError, match="was lost"):
                board.push(model)
        assert [path for path in folder.iterdir() if path.suffix == ".tmp"]
        assert not (folder / f"{sha256_of(model)}.tflite").exists()
        with open_board() as board:
            there = Path(board.push(model))
            assert there.stat().st_size == 8_000_000


def _small(model: Path) -> Path:
    path = model.with_name("small.txt")
    path.write_text("x")
    return path


def test_names_do_not_matter(board: Device, tmp_path: Path) -> None:
    for name in ("a b; touch pwned.tflite", "$(touch pwned).on'nx", "x." + "y" * 200):
        path = tmp_path / name
        path.write_text(name)
        there = board.push(path)
        assert Path(there).read_text() == name
        assert not set(Path(there).name) - set("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.")


def test_scratch_files_end_with_the_session(server: Any, tmp_path: Path) -> None:
    with open_board() as board:
        one, two = board.scratch(".pb"), board.scratch(".json")
        assert one != two and one.endswith(".pb")
        assert list(board.run(["sh", "-c", 'echo result >"$1"', "sh", one], timeout_s=600)) == []
        board.pull(one, tmp_path / "pulled")
        assert (tmp_path / "pulled").read_text() == "result\n"
        assert Path(one).exists()
    assert not Path(one).parent.exists()


def test_a_file_that_is_not_there(board: Device, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot read /no/such/file on ssh://board: no such file"):
        board.pull("/no/such/file", tmp_path / "pulled")


def test_what_a_lost_session_left_is_swept_out(server: Any, model: Path) -> None:
    with open_board() as board:
        folder = Path(board.push(model)).parent
    stale, young, run = folder / "1.aaaa.tmp", folder / "2.bbbb.tmp", folder / "run-cccc"
    for path in (stale, young):
        path.write_text("x")
    unused, theirs = folder / f"{'0' * 64}.tflite", folder / "notes.txt"
    for path in (unused, theirs):
        path.write_text("x")
    run.mkdir()
    for path in (stale, run, unused, theirs, folder / f"{sha256_of(model)}.tflite"):
        os.utime(path, (1, 1))
    with open_board() as board:
        board.push(model)
    assert sorted(set(listing(folder)) - {f"{sha256_of(model)}.tflite"}) == [young.name, theirs.name]


def test_a_folder_that_others_can_write_is_refused(server: Any, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with open_board(str(folder)) as board, pytest.raises(DeviceError, match="others can write there"):
        board.push(model)


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which takes root")


@pytest.fixture
def mounted(start: Callable[..., Any], tmp_path: Path) -> Callable[[str], Path]:
    """Starts a server that sees a small file system in a mount namespace of its own."""

    def mount(options: str) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
        start(before=["unshare", "--mount", "sh", "-c", script, "sh", options, str(folder)])
        return folder

    return mount


@root_only
def test_no_space_says_what_is_needed_and_free(mounted: Callable[[str], Path], model: Path) -> None:
    folder = mounted("size=2m,mode=700")
    model.write_bytes(b"\0" * 3_000_000)
    with open_board(str(folder / "edgeeff")) as board:
        with pytest.raises(DeviceError) as caught:
            board.push(model)
        assert "no space for model.tflite" in caught.value.message
        assert "4.0 MB are needed, 2.1 MB are free" in caught.value.message
        assert "free some there" in caught.value.hint
        model.write_bytes(b"\1" * 500_000)
        assert board.push(model)


@root_only
def test_a_disk_that_runs_full_during_a_transfer(
    start: Callable[..., Any], over: Callable[..., list[str]], model: Path, tmp_path: Path
) -> None:
    """After the look at the free space somebody else takes all that is left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    server = start(before=over(folder, "size=20m,mode=700"))
    model.write_bytes(os.urandom(18_000_000))
    begun, full = tmp_path / "begun", tmp_path / "full"

    def fill() -> None:
        begun.touch()
        while not full.exists():
            time.sleep(0.01)

    with halfway(server, fill), open_board(str(folder / "edgeeff")) as board:
        board.push(_small(model))
        script = 'echo ready; until [ -e "$1" ]; do sleep 0.01; done; dd if=/dev/zero of="$3" bs=64k; echo >"$2"'
        paths = [str(begun), str(full), f"{folder}/filler"]
        filler = board.run(["sh", "-c", script, "sh", *paths], timeout_s=600)
        assert next(filler) == "ready"
        with pytest.raises(DeviceError, match="no space"):
            board.push(model)
        assert list(filler) == []  # dd itself finds the disk full
        left = list(board.run(["ls", str(folder / "edgeeff")], timeout_s=600))
    assert [name for name in left if name.endswith(".tmp")] == []


@root_only
def test_a_read_only_folder(mounted: Callable[[str], Path], model: Path) -> None:
    folder = mounted("ro,mode=700")
    with open_board(str(folder / "edgeeff")) as board, pytest.raises(DeviceError) as caught:
        board.push(model)
    assert f"no folder on ssh://board can be written: {folder}/edgeeff" in caught.value.message
    assert "read-only" in caught.value.message and 'folder = "/path"' in caught.value.hint


def test_a_home_that_cannot_be_written_is_left_for_a_common_place(start: Callable[..., Any], model: Path) -> None:
    server = start(lines=["SetEnv HOME=/proc"])
    with open_board() as board:
        there = board.push(model)
    try:
        assert there.startswith(f"/var/tmp/edgeeff-{os.getuid()}/")
    finally:
        Path(there).unlink()
        with contextlib.suppress(OSError):  # it may be the user's own, and in use
            Path(there).parent.rmdir()
    assert server.process.poll() is None
