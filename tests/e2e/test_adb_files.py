"""Files on a phone: by their content, whole or not at all, and what is said where there is no room."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeeff import registry
from edgeeff.errors import DeviceError
from edgeeff.protocols import Device
from edgeeff.targets import resolve

Make = Callable[..., Any]


def opened(phone: Any) -> Device:
    (target,) = resolve(f"adb:{phone.serial}")
    return registry.transport("adb").open(target)


def test_files_go_there_under_their_hash_and_are_never_stale(phone: Make, tmp_path: Path) -> None:
    double = phone()
    model = tmp_path / "b0; rm -rf '$HOME'.tflite"
    model.write_bytes(os.urandom(300_000))
    with opened(double) as device:
        first = device.push(model)
        assert double.path(first).read_bytes() == model.read_bytes()
        sent = len(double.commands)
        assert device.push(model) == first
        assert len(double.commands) == sent  # nothing is asked twice in a session
        model.write_bytes(os.urandom(300_000))
        second = device.push(model)
        assert second != first and double.path(second).read_bytes() == model.read_bytes()
        runner = device.push(model, executable=True)
        assert [double.path(p).stat().st_mode & 0o111 for p in (runner, second)] == [0o111, 0]
    assert all("rm -rf" not in command and "HOME" not in command for command in double.commands)
    double.path(second).write_bytes(b"somebody's own")
    with opened(double) as device:
        assert double.path(device.push(model)).read_bytes() == model.read_bytes()


def test_results_come_back_and_scratch_files_go(phone: Make, tmp_path: Path) -> None:
    double = phone()
    with opened(double) as device:
        path = device.scratch(".pb")
        assert list(device.run(["sh", "-c", f"printf abc > {path}"], timeout_s=600)) == []
        device.pull(path, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == b"abc"
        with pytest.raises(DeviceError, match="No such file"):
            device.pull(path + "x", tmp_path / "none")
    assert double.files() == []


def test_no_space(phone: Make, tmp_path: Path) -> None:
    double = phone()
    double.faults.free_bytes = 1_000_000
    model = tmp_path / "m.tflite"
    model.write_bytes(bytes(2_500_000))
    with opened(double) as device:
        with pytest.raises(DeviceError) as caught:
            device.push(model)
        assert "2.5 MB are needed, 1.0 MB are free" in caught.value.message
        assert "rm -r" in caught.value.hint
    assert double.files() == []


def test_the_disk_turns_out_to_be_full(phone: Make, tmp_path: Path) -> None:
    double = phone()
    double.faults.free_bytes, double.faults.seemed_free_bytes = 1_000_000, 3_000_000
    model = tmp_path / "m.tflite"
    model.write_bytes(bytes(2_500_000))
    with opened(double) as device, pytest.raises(DeviceError) as caught:
        device.push(model)
    assert "2.5 MB are needed, and it ran full, though 3.0 MB seem free" in caught.value.message
    assert double.files() == []


def test_read_only(phone: Make, tmp_path: Path) -> None:
    double = phone()
    model = tmp_path / "m.tflite"
    model.write_bytes(b"model")
    with opened(double) as device:
        double.faults.read_only = True
        with pytest.raises(DeviceError, match="Read-only file system") as caught:
            device.push(model)
        assert "folder =" in caught.value.hint
    with pytest.raises(DeviceError, match="Read-only file system"):
        opened(double)


def test_what_arrives_is_checked(phone: Make, tmp_path: Path) -> None:
    double = phone()
    double.faults.corrupt = True
    model = tmp_path / "m.tflite"
    model.write_bytes(b"model")
    with opened(double) as device, pytest.raises(DeviceError) as caught:
        device.push(model)
    assert f"what arrived of {model} is not what was sent" in caught.value.message
    assert caught.value.hint == "try another cable or port"
    assert double.files() == []


def test_half_written_files_of_killed_sessions_go(phone: Make) -> None:
    double = phone()
    old = double.path("/data/local/tmp/edgeeff/x.part")
    old.parent.mkdir()
    for path, hours in ((old, 2), (old.with_name("y.part"), 0), (old.with_name("z"), 24 * 9), (old.with_name("w"), 24)):
        path.write_text("")
        os.utime(path, (time.time() - hours * 3600,) * 2)
    opened(double).close()
    assert double.files() == ["edgeeff/w", "edgeeff/y.part"]
