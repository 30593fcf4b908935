"""What a report says, as values; renderers add nothing but form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeeff.objective import Exponents, Scored, TargetRange
from edgeeff.proportions import Pair
from edgeeff.published import PublishedLatency
from edgeeff.report.accuracies import is_random
from edgeeff.stats import Latency
from edgeeff.values import Accuracy, Caveat, DeviceInfo, Measurement

Meets = Literal["yes", "no", "uncertain", "unknown"]
"""Whether the latency is within T: "uncertain" when T lies in its `sure_bounds_s`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One file in one runtime, where it stands.

    Objectives and ranks are None (or absent) where the accuracy or the latency is unknown. Ranks count from 1;
    on latency the faster of two that tie comes first, on multiply-adds they share the rank.
    """

    measurement: Measurement
    latency: Latency
    accuracy: Accuracy | None
    accuracy_note: str
    meets_target: Meets
    objectives: Mapping[str, Scored]
    """By the exponents' name: "soft", "hard", and the chosen one."""
    macs_objective: float | None
    rank: int | None = None
    macs_rank: int | None = None
    caveats: tuple[Caveat, ...] = ()
    against: tuple[str, Pair] | None = None
    """The SHA-256 of the file that it was evaluated against, and on which of the images each was right."""

    @property
    def name(self) -> str:
        """The variant, else the file's name."""
        m = self.measurement
        return m.variant or Path(m.path).name

    @property
    def label(self) -> str:
        """The row in a sentence: "lite0 fp32 tflite on litert"."""
        m = self.measurement
        weights = " (random weights)" if is_random(m) else ""
        accelerator = "" if m.accelerator == "cpu" else f", {m.accelerator}"
        return f"{self.name}{weights} {m.precision} {m.format} on {m.runtime}{accelerator}"


@dataclass(frozen=True, slots=True)
class Paired:
    """A row against another: `ratio` is its objective over the other's, with an interval that knows of the pairing.

    The two objectives' own intervals know nothing of it: both files err on the same hard images, so the difference
    between them is known far better than either accuracy.
    """

    row: Row
    other: Row
    right: Pair
    ratio: Scored

    @property
    def is_told_apart(self) -> bool:
        """Whether the ratio's interval leaves out 1."""
        low, high = self.ratio.low, self.ratio.high
        sure = self.row.latency.sure_interval is not None and self.other.latency.sure_interval is not None
        return sure and low is not None and high is not None and not low <= 1 <= high


@dataclass(frozen=True, slots=True)
class Correlation:
    """Multiply-adds against latency over the rows of one configuration, or of all.

    Args:
        rho: Spearman's rank correlation; None with fewer than three different networks.
        outliers: label -> how many times slower it is than the common line says (below 1: faster).
        inversion: (label of the row with fewer multiply-adds that is slower all the same, label of the other,
            ratio of multiply-adds, ratio of latencies): the pair with the largest ratio of latencies whose
            intervals do not overlap; None where there is none.
    """

    configuration: str
    points: int
    networks: int
    rho: float | None
    outliers: Mapping[str, float]
    inversion: tuple[str, str, float, float] | None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that compare: one device, one number of threads. Ordered by rank, then by latency."""

    device: DeviceInfo
    threads: int
    rows: tuple[Row, ...]
    winners: Mapping[str, tuple[TargetRange, ...]]
    """By the exponents' name: the ranges of T in seconds; `winner` is an index into `rows`."""
    correlations: tuple[Correlation, ...]
    published: tuple[tuple[PublishedLatency, Row | None], ...]
    """Published latencies with the row of the same network, precision and accelerator that is fastest here."""
    notes: tuple[str, ...]
    verdict: str
    paired: tuple[Paired, ...] = ()

    @property
    def title(self) -> str:
        device = self.device
        parts = [f"{device.name}: {device.model or 'unknown model'}", device.os or "unknown system"]
        parts += [f"kernel {device.kernel}"] if device.kernel else []
        parts += ["emulated"] if device.emulated else []
        return ", ".join([*parts, self._threads])

    @property
    def short_title(self) -> str:
        """ "host, 4 threads"."""
        return f"{self.device.name}, {self._threads}"

    @property
    def _threads(self) -> str:
        return f"{self.threads} thread{'s' if self.threads != 1 else ''}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the rows are judged by: T for latency and for multiply-adds, and w."""

    target_s: float
    target_macs: float
    exponents: Exponents


@dataclass(frozen=True, slots=True)
class Report:
    """The groups, and notes that concern all of them."""

    settings: Settings
    groups: tuple[Group, ...]
    notes: tuple[str, ...]

    @property
    def group_names(self) -> list[str]:
        """What to call each group: its short title, or as much more as tells it from the others.

        A device with a new kernel is another one, of the same name.
        """
        titles = [group.short_title for group in self.groups]
        if len(set(titles)) < len(titles):
            titles = [group.title for group in self.groups]
        seen: Counter[str] = Counter()
        names = []
        for title in titles:
            seen[title] += 1
            names.append(title if seen[title] == 1 else f"{title} ({seen[title]})")
        return names
