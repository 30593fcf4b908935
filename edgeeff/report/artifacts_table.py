"""What `edgeeff convert` says of the files that it wrote."""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff.int8.calibration import NO_PHOTOS
from edgeeff.parity import LIMITS_DB
from edgeeff.report._table import Column, Table, text
from edgeeff.values import Artifact
from edgeeff.wording import printable


def artifacts_text(artifacts: Sequence[Artifact]) -> str:
    """One row a file: where it is, what it costs, and how close it comes to the network."""
    columns = [
        Column("file"),
        Column("precision"),
        Column("weights"),
        Column("size, MB", "decimal"),
        Column("ops", "decimal"),
        Column("multiply-adds, M", "decimal"),
        Column("parity, dB", "decimal"),
        Column("max abs", "decimal"),
    ]
    rows = [
        [
            str(artifact.path),
            artifact.precision,
            artifact.weights,
            f"{artifact.size_bytes / 1e6:.2f}",
            str(artifact.ops),
            f"{artifact.macs / 1e6:,.1f}",
            f"{artifact.parity.sqnr_db:.1f}" if artifact.parity else "?",
            f"{artifact.parity.max_abs:.1e}" if artifact.parity else "?",
        ]
        for artifact in artifacts
    ]
    made_up = [
        f"parity of {printable(artifact.path.name)}: on {artifact.parity.inputs}; on photos it is lower\n"
        for artifact in artifacts
        if artifact.parity and NO_PHOTOS in artifact.parity.inputs
    ]
    lowered = [
        f"parity of {printable(artifact.path.name)}: the limit was {artifact.parity.limit_db:.1f} dB, not "
        f"{LIMITS_DB['fp32']:g}: float32 itself is off float64 by more than usual in this network\n"
        for artifact in artifacts
        if artifact.parity and artifact.precision == "fp32" and artifact.parity.limit_db < LIMITS_DB["fp32"]
    ]
    return text(Table(columns, rows)) + "".join(made_up + lowered)
