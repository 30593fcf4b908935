"""What the reader of a measurement must know of it, as values with a remedy each.

Everything is judged by the measurement alone, so a stored one says the same as a fresh one. `good` are its launches
that succeeded: found once, for a report has 100,000 measurements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from edgeeff import stats
from edgeeff.measuring.device_checks import battery, clock, states_of
from edgeeff.measuring.harness import MIN_LAUNCHES
from edgeeff.stats import Latency
from edgeeff.values import Caveat, Launch, Measurement

PRESSURE_PERCENT = 10.0
"""Percent of time in which something waited for a core; a quiet machine shows below 2."""

PREEMPTED_SHARE = 0.25
"""Involuntary context switches for each run and thread; a quiet machine shows 0.01 to 0.02."""

STEAL_SHARE = 0.01
"""Of a core's time, taken by the hypervisor."""

LOW_MEMORY_SHARE = 0.05
"""Of the machine's memory; below it the system drops the model's pages and reads them again."""

TREND_Z = 2.58
"""Mann-Kendall's score that chance alone exceeds once in a hundred times."""

TREND_CHANGE = 0.03
"""Least relative change from the first to the second half that a trend must make to matter."""


def caveats(measurement: Measurement, latency: Latency | None = None) -> tuple[Caveat, ...]:
    """All that is worth knowing about a measurement, the gravest first.

    Args:
        latency: the measurement's estimates, where they are at hand.
    """
    latency = latency or stats.latency(measurement)
    good = stats.succeeded(measurement)
    found: list[Caveat] = []
    for check in (_failed, _machine, _fallback, _emulated, _placement, _summarised):
        found.extend(check(measurement, good))
    found.extend(_precision(measurement, latency))
    found.extend(_noise(measurement, good))
    found.extend(_trend(latency.medians_s))
    for check in (_memory, _threads, battery, clock, _weights):
        found.extend(check(measurement, good))
    return tuple(found)


