"""Measurements and accuracies -> Report."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import basename

from edgeeff import published, stats
from edgeeff.measuring import checks
from edgeeff.measuring.sustained import is_sustained
from edgeeff.objective import HARD, SOFT, Exponents, Scored, objective, scored, winners
from edgeeff.published import PublishedLatency
from edgeeff.report._flops import correlations
from edgeeff.report._paired import paired
from edgeeff.report._verdict import verdict
from edgeeff.report.accuracies import Claim, GivenAccuracy, claim
from edgeeff.report.values import Group, Meets, Report, Row, Settings
from edgeeff.stats import Latency
from edgeeff.values import Caveat, DeviceInfo, Measurement, Variant


@dataclass(frozen=True, slots=True)
class Inputs:
    """What rows are made from beside the measurements: the known variants, and the user's accuracies."""

    variants: Mapping[str, Variant]
    given: Sequence[GivenAccuracy] = ()


def build(measurements: Iterable[Measurement], inputs: Inputs, settings: Settings) -> Report:
    """Judges the latest measurement of each file and configuration against the targets.

    Rows compete within a group only: one device with one number of threads.

    Raises:
        UsageError: two accuracies for one file disagree.
    """
    kept, superseded = _latest(m for m in measurements if not is_sustained(m))
    claims = [claim(m, inputs.variants, inputs.given) for m in kept]
    used = {entry.where for _, entry in claims if entry is not None}
    exponents = {w.name: w for w in (SOFT, HARD, settings.exponents)}
    grouped: dict[tuple[DeviceInfo, int], list[_Judged]] = {}
    for measurement, (claimed, _) in zip(kept, claims, strict=True):
        group = grouped.setdefault((measurement.device, measurement.threads), [])
        group.append(_judged(measurement, claimed, settings, exponents))
    ordered = sorted(grouped.items(), key=lambda item: (item[0][0].name, item[0][1]))
    groups = [_group(device, threads, rows, settings) for (device, threads), rows in ordered]
    notes = [
        f"{g.where} fits no measured file: its accuracy was not used. Cure: edgeeff bench that file"
        for g in inputs.given
        if g.where not in used
    ]
    if superseded:
        plural = "s" if superseded > 1 else ""
        notes.append(f"{superseded} older measurement{plural} of the same files left out: the latest counts")
    return Report(settings, tuple(groups), tuple(notes))


