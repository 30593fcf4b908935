"""How long each op of a model takes: first without a profiler, then with the runtime's own."""

from __future__ import annotations

import gc

from ._facts import RunnerError, read_into_page_cache
from ._measure import load, sample, warm_up
from ._profile_litert import profile_litert
from ._profile_onnxruntime import profile_onnxruntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._facts import Facts
    from ._records import Records

PROFILERS: dict[str, Callable[[Facts], tuple[list[int], list[list[Any]]]]] = {
    "litert": profile_litert,
    "onnxruntime": profile_onnxruntime,
}


def profile(spec: Facts, emit: Records) -> None:
    """Mode "profile": times whole runs without the profiler, then the ops with it."""
    read_into_page_cache(spec["model"])
    model = load(spec)
    emit("loaded", **model.facts)
    gc.collect()
    gc.disable()
    warm_up(model.invoke, spec["warmup_runs"], spec["warmup_s"])
    plain, _ = sample(model.invoke, spec)
    del model
    gc.collect()
    whole, runs = PROFILERS[spec["runtime"]](spec)
    first = [step[:2] for step in runs[0]]
    if not first:
        raise RunnerError("profiler", "the profiler reported no op")
    if any([step[:2] for step in run] != first for run in runs):
        raise RunnerError("profiler", "two runs of one model reported different ops")
    steps = [
        {"kernel": kernel, "name" if isinstance(place, str) else "index": place, "us": [run[i][2] for run in runs]}
        for i, (kernel, place) in enumerate(first)
    ]
    emit("profile", plain_ns=plain, profiled_us=whole, steps=steps)