def _failed(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    errors = [launch.error for launch in m.launches if launch.error is not None]
    if errors:
        yield Caveat(
            "launches-failed",
            f"{len(errors)} of {len(m.launches)} launches failed: {errors[-1]}",
            "correct the cause and bench the file again",
        )


def _machine(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    made_for, kernels = m.context.get("made_for"), m.context.get("kernels")
    if made_for is not None and kernels is not None and made_for != kernels:
        yield Caveat(
            "other-machine",
            f"the file's integers are made for {made_for}, and this is {kernels}: its speed or accuracy may be another",
            f"edgeeff convert --for {kernels}",
        )


def _fallback(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    for launch in good:
        if launch.ops and launch.delegated_ops == 0 and (m.accelerator, m.format) == ("cpu", "tflite"):
            yield Caveat(
                "fallback",
                f"XNNPACK runs none of the {launch.ops} ops: they run in plain kernels, and the runtime does not tell",
                "let it read /proc/cpuinfo and /sys/devices/system/cpu, which a sandbox may hide; a file that only "
                "XNNPACK refuses: make another with edgeeff convert",
            )
            return
        outside = outside_delegate(launch, m.accelerator)
        if outside is not None:
            yield Caveat(
                "fallback",
                f"{outside}, and the runtime does not tell",
                "convert the network with edgeeff convert, whose files one delegate covers",
            )
            return


def outside_delegate(launch: Launch, accelerator: str) -> str | None:
    """What of the network did not run in the delegate, in a clause; None where all did, or nobody says."""
    delegate = launch.delegate or accelerator
    if launch.ops is not None and launch.delegated_ops is not None and launch.delegated_ops < launch.ops:
        return f"{launch.ops - launch.delegated_ops} of {launch.ops} ops do not run in the {delegate} delegate"
    return f"not all ops run in the {delegate} delegate" if launch.fully_delegated is False else None


def _placement(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    """An accelerator that nobody can be sure to have measured."""
    if m.accelerator != "cpu" and any(x.fully_delegated is None and x.delegated_ops is None for x in good):
        yield Caveat(
            "placement-unknown",
            f"{m.runtime} does not say whether the {m.accelerator} ran the network: it may have been the CPU",
            "compare with --accelerator cpu, or take another runner with --runner",
        )


def _summarised(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    """A runner that keeps no raw samples: what that leaves unknown."""
    launches = [launch for launch in good if not launch.samples_ns]
    if not launches:
        return
    what = "mean, since it does not say the median" if any(map(stats.is_mean, launches)) else "median"
    yield Caveat(
        "no-raw-samples",
        f"{m.runtime} keeps no raw samples: each of the {len(launches)} processes gave its {what}, and the spread "
        "is the one between processes",
        "for raw samples take the native runner: see devices/README.md",
    )


def _emulated(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    if m.device.emulated:
        yield Caveat(
            "emulated",
            f"{m.device.name} is emulated: its times say nothing of real hardware",
            "bench on the device itself: --device",
        )


def _precision(m: Measurement, latency: Latency) -> Iterator[Caveat]:
    target, half_width = _number(m.context.get("precision_target")), latency.relative_half_width
    if 0 < latency.launches < MIN_LAUNCHES:
        said = "a single launch gives no interval"
        if latency.interval is not None:
            level = latency.interval.level
            said = f"{latency.launches} launches give an interval of {level * 100:.0f} % confidence, not 95 %"
        yield Caveat(
            "few-launches",
            said,
            "give it more time: --seconds",
        )
    elif target is not None and half_width is not None and half_width > target:
        yield Caveat(
            "imprecise",
            f"the interval is +-{half_width * 100:.2g} % of the median; the target is {target * 100:.2g} %",
            "give it more time with --seconds, or a wider target with --precision-target",
        )


def _noise(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    evidence = list(_noise_evidence(m, good))
    if evidence:
        yield Caveat(
            "noisy",
            f"the machine was not quiet: {'; '.join(evidence)}",
            "stop other programs, or give it more time: --seconds",
        )


def _noise_evidence(m: Measurement, launches: Sequence[Launch]) -> Iterator[str]:
    before = [launch.state_before for launch in launches if launch.state_before is not None]
    cores = m.device.cpu_count
    loads = [state.load_1min for state in before if state.load_1min is not None]
    # Our own launches make up to `threads` of the load.
    if loads and cores and max(loads) > cores + m.threads:
        yield f"load {max(loads):.1f} on {cores} cores"
    pressures = [state.cpu_pressure_avg10 for state in before if state.cpu_pressure_avg10 is not None]
    # More threads than cores wait for one another, which is no other program's fault.
    if pressures and max(pressures) > PRESSURE_PERCENT and (cores is None or m.threads <= cores):
        yield f"programs waited for a core {max(pressures):.0f} % of the time"
    counted = [launch for launch in launches if launch.involuntary_switches is not None]
    switches = sum(launch.involuntary_switches or 0 for launch in counted)
    runs = sum(map(stats.runs, counted))
    if runs and switches > PREEMPTED_SHARE * runs * m.threads and (cores is None or m.threads < cores):
        yield f"{switches} preemptions in {runs} runs"
    stolen = _stolen_share(launches)
    if stolen is not None and stolen > STEAL_SHARE:
        yield f"the hypervisor took {stolen:.0%} of a core's time"


def _stolen_share(launches: Sequence[Launch]) -> float | None:
    """Of one core's time between the first and the last launch; a tick is 10 ms wherever Linux reports steal."""
    seen = [
        (launch.started_unix_s, launch.state_before.steal_ticks)
        for launch in launches
        if launch.state_before is not None and launch.state_before.steal_ticks is not None
    ]
    if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
        return None
    return (seen[-1][1] - seen[0][1]) * 0.01 / (seen[-1][0] - seen[0][0])


def _trend(medians: Sequence[float]) -> Iterator[Caveat]:
    half = len(medians) // 2
    if half == 0:
        return
    change = sum(medians[-half:]) / max(sum(medians[:half]), 1e-12) - 1
    if abs(change) > TREND_CHANGE and abs(stats.trend_z(medians)) >= TREND_Z:
        yield Caveat(
            "trend",
            f"later launches are {abs(change):.1%} {'slower' if change > 0 else 'faster'} than earlier ones",
            "let the device come to rest (and cool), then bench again, longer: --seconds",
        )


def _memory(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    total = m.device.memory_bytes
    free = [state.memory_available_bytes for state in states_of(m.launches) if state.memory_available_bytes is not None]
    if total and free and min(free) < LOW_MEMORY_SHARE * total:
        yield Caveat(
            "memory-low",
            f"only {min(free) / 1e6:.0f} MB of memory were left: the model's pages may have been read from disk again",
            "stop other programs and bench again",
        )


def _threads(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    if m.device.cpu_count is not None and m.threads > m.device.cpu_count:
        yield Caveat(
            "threads",
            f"{m.threads} threads share {m.device.cpu_count} cores",
            f"take --threads {m.device.cpu_count} or fewer",
        )


def _weights(m: Measurement, good: Sequence[Launch]) -> Iterator[Caveat]:
    if m.weights is not None and m.weights.startswith("random"):
        yield Caveat(
            "random-weights",
            "the weights are random: latency, size and multiply-adds hold, accuracy does not",
            "edgeeff convert --weights pretrained",
        )


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
