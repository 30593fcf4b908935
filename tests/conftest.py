"""What several folders of tests use: small model files, a private adb server, a stand-in for benchmark_model, and
programs that pip cannot bring."""

from __future__ import annotations

import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from edgeeff import registry
from edgeeff.graph import Graph, Node
from edgeeff.ops import Concat, Conv2d, Dense, Mean

# A busy machine is slow; that is no fault of an example. The examples are the same in each run: a verdict is that of
# the code. `pytest --hypothesis-profile explore` looks further.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("edgeeff", settings.get_profile("explore"), derandomize=True)
settings.load_profile("edgeeff")

# What whoever starts the tests has set for other programs must not reach ours, nor those that they start.
FOREIGN = re.compile(
    r"(?i)(https?|ftp|all|no)_proxy|LC_.*|LANG|LANGUAGE|TZ|COLUMNS|LINES|TERM|NO_COLOR|FORCE_COLOR|CLICOLOR.*"
    r"|PYTHON(?!PATH|HOME).*|(GIT|ADB|ANDROID|SSH|PG|XDG|OMP|MKL|OPENBLAS|KMP|GOMP|TORCH|TF|ORT|GITHUB|GITLAB)_.*"
    r"|PG[A-Z]+|SOURCE_DATE_EPOCH|EDGEEFF_(?!REQUIRE_ALL|TEST_DEVICES|ACCEPT).*"
)
for variable in [name for name in os.environ if FOREIGN.fullmatch(name)]:
    del os.environ[variable]
# A name server that does not answer is asked once: names that nobody has are looked up as well.
os.environ.update(LC_ALL="C.UTF-8", RES_OPTIONS="timeout:1 attempts:1")
os.environ.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull)
time.tzset()
os.umask(0o022)

# The background jobs of a shell script ignore Ctrl-C, nohup's SIGHUP, and so would what the tests start and stop.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Random numbers that a test draws unseeded are the same in whatever order the tests run."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(67280421310721)  # as it begins by itself, where the test is the first to import it


