"""A connected device, examined end to end: what works, what does not, and what cures it."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from edgeeff import stats
from edgeeff.errors import EdgeeffError, MeasurementError, UsageError
from edgeeff.files import sha256_of
from edgeeff.measuring.cases import Wanted, build_cases, usual_runner
from edgeeff.measuring.commands import LaunchPolicy
from edgeeff.measuring.conditions import too_hot
from edgeeff.measuring.device_checks import LOW_BATTERY_PERCENT
from edgeeff.measuring.launch import push, run_launch
from edgeeff.protocols import Device
from edgeeff.values import DeviceState

KILLED_WITHIN_S = 10.0
QUICK = LaunchPolicy(warmup_runs=1, warmup_s=0.0, min_runs=3, max_runs=10, max_s=0.2, timeout_s=120.0)
TRANSFER_BYTES = 4_000_000

READINGS = {
    "clocks": ("cpu_frequency_khz", "cpu_frequency_limit_khz", "cpu_frequency_max_khz"),
    "governor": ("governors",),
    "temperature": ("temperature_c",),
    "thermal status": ("thermal_status",),
    "battery": ("battery_percent", "battery_temperature_c", "battery_status"),
    "power source": ("power_source",),
    "screen": ("screen_on",),
    "free memory": ("memory_available_bytes",),
    "load": ("load_1min",),
    "reboots": ("boot_id",),
}
"""What should be known of a device while it measures -> the fields of its state that say it."""

ANDROID_ONLY = ("thermal status", "battery", "power source", "screen")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        works: None: it works in part, or cannot be told.
        cure: empty where nothing is to be cured.
    """

    name: str
    works: bool | None
    detail: str
    cure: str = ""


def examine(device: Device, models: Mapping[str, Path], runner_file: Path | None = None) -> Iterator[Finding]:
    """Looks at everything that a measurement needs, and yields each finding as it is made.

    Args:
        models: format -> a small file to be timed.
        runner_file: the user's own runner (--runner).
    """
    state = device.state()
    yield from _each(
        ("identity", lambda: _identity(device)),
        ("readings", lambda: _readings(state, device.profile.kind)),
        ("condition", lambda: _condition(device, state)),
        ("programs", lambda: _programs(device)),
        ("stopping", lambda: _stopping(device)),
        ("files", lambda: _files(device)),
    )
    for format_name, path in models.items():
        runner = usual_runner(format_name, device.profile, runner_file)
        missing = runner.missing(device.profile, runner_file)
        if missing is not None:
            yield Finding(format_name, None, f"{runner.name}: {missing}", "see devices/README.md")
            continue
        for accelerator in device.profile.accelerators:
            name = f"{format_name} on {accelerator}"
            yield from _each((name, partial(_timing, device, name, path, accelerator, runner_file)))


def _each(*checks: tuple[str, Callable[[], Finding]]) -> Iterator[Finding]:
    """Each finding; an error that a check meets is one as well."""
    for name, check in checks:
        try:
            yield check()
        except EdgeeffError as error:
            yield Finding(name, False, error.message, error.hint)


def _identity(device: Device) -> Finding:
    info = device.info()
    memory = "unknown memory" if info.memory_bytes is None else f"{info.memory_bytes / 1e9:.1f} GB"
    cores = "unknown cores" if info.cpu_count is None else f"{info.cpu_count} cores"
    detail = ", ".join([info.model or "unknown model", info.os or "unknown system", info.abi or "?", cores, memory])
    if info.emulated:
        return Finding("identity", None, f"{detail}: an emulator", "its times say nothing of real hardware")
    return Finding("identity", True, detail)


def _readings(state: DeviceState, kind: str) -> Finding:
    wanted = {name: fields for name, fields in READINGS.items() if kind == "android" or name not in ANDROID_ONLY}
    known = [name for name, fields in wanted.items() if all(getattr(state, f) is not None for f in fields)]
    missing = [name for name in wanted if name not in known]
    if not missing:
        return Finding("readings", True, f"all {len(known)} can be read")
    detail = f"{len(known)} of {len(wanted)} can be read; unknown: {', '.join(missing)}"
    return Finding("readings", None, detail, "what is unknown is shown as unknown in every measurement")


