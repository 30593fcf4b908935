"""Programs from the network: whole and right, or not at all. The server and the full disk are real ones."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgeeff import downloads
from edgeeff.downloads import Pinned, is_address, pinned, program
from edgeeff.errors import UsageError

CONTENT = b"#!/bin/sh\n# num_threads\n" + bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Answer(BaseHTTPRequestHandler):
    """By the last part of the path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        what = self.path.rpartition("/")[2]
        self.server.asked.append(what)  # type: ignore[attr-defined]
        if what == "missing":
            self.send_error(404)
        elif what == "moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif what == "chunks-cut":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"1000\r\n" + CONTENT[:100])
            self.close_connection = True
        else:
            body = {"cut": CONTENT[:70_000], "other": b"x" + CONTENT[1:], "silent": CONTENT[:1000]}.get(what, CONTENT)
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 40 if what == "huge" else len(CONTENT)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True
            if what == "silent":
                self.server.done.wait()  # type: ignore[attr-defined]

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.asked, server.done = [], threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.done.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture
def address(server: ThreadingHTTPServer) -> Callable[[str], str]:
    return lambda what: f"http://127.0.0.1:{server.server_port}/litert/{what}"


@pytest.mark.parametrize("what", ["good", "moved"])
def test_a_file_is_fetched_once_and_can_be_run(
    what: str, address: Callable[[str], str], server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    target = tmp_path / "deep" / "benchmark_model"
    for _ in range(2):
        assert program(Pinned(address(what), DIGEST), target, "") == target
    assert target.read_bytes() == CONTENT and os.access(target, os.X_OK)
    assert server.asked.count("good") == 1  # type: ignore[attr-defined]


def test_a_file_that_was_damaged_since_is_fetched_again(address: Callable[[str], str], tmp_path: Path) -> None:
    target = tmp_path / "benchmark_model"
    target.write_bytes(CONTENT[:-1])
    program(Pinned(address("good"), DIGEST), target, "")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing", "HTTP Error 404|Not Found"),
        ("cut", f"it ended after 70000 of {len(CONTENT)} bytes"),
        ("chunks-cut", "IncompleteRead"),
        ("other", "has the SHA-256 [0-9a-f]{64}, not " + DIGEST),
        ("huge", "has more than 200 MiB"),
        ("silent", "timed out"),
    ],
)
def test_what_fails_leaves_what_was_there(
    what: str, message: str, address: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "silent":
        monkeypatch.setattr(downloads, "ANSWER_S", 0.5)
    target = tmp_path / "benchmark_model"
    target.write_bytes(b"an older one")
    with pytest.raises(UsageError, match=message) as caught:
        program(Pinned(address(what), DIGEST), target, "take another")
    assert caught.value.hint == "take another" and address(what) in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["benchmark_model"]
    assert target.read_bytes() == b"an older one"


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # so nobody else has the port
        port = silent.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot download http://127.0.0.1:{port}/x: .*refused"):
            program(Pinned(f"http://127.0.0.1:{port}/x", DIGEST), tmp_path / "x", "")
    with pytest.raises(UsageError, match=r"cannot download http://nowhere\.invalid/x: "):
        program(Pinned("http://nowhere.invalid/x", DIGEST), tmp_path / "x", "")
    assert not list(tmp_path.iterdir())


def test_no_place_for_it(address: Callable[[str], str], over: Callable[..., list[str]], tmp_path: Path) -> None:
    """A real full disk."""
    code = (
        "import sys; from pathlib import Path; from edgeeff.downloads import *; from edgeeff.errors import UsageError\n"
        "folder = Path(sys.argv[2])\n"
        "try: program(Pinned(sys.argv[1], sys.argv[3]), folder / 'x', '')\n"
        "except UsageError as error: print(error.message, error.hint, list(folder.iterdir()), sep=' | ')"
    )
    argv = [*over(tmp_path, "size=64k"), sys.executable, "-c", code, address("good"), str(tmp_path), DIGEST]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert done.stdout == (
        f"cannot write {tmp_path}/x: no space left on device | "
        "free some space, or set XDG_CACHE_HOME to another folder | []\n"
    ), done.stderr


def test_an_address_needs_its_hash() -> None:
    assert pinned(f"https://x.org/a/b?c=1#sha256={DIGEST.upper()}") == Pinned("https://x.org/a/b?c=1", DIGEST)
    assert str(Pinned("https://x.org/a", DIGEST)) == f"https://x.org/a#sha256={DIGEST}"
    for text in ("https://x.org/a", "https://x.org/a#sha256=123", "https://x.org/a#md5=" + DIGEST[:32]):
        with pytest.raises(UsageError, match="is not downloaded without the SHA-256") as caught:
            pinned(text)
        assert "https://x.org/a#sha256=..." in caught.value.hint
    for text in (f"file:///etc/passwd#sha256={DIGEST}", f"ftp://x.org/a#sha256={DIGEST}", f"https://#sha256={DIGEST}"):
        with pytest.raises(UsageError, match="neither https:// nor http://"):
            pinned(text)
    assert is_address("HTTPS://x.org") and not is_address("./a#sha256=b") and not is_address(r"C:\a")


def test_the_option_takes_an_address(
    address: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ThreadingHTTPServer
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    from edgeeff.cli._runner_file import RunnerFile, on_this_machine

    assert RunnerFile().convert("a/b.run", None, None) == on_this_machine(Path("a/b.run")) == Path("a/b.run")
    for url in (address("x/../good"), address("good?generation=1#")[:-1]):
        runner = RunnerFile().convert(f"{url}#sha256={DIGEST}", None, None)
        path = on_this_machine(runner)
        assert path is not None and path.parent == tmp_path / "edgeeff" / "runners"
        assert path.name == f"{DIGEST[:16]}-good" and path.read_bytes() == CONTENT
    assert len(server.asked) == 1  # type: ignore[attr-defined]
    assert on_this_machine(None) is None
