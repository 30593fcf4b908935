"""What is asked of a network in int8."""

from __future__ import annotations

from dataclasses import dataclass

from edgeeff.int8.techniques import SWISH_EQUALISATION


@dataclass(frozen=True, slots=True)
class IntegerOptions:
    """How a network is brought to int8.

    Args:
        min_sqnr_db: ops stay in float until the outputs on held-out images are so close to the float network's.
        max_drop: likewise, until no more than this share of held-out images has another class in first place.
        without: of `techniques.TECHNIQUES`, those that are not to be tried.
        explain: measure what each technique does, and say what each value costs.
    """

    min_sqnr_db: float | None = None
    max_drop: float | None = None
    without: frozenset[str] = frozenset()
    explain: bool = False

    @property
    def has_limit(self) -> bool:
        return self.min_sqnr_db is not None or self.max_drop is not None

    @property
    def differs_by_runtime(self) -> bool:
        """Whether what is made depends on what is fast in a runtime."""
        return self.has_limit or SWISH_EQUALISATION not in self.without
