"""What every runner and every transport keeps to; one that is added is tested here unedited."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.catalog import load_catalog
from edgeeff.errors import EdgeeffError, UsageError
from edgeeff.protocols import Device, Runner, Transport
from edgeeff.values import Connected, Target

CATALOG = load_catalog(Path("/nowhere"))


@pytest.fixture(autouse=True)
def nothing_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:127.0.0.1:1")
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/bin/false")
    for name in ("ANDROID_NDK_HOME", "ANDROID_NDK_ROOT", "EDGEEFF_LITERT_LIBRARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("runner", registry.runners().values(), ids=lambda runner: runner.name)
def test_a_runner_names_what_it_times_and_says_what_it_lacks(runner: Runner) -> None:
    assert runner.formats and set(runner.formats) <= set(registry.converters())
    assert runner.kinds and set(runner.kinds) <= {"host", "linux", "android"}
    for profile in CATALOG.values():
        why = runner.missing(profile, None)
        assert why is None or (why and "\n" not in why)


@pytest.mark.parametrize("runner", registry.runners().values(), ids=lambda runner: runner.name)
def test_a_runner_that_is_no_program_is_refused(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "runner"
    path.write_bytes(b"hello")
    path.chmod(0o755)
    host = registry.transport("host")
    target = Target("host", host.discover(())[0], CATALOG["host"])
    with host.open(target) as device, pytest.raises(EdgeeffError):
        runner.install(device, path)


@pytest.mark.parametrize("transport", registry.transports().values(), ids=lambda transport: transport.name)
def test_discovery_tells_what_is_there_and_what_cures_the_rest(transport: Transport) -> None:
    """Discovery tells, and does not fail for what is not there; what cannot be used says its cure."""
    try:
        found = transport.discover(["ssh://127.0.0.1:1"] if transport.name == "ssh" else [])
    except EdgeeffError as error:
        assert error.hint
        return
    for device in found:
        assert isinstance(device, Connected) and device.transport == transport.name
        assert device.ready or device.cure


def test_the_host_is_a_device() -> None:
    host = registry.transport("host")
    with host.open(Target("host", host.discover(())[0], CATALOG["host"])) as device:
        assert isinstance(device, Device)
        assert device.profile == CATALOG["host"] and device.info().kind == "host"


@pytest.fixture
def further_converters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules are converters too."""
    package = import_module("edgeeff.converters")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    registry._load.cache_clear()
    yield tmp_path
    registry._load.cache_clear()


def test_an_adapter_whose_package_is_missing_is_disabled_by_its_own_name(further_converters: Path) -> None:
    (further_converters / "coreml.py").write_text("import no_such_package\n")
    with pytest.raises(UsageError, match="the format 'coreml' is disabled") as caught:
        registry.converter("coreml")
    assert caught.value.hint == "pip install no_such_package"
    assert {"onnx", "tflite"} <= set(registry.converters())