def _latest(measurements: Iterable[Measurement]) -> tuple[list[Measurement], int]:
    """The latest measurement of each file and configuration, oldest first, and how many were left out."""
    latest: dict[tuple[object, ...], Measurement] = {}
    count = 0
    for m in sorted(measurements, key=lambda m: m.created_unix_s):
        # Converted anew, a file has other bytes; its name holds all that makes it another network.
        name = basename(m.path)  # noqa: PTH119 - pathlib takes ten times as long
        same = (m.variant, m.weights, m.resolution, m.macs, m.parameters, name)
        identity: tuple[object, ...] = same if m.variant else (m.sha256,)
        latest[(*identity, m.format, m.precision, m.runtime, m.accelerator, m.threads, m.device)] = m
        count += 1
    return list(latest.values()), count - len(latest)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One file against the targets; its ranks are not known yet."""

    measurement: Measurement
    claimed: Claim
    latency: Latency
    objectives: Mapping[str, Scored]
    macs_objective: float | None
    caveats: tuple[Caveat, ...]


def _judged(
    measurement: Measurement, claimed: Claim, settings: Settings, exponents: Mapping[str, Exponents]
) -> _Judged:
    latency, macs = stats.latency(measurement), measurement.macs
    objectives: dict[str, Scored] = {}
    on_macs = None
    if claimed.accuracy is not None:
        top1, top1_interval = claimed.accuracy.top1, claimed.accuracy.interval
        if latency.median_s is not None:
            interval = None if latency.interval is None else (latency.interval.low, latency.interval.high)
            for name, w in exponents.items():
                objectives[name] = scored(top1, latency.median_s, settings.target_s, w, interval, top1_interval)
        if macs:
            on_macs = objective(top1, macs, settings.target_macs, settings.exponents)
    # With the latency, not later: launches that are read from their lines are at hand now.
    return _Judged(measurement, claimed, latency, objectives, on_macs, checks.caveats(measurement, latency))


def _row(found: _Judged, target_s: float, rank: int | None, macs_rank: int | None) -> Row:
    measurement, latency, claimed = found.measurement, found.latency, found.claimed
    return Row(
        measurement,
        latency,
        claimed.accuracy,
        claimed.note,
        _meets(latency, target_s),
        found.objectives,
        found.macs_objective,
        rank,
        macs_rank,
        found.caveats,
        claimed.against,
    )


def _meets(latency: Latency, target_s: float) -> Meets:
    if latency.median_s is None:
        return "unknown"
    if latency.sure_bounds_s is None:
        return "uncertain"
    low, high = latency.sure_bounds_s
    if high <= target_s:
        return "yes"
    return "no" if low > target_s else "uncertain"


def _group(device: DeviceInfo, threads: int, judged: Sequence[_Judged], settings: Settings) -> Group:
    ranked = _ranked(judged, settings)
    candidates = [
        (row.accuracy.top1, row.latency.median_s)
        for row in ranked
        if row.rank is not None and row.accuracy is not None and row.latency.median_s is not None
    ]
    group = Group(
        device,
        threads,
        rows=tuple(ranked),
        # Ranked rows come first, so that an index into the candidates is one into the rows.
        winners={w.name: tuple(winners(candidates, w)) for w in (SOFT, HARD, settings.exponents)},
        correlations=correlations(ranked),
        published=tuple(_published(ranked)),
        notes=tuple(_notes(ranked)),
        verdict="",
        paired=tuple(paired(ranked, settings)),
    )
    return replace(group, verdict=verdict(group, settings))


def _ranked(judged: Sequence[_Judged], settings: Settings) -> list[Row]:
    """Rows in the order of their rank; those without one behind, the fastest first."""

    exponents = settings.exponents.name

    def key(found: _Judged) -> tuple[float, float]:
        score = found.objectives.get(exponents)
        # A file that is never right has an objective of 0: it ranks last, and before those without one.
        return (-score.value if score else 1.0, found.latency.median_s or float("inf"))

    macs_objectives = sorted(found.macs_objective for found in judged if found.macs_objective is not None)
    ranked = []
    for place, found in enumerate(sorted(judged, key=key), 1):
        on_macs = found.macs_objective
        macs_rank = None if on_macs is None else 1 + len(macs_objectives) - bisect_right(macs_objectives, on_macs)
        ranked.append(_row(found, settings.target_s, place if found.objectives else None, macs_rank))
    return ranked


def _published(rows: Sequence[Row]) -> Iterable[tuple[PublishedLatency, Row | None]]:
    """Published latencies of the networks in the rows, then the anchors of the objective."""
    fastest: dict[tuple[str | None, str, str], Row] = {}
    for row in rows:
        m = row.measurement
        wanted = (m.variant, m.precision, m.accelerator)
        if row.latency.median_s is not None and (
            wanted not in fastest or row.latency.median_s < (fastest[wanted].latency.median_s or 0.0)
        ):
            fastest[wanted] = row
    for entry in published.LATENCIES:
        found = fastest.get((entry.network, entry.precision, entry.accelerator))
        if found is not None:
            yield entry, found
    yield from ((entry, None) for entry in published.ANCHORS)


def _notes(rows: Sequence[Row]) -> Iterable[str]:
    """One for each kind of caveat, with the first row that has it; and whether the rows are of one session."""
    found: dict[str, list[tuple[Row, Caveat]]] = {}
    for row in rows:
        for caveat in row.caveats:
            found.setdefault(caveat.code, []).append((row, caveat))
    found.pop("random-weights", None)  # the accuracies' notes say it
    for (row, caveat), *others in found.values():
        alike = f" ({len(others)} other row{'s' if len(others) > 1 else ''} alike)" if others else ""
        yield f"{row.label}: {caveat.message}{alike}. Cure: {caveat.remedy}"
    if any(row.latency.medians_s and row.latency.sure_interval is None for row in rows):
        margin = f"{stats.FEW_LAUNCHES_MARGIN:g}"
        yield (
            f"a row of too few launches for an interval meets T only where every launch's median is at most "
            f"T / {margin}, and misses it only where every one is above {margin} T; between, it is uncertain"
        )
    sessions = {row.measurement.session for row in rows}
    if len(sessions) > 1:
        yield (
            f"the rows come from {len(sessions)} sessions: the state of the device may have changed between them. "
            "Cure: bench the files in one session"
        )
