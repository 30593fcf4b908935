"""A profile as text: where the time goes, by kind of op, by block, and the longest ops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgeeff.profiling.profiles import ADDED, OpTime, Profile, Share, by_block, by_kind, to_json
from edgeeff.report._numbers import significant
from edgeeff.report._table import Column, Table, text
from edgeeff.wording import printable

RESOLUTION_S = 1e-6
"""Of every profiler here."""

UNSEEN_SHARE = 0.1
"""Of an inference that is in no op, from which on the reader is told."""

INTERRUPTED_SHARE = 0.1
"""Of the ops' time that others took, from which on the reader is told."""

_SHARES = (
    Column("ops", "decimal"),
    Column("time, ms", "decimal"),
    Column("share, %", "decimal"),
    Column("MACs, M", "decimal"),
    Column("GMAC/s", "decimal"),
)


def profile_text(profile: Profile, top: int = 10) -> str:
    """Head, three tables and what must be known of them. Ends in a line break."""
    parts = [_head(profile), _shares("by kind of op", "kind", by_kind(profile))]
    if blocks := by_block(profile):
        parts.append(_shares("by block, in order", "block", blocks))
    parts += [_longest(profile, top), *notes(profile)]
    return "\n".join(parts)


def profile_json(profile: Profile) -> dict[str, Any]:
    """The profile as it is stored, with the sums that the tables show."""
    return {
        **to_json(profile),
        "by_kind": [_share_json(share) for share in by_kind(profile)],
        "by_block": [_share_json(share) for share in by_block(profile)],
        "notes": [note.strip() for note in notes(profile)],
    }


def notes(profile: Profile) -> Iterator[str]:
    """What must be known, each with its line break."""
    if profile.device.emulated:
        yield f"{profile.device.name} is emulated: its times say nothing of real hardware\n"
    if profile.outside_share > UNSEEN_SHARE:
        yield (
            f"{profile.outside_share * 100:.0f} % of an inference is in none of the ops: the runtime's own work, and "
            "what its clock cuts off\n"
        )
    taken = profile.interrupted_share
    if taken > INTERRUPTED_SHARE:
        yield (
            f"other programs took {taken * 100:.0f} % of the time: the ops' medians leave that out, "
            "that of an inference does not\n"
        )
    short = sum(op.time_s < RESOLUTION_S for op in profile.ops)
    if short:
        yield f"{short} of {len(profile.ops)} steps take less than a microsecond, which reads as 0\n"
    overhead = profile.overhead
    # On a machine that is not quiet the difference is the others' doing.
    if overhead is not None and overhead > 0.05 and taken <= INTERRUPTED_SHARE:
        yield f"the profiler itself makes an inference {overhead * 100:.0f} % slower; short ops suffer most\n"
    yield from (f"{caveat}\n" for caveat in profile.caveats)


def _head(profile: Profile) -> str:
    plain = sorted(profile.plain_s)
    without = f", {significant(plain[len(plain) // 2] * 1e3)} ms without the profiler" if plain else ""
    launches = len(profile.profiled_s)
    return (
        f"{printable(profile.path)} on {profile.device.name}, {profile.runtime_version or profile.runtime}, "
        f"{profile.threads} {'thread' if profile.threads == 1 else 'threads'}: "
        f"{significant(profile.inference_s * 1e3)} ms an inference{without}\n"
        f"{profile.method}; medians of {launches} {'launch' if launches == 1 else 'launches'}, "
        f"{profile.runs} runs each\n"
    )


def _shares(title: str, name: str, shares: Sequence[Share]) -> str:
    return f"{title}\n" + text(Table((Column(name), *_SHARES), [_share_row(share) for share in shares]))


def _share_row(share: Share) -> list[str]:
    rate = share.macs_per_s
    return [
        share.name,
        str(share.ops),
        _ms(share.time_s),
        f"{share.share * 100:.1f}",
        _macs(share.macs),
        "" if rate is None else _rate(rate, share.time_s),
    ]


def _longest(profile: Profile, top: int) -> str:
    total = profile.ops_s
    columns = (
        Column("op"), Column("kind"), Column("time, ms", "decimal"), Column("share, %", "decimal"),
        Column("MACs, M", "decimal"), Column("GMAC/s", "decimal"), Column("kernel"),
    )  # fmt: skip
    longest = sorted(profile.ops, key=lambda op: -op.time_s)[:top]
    return f"the {len(longest)} longest ops\n" + text(Table(columns, [_op_row(op, total) for op in longest]))


def _op_row(op: OpTime, total_s: float) -> list[str]:
    rate = op.macs / op.time_s if op.macs and op.time_s > 0 else None
    return [
        op.name or ADDED,
        op.kind,
        _ms(op.time_s),
        f"{op.time_s / total_s * 100:.1f}" if total_s else "",
        _macs(op.macs),
        "" if rate is None else _rate(rate, op.time_s),
        op.kernel,
    ]


def _ms(seconds: float) -> str:
    """Whole microseconds: what the profilers give."""
    return f"{seconds * 1e3:.3f}" if seconds < 1 else significant(seconds * 1e3, 4)


def _rate(macs_per_s: float, time_s: float) -> str:
    """No more digits than the time has, in whole microseconds."""
    return significant(macs_per_s / 1e9, 3 if time_s >= 100 * RESOLUTION_S else 2)


def _macs(macs: int | None) -> str:
    return "?" if macs is None else f"{macs / 1e6:.1f}" if macs else ""


def _share_json(share: Share) -> dict[str, Any]:
    return {
        "name": share.name,
        "ops": share.ops,
        "time_s": share.time_s,
        "share": share.share,
        "macs": share.macs,
        "macs_per_s": share.macs_per_s,
    }
