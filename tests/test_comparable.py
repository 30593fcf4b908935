"""What makes two sides incomparable: each field by itself, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgeeff.gate.comparable import ALLOWABLE, FIELDS, differences
from edgeeff.values import DeviceInfo, DeviceState, Launch, Measurement

HOST = DeviceInfo("phone", "android", "Pixel 8", "Android 15", "6.1", "arm64", 8, 8 << 30)
STATE = DeviceState(governors=("schedutil",), power_source="usb", power_mode="MAXN", battery_saver=False)
LAUNCH = Launch(0, (1,), 0.0, runtime_version="litert 2", delegate="XNNPACK", state_before=STATE, state_after=STATE)
SIDE = Measurement(
    "m", "s", "x", "aa", 1, "tflite", "int8", "b0", None, 224, 1, 1, "litert", 1, "cpu", HOST, "0", 0.0, 0, (LAUNCH,)
)


def device(**changes: Any) -> Measurement:
    return replace(SIDE, device=replace(HOST, **changes))


def launch(**changes: Any) -> Measurement:
    return replace(SIDE, launches=(replace(LAUNCH, **changes),))


def state(**changes: Any) -> Measurement:
    return launch(state_before=replace(STATE, **changes), state_after=None)


OTHERS = {
    "device": device(model="Pixel 9"),
    "os": device(os="Android 16"),
    "kernel": device(kernel="6.6"),
    "abi": device(abi="x86_64"),
    "runtime": replace(SIDE, runtime="other"),
    "runtime build": launch(runtime_version="litert 3"),
    "accelerator": replace(SIDE, accelerator="gpu"),
    "delegate": launch(delegate=None),
    "threads": replace(SIDE, threads=4),
    "affinity": replace(SIDE, cpus=(4, 5)),
    "governor": state(governors=("performance",)),
    "power source": state(power_source="battery"),
    "power mode": state(power_mode="15W"),
    "battery saver": state(battery_saver=True),
    "fixed performance": replace(SIDE, context={"fixed_performance": "True"}),
    "precision": replace(SIDE, precision="fp32"),
    "input shapes": replace(SIDE, context={"shape:x": "1x3x64x64"}),
}


def test_every_field_is_tried_here() -> None:
    assert set(OTHERS) == set(FIELDS)
    assert set(ALLOWABLE) - {"outputs"} <= set(FIELDS)


@pytest.mark.parametrize("name", OTHERS)
def test_one_field_that_differs_is_one_sentence_that_names_it(name: str) -> None:
    for candidate, baseline in ((SIDE, OTHERS[name]), (OTHERS[name], SIDE)):
        (sentence,) = differences(candidate, baseline)
        assert sentence.startswith((f"{name} differs: ", f"{name} differ: "))
        for side in (candidate, baseline):
            assert (FIELDS[name](side) or "unknown") in sentence
        assert not list(differences(candidate, baseline, [name]))


def test_what_is_alike_or_unknown_on_both_sides_is_comparable() -> None:
    assert not list(differences(SIDE, replace(SIDE, id="other", path="y", sha256="bb", size_bytes=2)))
    unknown = replace(device(os=None, kernel=None), launches=())
    assert not list(differences(unknown, unknown))
