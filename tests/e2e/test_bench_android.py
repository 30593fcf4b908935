"""`edgeeff bench` on a phone, from the command line to the table.

The phone is the double, its benchmark_model a stand-in that prints what the real one does: see
tests/golden/benchmark_model.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgeeff import store
from edgeeff.files import sha256_of

EDGEEFF = [sys.executable, "-m", "edgeeff"]
Make = Callable[..., Any]


def bench(folder: Path, *arguments: object, seconds: float = 2) -> subprocess.CompletedProcess[str]:
    argv = [*EDGEEFF, "bench", "--seconds", str(seconds), *map(str, arguments)]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=900)


def test_a_phone_by_its_catalog_name(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    double = phone()
    done = bench(tmp_path, small_tflite, "--device", f"adb:{double.serial}", "--runner", runner(), "--json")
    assert done.returncode == 0, done.stderr
    (m,) = json.loads(done.stdout)["measurements"]
    assert m["runtime"] == "benchmark_model" and m["device"]["model"] == "Google Pixel 8"
    assert m["latency_s"]["median"] == pytest.approx(33.05e-3) and m["latency_s"]["p90"] is None
    assert (m["delegated_ops"], m["ops"], m["delegate"]) == (238, 238, "XNNPACK")
    codes = {warning["code"] for warning in m["warnings"]}
    assert "no-raw-samples" in codes and "clock-unknown" not in codes
    (results,) = (tmp_path / "results").glob("*.jsonl")
    (stored,) = store.read(results)
    assert stored.cpus == (2, 3)  # the big ones
    state = stored.launches[0].state_before
    assert state is not None and state.thermal_status == 0 and state.battery_percent == 83
    assert any("'taskset' c " in line for line in double.commands)
    assert all(name.startswith("edgeeff/") for name in double.files()) and len(double.files()) == 2


def test_a_gpu_run_that_fell_back_fails_unless_allowed(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    arguments = [small_tflite, "--device", f"adb:{phone().serial}", "--runner", runner("v1-gpu-partial")]
    done = bench(tmp_path, *arguments, "--accelerator", "gpu")
    assert done.returncode == 7
    assert "only 60 of 64 ops run in the GPU delegate: --allow-fallback" in done.stderr
    done = bench(tmp_path, *arguments, "--accelerator", "gpu", "--allow-fallback")
    assert done.returncode == 0, done.stderr
    assert "60/64 GPU, fp16 allowed in 3 parts" in done.stdout
    assert "4 of 64 ops do not run in the GPU, fp16 allowed delegate" in done.stdout


def test_a_gpu_run_of_litert_is_known_by_what_it_replaced(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    double = phone()
    arguments = [small_tflite, "--device", f"adb:{double.serial}", "--accelerator", "gpu", "--json"]
    done = bench(tmp_path, *arguments, "--runner", runner("v2-gpu-complete", "v2"))
    assert done.returncode == 0, done.stderr
    (m,) = json.loads(done.stdout)["measurements"]
    assert (m["delegated_ops"], m["ops"], m["delegate"]) == (238, 238, "LITERT_CL, fp16 allowed")
    assert m["latency_s"]["median"] == pytest.approx(33.05e-3)
    done = bench(tmp_path, *arguments, "--runner", runner("v2-gpu-absent", "v2"))
    assert done.returncode == 7 and "none of the 238 ops runs on the gpu: --allow-fallback" in done.stderr


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("v1-unconsumed", "the runner does not know --use_npu=true --dispatch_library_path=/x: take a newer one"),
        ("v1-no-runs", "the output of benchmark_model cannot be read; its last line is: INFO: Inference timings"),
    ],
)
def test_output_that_is_no_measurement(
    output: str, message: str, phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    done = bench(tmp_path, small_tflite, "--device", f"adb:{phone().serial}", "--runner", runner(output))
    assert done.returncode == 7 and message in done.stderr


def test_one_phone_by_two_names_is_one_phone(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    serial = phone().serial
    (tmp_path / "mine.toml").write_text(f'like = "android"\naddress = "{serial}"\nthreads = [2]')
    arguments = [small_tflite, "--device", f"adb:{serial}", "--device", "mine.toml", "--runner", runner(), "--json"]
    done = bench(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["measurements"]) == 1


def test_a_run_without_xnnpack_is_marked(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    arguments = [small_tflite, "--device", f"adb:{phone().serial}", "--runner", runner("v1-xnnpack-lost")]
    done = bench(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "not all ops run in the XNNPACK delegate" in done.stdout


def test_a_phone_that_gets_hot_is_waited_for_and_measured_again(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    """The first launch throttles the phone: the clock's limit falls while it runs, and rises as it is waited for."""
    double = phone()
    limit = "/sys/devices/system/cpu/cpu3/cpufreq/scaling_max_freq"
    heat = f"[ -e {tmp_path}/heated ] || {{ touch {tmp_path}/heated; echo 1400000 > {double.path(limit)}; }}"
    argv = [*EDGEEFF, "bench", str(small_tflite), "--device", f"adb:{double.serial}", "--runner", runner(before=heat)]
    argv += ["--cooldown", "600", "--seconds", "600", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None and process.stdout is not None
        told = ""
        for line in process.stderr:
            told += line
            if "waiting up to 600 s for it to cool" in line:
                double.write(limit, "2800000\n")
        (m,) = json.loads(process.stdout.read())["measurements"]
    assert process.returncode == 0, told
    assert m["failed_launches"] == 1 and m["launches"] >= 1
    assert "dropped, since the device throttled while it ran: the clock of core 3 is capped at 1.40 GHz" in told
    assert told.count("waiting up to 600 s for it to cool") == 1


def test_power_cut_in_the_middle_keeps_what_was_measured(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    double = phone()
    cut = f"[ -e {tmp_path}/one ] || {{ touch {tmp_path}/one; exec 3>&1; }}\n"
    path = runner(after=f"[ -e {tmp_path}/two ] && echo POWER-CUT\ntouch {tmp_path}/two", before=cut)
    double.faults.cut_after = b"POWER-CUT"
    done = bench(tmp_path, small_tflite, "--device", f"adb:{double.serial}", "--runner", path, "--json", seconds=600)
    assert done.returncode == 5
    assert f"{double.serial} was lost" in done.stderr
    (m,) = json.loads(done.stdout)["measurements"]
    assert m["launches"] == 1
    (results,) = (tmp_path / "results").glob("*.jsonl")
    assert len(store.read(results)[0].launches) == 1


def test_a_reboot_between_two_looks_is_seen(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    double = phone()
    boot = double.path("/proc/sys/kernel/random/boot_id")
    path = runner(before=f"sed -i s/^......../00000000/ {boot}")
    double.write("/proc/sys/kernel/random/boot_id", "11111111-1111-1111-1111-111111111111\n")
    done = bench(tmp_path, small_tflite, "--device", f"adb:{double.serial}", "--runner", path, "--json")
    (m,) = json.loads(done.stdout)["measurements"]
    assert m["failed_launches"] == 1
    assert "the device rebooted during this launch" in done.stderr


def test_two_phones_at_once_with_a_runner_from_the_network(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    path = runner()
    first, second = phone(), phone({"ro.product.model": "Pixel 9 Pro", "ro.product.device": "caiman"})
    from edgeeff import registry

    # The adb server itself may drop one of two connections that are asked for in the same moment.
    registry.transport("adb").discover([first.serial, second.serial])
    arguments = [small_tflite, "--device", f"adb:{first.serial}", "--device", f"adb:{second.serial}"]
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{path.name}#sha256={sha256_of(path)}"
        done = bench(tmp_path, *arguments, "--runner", url, "--threads", "1,2", "--json")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["measurements"]
    assert sorted((m["device"]["model"], m["threads"]) for m in found) == [
        ("Google Pixel 8", 1),
        ("Google Pixel 8", 2),
        ("Google Pixel 9 Pro", 1),
        ("Google Pixel 9 Pro", 2),
    ]
    assert f"adb:{first.serial}  timing 2 cases" in done.stderr


def test_all_that_fit_at_once(phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path) -> None:
    from edgeeff import registry

    doubles = [phone(), phone(), phone({"ro.product.manufacturer": "Other"})]
    registry.transport("adb").discover([double.serial for double in doubles])
    arguments = [small_tflite, "--runner", runner("v1-gpu-failed"), "--accelerator", "gpu"]
    done = bench(tmp_path, *arguments, "--device", "pixel")
    assert done.returncode == 5 and "2 connected devices fit 'pixel'" in done.stderr and "--all" in done.stderr
    done = bench(tmp_path, *arguments, "--device", "pixel", "--all", "--json")
    assert done.returncode == 7  # the graver code of the devices' own
    assert len(json.loads(done.stdout)["measurements"]) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_fixed_performance_is_ended_also_by_who_stops_it(
    number: int, phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    double = phone()
    path = runner(before=f"touch {tmp_path}/began; sleep 100000")
    argv = [*EDGEEFF, "bench", str(small_tflite), "--device", f"adb:{double.serial}", "--runner", str(path)]
    process = subprocess.Popen([*argv, "--fixed-performance"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(12_000):
            if (tmp_path / "began").exists():
                break
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert (double.root / "cmd.log").read_text().splitlines() == [
        "power set-fixed-performance-mode-enabled true",
        "power set-fixed-performance-mode-enabled false",
    ]
    for _ in range(6000):
        if not double.running():
            break
        time.sleep(0.05)
    assert not double.running()
    assert all(not name.endswith((".pb", ".part")) for name in double.files())


def test_ctrl_c_reaches_each_of_several_devices(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    doubles = [phone(), phone()]
    path = runner(before=f"touch {tmp_path}/began-$$; sleep 100000")
    devices = [part for double in doubles for part in ("--device", f"adb:{double.serial}")]
    argv = [*EDGEEFF, "bench", str(small_tflite), *devices, "--runner", str(path), "--fixed-performance"]
    process = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(12_000):
            if len(list(tmp_path.glob("began-*"))) == 2:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    for double in doubles:
        assert (double.root / "cmd.log").read_text().splitlines()[-1].endswith("mode-enabled false")
        for _ in range(6000):
            if not double.running():
                break
            time.sleep(0.05)
        assert not double.running()


def test_fixed_performance_where_there_is_none(
    phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path
) -> None:
    double = phone()
    double.install("cmd", "#!/bin/sh\necho 'Failed to set FIXED_PERFORMANCE mode'\n")
    arguments = [small_tflite, "--device", f"adb:{double.serial}", "--runner", runner(), "--fixed-performance"]
    done = bench(tmp_path, *arguments)
    assert done.returncode == 5 and "Failed to set FIXED_PERFORMANCE mode" in done.stderr
    done = bench(tmp_path, small_tflite, "--fixed-performance")
    assert done.returncode == 2 and "host has no mode of fixed performance" in done.stderr


def test_sustained(phone: Make, runner: Callable[..., Path], small_tflite: Path, tmp_path: Path) -> None:
    double = phone()
    arguments = [small_tflite, "--device", f"adb:{double.serial}", "--runner", runner(), "--sustained", "3s"]
    done = bench(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "hottest, °C" in done.stdout and "33.5" in done.stdout
    done = bench(tmp_path, *arguments, "--json")
    (curve,) = json.loads(done.stdout)["sustained"]
    assert curve["steps"][0]["median_s"] == pytest.approx(33.05e-3) and curve["steps"][0]["thermal_status"] == 0
    assert curve["steps"][0]["limit_share"] == 1


def test_an_unauthorized_phone(phone: Make, small_tflite: Path, tmp_path: Path) -> None:
    serial = phone(known=False, allows=False).serial
    done = bench(tmp_path, small_tflite, "--device", f"adb:{serial}", "--json")
    assert done.returncode == 5
    error = json.loads(done.stdout)["error"]
    assert error["message"] == f"{serial} cannot be used: unauthorized" and "allow this computer's key" in error["hint"]


def test_no_phone_at_all_never_becomes_the_host(adb_server: dict[str, str], small_tflite: Path, tmp_path: Path) -> None:
    environment = {**os.environ, **adb_server}
    argv = [*EDGEEFF, "bench", str(small_tflite), "--device", "android"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 5
    assert "no connected device fits 'android'; connected by adb: nothing" in done.stderr
    assert not (tmp_path / "results").exists()
