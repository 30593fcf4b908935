"""Whether two sides compute the same: from the same inputs, the same outputs within what their precision allows."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from edgeeff.compare import Answer
from edgeeff.parity import LIMITS_DB, sqnr_db
from edgeeff.wording import sizes

ALIKE_DB = 60.0
"""Least agreement of two float files: kernels round in their own ways, and a fused graph rounds elsewhere."""

TWO_SIDED_DB = 3.0
"""Two files that each keep to a limit may be this much further from one another."""


def disagreements(
    candidate: Answer, baseline: Answer, precisions: tuple[str, str], allowed: Collection[str] = ()
) -> Iterator[str]:
    """Why the two do not do the same work.

    Args:
        precisions: the candidate's and the baseline's.
        allowed: "precision" and "outputs" may be among it: then integers may stand against floats, and outputs differ.
    """
    ours = [(spec.shape, spec.dtype) for spec in candidate.inputs]
    theirs = [(spec.shape, spec.dtype) for spec in baseline.inputs]
    if "precision" in allowed:
        ours, theirs = ([(shape, "") for shape, _ in side] for side in (ours, theirs))
    if ours != theirs:
        yield f"inputs differ: {_shown(ours)} against the baseline's {_shown(theirs)}"
    elif candidate.shapes != baseline.shapes:
        yield f"outputs differ in shape: {_sizes(candidate.shapes)} against the baseline's {_sizes(baseline.shapes)}"
    elif "outputs" not in allowed:
        limit = agreement_limit_db(precisions)
        apart = sqnr_db(baseline.outputs, candidate.outputs)
        if not apart >= limit:
            yield (
                f"outputs disagree: {apart:.1f} dB on the same input, {precisions[0]} needs {limit:g} dB "
                "(where that is meant, as of a network that was trained anew: --allow outputs)"
            )


def agreement_limit_db(precisions: tuple[str, str]) -> float:
    """The least signal-to-noise ratio between two files of these precisions, in dB."""
    least = min(LIMITS_DB.get(precision, min(LIMITS_DB.values())) for precision in precisions)
    return min(ALIKE_DB, least - TWO_SIDED_DB)


def _shown(ports: list[tuple[tuple[int | None, ...], str]]) -> str:
    return ", ".join(f"{dtype} {sizes(shape)}".strip() for shape, dtype in ports) or "none"


def _sizes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join(map(sizes, shapes)) or "none"
