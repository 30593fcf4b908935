"""Whether two sides may be compared at all: one sentence for each field that differs or forbids it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from edgeeff.measuring.conditions import STATUS, is_capped, status_shown
from edgeeff.measuring.device_checks import states_of
from edgeeff.values import DeviceState, Launch, Measurement

MODERATE = 2
"""Android's thermal status from which on a device is too hot to compare anything."""

MOST_THROTTLED = 0.2
"""Part of the launches that may have been throttled."""

FIELDS: Mapping[str, Callable[[Measurement], str | None]] = {
    "device": lambda m: m.device.model or m.device.name,
    "os": lambda m: m.device.os,
    "kernel": lambda m: m.device.kernel,
    "abi": lambda m: m.device.abi,
    "runtime": lambda m: m.runtime,
    "runtime build": lambda m: _of_launches(m, lambda launch: launch.runtime_version),
    "accelerator": lambda m: m.accelerator,
    "delegate": lambda m: _of_launches(m, lambda launch: launch.delegate),
    "threads": lambda m: str(m.threads),
    "affinity": lambda m: "all cores" if m.cpus is None else ",".join(map(str, m.cpus)),
    "governor": lambda m: _of_states(m.launches, _governors),
    "power source": lambda m: _of_states(m.launches, lambda state: state.power_source),
    "power mode": lambda m: _of_states(m.launches, lambda state: state.power_mode),
    "battery saver": lambda m: _of_states(m.launches, lambda state: _on(state.battery_saver)),
    "fixed performance": lambda m: m.context.get("fixed_performance"),
    "precision": lambda m: m.precision,
    "input shapes": lambda m: " ".join(f"{k[6:]}={v}" for k, v in sorted(m.context.items()) if k.startswith("shape:")),
}
"""What must agree between two sides: name -> its value, as people read it; None where it is unknown."""

PLURAL = ("threads", "input shapes")

ALLOWABLE = ("precision", "outputs", "runtime", "runtime build", "delegate")
"""What a user may compare on purpose although it differs."""


def differences(candidate: Measurement, baseline: Measurement, allowed: Collection[str] = ()) -> Iterator[str]:
    """What differs between two sides, and so forbids to compare them. Known on one side only is different."""
    for name, read in FIELDS.items():
        ours, theirs = read(candidate), read(baseline)
        if name not in allowed and (ours or None) != (theirs or None):
            verb = "differ" if name in PLURAL else "differs"
            cure = f' (where that is meant: --allow "{name}")' if name in ALLOWABLE else ""
            yield f"{name} {verb}: {ours or 'unknown'} against the baseline's {theirs or 'unknown'}{cure}"


def unfit(measurement: Measurement, side: str) -> Iterator[str]:
    """What forbids to compare a side with anything."""
    if measurement.device.emulated:
        yield f"{measurement.device.name} is emulated: its times say nothing of real hardware"
    build = build_type(measurement)
    if build is not None and "debug" in build.lower().split():
        yield f"the {side}'s runtime is a debug build: its times say nothing of the one that is shipped"


def build_type(measurement: Measurement) -> str | None:
    """How the runtime was compiled; None where it does not say."""
    return _of_launches(measurement, lambda launch: launch.build_type)


def runtime_build(measurement: Measurement) -> str | None:
    """The runtime's version and how it was compiled, as people read it; None before any launch told."""
    version = _of_launches(measurement, lambda launch: launch.runtime_version)
    return None if version is None else f"{version} ({build_type(measurement) or 'build type unknown'})"


def too_hot_to_compare(states: Iterable[DeviceState | None]) -> Iterator[str]:
    """Says so where the device reached a status from which on nothing is compared, whatever its own profile allows."""
    hottest = max((state.thermal_status or 0 for state in states if state is not None), default=0)
    if hottest >= MODERATE:
        yield f"{status_shown(hottest)}: from {MODERATE} ({STATUS[MODERATE]}) on nothing is compared"


def throttled(states: Sequence[tuple[DeviceState | None, DeviceState | None]]) -> Iterator[str]:
    """Says so where too many launches were throttled: by the states before and after each."""
    held_back = sum(any(state is not None and is_throttled(state) for state in both) for both in states)
    if states and held_back > MOST_THROTTLED * len(states):
        yield f"{held_back} of {len(states)} launches were throttled; at most {MOST_THROTTLED:.0%} may be"


def is_throttled(state: DeviceState) -> bool:
    """Whether the board says that it is held back, or the clock is capped below what the hardware can do."""
    return bool(state.throttling) or is_capped(state)


CHANGING: Mapping[str, Callable[[DeviceState], str | None]] = {
    "governor": lambda state: _governors(state),
    "power source": lambda state: state.power_source,
    "power mode": lambda state: state.power_mode,
    "battery saver": lambda state: _on(state.battery_saver),
}


def changes(states: Sequence[DeviceState | None]) -> Iterator[str]:
    """What changed on the device while it was measured."""
    for name, read in CHANGING.items():
        values = [read(state) for state in states if state is not None]
        seen = list(dict.fromkeys(value for value in values if value is not None))
        if len(seen) > 1:
            yield f"the {name} changed while it was measured: {' -> '.join(seen)}"


def _of_launches(measurement: Measurement, read: Callable[[Launch], str | None]) -> str | None:
    values = {value for launch in measurement.launches if (value := read(launch)) is not None}
    return " and ".join(sorted(values)) or None


def _of_states(launches: Sequence[Launch], read: Callable[[DeviceState], str | None]) -> str | None:
    return " and ".join(sorted({value for state in states_of(launches) if (value := read(state)) is not None})) or None


def _governors(state: DeviceState) -> str | None:
    return "/".join(sorted(set(state.governors))) if state.governors else None


def _on(flag: bool | None) -> str | None:
    return None if flag is None else "on" if flag else "off"
