"""The sentence at the end: who is first, does it meet the target, and how sure is that."""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff.report._numbers import significant, with_interval
from edgeeff.report.values import Group, Meets, Paired, Row, Settings

MOST_NAMED = 3
"""Rivals that a sentence names before it counts the rest."""

_MEETS: dict[Meets, str] = {
    "yes": "meets {target}",
    "no": "does not meet {target}",
    "uncertain": "cannot be told to meet {target} or not",
}


def verdict(group: Group, settings: Settings) -> str:
    """One to three sentences for people who read nothing else."""
    target = f"{settings.target_s * 1e3:g} ms"
    ranked = [row for row in group.rows if row.rank is not None]
    timed = [row for row in group.rows if row.latency.median_s is not None]
    if not timed:
        return "Nothing could be timed: every launch failed."
    if not ranked:
        first = timed[0]
        return (
            f"{first.label} is the fastest and {_met(first, target)}, but no row is ranked: "
            "no accuracy is known. Give them with --accuracy."
        )
    first = ranked[0]
    met = _met(first, target)
    place = f"ranks first of {len(ranked)} on the {settings.exponents.name} objective"
    sentences = [
        f"{first.label} {met} and {place}." if first.meets_target == "yes" else f"{first.label} {place} but {met}.",
        *_rivals(ranked, settings.exponents.name, group.paired),
        *_alternative(ranked, target),
    ]
    published = [row for row in ranked if row.accuracy is not None and row.accuracy.provenance == "published"]
    if published:
        which = "Accuracies" if len(published) == len(ranked) else f"{len(published)} of {len(ranked)} accuracies"
        sentences.append(f"{which} are published ones, not measured on these files.")
    return " ".join(sentences)


def _met(row: Row, target: str) -> str:
    """ "meets 75 ms (12.3 [11.9, 12.8] ms)"."""
    return f"{_MEETS[row.meets_target].format(target=target)} ({milliseconds(row)} ms)"


def milliseconds(row: Row) -> str:
    """The latency with its interval, in ms; "unknown" where it is not."""
    latency = row.latency
    if latency.median_s is None:
        return "unknown"
    if latency.interval is None:
        return significant(latency.median_s * 1e3)
    return with_interval(latency.median_s * 1e3, latency.interval.low * 1e3, latency.interval.high * 1e3)


def _rivals(ranked: list[Row], exponents: str, paired: Sequence[Paired]) -> list[str]:
    """Who the data cannot tell from the first. Accuracies that were measured on the same images tell more."""
    apart = {frozenset((id(p.row), id(p.other))) for p in paired if p.is_told_apart}
    leader = ranked[0].objectives[exponents]
    rivals = []
    for row in ranked[1:]:
        score = row.objectives[exponents]
        is_sure = ranked[0].latency.sure_interval and row.latency.sure_interval
        if frozenset((id(ranked[0]), id(row))) in apart:
            continue
        if not is_sure or leader.low is None or score.high is None or score.high >= leader.low:
            rivals.append(row.label)
    if len(rivals) > MOST_NAMED:
        rivals = [*rivals[:MOST_NAMED], f"{len(rivals) - MOST_NAMED} more"]
    return [f"The measurement cannot tell it from {' or '.join(rivals)}."] if rivals else []


def _alternative(ranked: list[Row], target: str) -> list[str]:
    """The best that meets the target, where the first does not."""
    if ranked[0].meets_target == "yes":
        return []
    for row in ranked:
        if row.meets_target == "yes":
            return [f"The best that meets {target} is {row.label} ({milliseconds(row)} ms)."]
    return [f"None is sure to meet {target}."]
