"""Does a smaller precision pay on this machine? Of two files of one network, the float one may be the faster."""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff import stats
from edgeeff.values import Caveat, Measurement

FLOAT = "fp32"


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
