"""What a Linux system, a board or this machine, says of itself: read by one script in one go, all of one moment.

The script is POSIX sh and forks as little as it can: it prints "key value" lines, and what cannot be read is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgeeff.values import DeviceInfo, DeviceState

STATE_SCRIPT = r"""
say() { [ -r "$2" ] && IFS= read -r v <"$2" && printf '%s %s\n' "$1" "$v"; }
say boot_id /proc/sys/kernel/random/boot_id
say load /proc/loadavg
say pressure /proc/pressure/cpu
say stat /proc/stat
while read -r k v u; do case $k in MemAvailable:) echo "available $v";; esac; done </proc/meminfo
for c in /sys/devices/system/cpu/cpu[0-9]*/cpufreq; do
  [ -d "$c" ] || continue
  n=${c%/cpufreq}; n=${n##*/cpu}
  for f in scaling_governor scaling_cur_freq scaling_max_freq cpuinfo_max_freq; do say "$f:$n" "$c/$f"; done
done
for z in /sys/class/thermal/thermal_zone*; do
  [ -r "$z/temp" ] || continue
  t=; IFS= read -r t <"$z/type"
  say "zone:$t" "$z/temp"
done
if command -v vcgencmd >/dev/null 2>&1; then echo "vcgencmd $(vcgencmd get_throttled 2>/dev/null)"; fi
if command -v nvpmodel >/dev/null 2>&1; then
  nvpmodel -q 2>/dev/null | while IFS= read -r v; do echo "nvpmodel $v"; done
fi
true
"""

FACTS_SCRIPT = (
    r"""
say() { [ -r "$2" ] && IFS= read -r v <"$2" && printf '%s %s\n' "$1" "$v"; }
echo "home $HOME"
echo "machine $(uname -m)"
echo "kernel $(uname -r)"
echo "uid $(id -u)"
say arch /proc/sys/kernel/arch
for f in /proc/device-tree/model /sys/firmware/devicetree/base/model; do
  if [ -r "$f" ]; then echo "model $(tr -d '\000\n' <"$f")"; break; fi
done
for f in /etc/os-release /usr/lib/os-release; do
  if [ -r "$f" ]; then while IFS= read -r v; do echo "os $v"; done <"$f"; break; fi
done
while read -r k v u; do case $k in MemTotal:) echo "memory $v";; esac; done </proc/meminfo
while IFS= read -r v; do case $v in
  processor*|"model name"*|vendor_id*|Model*|Hardware*|"CPU implementer"*) echo "cpuinfo $v";;
