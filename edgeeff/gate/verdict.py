"""From a check's launches to its verdict: latency, the other figures, and whatever went wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edgeeff.artifacts import read_manifest
from edgeeff.compare import GRAVITY, Check, Verdict
from edgeeff.errors import EdgeeffError
from edgeeff.files import sha256_of
from edgeeff.gate.comparable import runtime_build
from edgeeff.gate.decision import PASSING_TAIL, Decision
from edgeeff.gate.figures import failures, figures
from edgeeff.gate.past import RUNS
from edgeeff.gate.session import CheckRun
from edgeeff.gate.signed_rank import estimate
from edgeeff.measuring.cases import inspected

MOST_CLOCK_FAULTS = 0.2
"""Part of the launches whose clock may have jumped."""


def check_of(run: CheckRun, *, interrupted: bool = False, lost: str | None = None) -> Check:
    """The verdict on a check that has ended, or on what there is of one that was interrupted.

    Args:
        lost: why the device is gone, where it is.
    """
    latency, decision = _latency(run, interrupted=interrupted, lost=lost)
    before = run.before
    found = figures(run.candidate, before, run.policy.limits) if before is not None else ()
    others = list(failures(found, run.candidate, run.policy.limits)) if run.candidate.launches else []
    reasons = [(verdict, reason) for verdict, reason in [*latency, *others] if reason]
    verdict = min((verdict for verdict, _ in [*latency, *others]), key=GRAVITY.index)
    interval = decision.interval if decision is not None and verdict is not Verdict.REFUSED else None
    candidate, baseline = run.candidate, before or run.baseline
    return Check(
        run.case.name,
        verdict,
        tuple(dict.fromkeys(reason for _, reason in [*reasons, *_remarks(run)])),
        ratio=None if interval is None else math.exp(interval.value),
        low=None if interval is None else math.exp(interval.low),
        high=None if interval is None else math.exp(interval.high),
        launches=len(run.comparison.log_ratios),
        needed=decision.needed if decision is not None and verdict is Verdict.INCONCLUSIVE else None,
        seconds=run.elapsed_s,
        max_slowdown=run.policy.plan.max_slowdown,
        coarse=not run.interleaved,
        no_baseline=_only_recorded(run) and verdict is Verdict.INCONCLUSIVE and not interrupted and lost is None,
        clock=run.comparison.clock,
        candidate=candidate.path,
        baseline=baseline.path,
        candidate_sha256=candidate.sha256,
        baseline_sha256=baseline.sha256,
        format=candidate.format,
        precision=candidate.precision,
        variant=candidate.variant,
        device=candidate.device.name,
        runtime=candidate.runtime,
        threads=candidate.threads,
        runtime_build=" against ".join(dict.fromkeys(filter(None, map(runtime_build, (candidate, baseline))))) or None,
        comparison=run.case.id,
        figures=found,
    )


def without_baseline(name: str, candidate: Path, why: str) -> Check:
    """Of a candidate that has nothing to be compared with yet, which is allowed."""
    reason = f"there is no baseline yet, so nothing was compared: {why}"
    told = (reason, "edgeeff baseline save keeps one: on the main branch, once this is in")
    return replace(_unmeasured(name, Verdict.INCONCLUSIVE, told, candidate), no_baseline=True)


def refused(name: str, candidate: Path, error: EdgeeffError) -> Check:
    """Of a candidate whose baseline cannot be trusted."""
    return _unmeasured(name, Verdict.REFUSED, tuple(filter(None, (error.message, error.hint))), candidate)


def _unmeasured(name: str, verdict: Verdict, reasons: tuple[str, ...], candidate: Path) -> Check:
    """With what the file says of itself, as far as it can be read."""
    check = Check(name, verdict, reasons, candidate=str(candidate))
    with suppress(EdgeeffError):
        manifest = read_manifest(candidate)
        known = manifest or inspected(candidate)
        check = replace(
            check,
            candidate_sha256=manifest.sha256 if manifest else sha256_of(candidate),
            format=known.format,
            precision=known.precision,
            variant=manifest.variant if manifest else None,
        )
    return check


def _only_recorded(run: CheckRun) -> bool:
    """Whether there is no earlier run yet, which is allowed, and this one has its launches."""
    past, decision = run.case.past, run.decision
    ended = decision is not None and decision.verdict is not None and run.gave_up is None
    return run.policy.first_time and past is not None and past.comparison is None and ended


def _latency(
    run: CheckRun, *, interrupted: bool, lost: str | None
) -> tuple[list[tuple[Verdict, str]], Decision | None]:
    """The verdicts on latency with their reasons, and the decision that they rest on."""
    if run.refusals:
        return [(Verdict.REFUSED, reason) for reason in run.refusals], None
    decision = run.decision
    if decision is None or decision.verdict is None:
        ratios = run.comparison.log_ratios
        decision = run.decide(spent=True)
        stopped = lost or run.gave_up or ("interrupted" if interrupted else "it did not come to an end")
        return [(Verdict.INCONCLUSIVE, f"{stopped}, after {len(ratios)} launches")], decision
    verdict, reason = decision.verdict, decision.reason
    if reason and decision.needed is not None:
        reason = f"{reason}; {_outlook(run, decision)}"
    doubts = [*_doubts(run), *_by_the_wall(run)]
    if verdict in (Verdict.PASSED, Verdict.IMPROVED) and doubts:
        return [(Verdict.INCONCLUSIVE, doubt) for doubt in doubts], decision
    return [(verdict, reason), *((verdict, doubt) for doubt in doubts)], decision


def _doubts(run: CheckRun) -> Iterator[str]:
    """What forbids to let the candidate pass, although the launches that ended would."""
    failed = [pair for pair in run.pairs if pair.error is not None and not pair.clock_fault]
    if failed:
        yield f"{len(failed)} of {len(run.pairs)} launches failed: {failed[-1].error}"
    alone = [launch for m in (run.candidate, run.baseline) for launch in m.launches if launch.error is not None]
    if alone:
        yield f"{len(alone)} launches of one side alone failed: {alone[-1].error}"
    if run.pairs and run.interleaved and run.case.past is None and not run.compared:
        yield "no launch told what the two compute, so they may not do the same work"
    faults = [pair for pair in run.pairs if pair.clock_fault]
    if len(faults) > MOST_CLOCK_FAULTS * len(run.pairs):
        yield f"{len(faults)} of {len(run.pairs)} launches: {faults[-1].error}"


def _by_the_wall(run: CheckRun) -> Iterator[str]:
    """What is on the CPU for as long as before must not take longer for another reason."""
    if run.comparison.clock != "cpu" or run.case.past is not None:
        return
    ratios = run.comparison.ratios_by("wall")
    if len(ratios) < run.policy.plan.first:  # they have no low end yet, nor is there a verdict to doubt
        return
    # A doubt withholds a pass, so it rests on the same tail as one. It is asked once, when the launches have ended: of
    # candidates just at the margin, one of a thousand is doubted by chance.
    wall = estimate(ratios, PASSING_TAIL)
    if wall.low > math.log1p(run.policy.plan.regression):
        yield f"by the wall clock it is {math.expm1(wall.value) * 100:.1f} % slower"


def _outlook(run: CheckRun, decision: Decision) -> str:
    """How many more launches it would take, and how long."""
    more = max((decision.needed or 0) - decision.launches, 1)
    if not decision.launches:
        return f"about {more} launches are needed"
    seconds = more * run.elapsed_s / max(len(run.pairs), 1)
    return f"about {more} more launches are needed, some {seconds:.0f} s: --seconds {run.policy.seconds + seconds:.0f}"


def _remarks(run: CheckRun) -> Iterator[tuple[Verdict, str]]:
    yield from ((Verdict.PASSED, remark) for remark in run.remarks)
    if run.case.past is not None and run.case.past.runs < RUNS and run.pairs:
        yield (
            Verdict.PASSED,
            f"{run.case.past.runs} of the {RUNS} earlier runs that it takes to blame a file are there: with fewer, "
            "one that is slower is inconclusive",
        )
    if run.case.past is not None and run.case.past.comparison is not None and run.pairs:
        yield (
            Verdict.PASSED,
            "the interval tells of the launches alone: two runs of one file, at two times, differ by more; "
            "both sides of --against run at the same time",
        )
    if not run.interleaved and run.pairs:
        yield (
            Verdict.PASSED,
            f"{run.candidate.runtime} takes one model at a time: the sides were paired by process and not by call, "
            "which is about ten times coarser",
        )
