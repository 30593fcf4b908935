"""Other architectures' devices, really there: what they need is fetched by prepare.py, and `make test-devices` runs it.

Everything here is emulated by qemu: it proves the path, never a latency.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PREPARED = os.environ.get("EDGEEFF_TEST_DEVICES", "")
NAMESPACE = Path(__file__).with_name("namespace.py")

if not PREPARED:
    collect_ignore_glob = ["test_*.py"]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def prepared() -> Path:
    """The folder that prepare.py filled."""
    return Path(PREPARED).resolve()


@pytest.fixture(scope="session")
def inside(prepared: Path) -> Any:
    """What starts a program where arm64 programs run: (options of namespace.py) -> argument list."""

    def before(*options: str) -> list[str]:
        qemu = prepared / "qemu" / "usr" / "bin" / "qemu-aarch64"
        return [sys.executable, str(NAMESPACE), "--interpreter", str(qemu), *options, "--"]

    return before


@pytest.fixture
def board(
    request: pytest.FixtureRequest,
    prepared: Path,
    inside: Any,
    free_port: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """The device file of an arm64 board: sshd, whose sessions are in the tree that prepare.py made.

    The tree is mounted over /mnt, for this server alone: sshd refuses a chroot below a folder that others can write.
    Its parameter (indirect) names what is not there of proc, sys and dev.
    """
    sshd = load(Path(__file__).parents[1] / "boards" / "sshd.py")
    tree = prepared / "board"
    binds = ["--bind", str(tree), "/mnt"]
    for name in ("proc", "sys", "dev"):
        (tree / name).mkdir(exist_ok=True)
        if name != getattr(request, "param", ""):
            binds += ["--bind", f"/{name}", f"/mnt/{name}"]
    server = sshd.start_server(
        tmp_path,
        free_port,
        before=inside(*binds),
        lines=["ChrootDirectory /mnt", "SetEnv HOME=/root PATH=/usr/bin:/bin"],
    )
    monkeypatch.setenv("HOME", str(server.home))
    path = tmp_path / "arm-board.toml"
    path.write_text('kind = "linux"\naddress = "ssh://board"\npython = "/opt/python"\n')
    yield path
    server.stop()


@pytest.fixture(scope="session")
def native(prepared: Path, inside: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native runner for arm64 Linux, built by the board's own compiler. For Android itself it takes an NDK."""
    folder = tmp_path_factory.mktemp("native")
    source = Path(__file__).parents[2] / "benchmarks" / "native" / "litert_runner.c"
    shutil.copy(source, folder)
    tree = prepared / "board"
    (tree / "mnt").mkdir(exist_ok=True)
    compiler = [shutil.which("chroot") or "/usr/sbin/chroot", str(tree), "/usr/bin/tcc", "-o", "/mnt/litert_runner"]
    argv = [*inside("--bind", str(folder), f"{tree}/mnt"), *compiler, f"/mnt/{source.name}", "-ldl"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return folder / "litert_runner"


def answers(attempt: Any) -> bool:
    """Whether something works within minutes."""
    for _ in range(6000):
        try:
            attempt()
            return True
        except OSError:
            time.sleep(0.05)
    return False


@pytest.fixture
def phone(
    prepared: Path, inside: Any, adb_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A phone whose adbd is the real one, alone in a network of its own; the root of its files.

    Its /sys are plain files that a test may rewrite. The serial is in the environment's EDGEEFF_TEST_SERIAL.
    """
    relay = load(Path(__file__).with_name("relay.py"))
    tree = prepared / "phone"
    frequencies = tmp_path / "sys" / "devices" / "system" / "cpu" / "cpu0" / "cpufreq"
    frequencies.mkdir(parents=True)
    for name, text in {"scaling_governor": "schedutil", "scaling_max_freq": "2000", "cpuinfo_max_freq": "2000"}.items():
        (frequencies / name).write_text(f"{text}\n")
    for name in ("possible", "present"):  # without these LiteRT does not find the processor
        (frequencies.parents[1] / name).write_text("0\n")
    path = tmp_path / "adbd"
    binds = [f"/proc {tree}/proc", f"/dev {tree}/dev", f"{tmp_path}/sys {tree}/sys"]
    options = [word for bind in binds for word in ("--bind", *bind.split())]
    chroot = shutil.which("chroot") or "/usr/sbin/chroot"
    daemon = "/usr/lib/android-sdk/platform-tools/adbd"
    adbd = ["/usr/bin/env", "-i", "PATH=/system/bin", chroot, str(tree), daemon]
    start = [sys.executable, str(Path(__file__).with_name("relay.py")), f"unix:{path}", "tcp:5555", "--"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*inside("--alone", *options), *start, *adbd], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    listener = relay.listen("tcp:0")
    serial = f"127.0.0.1:{listener.getsockname()[1]}"
    threading.Thread(target=relay.serve, args=(listener, f"unix:{path}"), daemon=True).start()
    for name, value in {**adb_server, "EDGEEFF_TEST_SERIAL": serial}.items():
        monkeypatch.setenv(name, value)
    try:
        assert answers(lambda: relay.connect(f"unix:{path}").close()), (tmp_path / "log").read_text()
        connect_adb(serial)
        yield tree
    finally:
        from edgeeff.devices._adb_server import Server
        from edgeeff.devices._adb_wire import RefusedError

        with contextlib.suppress(RefusedError):
            Server.from_environment().ask(f"host:disconnect:{serial}")
        listener.close()
        process.kill()
        process.wait()


def connect_adb(serial: str) -> None:
    """adb connect, which says "connected" also where it is not: until the device's state is "device"."""
    from adbutils import adb_path

    for _ in range(200):
        subprocess.run([adb_path(), "connect", serial], capture_output=True, timeout=600, check=False)
        argv = [adb_path(), "-s", serial, "get-state"]
        if subprocess.run(argv, capture_output=True, text=True, timeout=600).stdout.strip() == "device":
            return
        subprocess.run([adb_path(), "disconnect", serial], capture_output=True, timeout=600, check=False)
        time.sleep(0.5)
    pytest.fail(f"adb does not see {serial}")