def _condition(device: Device, state: DeviceState) -> Finding:
    problems: list[str] = []
    if state.thermal_overridden:
        problems.append("the thermal status is overridden (adb shell cmd thermalservice reset)")
    if hot := too_hot(state, device.profile.thermal):
        problems.append(f"too hot: {hot}")
    if state.battery_percent is not None and state.battery_percent < LOW_BATTERY_PERCENT:
        problems.append(f"battery at {state.battery_percent:.0f} %")
    if state.battery_saver:
        problems.append("the battery saver is on, which caps the clocks")
    if state.screen_on:
        problems.append("the screen is on, which takes power and heat")
    if problems:
        return Finding("condition", None, "; ".join(problems), "put that right before you measure")
    parts = [
        None if state.temperature_c is None else f"{state.temperature_c:.1f} °C",
        None if state.thermal_status is None else f"thermal status {state.thermal_status}",
        None if state.battery_percent is None else f"battery {state.battery_percent:.0f} %",
    ]
    return Finding("condition", True, ", ".join(filter(None, parts)) or "nothing speaks against it")


def _programs(device: Device) -> Finding:
    """Both outputs apart, standard input, and the exit code."""
    errors: list[str] = []
    word = secrets.token_hex(8)
    script = f"read x; echo out-$x; echo err-{word} >&2; exit 3"
    try:
        lines = list(
            device.run(["sh", "-c", script], stdin=f"{word}\n", timeout_s=KILLED_WITHIN_S, on_stderr=errors.append)
        )
    except MeasurementError as error:
        if error.message.endswith("exit code 3") and errors == [f"err-{word}"]:
            return Finding("programs", True, "start, read, write to both outputs and end with their exit code")
        return Finding("programs", False, error.message, error.hint)
    return Finding("programs", False, f"the exit code is lost ({lines})", "")


def _stopping(device: Device) -> Finding:
    """A program that does not end is killed, and does not go on."""
    seconds = 1_000_000 + secrets.randbelow(1_000_000)
    try:
        with closing(device.run(["sleep", str(seconds)], timeout_s=1.0)) as lines:  # type: ignore[type-var]
            for _ in lines:
                pass
    except MeasurementError:
        pass
    for _ in range(20):
        running = _is_running(device, seconds)
        if running is None:
            return Finding("stopping", None, "whether a program that was to be killed still runs cannot be told there")
        if not running:
            return Finding("stopping", True, "a program that does not end is killed and leaves nothing running")
        time.sleep(0.1)
    return Finding("stopping", False, "a program that was to be killed still runs", f"kill `sleep {seconds}` there")


def _is_running(device: Device, seconds: int) -> bool | None:
    """By the list of processes; None where that cannot be read."""
    # One program for all processes: a phone starts programs slowly.
    script = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\000" "\\n"'
    try:
        words = [line.strip() for line in device.run(["sh", "-c", script], timeout_s=KILLED_WITHIN_S)]
    except MeasurementError:
        return None
    if not any(words):
        return None
    return ("sleep", str(seconds)) in pairwise(words)


def _files(device: Device) -> Finding:
    """There and back, with a hostile name."""
    with tempfile.TemporaryDirectory() as folder:
        path, back = Path(folder) / "it's a; $(file)", Path(folder) / "back"
        path.write_bytes(secrets.token_bytes(TRANSFER_BYTES))
        began = time.monotonic()
        remote = device.push(path)
        seconds = time.monotonic() - began
        device.pull(remote, back)
        if sha256_of(path) != sha256_of(back):
            return Finding("files", False, "a file came back changed", "try another cable or port")
        in_place = remote == str(path.resolve())
    if in_place:
        return Finding("files", True, "are used where they are")
    speed = TRANSFER_BYTES / 1e6 / max(seconds, 1e-6)
    return Finding("files", True, f"arrive and come back unchanged, {speed:.0f} MB/s")


def _timing(device: Device, name: str, path: Path, accelerator: str, runner_file: Path | None) -> Finding:
    """A small network, timed for real."""
    runner = usual_runner(path.suffix[1:], device.profile, runner_file)
    wanted = Wanted("doctor", (runner.name,), (1,), accelerator, runner_file)
    (case,) = build_cases([path], device, wanted)
    try:
        launch = run_launch(case, device, push(case, device), QUICK, 0)
    except UsageError as error:
        if accelerator == "cpu":
            raise
        return Finding(name, None, error.message, error.hint)
    if launch.error is not None:
        # That a network is refused by an accelerator is no fault of the device's.
        return Finding(name, False if accelerator == "cpu" else None, f"{runner.name}: {launch.error}")
    median_ms = stats.launch_median_s(launch) * 1e3
    extent = "" if launch.delegate is None else f" in {launch.delegate}"
    raw = f"{len(launch.samples_ns)} raw samples" if launch.samples_ns else "a summary, no raw samples"
    detail = f"{runner.name}{extent}: {median_ms:.3g} ms for a tiny network, {raw}"
    if accelerator != "cpu" and launch.fully_delegated is None and launch.delegated_ops is None:
        return Finding(name, None, f"{detail}; it does not say where the ops ran")
    return Finding(name, True, detail)
