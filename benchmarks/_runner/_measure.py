"""One model in this process: warm-up, then single calls."""

from __future__ import annotations

import gc
import time

from ._facts import RunnerError, involuntary_switches, memory_bytes, read_into_page_cache
from ._litert import load_litert
from ._onnxruntime import load_onnxruntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._facts import Facts
    from ._loaded import Loaded
    from ._records import Records


def warm_up(invoke: Callable[[], Any], runs: int, seconds: float) -> int:
    """Runs until both `runs` and `seconds` are reached; returns the number of runs."""
    end = time.perf_counter() + seconds
    done = 0
    while done < runs or time.perf_counter() < end:
        invoke()
        done += 1
    return done


def sample(invoke: Callable[[], Any], spec: Facts) -> tuple[list[int], list[int]]:
    """Wall and thread CPU nanoseconds of each run. The CPU clock is a system call, so it is read outside."""
    wall, cpu = [], []
    clock, cpu_clock = time.perf_counter_ns, time.thread_time_ns
    end = clock() + int(spec["max_s"] * 1e9)
    for run in range(spec["max_runs"]):
        cpu_start = cpu_clock()
        start = clock()
        invoke()
        stop = clock()
        cpu.append(cpu_clock() - cpu_start)
        wall.append(stop - start)
        if stop > end and run + 1 >= spec["min_runs"]:
            break
    return wall, cpu


def load(spec: Facts) -> Loaded:
    """The model of a spec in its runtime, ready to be run."""
    if spec["accelerator"] != "cpu":
        raise RunnerError("accelerator", f"this runner knows the accelerator cpu, not {spec['accelerator']!r}")
    loaders = {"litert": load_litert, "onnxruntime": load_onnxruntime}
    return loaders[spec["runtime"]](spec)


def launch(spec: Facts, emit: Records) -> None:
    """Mode "launch": loads one model, warms it up and times its runs."""
    read_into_page_cache(spec["model"])
    started = time.perf_counter()
    model = load(spec)
    invoke = model.invoke
    emit("loaded", startup_s=time.perf_counter() - started, **model.facts)
    started = time.perf_counter()
    invoke()
    first = time.perf_counter() - started
    gc.collect()  # before the warm-up, since it evicts the model from the processor's caches
    gc.disable()
    warmups = warm_up(invoke, spec["warmup_runs"], spec["warmup_s"])
    before = involuntary_switches()
    wall, cpu = sample(invoke, spec)
    after = involuntary_switches()
    emit(
        "samples",
        first_inference_s=first,
        warmup_runs=warmups,
        samples_ns=wall,
        cpu_ns=cpu,
        involuntary_switches=None if before is None or after is None else after - before,
        peak_memory_bytes=memory_bytes("VmHWM"),
    )
