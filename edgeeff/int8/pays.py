"""Does a smaller precision pay on this machine? Of two files of one network, the float one may be the faster."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgeeff import stats
from edgeeff.values import Caveat, Measurement

FLOAT = "fp32"

_ROUNDS = 15
_LEAST_ROUNDS = 6
"""What a 95 % interval needs."""

_MAX_S = 3.0
_WARM_UP_RUNS = 2


def latency_ratios(
    file: Callable[[], Any], reference: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Latencies of a file over those of another, single calls in turn: enough to tell what a bench would show.

    Neighbouring calls share the machine's state, so that the ratio holds where other programs run.
    """
    rng = random.Random(0)
    for _ in range(_WARM_UP_RUNS):
        file()
        reference()
    ratios: list[float] = []
    end = clock() + _MAX_S
    while len(ratios) < _LEAST_ROUNDS or (len(ratios) < _ROUNDS and clock() < end):
        taken = [0.0, 0.0]
        for index in rng.sample((0, 1), 2):
            start = clock()
            (file, reference)[index]()
            taken[index] = clock() - start
        ratios.append(taken[0] / max(taken[1], 1e-9))
    return ratios


def verdict(precision: str, ratios: Sequence[float]) -> tuple[str, bool]:
    """What ratios of latencies say of a precision, and whether it surely is slower than fp32."""
    interval = stats.median_interval(ratios)
    assert interval is not None
    ratio = sorted(ratios)[len(ratios) // 2]
    shown = f"{ratio:.2f} [{interval.low:.2f}, {interval.high:.2f}] times the latency of fp32 here"
    text = f"{shown} (1 thread, {len(ratios)} pairs of calls)"
    if interval.low > 1:
        return f"{precision} does not pay on this machine: {text}; take fp32, or int8-weights for its size", True
    return text, False


def no_gain(measurement: Measurement, others: Sequence[Measurement]) -> tuple[Caveat, ...]:
    """Says so where a file of integers is surely slower than the fp32 file of the same network beside it.

    Surely: its whole interval lies above that of fp32. Files that only store integers are as fast as fp32 by design
    and are not judged.

    Args:
        others: measured in the same session or not; those of other networks, settings or devices do not count.
    """
    interval = stats.latency(measurement).sure_interval
    if interval is None or measurement.precision in (FLOAT, "fp16", "int8-weights"):
        return ()
    for other in others:
        latency = stats.latency(other)
        reference = latency.sure_interval
        if other.precision != FLOAT or _network(other) != _network(measurement) or reference is None:
            continue
        if interval.low > reference.high:
            ratio = (stats.latency(measurement).median_s or 0.0) / (latency.median_s or 1.0)
            message = f"{measurement.precision} does not pay here: {ratio:.2f} times the latency of fp32"
            return (Caveat("no-gain", message, "take fp32 on this device, or int8-weights for its size"),)
    return ()


def _network(m: Measurement) -> tuple[object, ...]:
    """What two measurements must have in common to be of one network, run in the same way."""
    network = (m.variant or m.path, m.weights, m.resolution, m.macs)
    return (*network, m.session, m.device, m.format, m.runtime, m.threads, m.accelerator)
