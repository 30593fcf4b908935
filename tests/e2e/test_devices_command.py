"""`edgeeff devices` and its doctor, with phones (the double) and this machine."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "benchmark_model"
Make = Callable[..., Any]


def devices(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "edgeeff", "devices", *map(str, arguments)]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.fixture
def connect() -> Callable[..., None]:
    """Makes the adb server see phones, as `adb connect` does."""

    def make(*doubles: Any) -> None:
        from edgeeff import registry

        registry.transport("adb").discover([double.serial for double in doubles])

    return make


def test_what_is_connected_in_which_state_and_what_it_would_run(phone: Make, connect: Any, tmp_path: Path) -> None:
    ready, locked = phone(), phone(known=False, allows=False)
    connect(ready, locked)
    done = devices(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = {row["device"]: row for row in json.loads(done.stdout)["devices"]}
    assert set(found) == {"host", f"adb:{ready.serial}", f"adb:{locked.serial}"}
    pixel = found[f"adb:{ready.serial}"]
    assert (pixel["state"], pixel["profile"], pixel["properties"]["model"]) == ("ready", "pixel-8", "Pixel 8")
    assert set(pixel["runners"]) == {"onnx", "tflite"}
    assert "--runner FILE" in pixel["runners"]["onnx"]["missing"]
    assert found["host"]["runners"]["tflite"] == {"runner": "litert", "missing": None}
    assert found[f"adb:{locked.serial}"]["state"] == "unauthorized"
    table = devices(tmp_path).stdout
    assert f"adb:{locked.serial} (unauthorized): unlock the device" in table
    assert "Pixel 8" in table and "pixel-8" in table


def test_what_cannot_be_asked_is_a_note_and_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as hangs_up:
        threading.Thread(target=hangs_up.serve_forever, daemon=True).start()
        monkeypatch.setenv("ADB_SERVER_SOCKET", f"tcp:127.0.0.1:{hangs_up.server_address[1]}")
        done = devices(tmp_path)
        hangs_up.shutdown()
    assert done.returncode == 0 and "host" in done.stdout
    note, cure = done.stderr.splitlines()
    assert note.startswith("note: the adb server at ") and cure == "  adb kill-server, then again"


def test_hostile_properties_stay_text(phone: Make, connect: Any, tmp_path: Path) -> None:
    hostile = phone({"ro.product.model": "\x1b[31mX'; rm -rf /; $(reboot)\u202e"})
    connect(hostile)
    done = devices(tmp_path)
    assert done.returncode == 0 and "\x1b" not in done.stdout and "$(reboot)" in done.stdout
    assert not [line for line in hostile.commands if "reboot" in line]


def test_the_doctor_examines_a_phone(phone: Make, tmp_path: Path) -> None:
    double = phone()
    runner = tmp_path / "benchmark_model"
    texts = {name: (GOLDEN / f"{name}.txt").read_text() for name in ("help-v1", "v1-2025", "v1-gpu-failed")}
    runner.write_text(
        f"#!/bin/sh\ncase \"$*\" in --help) cat <<'E'\n{texts['help-v1']}\nE\nexit 1;;\n"
        f"*use_gpu*) cat <<'E'\n{texts['v1-gpu-failed']}\nE\nexit 1;;\n*) cat <<'E'\n{texts['v1-2025']}\nE\n;; esac\n"
    )
    done = devices(tmp_path, "doctor", "--device", f"adb:{double.serial}", "--runner", runner, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    found = {f["name"]: f for f in json.loads(done.stdout)["findings"]}
    assert "Google Pixel 8, Android 15" in found["identity"]["detail"]
    for name in ("identity", "readings", "condition", "programs", "files", "tflite on cpu"):
        assert found[name]["works"] is True, found[name]
    assert found["stopping"]["works"] is None  # /proc is plain files there: only the double itself can tell, below
    assert "33.1 ms" in found["tflite on cpu"]["detail"] or "33 ms" in found["tflite on cpu"]["detail"]
    assert found["tflite on gpu"]["works"] is None
    assert "GPU delegate cannot be applied" in found["tflite on gpu"]["detail"]
    assert found["onnx"]["works"] is None
    # What was killed may take a moment to be gone.
    assert any(not double.running() or time.sleep(0.02) for _ in range(6000))


def test_the_doctor_says_what_fails(phone: Make, tmp_path: Path) -> None:
    double = phone()
    double.faults.corrupt = True
    double.thermal(3)
    double.write("/settings/low_power", "1\n")
    done = devices(tmp_path, "doctor", "--device", f"adb:{double.serial}")
    assert done.returncode == 5
    assert "FAILS  files" in done.stdout and "is not what was sent" in done.stdout
    assert "too hot: thermal status 3 (severe), the limit is 0; the battery saver is on" in done.stdout
    assert "cannot download https://storage.googleapis.com/litert" in done.stdout
    assert "files, tflite on cpu failed" in done.stderr


def test_the_doctor_examines_this_machine(tmp_path: Path) -> None:
    done = devices(tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = {f["name"]: f["works"] for f in json.loads(done.stdout)["findings"]}
    assert found["programs"] and found["stopping"] and found["tflite on cpu"] and found["onnx on cpu"]


def test_without_adb_the_rest_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADB_SERVER_SOCKET", "carrier-pigeon:1")
    done = devices(tmp_path)
    assert done.returncode == 0
    assert "host" in done.stdout and "is of no known kind" in done.stderr
