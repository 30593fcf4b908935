"""Servers for the tests of boards."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def sshd() -> ModuleType:
    """The module that starts servers."""
    spec = importlib.util.spec_from_file_location("sshd", Path(__file__).with_name("sshd.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sshd"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    if module.SSHD is None:
        missing = "there is no sshd: apt-get install openssh-server"
        if os.environ.get("EDGEEFF_REQUIRE_ALL"):
            pytest.fail(missing)
        pytest.skip(missing)
    return module


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sshd: ModuleType, free_port: Callable[[], int]
) -> Iterator[Callable[..., Any]]:
    """Starts servers that end with the test. The client's home is that of the first."""
    servers: list[Any] = []

    def begin(name: str = "sshd", port: int = 0, **options: object) -> Any:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        server = sshd.start_server(folder, (lambda: port) if port else free_port, **options)
        if not servers:
            monkeypatch.setenv("HOME", str(server.home))
        servers.append(server)
        return server

    yield begin
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def server(start: Callable[..., Any]) -> Any:
    """One plain server."""
    return start()


@pytest.fixture
def python_on_board() -> str:
    """A Python that has the runtimes: the tests' own, as if it were the board's."""
    return sys.executable
