"""From what the user calls a device to the one that is meant. The transport is a list of what is connected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeeff import registry
from edgeeff.catalog import load_catalog
from edgeeff.errors import DeviceError, UsageError
from edgeeff.protocols import Device
from edgeeff.targets import resolve, seen_everywhere
from edgeeff.values import Connected, Target


def phone(serial: str, model: str = "Q 8", state: str = "ready") -> Connected:
    cure = "" if state == "ready" else "unlock it and allow this computer"
    return Connected("adb", serial, state, {"model": model} if model else {}, cure)


class Wire:
    """A transport with these devices on it."""

    def __init__(self, name: str, *connected: Connected) -> None:
        self.name = name
        self.connected = connected
        self.asked: Sequence[str] = ()

    def discover(self, addresses: Sequence[str]) -> Sequence[Connected]:
        self.asked = addresses
        if self.name == "ssh":
            return [c for c in self.connected if c.address in addresses]
        return self.connected

    def open(self, target: Target) -> Device:
        raise NotImplementedError


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "q.toml").write_text('like = "android"\n[match]\nmodel = "Q*"')
    (tmp_path / "q8.toml").write_text('like = "android"\nthreads = [4]\n[match]\nmodel = "Q 8"')
    (tmp_path / "rack.toml").write_text('like = "linux"\naddress = "ssh://pi@rack"')
    catalog = load_catalog(tmp_path)

    def connect(*connected: Connected):
        usual = registry.transports()
        board = Connected("ssh", "ssh://pi@rack", "ready", {"model": "Board"})
        adb, ssh = Wire("adb", *connected), Wire("ssh", board)
        monkeypatch.setattr(registry, "_load", lambda group: ({**usual, "adb": adb, "ssh": ssh}, {}))
        return lambda name, **options: resolve(name, catalog=catalog, **options)

    connect.catalog = catalog  # type: ignore[attr-defined]
    return connect


def test_a_name_finds_the_one_that_fits_with_the_nearest_profile(wires) -> None:
    (target,) = wires(phone("1"), phone("2", "Other"))("q")
    assert (target.name, target.connected.address, target.profile.name) == ("q", "1", "q8")
    assert target.profile.threads == (4,)


def test_an_address_finds_that_device_and_its_profile(wires) -> None:
    find = wires(phone("1"), phone("2", "Other"))
    assert find("adb:1")[0].profile.name == "q8"
    assert find("adb:2")[0].profile.name == "android"
    assert find("q", serial="1")[0].connected.address == "1"


def test_a_file_of_the_users(wires, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.toml"
    path.write_text('kind = "android"\naddress = "2"\nthreads = [2]')
    (target,) = wires(phone("1"), phone("2", "Other"))(str(path))
    assert (target.connected.address, target.profile.threads) == ("2", (2,))


def test_a_board_by_its_address_and_by_the_file_about_it(wires) -> None:
    find = wires()
    assert find("rack")[0].profile.name == "rack"
    assert find("ssh://pi@rack")[0].profile.name == "rack"
    with pytest.raises(DeviceError, match="ssh://pi@other"):
        find("ssh://pi@other")


def test_none_lists_what_was_seen(wires) -> None:
    with pytest.raises(DeviceError) as caught:
        wires(phone("7", "Other"))("q8")
    assert caught.value.message == "no connected device fits 'q8'; connected by adb: 7 (Other)"
    assert "adb connect" in caught.value.hint
    with pytest.raises(DeviceError, match="connected by adb: nothing"):
        wires()("q8")


def test_several_list_what_was_seen_and_all_takes_them(wires) -> None:
    find = wires(phone("1"), phone("2", "Q 9"), phone("3", "Other"))
    with pytest.raises(DeviceError) as caught:
        find("q")
    assert "2 connected devices fit 'q': 1 (Q 8), 2 (Q 9)" in caught.value.message
    assert "--serial 1" in caught.value.hint
    assert [t.connected.address for t in find("q", every=True)] == ["1", "2"]


def test_one_that_cannot_be_used_says_its_cure(wires) -> None:
    with pytest.raises(DeviceError) as caught:
        wires(phone("1", "", "unauthorized"))("q")
    assert caught.value.message == "1 cannot be used: unauthorized"
    assert caught.value.hint == "unlock it and allow this computer"


def test_several_of_which_none_can_be_used(wires) -> None:
    with pytest.raises(DeviceError) as caught:
        wires(phone("1", "", "unauthorized"), phone("2", "", "offline"))("q")
    assert caught.value.message == ("none of the 2 devices that may be 'q' can be used: 1 (unauthorized), 2 (offline)")
    assert caught.value.hint == "unlock it and allow this computer"


def test_one_that_is_not_ready_does_not_stand_in_the_way(wires) -> None:
    assert wires(phone("1", "", "offline"), phone("2"))("q")[0].connected.address == "2"


def test_a_name_that_nobody_knows_never_becomes_the_host(wires) -> None:
    find = wires(phone("1"))
    for name in ("pixle", "adb:", "ssh://", "host:1"):
        with pytest.raises(UsageError):
            find(name)
    with pytest.raises(UsageError, match="cannot read"):
        find("none.toml")
    assert find("host")[0].connected.transport == "host"


def test_all_that_is_connected(wires) -> None:
    wires(phone("1"))
    found, problems = seen_everywhere(wires.catalog)
    names = {(device.transport, profile.name) for device, profile in found}
    assert names == {("adb", "q8"), ("host", "host"), ("ssh", "rack")}
    assert not problems
