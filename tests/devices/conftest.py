"""Other architectures' devices, really there: what they need is fetched by prepare.py, and `make test-devices` runs it.

Everything here is emulated by qemu: it proves the path, never a latency.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
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
def board(prepared: Path, inside: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The device file of an arm64 board: sshd, whose sessions are in the tree that prepare.py made.

    The tree is mounted over /mnt, for this server alone: sshd refuses a chroot below a folder that others can write.
    """
    sshd = load(Path(__file__).parents[1] / "boards" / "sshd.py")
    tree = prepared / "board"
    binds = ["--bind", str(tree), "/mnt"]
    for name in ("proc", "sys", "dev"):
        (tree / name).mkdir(exist_ok=True)
        binds += ["--bind", f"/{name}", f"/mnt/{name}"]
    server = sshd.start_server(
        tmp_path, before=inside(*binds), lines=["ChrootDirectory /mnt", "SetEnv HOME=/root PATH=/usr/bin:/bin"]
    )
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    path = tmp_path / "arm-board.toml"
    path.write_text('kind = "linux"\naddress = "ssh://board"\npython = "/opt/python"\n')
    yield path
    server.stop()
