"""A phone that goes away while a program runs, for good or for a moment, and what is there afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeeff import registry
from edgeeff.errors import DeviceError
from edgeeff.protocols import Device
from edgeeff.targets import resolve

ADB = registry.transport("adb")
Make = Callable[..., Any]


def opened(phone: Any) -> Device:
    (target,) = resolve(f"adb:{phone.serial}")
    return ADB.open(target)


def settles(done: Callable[[], bool]) -> bool:
    return any(done() or time.sleep(0.05) for _ in range(6000))


def running(device: Device) -> Iterator[str]:
    """A program that says that it is there, and would go on."""
    lines = device.run(["sh", "-c", "echo up; sleep 100000"], timeout_s=600)
    assert next(lines) == "up"
    return lines


def is_back(double: Any) -> bool:
    """The adb server connects again by itself, some time after a device went away."""
    return any(found.ready for found in ADB.discover([]) if found.address == double.serial)


def test_power_cut_while_a_program_runs(phone: Make) -> None:
    double = phone()
    double.faults.cut_after = b"halfway"
    with opened(double) as device, pytest.raises(DeviceError) as caught:
        list(device.run(["sh", "-c", "echo halfway; sleep 100000"], timeout_s=600))
    assert f"{double.serial} was lost while sh ran" in caught.value.message
    assert "what was measured before is kept" in caught.value.hint


def test_a_reboot_is_told_from_a_cable(phone: Make) -> None:
    double = phone()
    with opened(double) as device:
        lines = running(device)
        double.reboot()
        assert settles(lambda: is_back(double))
        with pytest.raises(DeviceError) as caught:
            list(lines)
    assert caught.value.message == f"{double.serial} was rebooted while sh ran"
    assert "nothing of that launch counts" in caught.value.hint


def test_what_runs_on_behind_a_cable_that_was_out_is_killed(phone: Make) -> None:
    double = phone()
    with opened(double) as device:
        lines = running(device)
        double.unplug()
        assert settles(lambda: is_back(double)) and double.running()
        with pytest.raises(DeviceError) as caught:
            list(lines)
        assert "was lost while sh ran" in caught.value.message and "it is back" in caught.value.message
        assert settles(lambda: not double.running())


def test_a_mode_that_a_lost_session_left_on_is_ended_by_the_next(phone: Make, caplog: pytest.LogCaptureFixture) -> None:
    double = phone()
    with pytest.raises(DeviceError) as caught, opened(double) as device, device.hold_performance():
        double.power_cut()
    assert "its mode of fixed performance may still be on" in caught.value.message
    assert "the next session ends that mode" in caught.value.hint
    switch = "power set-fixed-performance-mode-enabled"
    log = double.root / "cmd.log"
    assert log.read_text().splitlines() == [f"{switch} true"]
    double.power_on()
    (mark,) = double.files()
    os.utime(double.path(f"/data/local/tmp/{mark}"), (1, 1))  # it counts also when other old files are swept out
    for _ in range(2):
        opened(double).close()
        assert log.read_text().splitlines() == [f"{switch} true", f"{switch} false"]
        (warned,) = caplog.messages
        assert "measures from another computer" in warned and double.serial in warned
    assert double.files() == []


@pytest.mark.parametrize("refused", ["echo 'Failed to set FIXED_PERFORMANCE mode'", "exit 255"])
def test_a_mode_that_the_phone_does_not_end_is_ended_by_the_next_session(refused: str, phone: Make) -> None:
    double = phone()
    log = double.root / "cmd.log"
    stuck = f"#!/bin/sh\necho \"$@\" >> '{log}'\n[ \"$3\" = true ] || [ -f '{double.root}/off' ] || {{ {refused}; }}\n"
    double.install("cmd", stuck)
    with pytest.raises(DeviceError, match="may still be on"), opened(double) as device, device.hold_performance():
        pass
    with pytest.raises(DeviceError, match="may still be on"):  # nobody may measure unknowingly in that mode
        opened(double)
    assert double.files() == ["edgeeff/fixed-performance"]
    (double.root / "off").touch()
    opened(double).close()
    assert double.files() == []
    assert [line.split()[-1] for line in log.read_text().splitlines()] == ["true", "false", "false", "false"]


def test_a_mode_that_was_refused_is_not_remembered(phone: Make) -> None:
    double = phone()
    double.install("cmd", "#!/bin/sh\nexit 255\n")
    with opened(double) as device:
        with pytest.raises(DeviceError, match="refuses its mode"), device.hold_performance():
            pass
        assert "edgeeff/fixed-performance" not in double.files()


def test_a_check_on_a_lost_phone_is_no_pass(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    """What was measured before is kept, and never compared."""
    double = phone()
    double.faults.cut_after = b"POWER-CUT"
    sixth = f"echo x >> {tmp_path}/count; [ $(wc -l < {tmp_path}/count) -lt 6 ] || echo POWER-CUT"
    argv = [sys.executable, "-m", "edgeeff", "check", str(small_tflite), "--against", str(small_tflite), "--json"]
    argv += ["--seconds", "600"]
    argv += ["--device", f"adb:{double.serial}", "--runner", str(runner(after=sixth)), "--out", str(tmp_path / "out")]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 5, done.stderr
    assert f"{double.serial} was lost while" in done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "inconclusive", document
    assert list((tmp_path / "out").glob("*.jsonl"))
