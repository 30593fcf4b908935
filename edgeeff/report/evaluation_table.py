"""What `edgeeff evaluate` says."""

from __future__ import annotations

from typing import Any

from edgeeff.evaluation.scores import Comparison, Evaluation, Scores, remarks
from edgeeff.parity import EQUAL_DB
from edgeeff.proportions import Pair, Share
from edgeeff.report._table import Column, Table, text
from edgeeff.values import Normalisation


def evaluation_text(found: Evaluation) -> str:
    """A table of the files, one of the comparison, and the lines that belong to them."""
    files = found.files
    columns = [Column("file"), Column("precision"), Column("runtime"), Column("input")]
    columns += [Column("top-1, %", "decimal"), Column("top-5, %", "decimal")]
    rows = [
        [str(s.file.path), s.file.precision, s.file.runtime, _input(s), _percent(s.top1), _percent(s.top5)]
        for s in files
    ]
    count = f"{found.images} image{'s' if found.images > 1 else ''}"
    parts = [f"{count} of {found.dataset.root}\n", text(Table(columns, rows))]
    if files[0].top1 is not None:
        parts.append("In brackets 95 % intervals (Wilson) for images like these.\n")
    if found.comparison is not None:
        parts.append("\n" + _comparison(found.comparison, *files))
    said = remarks(found)
    if said:
        parts.append("\n" + "".join(f"{line}\n" for line in said))
    return "".join(parts)


def _input(scores: Scores) -> str:
    file = scores.file
    normalisation = file.preparation.normalisation
    return f"{file.session.inputs[0].dtype}, {file.preparation.resolution} px, {_means(normalisation)}"


def _means(normalisation: Normalisation) -> str:
    """ "mean .485 .456 .406, std .229 .224 .225"; one number where the channels share it."""

    def numbers(values: tuple[float, float, float]) -> str:
        shown = [f"{value:.3f}".removeprefix("0") for value in values]
        return shown[0] if len(set(shown)) == 1 else " ".join(shown)

    return f"mean {numbers(normalisation.mean)}, std {numbers(normalisation.std)}"


def _percent(share: Share | None) -> str:
    return "-" if share is None else _bracketed(share.value * 100, *(end * 100 for end in share.interval))


def _bracketed(value: float, low: float, high: float) -> str:
    """With the digits that the interval supports: one below a point where it is wider than half of one."""
    decimals = 1 if high - low > 0.5 else 2
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def _comparison(comparison: Comparison, ours: Scores, reference: Scores) -> str:
    columns = [Column(f"{ours.file.path.name} against {reference.file.path.name}"), Column("", "decimal")]
    rows = [["SQNR of the outputs, dB", _decibels(comparison)]]
    if comparison.agreement is not None:
        rows.append(["same class on top, %", _percent(comparison.agreement)])
    lines = ["SQNR's interval by resampling images.\n"] if comparison.sqnr_interval else []
    if comparison.right is not None:
        pair = comparison.right
        rows.append(["top-1 difference, points", _bracketed(pair.difference * 100, *(e * 100 for e in pair.interval))])
        lines.append(_judgement(pair, ours, reference))
    return text(Table(columns, rows)) + "".join(lines)


def _decibels(comparison: Comparison) -> str:
    if comparison.sqnr_db >= EQUAL_DB:
        return "equal to the last bit"
    if comparison.sqnr_interval is None:
        return f"{comparison.sqnr_db:.1f}"
    low, high = comparison.sqnr_interval
    return f"{comparison.sqnr_db:.1f} [{low:.1f}, {high:.1f}]"


def _judgement(pair: Pair, ours: Scores, reference: Scores) -> str:
    low, high = pair.interval
    here, there = ours.file.path.name, reference.file.path.name
    counts = f"{here} alone is right on {pair.first_only} of {pair.total} images, {there} alone on {pair.second_only}"
    if low <= 0 <= high:
        told = "no difference in top-1 can be told"
    else:
        told = f"top-1 is {'lower' if high < 0 else 'higher'} than {there}'s"
    return f"{counts}: {told}\n(McNemar's exact p = {pair.p_value:.2g}; Newcombe's interval for paired images).\n"


def evaluation_json(found: Evaluation) -> dict[str, Any]:
    """The same as one document; shares with their counts and intervals."""
    comparison = found.comparison
    return {
        "data": str(found.dataset.root),
        "images": found.images,
        "classes_covered": found.dataset.classes if found.dataset.is_labelled else None,
        "not_decoded": found.faults,
        "remarks": remarks(found),
        "files": [
            {
                "path": str(s.file.path),
                "sha256": s.file.sha256,
                "format": s.file.format,
                "precision": s.file.precision,
                "variant": s.file.variant,
                "runtime": s.file.runtime,
                "resolution": s.file.preparation.resolution,
                "mean": s.file.preparation.normalisation.mean,
                "std": s.file.preparation.normalisation.std,
                "top1": _share(s.top1),
                "top5": _share(s.top5),
            }
            for s in found.files
        ],
        "comparison": None if comparison is None else _comparison_json(comparison),
    }


def _share(share: Share | None) -> dict[str, Any] | None:
    if share is None:
        return None
    return {"value": share.value, "interval": share.interval, "count": share.count, "images": share.total}


def _comparison_json(comparison: Comparison) -> dict[str, Any]:
    pair = comparison.right
    difference = None
    if pair is not None:
        difference = {
            "value": pair.difference,
            "interval": pair.interval,
            "p_value": pair.p_value,
            "both": pair.both,
            "file_only": pair.first_only,
            "against_only": pair.second_only,
            "neither": pair.neither,
        }
    return {
        "sqnr_db": comparison.sqnr_db,
        "sqnr_interval_db": comparison.sqnr_interval,
        "agreement": _share(comparison.agreement),
        "top1_difference": difference,
    }