@pytest.fixture(scope="session", autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home: neither settings nor downloads of whoever starts the tests decide; nor does a network."""
    made = tmp_path_factory.mktemp("home")
    os.environ.update(HOME=str(made), HF_HOME=str(made / "huggingface"), HF_HUB_OFFLINE="1")
    return made


GOLDEN = Path(__file__).parent / "golden" / "benchmark_model"


def _network(*, splits_the_delegate: bool = False) -> Graph:
    """A convolution, a mean and a dense layer; XNNPACK does not take a concatenation of six."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)

    nodes = [Node("stem", Conv2d(weight(8, 3, 3, 3), weight(8), (2, 2), (1, 1, 1, 1), activation="relu6"), ("image",))]
    if splits_the_delegate:
        nodes.append(Node("repeat", Concat(2), ("stem",) * 6))
    nodes.append(Node("pool", Mean((2, 3), False), (nodes[-1].name,)))
    nodes.append(Node("classifier", Dense(weight(10, 8), weight(10)), ("pool",)))
    return Graph("small", {"image": (1, 3, 32, 32)}, tuple(nodes), ("classifier",))


def _written(folder: Path, name: str, graph: Graph) -> Path:
    path = folder / name
    registry.converter(path.suffix[1:]).write(graph, path, precision="fp32", metadata={})
    return path


@pytest.fixture(scope="session")
def small_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 x 32 pixels, 16 x 16 x 8 x 27 + 80 multiply-adds."""
    return _written(tmp_path_factory.mktemp("models"), "small.onnx", _network())


@pytest.fixture(scope="session")
def small_tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network as small_onnx."""
    return _written(tmp_path_factory.mktemp("models"), "small.tflite", _network())


@pytest.fixture(scope="session")
def split_tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of which one op stays outside the delegate."""
    return _written(tmp_path_factory.mktemp("models"), "split.tflite", _network(splits_the_delegate=True))


@pytest.fixture(scope="session")
def over(program: Callable[[str, str], str]) -> Callable[..., list[str]]:
    """Gives the argument list before a program's own that runs it with an empty tmpfs over a folder: for it alone.

    Where the machine allows no mounts the test is skipped and says so.
    """
    unshare = program("unshare", "it is in util-linux")
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'

    def prefix(folder: object, options: str = "size=1m") -> list[str]:
        # The superuser needs no namespace of users, which some systems refuse to everybody.
        users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        argv = [unshare, *users, "--mount", "sh", "-c", script, "sh", options, str(folder)]
        tried = subprocess.run([*argv, "true"], capture_output=True, text=True)
        if tried.returncode:
            pytest.skip(f"no mount in a namespace is allowed here, so this was NOT tested: {tried.stderr.strip()}")
        return argv

    return prefix


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives ports of 127.0.0.1 that nobody listens at, each once.

    They are below those that the kernel gives to who asks for any: what was free a moment ago then stays so, and a
    connection to where nobody listens cannot meet itself. Each of xdist's workers has a range of its own.
    """
    kernels = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(kernels.read_text().split()[0]) if kernels.exists() else 0
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 16
    top = (lowest if lowest > 16_000 else 32_768) - 700 * worker
    # Another run of the tests on this machine begins elsewhere.
    candidates = iter([top - 1 - (os.getpid() + i) % 700 for i in range(700)])

    def free() -> int:
        for port in candidates:
            try:
                with socket.create_server(("127.0.0.1", port)):
                    return port
            except OSError:
                continue
        raise AssertionError("no port is free")

    return free


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets a deadline pass when the test says so, and not when the machine is slow: pass_time(seconds, modules...).

    The modules' time.monotonic() is ahead from then on.
    """

    def ahead(seconds: float, *modules: ModuleType) -> None:
        clock = SimpleNamespace(**vars(time))
        clock.monotonic = lambda: time.monotonic() + seconds
        for module in modules:
            monkeypatch.setattr(module, "time", clock)

    return ahead


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Finds a program that pip cannot bring: program(name, cure) -> its path.

    Where it is missing the test is skipped and says so; with EDGEEFF_REQUIRE_ALL set, as CI has it, it fails.
    """

    def find(name: str, cure: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None and os.environ.get("EDGEEFF_REQUIRE_ALL"):
            pytest.fail(f"{name} is not installed: {cure}")
        if path is None:
            pytest.skip(f"{name} is not installed, so this was NOT tested: {cure}")
        return path

    return find


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[dict[str, str]]:
    """A private adb server, the real one; the environment that leads to it."""
    from adbutils import adb_path

    home = tmp_path_factory.mktemp("adb")
    subprocess.run([adb_path(), "keygen", str(home / "adbkey")], capture_output=True, check=True)
    for _ in range(5):  # another program may take the port that was just free
        port = free_port()
        environment = {"ANDROID_ADB_SERVER_PORT": str(port), "ANDROID_USER_HOME": str(home), "HOME": str(home)}
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [adb_path(), "-L", f"tcp:localhost:{port}", "nodaemon", "server"],
                stdout=log,
                stderr=log,
                # It connects to nothing by itself: neither to what the network announces nor to emulators.
                env={
                    **environment,
                    "PATH": "/usr/bin:/bin",
                    "ADB_MDNS_AUTO_CONNECT": "0",
                    "ADB_LOCAL_TRANSPORT_MAX_PORT": "5000",
                },
            )
        if _answers(server, port):
            break
        server.kill()
        server.wait()
    else:
        pytest.fail(f"the adb server does not start: {(home / 'log').read_text()}")
    try:
        yield environment
    finally:
        server.kill()
        server.wait()


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    """Whether a server listens within minutes, and has not ended since somebody else does."""
    for _ in range(6000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server.poll() is None
        except OSError:
            if server.poll() is not None:
                return False
            time.sleep(0.05)
    return False


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., Path]:
    """Makes a stand-in that answers --help and prints a golden output; `before` is run first."""

    def make(output: str = "v1-2025", helps: str = "v1", before: str = "", after: str = "") -> Path:
        path = tmp_path / f"benchmark_model_{output}"
        help_text, text = ((GOLDEN / f"{name}.txt").read_text() for name in (f"help-{helps}", output))
        path.write_text(
            f"#!/bin/sh\nif [ \"$1\" = --help ]; then\ncat >&2 <<'END'\n{help_text}\nEND\nexit 1\nfi\n"
            f'for flag; do case $flag in --graph=*) [ -f "${{flag#--graph=}}" ] || exit 9;; esac; done\n'
            f"{before}\ncat >&2 <<'END'\n{text}\nEND\n{after}\n"
        )
        return path

    return make


@pytest.fixture(scope="session")
def postgres(program: Callable[[str, str], str]) -> Iterator[str]:
    """A PostgreSQL server of our own on a socket in a temporary folder."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    server = str(places[-1] / "postgres") if places else program("postgres", "apt-get install postgresql")
    folder = Path(server).parent
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    data = Path(tempfile.mkdtemp(prefix="edgeeff-postgres-", dir="/tmp"))  # its own user must reach it
    shutil.chown(data, user)
    as_user = {"user": user, "cwd": "/", "check": True, "stdout": subprocess.DEVNULL}
    try:
        subprocess.run(
            [
                folder / "initdb",
                "-D",
                data / "db",
                "-U",
                "edgeeff",
                "--auth=trust",
                "--no-sync",
                "--no-locale",
                "--encoding=UTF8",
            ],
            **as_user,  # type: ignore[call-overload]
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={data} -c fsync=off"
        subprocess.run(
            [folder / "pg_ctl", "-D", data / "db", "-l", data / "log", "-w", "-t", "600", "-o", options, "start"],
            **as_user,  # type: ignore[call-overload]
        )
        try:
            yield f"postgresql+psycopg://edgeeff@/postgres?host={data}"
        finally:
            subprocess.run([folder / "pg_ctl", "-D", data / "db", "-m", "immediate", "stop"], **as_user)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(data, ignore_errors=True)
