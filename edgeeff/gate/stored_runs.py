"""Baselines that a stored run names: its artifact, found by the hash; never its latency."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeeff import store
from edgeeff.artifacts import read_manifest
from edgeeff.errors import RefusedError, UsageError
from edgeeff.gate.match import Match, beside, label, of_hash, refusing
from edgeeff.measuring.cases import format_of


@dataclass(frozen=True, slots=True)
class Run:
    """What a results file says of an artifact."""

    path: str
    sha256: str
    format: str
    precision: str
    variant: str | None


def stored(run: str, results: Sequence[Path]) -> list[Run]:
    """The artifacts of the stored runs that an id, or the beginning of a hash, means.

    Raises:
        RefusedError: a results file is damaged or from a later edgeeff.
    """
    if not re.fullmatch(r"[\w.-]+", run):
        return []
    places = [place for place in results if place.exists()]
    with refusing(" and ".join(map(str, places))):
        measured = [m for place in places for m in store.read(place)]
    meant = [m for m in measured if run in (m.id, m.session) or (len(run) >= 7 and m.sha256.startswith(run.lower()))]
    runs = (Run(m.path, m.sha256, m.format, m.precision, m.variant) for m in meant)
    return list({run.sha256: run for run in runs}.values())


def in_runs(against: str, runs: Sequence[Run], candidate: Path) -> Match:
    """The one of these that fits the candidate, and where its file is now.

    Raises:
        UsageError: none fits, or several do.
        RefusedError: the file is gone.
    """
    fitting = [run for run in runs if run.format == format_of(candidate)]
    ours = read_manifest(candidate)
    if ours is not None and len(fitting) > 1:
        fitting = [run for run in fitting if (run.variant, run.precision) == (ours.variant, ours.precision)]
    if len(fitting) != 1:
        which = "several files" if fitting else "no file"
        raise UsageError(f"the stored run {against} has {which} for {label(candidate)}", "name the artifact's hash")
    run = fitting[0]
    file = of_hash(run.sha256, (Path(run.path), *beside(Path(run.path), candidate)))
    if file is not None:
        return Match(label(candidate), candidate, file, f"{against} ({run.sha256[:12]})")
    raise RefusedError(
        f"the artifact of the stored run {against} is gone: {run.path} had the hash {run.sha256[:12]}",
        "an absolute stored latency is never a baseline: restore the file (edgeeff baseline restore)",
    )
