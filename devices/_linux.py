"""What a Linux system says of itself under /proc and /sys; None where it does not (or is no Linux)."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from edgeeff.values import DeviceState

from ._board import Facts, parse, power_mode, throttled_flags

CPUS = Path("/sys/devices/system/cpu")
THERMAL = Path("/sys/class/thermal")


def read_state() -> DeviceState:
    """The machine's condition now."""
    board = _board_programs()
    flags = throttled_flags(board)
    return DeviceState(
        governors=_each_cpu("scaling_governor"),
        cpu_frequency_khz=_each_cpu_khz("scaling_cur_freq"),
        cpu_frequency_limit_khz=_each_cpu_khz("scaling_max_freq"),
        cpu_frequency_max_khz=_each_cpu_khz("cpuinfo_max_freq"),
        temperature_c=_temperature_c(),
        load_1min=_load_1min(),
        memory_available_bytes=_meminfo_bytes("MemAvailable"),
        cpu_pressure_avg10=_cpu_pressure(),
        steal_ticks=_steal_ticks(),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        throttling=flags[0] if flags is not None else None,
        throttled_since_boot=flags[1] if flags is not None else None,
        power_mode=power_mode(board),
    )


def _board_programs() -> Facts:
    """What the programs of a Raspberry Pi and of a Jetson say; nothing on other machines."""
    vcgencmd, nvpmodel = _answer("vcgencmd", "get_throttled"), _answer("nvpmodel", "-q")
    return parse([*(f"vcgencmd {line}" for line in vcgencmd), *(f"nvpmodel {line}" for line in nvpmodel)])


def _answer(program: str, *arguments: str) -> list[str]:
    path = shutil.which(program)
    if path is None:
        return []
    try:
        return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=5, check=False).stdout.split(
            "\n"
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return []


def cpu_count() -> int | None:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def cpu_model() -> str | None:
    """The board's or else the processor's name."""
    board = _read("/sys/firmware/devicetree/base/model")
    if board:
        return board.rstrip("\0")
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo") or "", re.MULTILINE)
    return found[1] if found else platform.processor() or None


def system_name() -> str | None:
    """The distribution, "Debian GNU/Linux 12 (bookworm)"."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return platform.platform() or None


def memory_bytes() -> int | None:
    """The machine's whole memory."""
    return _meminfo_bytes("MemTotal")


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _each_cpu(name: str) -> tuple[str, ...] | None:
    """One file of cpufreq for each core, in the cores' order; None where any cannot be read."""
    folders = sorted(CPUS.glob("cpu[0-9]*/cpufreq"), key=lambda folder: int(folder.parent.name[3:]))
    texts = [_read(folder / name) for folder in folders]
    found = tuple(text for text in texts if text is not None)
    return found if found and len(found) == len(texts) else None


def _each_cpu_khz(name: str) -> tuple[int, ...] | None:
    texts = _each_cpu(name)
    return tuple(map(int, texts)) if texts and all(text.isdecimal() for text in texts) else None


def _temperature_c() -> float | None:
    """The hottest thermal zone. Zones give thousandths of a degree; some vendors' give degrees."""
    readings = []
    for zone in THERMAL.glob("thermal_zone*/temp"):
        try:
            reading = float(_read(zone) or "")
        except ValueError:
            continue
        readings.append(reading / 1000 if abs(reading) >= 1000 else reading)
    return max(readings, default=None)


def _load_1min() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _meminfo_bytes(field: str) -> int | None:
    found = re.search(rf"^{field}:\s*(\d+) kB$", _read("/proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _cpu_pressure() -> float | None:
    """Percent of the last ten seconds in which something that could run waited for a core."""
    found = re.search(r"^some avg10=([\d.]+)", _read("/proc/pressure/cpu") or "", re.MULTILINE)
    return float(found[1]) if found else None


def _steal_ticks() -> int | None:
    """Ticks that a hypervisor took away, over all cores, since the machine started."""
    fields = (_read("/proc/stat") or "").partition("\n")[0].split()
    return int(fields[8]) if len(fields) > 8 else None
