"""The phone's files: plain folders of this machine, and the programs of Android's own that edgeeff asks."""

from __future__ import annotations

import secrets
from pathlib import Path


class Files:
    """A tree that a test may look into and change while a program runs.

    Args:
        root: the folder that holds it.
    """

    def __init__(self, root: Path, properties: dict[str, str]) -> None:
        self.root = root
        self.write("/prop", "".join(f"[{name}]: [{value}]\n" for name, value in properties.items()))
        self.path("/data/local/tmp/x").parent.mkdir(parents=True)
        self._install_stand_ins()

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def write(self, inside: str, text: str) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text)
        temporary.replace(path)

    def files(self) -> list[str]:
        """What lies in the folder that adb's shell may write."""
        base = self.path("/data/local/tmp")
        return sorted(str(p.relative_to(base)) for p in base.rglob("*") if p.is_file())

    def boot(self) -> None:
        """A fresh boot: another boot_id, a calm state."""
        bid = secrets.token_hex(16)
        self.write("/proc/sys/kernel/random/boot_id", f"{bid[:8]}-{bid[8:12]}-{bid[12:16]}-{bid[16:20]}-{bid[20:]}\n")
        self.write("/proc/loadavg", "0.50 0.40 0.30 1/1000 4242\n")
        self.write("/proc/meminfo", "MemTotal:        7777777 kB\nMemFree:  100000 kB\nMemAvailable:    4444444 kB\n")
        self.write("/sys/devices/system/cpu/possible", "0-3\n")
        for core in range(4):
            top = 1_800_000 if core < 2 else 2_800_000
            folder = f"/sys/devices/system/cpu/cpu{core}/cpufreq"
            self.write(f"{folder}/scaling_governor", "sched_pixel\n")
            for name, khz in (("scaling_cur_freq", top // 2), ("scaling_max_freq", top), ("cpuinfo_max_freq", top)):
                self.write(f"{folder}/{name}", f"{khz}\n")
        for zone, (name, millidegrees) in enumerate((("BIG", 31000), ("usb_pwr_therm", 45000))):
            self.write(f"/sys/class/thermal/thermal_zone{zone}/type", f"{name}\n")
            self.write(f"/sys/class/thermal/thermal_zone{zone}/temp", f"{millidegrees}\n")
        self.thermal(0)
        battery = "  AC powered: false\n  USB powered: true\n  Wireless powered: false\n  status: 2\n  level: 83\n"
        self.write("/dump/battery", f"Current Battery Service state:\n{battery}  scale: 100\n  temperature: 296\n")
        self.write("/dump/power", "POWER MANAGER (dumpsys power)\n  mWakefulness=Asleep\nDisplay Power: state=OFF\n")
        self.write("/settings/low_power", "0\n")

    def thermal(self, status: int, *, faked: bool = False) -> None:
        """The thermal service's answer, and the skin's temperature in it."""
        self.write(
            "/dump/thermalservice",
            f"IsStatusOverride: {str(faked).lower()}\nThermalEventListeners:\nThermal Status: {status}\n"
            "Cached temperatures:\n\tTemperature{mValue=33.0, mType=3, mName=VIRTUAL-SKIN, mStatus=0}\n"
            "HAL Ready: true\n"
            "Current temperatures from HAL:\n"
            f"\tTemperature{{mValue={33.5 + 4 * status}, mType=3, mName=VIRTUAL-SKIN, mStatus={status}}}\n"
            "\tTemperature{mValue=29.6, mType=2, mName=battery, mStatus=0}\nCurrent cooling devices from HAL:\n",
        )

    def install(self, name: str, script: str) -> None:
        """Puts a program on the path."""
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def _install_stand_ins(self) -> None:
        root = self.root
        self.install("getprop", f"#!/bin/sh\ncat '{root}/prop'\n")
        self.install("dumpsys", f"#!/bin/sh\ncat '{root}/dump/'\"$1\"\n")
        self.install("settings", f"#!/bin/sh\ncat '{root}/settings/'\"$3\"\n")
        self.install("cmd", f"#!/bin/sh\necho \"$@\" >> '{root}/cmd.log'\n")
        self.install("taskset", '#!/bin/sh\necho "taskset $1" >&2\nshift\nexec "$@"\n')
        self.install(
            "stat", f'#!/bin/sh\ncase "$1" in -f) echo "$(cat \'{root}/free\') 1";; *) exec /usr/bin/stat "$@";; esac\n'
        )
        self.install(
            "mkdir",
            f"#!/bin/sh\n[ -e '{root}/readonly' ] || exec /bin/mkdir \"$@\"\n"
            "echo \"mkdir: '$2': Read-only file system\" >&2\nexit 1\n",
        )