esac; done </proc/cpuinfo
n=$(unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc 2>/dev/null) && echo "nproc $n"
"""
    + STATE_SCRIPT
)

_EACH_CPU = frozenset({"scaling_governor", "scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq"})

THROTTLED_BITS = {0: "undervoltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
"""Of vcgencmd get_throttled (Raspberry Pi's documentation); the same 16 higher say that it has happened since boot."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The lines of a script by their keys, in the order in which they came."""

    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def first(self, key: str) -> str | None:
        found = self.lines.get(key)
        return found[0].strip() or None if found else None

    def number(self, key: str) -> int | None:
        text = self.first(key)
        return int(text) if text is not None and text.isdecimal() else None

    def each_cpu(self, key: str) -> tuple[str, ...] | None:
        """One value a core, in the cores' order; None where a core that says other things does not say this."""
        numbered, cores = {}, set()
        for name, values in self.lines.items():
            head, _, number = name.partition(":")
            if head in _EACH_CPU and number.isdecimal():
                cores.add(int(number))
                if head == key:
                    numbered[int(number)] = values[0].strip()
        return tuple(numbered[n] for n in sorted(numbered)) or None if numbered.keys() == cores else None

    def each_cpu_khz(self, key: str) -> tuple[int, ...] | None:
        texts = self.each_cpu(key)
        return tuple(map(int, texts)) if texts and all(text.isdecimal() for text in texts) else None


def parse(lines: Sequence[str]) -> Facts:
    """What a script printed."""
    found: dict[str, list[str]] = {}
    for line in lines:
        # A zone's type may have spaces in it; its value has none.
        key, _, value = line.rpartition(" ") if line.startswith("zone:") else line.partition(" ")
        found.setdefault(key, []).append(value)
    return Facts(found)


def state_of(facts: Facts) -> DeviceState:
    """The board's condition."""
    load, pressure, ticks = facts.first("load"), facts.first("pressure"), (facts.first("stat") or "").split()
    found = re.search(r"avg10=([\d.]+)", pressure or "")
    available = facts.number("available")
    zones = temperatures_c(facts)
    flags = throttled_flags(facts)
    return DeviceState(
        governors=facts.each_cpu("scaling_governor"),
        cpu_frequency_khz=facts.each_cpu_khz("scaling_cur_freq"),
        cpu_frequency_limit_khz=facts.each_cpu_khz("scaling_max_freq"),
        cpu_frequency_max_khz=facts.each_cpu_khz("cpuinfo_max_freq"),
        temperature_c=max(zones.values(), default=None),
        temperatures_c=zones or None,
        load_1min=float(load.split()[0]) if load else None,
        memory_available_bytes=available * 1024 if available is not None else None,
        cpu_pressure_avg10=float(found[1]) if found else None,
        steal_ticks=int(ticks[8]) if len(ticks) > 8 and ticks[8].isdecimal() else None,
        boot_id=facts.first("boot_id"),
        throttling=flags[0] if flags is not None else None,
        throttled_since_boot=flags[1] if flags is not None else None,
        power_mode=power_mode(facts),
    )


def temperatures_c(facts: Facts) -> dict[str, float]:
    """Degrees Celsius by zone. Zones give thousandths of a degree; some vendors' give degrees."""
    found: dict[str, float] = {}
    for key, values in facts.lines.items():
        if key.startswith("zone:"):
            for value in values:
                if re.fullmatch(r"-?\d{1,7}", value):
                    reading = int(value) / 1000 if abs(int(value)) >= 1000 else float(value)
                    name = key[5:] or "unnamed"
                    found[name] = max(reading, found.get(name, reading))
    return found


def throttled_flags(facts: Facts) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What a Raspberry Pi says of its power and heat: now, and since it was started. None where it is none."""
    found = re.search(r"throttled=0x([0-9a-fA-F]{1,8})", facts.first("vcgencmd") or "")
    if not found:
        return None
    bits = int(found[1], 16)
    now, ever = (tuple(name for bit, name in THROTTLED_BITS.items() if bits >> (bit + up) & 1) for up in (0, 16))
    return now, ever


def power_mode(facts: Facts) -> str | None:
    """A Jetson's: "NV Power Mode: MAXN" and its number on the next line."""
    for line in facts.lines.get("nvpmodel", ()):
        name, colon, mode = line.partition(":")
        if colon and "Power Mode" in name:
            return mode.strip() or None
    return None


def info_of(facts: Facts, name: str) -> DeviceInfo:
    """What the board is."""
    memory = facts.number("memory")
    return DeviceInfo(
        name=name,
        kind="linux",
        model=facts.first("model") or _cpuinfo(facts, "Model") or _cpuinfo(facts, "model name"),
        os=_os_release(facts, "PRETTY_NAME"),
        kernel=facts.first("kernel"),
        abi=facts.first("machine"),
        cpu_count=facts.number("nproc") or _count_processors(facts),
        memory_bytes=memory * 1024 if memory is not None else None,
        emulated=is_emulated(facts),
    )


def is_emulated(facts: Facts) -> bool:
    """Whether programs run under qemu's user emulation: the kernel, or the processor, is of another kind than they.

    qemu answers uname for the program's own architecture; /proc/sys/kernel/arch (Linux 6.1) and the vendor in
    /proc/cpuinfo are the machine's.
    """
    machine, arch = facts.first("machine"), facts.first("arch")
    if machine and arch and not _same_family(machine, arch):
        return True
    vendor = _cpuinfo(facts, "vendor_id")
    return bool(machine and vendor and _family(machine) != "x86" and vendor in ("GenuineIntel", "AuthenticAMD"))


def _same_family(one: str, other: str) -> bool:
    return _family(one) == _family(other)


def _family(machine: str) -> str:
    """A 32-bit system on a 64-bit kernel of its own kind is no emulation."""
    if re.fullmatch(r"x86_64|amd64|i[3-6]86", machine):
        return "x86"
    return "arm" if re.match(r"aarch64|arm", machine) else machine


def _cpuinfo(facts: Facts, key: str) -> str | None:
    for line in facts.lines.get("cpuinfo", ()):
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip() or None
    return None


def _count_processors(facts: Facts) -> int | None:
    return sum(line.startswith("processor") for line in facts.lines.get("cpuinfo", ())) or None


def _os_release(facts: Facts, key: str) -> str | None:
    for line in facts.lines.get("os", ()):
        name, _, value = line.partition("=")
        if name == key:
            return value.strip().strip("\"'") or None
    return None
