"""Whether a device is in a condition to be measured, and waiting until it is.

A phone that has been running for a minute is another phone than a cool one. What cannot be read is unknown and passes:
it is never taken for cool, and the measurement says that nobody could tell.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgeeff.errors import DeviceError
from edgeeff.protocols import Device
from edgeeff.values import DeviceState, Launch, ThermalLimits

POLL_S = 5.0
"""Between two looks at a device that cools: reading its state is work, which warms it."""

HEAT_WORDS = frozenset({"throttled", "soft temperature limit"})
"""What a board says of itself while it is too hot; that its power supply is too weak, no waiting cures."""

MOST_CORES = 1024
"""A bound on what a list may name, so that 0-999999999 is told and not counted out."""

STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's thermal statuses by number."""


def too_hot(state: DeviceState, limits: ThermalLimits) -> str | None:
    """Why a device is too hot to be measured; None where it is not, or cannot be told."""
    status, highest = state.thermal_status, limits.max_status
    if status is not None and highest is not None and status > highest:
        return f"{status_shown(status)}, the limit is {highest}"
    held_back = HEAT_WORDS & set(state.throttling or ())
    if held_back:
        return f"the board says: {', '.join(sorted(held_back))}"
    celsius, hottest = state.temperature_c, limits.max_temperature_c
    if celsius is not None and hottest is not None and celsius > hottest:
        return f"{celsius:.1f} °C, the limit is {hottest:g} °C"
    return None


def status_shown(status: int) -> str:
    """ "thermal status 3 (severe)"."""
    return f"thermal status {status} ({STATUS[status] if status < len(STATUS) else 'unknown'})"


def is_capped(state: DeviceState) -> bool:
    """Whether a core's clock may not reach what its hardware can do; False where that cannot be read."""
    limits, highest = state.cpu_frequency_limit_khz, state.cpu_frequency_max_khz
    return limits is not None and highest is not None and any(a < b for a, b in zip(limits, highest, strict=False))


def capped_since(first: DeviceState, now: DeviceState) -> str | None:
    """How the clock's limits fell since a session began; None where they did not, or cannot be read."""
    before, after = first.cpu_frequency_limit_khz, now.cpu_frequency_limit_khz
    if before is None or after is None or len(before) != len(after):
        return None
    fallen = [(core, a, b) for core, (a, b) in enumerate(zip(before, after, strict=True)) if b < a]
    if not fallen:
        return None
    core, was, is_now = min(fallen, key=lambda entry: entry[2] / entry[1])
    return f"the clock of core {core} is capped at {is_now / 1e6:.2f} GHz, from {was / 1e6:.2f} GHz"


@dataclass(slots=True)
class Gate:
    """Lets launches of one session begin only on a cool device, and drops those that it throttled.

    Args:
        cooldown_s: the longest wait before one launch; None takes the device's own.
        on_wait: is told why there is a wait, once a wait.
        waited_s: in all, which is not the session's time.
    """

    device: Device
    cooldown_s: float | None = None
    on_wait: Callable[[str], None] | None = None
    sleep: Callable[[float], None] = time.sleep
    waited_s: float = 0.0
    first: DeviceState | None = None

    def open(self) -> tuple[DeviceState, str | None]:
        """The state in which a launch may begin, or why it may not, when all the waiting did not help.

        Raises:
            DeviceError: the device's thermal status is faked, so it would never tell.
        """
        state = self.device.state()
        _refuse_faked(state, self.device.name)
        self.first = self.first or state
        allowed = self.device.profile.thermal.cooldown_s if self.cooldown_s is None else self.cooldown_s
        began = self.waited_s
        reason = self._reason(state)
        while reason is not None and self.waited_s - began < allowed:
            if self.on_wait is not None and self.waited_s == began:
                self.on_wait(f"{self.device.name}: {reason}; waiting up to {allowed:g} s for it to cool")
            step = min(POLL_S, allowed - (self.waited_s - began))
            self.sleep(step)
            self.waited_s += step
            state = self.device.state()
            reason = self._reason(state)
        if reason is None:
            return state, None
        return state, f"too hot to be measured after {allowed:g} s of cooling: {reason}; give it longer with --cooldown"

    def judged(self, launch: Launch) -> Launch:
        """The launch, without its samples where the device throttled during it: it is then measured again."""
        after = launch.state_after
        reason = None if after is None or launch.error is not None else self._reason(after)
        if reason is None:
            return launch
        dropped = f"dropped, since the device throttled while it ran: {reason}"
        return replace(launch, samples_ns=(), cpu_ns=None, summary=None, error=dropped)

    def _reason(self, state: DeviceState) -> str | None:
        limits = self.device.profile.thermal
        fallen = capped_since(self.first, state) if self.first is not None else None
        return too_hot(state, limits) or (fallen if _is_watched(limits) else None)


def _is_watched(limits: ThermalLimits) -> bool:
    """Whether the device's profile knows of heat at all: on this machine somebody may change the clock on purpose."""
    return limits.max_status is not None or limits.max_temperature_c is not None or limits.cooldown_s > 0


def _refuse_faked(state: DeviceState, name: str) -> None:
    if state.thermal_overridden:
        raise DeviceError(
            f"the thermal status of {name} is overridden: it reports what somebody set, not how hot it is",
            "adb shell cmd thermalservice reset",
        )


def chosen_cpus(wanted: str, threads: int, state: DeviceState) -> tuple[int, ...] | None:
    """The cores to bind a launch to; None leaves that to the system.

    Args:
        wanted: "all", "big" or a list such as "4-7". "big" is the cores with the highest clock, and as many of the
            next as it takes for every thread to have one.
        state: with the highest clock of each core; where it cannot be read, "big" is unknown and None.

    Raises:
        ValueError: it is none of these.
    """
    if wanted == "all":
        return None
    if wanted == "big":
        return _fastest(threads, state.cpu_frequency_max_khz)
    cpus: set[int] = set()
    for part in wanted.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if found is None or int(found[2] or found[1]) >= MOST_CORES:
            raise ValueError(f'{wanted!r} is neither "all" nor "big" nor a list of cores such as 4-7')
        cpus |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    if not cpus:
        raise ValueError(f"{wanted!r} names no core")
    return tuple(sorted(cpus))


def _fastest(threads: int, highest_khz: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if not highest_khz or len(set(highest_khz)) == 1:
        return None  # unknown, or all alike
    chosen: list[int] = []
    for clock in sorted(set(highest_khz), reverse=True):
        chosen += [cpu for cpu, own in enumerate(highest_khz) if own == clock]
        if len(chosen) >= threads:
            break
    return tuple(sorted(chosen)) if len(chosen) < len(highest_khz) else None
