"""What the device did to a measurement: its clock, its heat, its battery. `checks` has the other caveats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeeff.measuring.conditions import is_capped
from edgeeff.values import Caveat, DeviceState, Launch, Measurement

LOW_BATTERY_PERCENT = 20
"""Where Android offers its battery saver, which caps the clocks."""


def clock(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    """What held the clock back, what drives it, and whether anybody could tell."""
    states = list(states_of(m.launches))
    if not states:
        return
    words = sorted({word for state in states for word in state.throttling or ()})
    if words:
        yield Caveat(
            "throttled",
            f"the board says that it is held back: {', '.join(words)}",
            "give it a power supply that is strong enough, and a fan, and bench again",
        )
    elif any(is_capped(state) for state in states_of(good)):  # one that throttled was dropped
        yield Caveat(
            "throttled",
            "the clock is capped below what the hardware can do: too hot, low power, or set so",
            "cool the device, plug it in, and bench again",
        )
    governors = {name for state in states for name in state.governors or ()}
    if governors - {"performance"} and "fixed_performance" not in m.context:
        yield Caveat(
            "governor",
            f"the frequency governor is {', '.join(sorted(governors))}: the clock follows the load",
            "--fixed-performance (Android 11 or later) holds the clocks"
            if m.device.kind == "android"
            else "sudo cpupower frequency-set --governor performance",
        )
    if all(state.cpu_frequency_limit_khz is None and state.temperature_c is None for state in states):
        yield Caveat(
            "clock-unknown",
            "neither clock nor temperature can be read here: throttling would go unseen",
            "bench on the hardware itself rather than in a virtual machine, or repeat and compare with edgeeff report",
        )


def battery(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    """What a device on a battery does to its own clocks."""
    states = list(states_of(good))
    if not states:
        return
    hot = max((state.thermal_status or 0 for state in states), default=0)
    levels = [state.battery_percent for state in states if state.battery_percent is not None]
    facts = []
    if hot:
        facts.append(f"thermal status {hot} was reached")
    if any(state.battery_saver for state in states):
        facts.append("the battery saver is on")
    if levels and min(levels) < LOW_BATTERY_PERCENT:
        facts.append(f"the battery is at {min(levels):.0f} %")
    if any(state.screen_on for state in states):
        facts.append("the screen is on")
    if facts:
        yield Caveat(
            "device-condition",
            f"the device may hold itself back: {', '.join(facts)}",
            "cool and charge it, turn battery saver and screen off, and bench again",
        )


def states_of(launches: Sequence[Launch]) -> Iterator[DeviceState]:
    """The device's states before and after these launches."""
    for launch in launches:
        if launch.state_before is not None:
            yield launch.state_before
        if launch.state_after is not None:
            yield launch.state_after
