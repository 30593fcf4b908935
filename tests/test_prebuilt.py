"""Prebuilt runners: which, from where, and only with a hash that is known. The server is a real one on this machine."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgeeff.benchmarks._prebuilt import Prebuilt, check_abi, fetched, prebuilt
from edgeeff.errors import DeviceError, UsageError

CONTENT = b"\x7fELF a benchmark_model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def address() -> Iterator[str]:
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path != "/2.2.0/android_arm64":
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    assert len(asked) == len(set(asked)), "a file was downloaded twice"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def pinned(home: Path, text: str) -> None:
    path = home / "XDG_CONFIG_HOME" / "edgeeff" / "runners.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def android() -> Prebuilt:
    found = prebuilt("benchmark_model", "android", "arm64-v8a")
    assert found is not None
    return found


def test_ours_is_a_release_at_a_known_place_with_a_known_hash() -> None:
    found = android()
    assert found.url == "https://storage.googleapis.com/litert/binaries/2.2.0/android_arm64/benchmark_model"
    assert found.sha256 is not None and re.fullmatch("[0-9a-f]{64}", found.sha256)
    assert prebuilt("benchmark_model", "android", "riscv64") is None


@pytest.mark.parametrize(("abi", "platform"), [("aarch64", "linux_arm64"), ("x86_64", "linux_x86_64")])
def test_a_file_whose_hash_nobody_has_said_is_not_downloaded(abi: str, platform: str) -> None:
    found = prebuilt("benchmark_model", "linux", abi)
    assert found is not None and found.platform == platform
    with pytest.raises(UsageError, match="its SHA-256 is not known here") as caught:
        fetched(found)
    assert found.url in caught.value.hint and "runners.toml" in caught.value.hint


def test_a_hash_of_the_users_is_enough_and_the_file_is_fetched_once(address: str, home: Path) -> None:
    url = f'url = "{address}/{{version}}/{{platform}}"'
    pinned(home, f'[benchmark_model]\n{url}\n[benchmark_model.sha256]\nandroid_arm64 = "{DIGEST}"')
    path = fetched(android())
    assert path.read_bytes() == CONTENT and path.stat().st_mode & 0o111
    assert fetched(android()) == path


def test_another_files_hash_is_refused(address: str, home: Path) -> None:
    wanted = Prebuilt("benchmark_model", "2.2.0", "android_arm64", f"{address}/2.2.0/android_arm64", "0" * 64)
    with pytest.raises(UsageError, match=f"has the SHA-256 {DIGEST}, not 0000"):
        fetched(wanted)
    assert not wanted.cached.exists()


def test_offline_is_said_at_once(address: str) -> None:
    for url in (f"{address}/none", "http://127.0.0.1:9/x"):
        with pytest.raises(UsageError, match=f"cannot download {url}") as caught:
            fetched(Prebuilt("benchmark_model", "2.2.0", "android_arm64", url, DIGEST))
        assert "--runner FILE" in caught.value.hint


def test_a_version_of_the_users_has_none_of_our_hashes(home: Path) -> None:
    pinned(home, '[benchmark_model]\nversion = "9.9"')
    assert android().version == "9.9" and android().sha256 is None  # ours is of another
    assert "/9.9/" in android().url


def test_the_users_file_may_be_damaged(home: Path) -> None:
    pinned(home, "version =")
    with pytest.raises(UsageError, match=r"runners\.toml is not TOML"):
        android()


def test_a_hash_that_is_none_is_not_tried(home: Path) -> None:
    pinned(home, '[benchmark_model.sha256]\nandroid_arm64 = "f3729eaf"')
    with pytest.raises(UsageError, match="not downloaded without the SHA-256 that it must have"):
        fetched(android())


def test_programs_are_checked_for_the_devices_processor(tmp_path: Path) -> None:
    def elf(machine: int) -> Path:
        path = tmp_path / f"m{machine}"
        path.write_bytes(b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + bytes(44))
        return path

    for machine, abi in ((183, "arm64-v8a"), (183, "aarch64"), (62, "x86_64"), (40, "armv7l"), (183, None)):
        check_abi(elf(machine), abi, "phone")
    with pytest.raises(DeviceError, match="is for x86_64, and phone is arm64-v8a"):
        check_abi(elf(62), "arm64-v8a", "phone")
    with pytest.raises(DeviceError, match="is for the processor 8"):
        check_abi(elf(8), "arm64-v8a", "phone")
    script = tmp_path / "script"
    script.write_text("#!/system/bin/sh\n")
    check_abi(script, "arm64-v8a", "phone")
    script.write_text("hello")
    with pytest.raises(UsageError, match="not a program"):
        check_abi(script, "arm64-v8a", "phone")
