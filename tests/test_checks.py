"""Each caveat, from a measurement that deserves it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from edgeeff.measuring import checks
from edgeeff.report.bench_table import bench_json, bench_text
from edgeeff.values import DeviceInfo, DeviceState, Launch, Measurement, Summary

GIB = 2**30
QUIET = DeviceState(
    governors=("performance",) * 4,
    cpu_frequency_limit_khz=(2_400_000,) * 4,
    cpu_frequency_max_khz=(2_400_000,) * 4,
    temperature_c=40.0,
    load_1min=0.8,
    memory_available_bytes=6 * GIB,
    cpu_pressure_avg10=0.5,
    steal_ticks=3,
    boot_id="boot",
)
DEVICE = DeviceInfo("host", "host", "A CPU", "An OS", "6.1", "x86_64", 4, 8 * GIB)


def launch(index: int, median_ns: int = 10_000_000) -> Launch:
    return Launch(
        index,
        (median_ns - 20_000, median_ns, median_ns + 30_000),
        1000.0 + index,
        startup_s=0.25,
        first_inference_s=0.02,
        warmup_runs=20,
        cpu_ns=(median_ns,) * 3,
        involuntary_switches=0,
        peak_memory_bytes=95_400_000,
        baseline_memory_bytes=40_000_000,
        ops=60,
        delegated_ops=60,
        delegate="XNNPACK",
        partitions=1,
        runtime_version="ai_edge_litert 2.3.0",
        state_before=QUIET,
        state_after=QUIET,
    )


def measurement(*launches: Launch) -> Measurement:
    return Measurement(
        id="0a-0",
        session="0a",
        path="artifacts/lite0-fp32.tflite",
        sha256="0" * 64,
        size_bytes=18_540_000,
        format="tflite",
        precision="fp32",
        variant="lite0",
        weights="pretrained(x)",
        resolution=224,
        macs=385_200_000,
        parameters=4_650_000,
        runtime="litert",
        threads=1,
        accelerator="cpu",
        device=DEVICE,
        tool_version="0.1.0",
        created_unix_s=1000.0,
        seed=0,
        launches=launches,
        context={"precision_target": "0.02"},
    )


# Neither rising nor falling, and within 1 %.
SPREAD = (0, 40, -30, 60, -50, 10, 20, -20)
GOOD = measurement(*(launch(i, 10_000_000 + 1000 * d) for i, d in enumerate(SPREAD)))


def each(change: Callable[[Launch], Launch]) -> Measurement:
    return replace(GOOD, launches=tuple(map(change, GOOD.launches)))


def in_state(**fields: object) -> Measurement:
    state = replace(QUIET, **fields)
    return each(lambda one: replace(one, state_before=state, state_after=state))


CASES = {
    "launches-failed": replace(GOOD, launches=(*GOOD.launches, Launch(8, (), 1008.0, error="killed by SIGSEGV"))),
    "fallback": each(lambda one: replace(one, delegated_ops=59, partitions=2)),
    "emulated": replace(GOOD, device=replace(DEVICE, emulated=True)),
    "other-machine": replace(GOOD, context={"made_for": "arm", "kernels": "x86-vnni"}),
    "few-launches": replace(GOOD, launches=GOOD.launches[:5]),
    "imprecise": replace(GOOD, context={"precision_target": "0.0001"}),
    "trend": replace(
        measurement(*(launch(i, 10_000_000 + 100_000 * i) for i in range(8))), context={"precision_target": "0.05"}
    ),
    "memory-low": in_state(memory_available_bytes=GIB // 4),
    "threads": replace(GOOD, threads=8),
    "throttled": in_state(cpu_frequency_limit_khz=(2_400_000, 1_200_000, 2_400_000, 2_400_000)),
    "governor": in_state(governors=("performance", "schedutil", "schedutil", "powersave")),
    "clock-unknown": in_state(
        governors=None, cpu_frequency_limit_khz=None, cpu_frequency_max_khz=None, temperature_c=None
    ),
    "random-weights": replace(GOOD, weights="random(seed=0)"),
}
NOISES = {
    "load 5.5 on 4 cores": in_state(load_1min=5.5),
    "waited for a core 25 % of the time": in_state(cpu_pressure_avg10=25.0),
    "24 preemptions in 24 runs": each(lambda one: replace(one, involuntary_switches=3)),
    "hypervisor took 5% of a core": each(
        lambda one: replace(one, state_before=replace(QUIET, steal_ticks=5 * one.index))
    ),
}


def codes(m: Measurement) -> list[str]:
    return [caveat.code for caveat in checks.caveats(m)]


def test_a_good_measurement_has_none() -> None:
    assert codes(GOOD) == []


@pytest.mark.parametrize("code", CASES)
def test_each_caveat_and_no_other(code: str) -> None:
    (caveat,) = checks.caveats(CASES[code])
    assert caveat.code == code
    assert caveat.message and caveat.remedy


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"thermal_status": 1}, "thermal status 1 was reached"),
        ({"battery_saver": True}, "the battery saver is on"),
        ({"battery_percent": 19.0}, "the battery is at 19 %"),
        ({"screen_on": True}, "the screen is on"),
    ],
)
def test_a_phone_that_may_hold_itself_back(state: dict[str, object], message: str) -> None:
    (caveat,) = checks.caveats(in_state(**state))
    assert caveat.code == "device-condition" and message in caveat.message
    fine = {"thermal_status": 0, "battery_saver": False, "battery_percent": 80.0, "screen_on": False}
    assert checks.caveats(in_state(**fine)) == ()


def test_runners_without_raw_samples_say_so() -> None:
    summary = Summary(50, 1e7, 9e6, 2e7, median_ns=1e7)
    m = each(lambda one: replace(one, samples_ns=(), cpu_ns=None, involuntary_switches=None, summary=summary))
    (caveat,) = checks.caveats(m)
    assert caveat.code == "no-raw-samples" and "each of the 8 processes gave its median" in caveat.message
    m = each(
        lambda one: replace(one, samples_ns=(), involuntary_switches=None, summary=replace(summary, median_ns=None))
    )
    assert "its mean, since it does not say the median" in checks.caveats(m)[0].message


def test_a_runner_that_tells_only_whether_all_was_delegated() -> None:
    whole = {"ops": None, "delegated_ops": None, "partitions": None}
    assert codes(each(lambda one: replace(one, **whole, fully_delegated=True))) == []
    partly = each(lambda one: replace(one, **whole, fully_delegated=False))
    assert codes(partly) == ["fallback"]
    assert "some XNNPACK" in bench_text([partly])


def test_an_accelerator_that_may_not_have_run_is_marked() -> None:
    unknown = {"ops": None, "delegated_ops": None, "delegate": None, "partitions": None}
    m = replace(each(lambda one: replace(one, **unknown)), accelerator="gpu")
    assert codes(m) == ["placement-unknown"]
    assert codes(replace(GOOD, accelerator="gpu")) == []


def test_a_launch_that_throttled_and_was_dropped_is_no_throttled_measurement() -> None:
    hot = replace(QUIET, cpu_frequency_limit_khz=(1_000_000,) * 4)
    dropped = Launch(8, (), 1008.0, error="dropped, since the device throttled", state_before=QUIET, state_after=hot)
    assert codes(replace(GOOD, launches=(*GOOD.launches, dropped))) == ["launches-failed"]


def test_a_board_that_says_that_it_is_held_back() -> None:
    capped = (2_400_000, 1_200_000, 2_400_000, 2_400_000)
    (caveat,) = checks.caveats(in_state(throttling=("undervoltage",), cpu_frequency_limit_khz=capped))
    assert caveat.code == "throttled" and "undervoltage" in caveat.message and "power supply" in caveat.remedy
    assert checks.caveats(in_state(throttling=(), throttled_since_boot=("throttled",))) == ()


def test_clocks_that_are_held_are_not_told_to_be_held() -> None:
    follows = in_state(governors=("sched_pixel",) * 4)
    assert "governor" in codes(follows)
    assert "governor" not in codes(replace(follows, context={**follows.context, "fixed_performance": "True"}))


@pytest.mark.parametrize("evidence", NOISES)
def test_noise_names_its_evidence(evidence: str) -> None:
    (caveat,) = checks.caveats(NOISES[evidence])
    assert caveat.code == "noisy"
    assert evidence in caveat.message


def test_the_numbers_are_in_the_message() -> None:
    assert "1 of 9 launches failed: killed by SIGSEGV" in checks.caveats(CASES["launches-failed"])[0].message
    assert "1 of 60 ops do not run in the XNNPACK" in checks.caveats(CASES["fallback"])[0].message
    assert "94 % confidence" in checks.caveats(CASES["few-launches"])[0].message
    assert "slower" in checks.caveats(CASES["trend"])[0].message
    assert "8 threads share 4 cores" in checks.caveats(CASES["threads"])[0].message


def test_what_could_not_be_read_is_never_fine_and_never_a_crash() -> None:
    bare = replace(
        each(lambda one: Launch(one.index, one.samples_ns, one.started_unix_s, state_before=DeviceState())),
        device=DeviceInfo("host", "host", None, None, None, None, None, None),
        weights=None,
        macs=None,
        parameters=None,
        context={"precision_target": "abc"},
    )
    assert codes(bare) == ["clock-unknown"]
    row = bench_text([bare]).splitlines()[2]
    assert row.split().count("?") == 5
    assert bench_json([bare])["measurements"][0]["ops"] is None


def test_the_table_says_each_thing_once_with_the_rows_concerned() -> None:
    slow = replace(CASES["random-weights"], threads=2)
    text = bench_text([GOOD, CASES["random-weights"], slow, CASES["few-launches"], measurement()])
    lines = text.splitlines()
    assert "lite0" in lines[2] and "10.005 [9.9" in lines[2] and "60/60 XNNPACK" in lines[2]
    assert "38.5" in lines[2]  # GMAC/s
    assert "(94 %)" in lines[5]
    assert "failed" in lines[6]
    assert text.count("the weights are random") == 1
    assert "rows 2, 3: the weights are random" in text
    assert "row 4: 5 launches" in text


def test_json_has_base_units_and_the_names_that_scripts_read() -> None:
    document = bench_json([CASES["launches-failed"], measurement(Launch(0, (), 0.0, error="died"))])
    first, failed = json.loads(json.dumps(document, allow_nan=False))["measurements"]
    assert first["latency_s"]["low"] <= first["latency_s"]["median"] <= first["latency_s"]["high"]
    assert first["latency_s"]["median"] == pytest.approx(0.010005)
    assert first["latency_s"]["p90"] == pytest.approx(0.01006, rel=0.01)
    assert (first["launches"], first["failed_launches"], first["samples"]) == (8, 1, 24)
    assert first["peak_memory_bytes"] == 95_400_000
    assert [w["code"] for w in first["warnings"]] == ["launches-failed"]
    assert failed["latency_s"] == dict.fromkeys(("median", "low", "high", "level", "p90", "spread"))


def test_integers_that_are_slower_than_float_beside_them_do_not_pay():
    slow = replace(
        GOOD,
        precision="int8",
        launches=tuple(launch(i, 13_700_000 + 1000 * d) for i, d in enumerate(SPREAD)),
    )
    assert "int8 does not pay here: 1.37 times the latency of fp32" in bench_text([GOOD, slow])
    first, second = bench_json([GOOD, slow])["measurements"]
    assert first["warnings"] == []
    assert [warning["code"] for warning in second["warnings"]] == ["no-gain"]
    fast = replace(GOOD, precision="int8", launches=tuple(launch(i, 5_000_000) for i in range(8)))
    assert "does not pay" not in bench_text([GOOD, fast])


@pytest.mark.parametrize("change", [{"variant": "b0"}, {"threads": 2}, {"runtime": "other"}, {"weights": "y"}])
def test_only_float_files_of_the_same_network_run_alike_are_beside_it(change):
    slow = replace(GOOD, precision="int8", launches=tuple(launch(i, 13_700_000) for i in range(8)))
    assert "does not pay" not in bench_text([replace(GOOD, **change), slow])
    few = replace(slow, launches=slow.launches[:3])
    assert "does not pay" not in bench_text([GOOD, few])
