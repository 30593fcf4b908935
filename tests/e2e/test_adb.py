"""edgeeff's side of adb against the real adb server and a device double: what works, and how each thing fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeeff import registry
from edgeeff.devices import _adb_shell, _adb_wire, adb
from edgeeff.errors import DeviceError, MeasurementError
from edgeeff.protocols import Device
from edgeeff.targets import resolve

ADB = registry.transport("adb")
Make = Callable[..., Any]

HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "a; touch pwned",
    "a' 'b",
    'a"b',
    "a\nb",
    "-rf",
    "~",
    "*",
    "a\\b",
    "!x",
    "&& x",
    "",
    "ü \udcff",
]


def opened(phone: Any) -> Device:
    (target,) = resolve(f"adb:{phone.serial}")
    return ADB.open(target)


def output(device: Device, *argv: str, **settings: Any) -> list[str]:
    return list(device.run(argv, timeout_s=settings.pop("timeout_s", 600), **settings))


def test_a_phone_says_what_it_is_and_in_which_condition(phone: Make) -> None:
    with opened(phone()) as device:
        info, state = device.info(), device.state()
    assert (info.kind, info.model, info.os, info.abi) == (
        "android",
        "Google Pixel 8",
        "Android 15 (AP3A.241005.015)",
        "arm64-v8a",
    )
    assert info.cpu_count == 4 and info.memory_bytes == 7777777 * 1024 and not info.emulated
    assert state.governors == ("sched_pixel",) * 4
    assert state.cpu_frequency_limit_khz == state.cpu_frequency_max_khz == (1800000, 1800000, 2800000, 2800000)
    assert state.cpu_frequency_khz == (900000, 900000, 1400000, 1400000)
    assert (state.thermal_status, state.thermal_overridden, state.temperature_c) == (0, False, 33.5)
    assert state.temperatures_c == {"BIG": 31.0, "usb_pwr_therm": 45.0, "VIRTUAL-SKIN": 33.5}
    assert (state.battery_percent, state.battery_temperature_c) == (83, 29.6)
    assert (state.battery_status, state.power_source, state.battery_saver) == ("charging", "usb", False)
    assert state.screen_on is False and state.load_1min == 0.5 and state.memory_available_bytes == 4444444 * 1024
    assert state.boot_id is not None and len(state.boot_id) == 36


def test_what_cannot_be_read_is_unknown(phone: Make) -> None:
    double = phone()
    with opened(double) as device:
        for name in ("sys", "proc", "dump", "settings"):
            (double.root / name).rename(double.root / f"no-{name}")
        state, info = device.state(), device.info()
    assert not [name for name in state.__slots__ if getattr(state, name) is not None]
    assert info.cpu_count is None and info.memory_bytes is None


def test_an_emulator_is_called_one(phone: Make) -> None:
    with opened(phone({"ro.boot.qemu": "1"})) as device:
        assert device.info().emulated


def test_programs_run_with_both_outputs_apart_and_their_exit_code(phone: Make) -> None:
    errors: list[str] = []
    with opened(phone()) as device:
        script = "cat; echo 'on stderr' >&2; printf end"
        assert output(device, "sh", "-c", script, stdin="in\n", on_stderr=errors.append) == ["in", "end"]
        assert errors == ["on stderr"]
        with pytest.raises(MeasurementError, match="exit code 3") as caught:
            output(device, "sh", "-c", "echo why >&2; exit 3")
        assert caught.value.hint == "why"
        with pytest.raises(MeasurementError, match="killed by signal 11"):
            output(device, "sh", "-c", "kill -11 $$")
        with pytest.raises(MeasurementError, match="cannot be started on the device"):
            output(device, "/data/local/tmp/nothing")


def test_lines_come_as_they_are_written(phone: Make) -> None:
    with opened(phone()) as device:
        lines = device.run(["sh", "-c", "echo 1; sleep 100000"], timeout_s=600)
        assert next(lines) == "1"
        lines.close()  # type: ignore[attr-defined]


def test_much_goes_in_and_out(phone: Make) -> None:
    text = "x" * 99 + "\n"
    with opened(phone()) as device:
        assert output(device, "cat", stdin=text * 30_000) == [text[:-1]] * 30_000


def test_a_timeout_kills_the_program_and_its_children(phone: Make, pass_time: Callable[..., None]) -> None:
    double = phone()
    script = "echo last words >&2; echo up; sleep 100000 & sleep 100000"
    with opened(double) as device:
        lines = device.run(["sh", "-c", script], timeout_s=600, on_stderr=lambda line: None)
        assert next(lines) == "up"
        pass_time(599.9, _adb_shell, _adb_wire)  # a tenth of a second is left, in which nothing comes
        with pytest.raises(MeasurementError, match=r"did not finish within 600 s and was killed"):
            next(lines)
        settled(lambda: not double.running())
        assert not double.running()


def test_what_a_program_said_before_its_time_was_over_is_told(phone: Make, pass_time: Callable[..., None]) -> None:
    with opened(phone()) as device:
        script = ["sh", "-c", "echo last words >&2; sleep 100000"]
        over = device.run(script, timeout_s=600, on_stderr=lambda line: pass_time(600, _adb_shell, _adb_wire))
        with pytest.raises(MeasurementError, match="was killed") as caught:
            list(over)
    assert caught.value.hint == "last words"


def settled(done: Callable[[], bool]) -> None:
    for _ in range(6000):
        if done():
            return
        time.sleep(0.05)


def test_who_stops_reading_stops_the_program(phone: Make) -> None:
    double = phone()
    with opened(double) as device:
        lines = device.run(["sh", "-c", "echo 1; sleep 100000"], timeout_s=600)
        next(lines)
        assert double.running()
        lines.close()  # type: ignore[attr-defined]
        settled(lambda: not double.running())
        assert not double.running()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arguments_arrive_as_they_are(name: str, phone: Make) -> None:
    double = phone()
    with opened(double) as device:
        found = "\n".join(output(device, "printf", "%s", "--", name, name))
    assert found.encode() == ("--" + name * 2).encode("utf-8", "surrogateescape").decode(errors="replace").encode()
    assert not list(Path.cwd().glob("pwned"))


def test_programs_with_hostile_names_are_not_something_else(phone: Make) -> None:
    with opened(phone()) as device:
        for name in ("if", "PATH=x", "a;b", "%1"):
            with pytest.raises(MeasurementError, match="cannot be started"):
                output(device, name)
        with pytest.raises(DeviceError, match="NUL"):
            output(device, "echo", "a\0b")


def test_a_key_that_is_not_allowed(phone: Make) -> None:
    double = phone(known=False, allows=False)
    with pytest.raises(DeviceError) as caught:
        opened(double)
    assert caught.value.message == f"{double.serial} cannot be used: unauthorized"
    assert "allow this computer's key" in caught.value.hint


def test_a_known_key_is_not_asked_for_again(phone: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(adb.SETTLING_S, "unauthorized", 600.0)  # the double allows it at once, on a slow machine too
    double = phone(known=False)
    opened(double).close()
    assert len(double.known_keys) == 1
    double.allows = False
    double.reboot()
    wait_for(double)
    opened(double).close()
    assert len(double.known_keys) == 1


def wait_for(double: Any) -> None:
    """The adb server connects again by itself, some time after a device went away."""
    settled(lambda: any(c.ready for c in ADB.discover([double.serial]) if c.address == double.serial))


def test_offline(phone: Make) -> None:
    """`adb connect` says "already connected" of it: it is let go and connected anew, each time that it is asked for."""
    double = phone()
    opened(double).close()
    double.faults.offline = True
    double.reboot()
    settled(lambda: states(double) == ["offline"])
    with pytest.raises(DeviceError) as caught:
        opened(double)
    assert caught.value.message == f"{double.serial} cannot be used: offline"
    assert "reconnect" in caught.value.hint
    double.faults.offline = False
    opened(double).close()


def test_nobody_answers_at_an_address(phone: Make) -> None:
    double = phone()
    double.power_cut()
    with pytest.raises(DeviceError) as caught:
        opened(double)
    assert caught.value.message == f"{double.serial} cannot be used: unreachable"
    assert "failed to connect" in caught.value.hint and "Connection refused" in caught.value.hint


def states(double: Any) -> list[str]:
    return [c.state for c in ADB.discover([]) if c.address == double.serial]


def test_one_session_a_device(phone: Make) -> None:
    double = phone()
    with opened(double), pytest.raises(DeviceError, match="in use by another edgeeff"):
        opened(double)
    opened(double).close()


def test_an_old_android(phone: Make) -> None:
    double = phone()
    double.faults.features = "cmd"
    with pytest.raises(DeviceError, match=r"not answering|shell_v2"):
        opened(double)


def test_a_name_of_the_catalog_finds_the_phone_and_several_are_ambiguous(phone: Make) -> None:
    first, second = phone(), phone({"ro.product.model": "Pixel 9 Pro", "ro.product.device": "caiman"})
    ADB.discover([first.serial, second.serial])
    with pytest.raises(DeviceError) as caught:
        resolve("android")
    for double, model in ((first, "Pixel 8"), (second, "Pixel 9 Pro")):
        assert f"{double.serial} ({model})" in caught.value.message


def test_two_phones_run_at_once_and_answers_do_not_mix(phone: Make) -> None:
    with opened(phone()) as one, opened(phone()) as other:
        first = one.run(["sh", "-c", "read x; echo $x; read x; echo $x"], stdin="1\n2\n", timeout_s=600)
        second = other.run(["sh", "-c", "read x; echo $x; read x; echo $x"], stdin="3\n4\n", timeout_s=600)
        assert [next(first), next(second), next(first), next(second)] == ["1", "3", "2", "4"]
        assert list(first) == list(second) == []


def test_a_server_is_started_where_none_runs_and_nowhere_else(
    adb_server: dict[str, str],
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from edgeeff.devices._adb_server import Server

    port = free_port()
    for name, value in {**adb_server, "ANDROID_ADB_SERVER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ADB_SERVER_SOCKET", raising=False)
    try:
        assert ADB.discover([]) == []
        assert Server.from_environment().socket == f"tcp:127.0.0.1:{port}"
    finally:
        Server.from_environment().stop()
    assert capfd.readouterr() == ("", "")  # it says nothing of its own to who asked for JSON
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:192.0.2.1:5037")
    with pytest.raises(DeviceError, match=r"192\.0\.2\.1"):
        Server.from_environment().connect(0.2)
