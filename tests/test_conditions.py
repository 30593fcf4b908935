"""Heat: when a launch may begin, when it is dropped, and on which cores it runs. The device is a list of states."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeeff.devices.host import HostDevice
from edgeeff.errors import DeviceError
from edgeeff.measuring.conditions import Gate, capped_since, chosen_cpus, too_hot
from edgeeff.values import DeviceProfile, DeviceState, Launch, ThermalLimits

LIMITS = ThermalLimits(max_status=0, max_temperature_c=45.0, cooldown_s=20.0)
COOL = DeviceState(thermal_status=0, temperature_c=30.0, cpu_frequency_limit_khz=(1800000, 2800000))
HOT = replace(COOL, thermal_status=2, temperature_c=44.0)


class Thermometer(HostDevice):
    """This machine with the condition of another, which changes each time that it is read."""

    def __init__(self, *states: DeviceState, limits: ThermalLimits = LIMITS) -> None:
        super().__init__("phone", DeviceProfile("phone", "phone", "android", "adb", thermal=limits))
        self.states = list(states)

    def state(self) -> DeviceState:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def gate(*states: DeviceState, limits: ThermalLimits = LIMITS, **options: float) -> tuple[Gate, list[str], list[float]]:
    said: list[str] = []
    slept: list[float] = []
    device = Thermometer(*states, limits=limits)
    return Gate(device, options.get("cooldown_s"), said.append, slept.append), said, slept


def test_what_is_too_hot() -> None:
    assert too_hot(COOL, LIMITS) is None
    assert too_hot(HOT, LIMITS) == "thermal status 2 (moderate), the limit is 0"
    assert too_hot(replace(COOL, temperature_c=45.1), LIMITS) == "45.1 °C, the limit is 45 °C"
    assert too_hot(HOT, ThermalLimits()) is None
    assert too_hot(DeviceState(throttling=("throttled", "undervoltage")), LIMITS) == "the board says: throttled"
    assert too_hot(DeviceState(throttling=("undervoltage",)), LIMITS) is None  # which no waiting cures
    assert too_hot(DeviceState(), LIMITS) is None  # unknown is not hot; that it is unknown is said elsewhere


def test_a_cool_device_is_not_waited_for() -> None:
    opened, said, slept = gate(COOL)
    assert opened.open() == (COOL, None)
    assert not said and not slept


def test_a_hot_device_is_waited_for_and_said_so_once() -> None:
    opened, said, slept = gate(HOT, HOT, HOT, COOL)
    assert opened.open() == (COOL, None)
    assert said == ["phone: thermal status 2 (moderate), the limit is 0; waiting up to 20 s for it to cool"]
    assert slept == [5, 5, 5] and opened.waited_s == 15


def test_waiting_ends() -> None:
    opened, _, slept = gate(HOT)
    state, problem = opened.open()
    assert state == HOT and problem is not None and "after 20 s of cooling" in problem and "--cooldown" in problem
    assert sum(slept) == 20
    opened, _, slept = gate(HOT, cooldown_s=0.0)
    assert opened.open()[1] is not None and not slept


def test_a_faked_thermal_status_is_refused() -> None:
    with pytest.raises(DeviceError, match="overridden") as caught:
        gate(replace(COOL, thermal_overridden=True))[0].open()
    assert caught.value.hint == "adb shell cmd thermalservice reset"


def test_a_launch_that_was_throttled_is_dropped() -> None:
    opened, _, _ = gate(COOL)
    opened.open()
    launch = Launch(3, (1, 2), 0.0, cpu_ns=(1, 2), state_after=HOT)
    judged = opened.judged(launch)
    assert judged.samples_ns == () and judged.cpu_ns is None and judged.index == 3
    assert (
        judged.error == "dropped, since the device throttled while it ran: thermal status 2 (moderate), the limit is 0"
    )
    capped = opened.judged(replace(launch, state_after=replace(COOL, cpu_frequency_limit_khz=(1800000, 1400000))))
    assert capped.error is not None and "core 1 is capped at 1.40 GHz, from 2.80 GHz" in capped.error
    for fine in (replace(launch, state_after=COOL), replace(launch, error="failed"), replace(launch, state_after=None)):
        assert opened.judged(fine) == fine


def test_a_clock_that_is_changed_on_purpose_is_nobodys_heat() -> None:
    opened, _, _ = gate(COOL, limits=ThermalLimits())
    opened.open()
    launch = Launch(0, (1,), 0.0, state_after=replace(COOL, cpu_frequency_limit_khz=(1, 1)))
    assert opened.judged(launch) == launch


def test_clocks_that_cannot_be_compared() -> None:
    assert capped_since(DeviceState(), COOL) is None
    assert capped_since(COOL, replace(COOL, cpu_frequency_limit_khz=(1,))) is None


PIXEL = DeviceState(cpu_frequency_max_khz=(1700000,) * 4 + (2370000,) * 4 + (2910000,))


@pytest.mark.parametrize(
    ("wanted", "threads", "state", "cpus"),
    [
        ("all", 4, PIXEL, None),
        ("big", 1, PIXEL, (8,)),
        ("big", 4, PIXEL, (4, 5, 6, 7, 8)),
        ("big", 8, PIXEL, None),
        ("big", 1, DeviceState(), None),
        ("big", 1, DeviceState(cpu_frequency_max_khz=(1, 1)), None),
        ("4-7", 1, DeviceState(), (4, 5, 6, 7)),
        ("0,2-3", 1, DeviceState(), (0, 2, 3)),
    ],
)
def test_cores_are_all_the_fastest_or_a_list(
    wanted: str, threads: int, state: DeviceState, cpus: tuple[int, ...] | None
) -> None:
    assert chosen_cpus(wanted, threads, state) == cpus


@pytest.mark.parametrize("wanted", ["", "bigg", "-1", "4-", "7-4", "1,,2", "99999"])
def test_what_names_no_cores_is_refused(wanted: str) -> None:
    with pytest.raises(ValueError, match="core"):
        chosen_cpus(wanted, 1, PIXEL)
