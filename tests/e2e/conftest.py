"""Devices on the other side: phones that speak adb's protocol, behind a real adb server of the tests' own."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PIXEL = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 8",
    "ro.product.device": "shiba",
    "ro.soc.model": "Tensor G3",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.build.version.release": "15",
    "ro.build.id": "AP3A.241005.015",
}
"""As a Pixel 8 says; the phone is still none: its times and temperatures are made up."""


@pytest.fixture(scope="session")
def phones() -> ModuleType:
    """The package of the double."""
    folder = Path(__file__).with_name("phone")
    spec = importlib.util.spec_from_file_location(
        "phone", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["phone"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def phone(
    phones: ModuleType,
    adb_server: dict[str, str],
    free_port: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Any]]:
    """Makes phones that the adb server can connect to: a Pixel 8, with other properties where given.

    Their owner has allowed this computer, where the test says nothing else. Nothing is downloaded for them: what is
    asked for over https finds nobody.
    """
    key = phones.public_key((Path(adb_server["ANDROID_USER_HOME"]) / "adbkey.pub").read_bytes())
    folders = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "CACHE")}
    for name, value in {**adb_server, **folders, "https_proxy": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    made: list[Any] = []

    def make(properties: dict[str, str] | None = None, *, known: bool = True, allows: bool = True) -> Any:
        root = tmp_path / f"phone{len(made)}"
        keys = [key] if known else []
        made.append(phones.Phone(root, {**PIXEL, **(properties or {})}, free_port(), keys, allows=allows))
        return made[-1]

    yield make
    from edgeeff.devices._adb_server import Server
    from edgeeff.devices._adb_wire import RefusedError

    for each in made:
        each.close()
        with suppress(RefusedError):  # the server does not know it any more
            Server.from_environment().ask("host:disconnect:" + each.serial)
    for _ in range(6000 if made else 0):  # it forgets them after it has answered
        if not Server.from_environment().states():
            break
        time.sleep(0.01)
