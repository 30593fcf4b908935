"""What an Android device says of itself: one fixed shell script, and the reading of its answer.

What is not in the answer (no permission, an older Android, a vendor's own ways) is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgeeff.values import DeviceInfo, DeviceState

_CPU = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"

STATE_SCRIPT = f"""
echo @boot; cat /proc/sys/kernel/random/boot_id
echo @load; cat /proc/loadavg
echo @memory; grep -e MemAvailable -e MemTotal /proc/meminfo
echo @cpu; grep -H . {_CPU}/scaling_governor {_CPU}/scaling_cur_freq {_CPU}/scaling_max_freq {_CPU}/cpuinfo_max_freq
echo @zone; grep -H . /sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp
echo @thermal; dumpsys thermalservice
echo @battery; dumpsys battery
echo @power; dumpsys power | grep -e mWakefulness= -e 'Display Power' -e mIsPowered=
echo @saver; settings get global low_power
echo @pressure; cat /proc/pressure/cpu
"""
"""Holds nothing that a user or a device named. grep reads many files in one process: little work, little heat."""

INFO_SCRIPT = """
echo @prop; getprop
echo @kernel; uname -r
echo @memory; grep -e MemTotal /proc/meminfo
echo @cores; cat /sys/devices/system/cpu/possible
"""

_STATUS = {1: None, 2: "charging", 3: "discharging", 4: "not charging", 5: "full"}
_FREQUENCIES = {
    "scaling_cur_freq": "cpu_frequency_khz",
    "scaling_max_freq": "cpu_frequency_limit_khz",
    "cpuinfo_max_freq": "cpu_frequency_max_khz",
}
_COUNTED_ZONES = ("cpu", "soc", "skin", "ap", "big", "little", "mid", "g3d", "gpu", "npu", "tpu", "vts", "quiet")
"""Zones that tell whether the chip is hot; others are the modem's, the charger's, or nonsense such as -40 degrees."""

_TYPES = {0: "cpu", 1: "gpu", 3: "skin", 9: "npu"}
"""Android's Temperature.TYPE_* that count: android.os.Temperature."""


def sections(text: str) -> dict[str, str]:
    """The answer of a script by its marks."""
    parts = re.split(r"(?m)^@(\w+)\n", text)
    return dict(zip(parts[1::2], parts[2::2], strict=False))


def properties(text: str) -> dict[str, str]:
    """What getprop lists: `[name]: [value]`, where a value may have several lines."""
    return dict(re.findall(r"(?ms)^\[([^\]\n]+)\]: \[(.*?)\]$", text))


def matched(found: Mapping[str, str]) -> dict[str, str]:
    """The properties that the catalog matches on, by short names."""
    names = {
        "manufacturer": "ro.product.manufacturer",
        "brand": "ro.product.brand",
        "model": "ro.product.model",
        "device": "ro.product.device",
        "soc": "ro.soc.model",
        "abi": "ro.product.cpu.abi",
        "android": "ro.build.version.release",
    }
    return {short: found[name] for short, name in names.items() if found.get(name)}


def is_emulated(found: Mapping[str, str]) -> bool:
    """An emulator or a virtual device (ranchu and goldfish are the emulator's boards, cutfish is cuttlefish's)."""
    boards = {"ranchu", "goldfish", "cutf_cvm", "vsoc_x86_64", "vsoc_arm64"}
    return "1" in (found.get("ro.kernel.qemu"), found.get("ro.boot.qemu")) or found.get("ro.hardware") in boards


def read_info(name: str, text: str) -> DeviceInfo:
    """Of INFO_SCRIPT's answer."""
    parts = sections(text)
    found = properties(parts.get("prop", ""))
    maker, model = found.get("ro.product.manufacturer", ""), found.get("ro.product.model", "")
    full = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    release, build = found.get("ro.build.version.release"), found.get("ro.build.id")
    return DeviceInfo(
        name=name,
        kind="android",
        model=full.strip() or None,
        os=f"Android {release}{f' ({build})' if build else ''}" if release else None,
        kernel=parts.get("kernel", "").strip() or None,
        abi=found.get("ro.product.cpu.abi") or None,
        cpu_count=_count(parts.get("cores", "").strip()),
        memory_bytes=_kilobytes(parts.get("memory", ""), "MemTotal"),
        emulated=is_emulated(found),
    )


def _count(ranges: str) -> int | None:
    """Of "0-3,5": five."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", ranges):
        return None
    ends = [part.split("-") for part in ranges.split(",")]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def read_state(text: str) -> DeviceState:
    """Of STATE_SCRIPT's answer."""
    parts = sections(text)
    zones = _zones(parts.get("zone", ""))
    status, overridden, sensors = _thermal(parts.get("thermal", ""))
    temperatures = {**zones, **sensors}
    counted = [value for name, value in zones.items() if _counts(name)] + list(sensors.values())
    load = re.match(r"[\d.]+", parts.get("load", ""))
    pressure = re.search(r"some avg10=([\d.]+)", parts.get("pressure", ""))
    return DeviceState(
        **_clocks(parts.get("cpu", "")),
        temperature_c=max(counted, default=None),
        temperatures_c=temperatures or None,
        load_1min=float(load[0]) if load else None,
        memory_available_bytes=_kilobytes(parts.get("memory", ""), "MemAvailable"),
        cpu_pressure_avg10=float(pressure[1]) if pressure else None,
        boot_id=_boot_id(parts.get("boot", "")),
        thermal_status=status,
        thermal_overridden=overridden,
        battery_saver={"0": False, "1": True}.get(parts.get("saver", "").strip()),
        screen_on=_screen(parts.get("power", "")),
        **_battery(parts.get("battery", "")),
    )


def _boot_id(text: str) -> str | None:
    return text.strip() if re.fullmatch(r"[0-9a-f-]{36}", text.strip()) else None


def _kilobytes(text: str, name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _clocks(text: str) -> dict[str, Any]:
    """Governors and clocks, one a core in the cores' order; None where a core's cannot be read."""
    found: dict[str, dict[int, str]] = {}
    for core, name, value in re.findall(r"^/sys/devices/system/cpu/cpu(\d+)/cpufreq/(\w+):(\S+)$", text, re.MULTILINE):
        found.setdefault(name, {})[int(core)] = value
    cores = sorted({core for values in found.values() for core in values})

    def each(name: str) -> tuple[str, ...] | None:
        values = found.get(name, {})
        return tuple(values[core] for core in cores) if cores and set(values) == set(cores) else None

    clocks: dict[str, Any] = {"governors": each("scaling_governor")}
    for name, field in _FREQUENCIES.items():
        texts = each(name)
        clocks[field] = tuple(map(int, texts)) if texts and all(t.isdecimal() for t in texts) else None
    return clocks


def _zones(text: str) -> dict[str, float]:
    """Thermal zones by type. They are in thousandths of a degree; some vendors' are in degrees."""
    found: dict[str, dict[str, str]] = {}
    for number, name, value in re.findall(
        r"^/sys/class/thermal/thermal_zone(\d+)/(type|temp):(.+)$", text, re.MULTILINE
    ):
        found.setdefault(number, {})[name] = value.strip()
    zones: dict[str, float] = {}
    for number, zone in found.items():
        if re.fullmatch(r"-?\d+", zone.get("temp", "")):
            reading = int(zone["temp"])
            celsius = reading / 1000 if abs(reading) >= 1000 else float(reading)
            if 0 < celsius < 150:
                name = zone.get("type", f"zone{number}")
                zones[name] = max(celsius, zones.get(name, celsius))
    return zones


def _counts(zone: str) -> bool:
    return any(word in _COUNTED_ZONES for word in re.split(r"[^a-z0-9]+|(?<=[a-z])(?=\d)", zone.lower()))


def _thermal(text: str) -> tuple[int | None, bool | None, dict[str, float]]:
    """Status, whether somebody faked it, and the sensors' temperatures, of `dumpsys thermalservice` (Android 10)."""
    status = re.search(r"Thermal Status: (\d+)", text)
    faked = re.search(r"IsStatusOverride: (true|false)", text)
    # The current ones where the service has them; it lists cached ones before.
    current = text.partition("Current temperatures from HAL")[2].partition("Current cooling")[0] or text
    pattern = r"Temperature\{mValue=(-?[\d.]+), mType=(-?\d+), mName=([^,}]*),"
    sensors = {
        name: float(value)
        for value, kind, name in re.findall(pattern, current)
        if int(kind) in _TYPES and 0 < float(value) < 150
    }
    return (int(status[1]) if status else None), (faked[1] == "true" if faked else None), sensors


def _battery(text: str) -> dict[str, Any]:
    """Of `dumpsys battery`."""
    fields = dict(re.findall(r"^\s+([\w ]+): (\S+)$", text, re.MULTILINE))

    def number(name: str) -> float | None:
        return float(fields[name]) if re.fullmatch(r"-?\d+", fields.get(name, "")) else None

    level, scale, temperature, status = (number(name) for name in ("level", "scale", "temperature", "status"))
    names = {"AC powered": "ac", "USB powered": "usb", "Wireless powered": "wireless", "Dock powered": "dock"}
    known = [short for name, short in names.items() if name in fields]
    plugged = [short for name, short in names.items() if fields.get(name) == "true"]
    return {
        "battery_percent": 100 * level / scale if level is not None and scale else None,
        "battery_temperature_c": temperature / 10 if temperature is not None else None,
        "battery_status": _STATUS.get(int(status)) if status is not None else None,
        "power_source": plugged[0] if plugged else "battery" if known else None,
    }


def _screen(text: str) -> bool | None:
    display = re.search(r"Display Power: state=(\w+)", text)
    if display:
        return display[1] != "OFF"
    awake = re.search(r"mWakefulness=(\w+)", text)
    return awake[1] == "Awake" if awake else None
