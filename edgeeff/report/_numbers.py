"""Numbers as text, with the digits that the measurement supports."""

from __future__ import annotations

import math


def significant(value: float, digits: int = 3) -> str:
    """Fixed-point notation with so many significant digits: 407, 12.3, 0.0614."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(decimals, 0)}f}"


def with_interval(value: float, low: float | None, high: float | None, digits: int = 5) -> str:
    """The value and its interval, "12.34 [11.95, 12.81]", to two digits of the interval's half-width.

    Args:
        digits: the most significant digits of the value; without an interval, three are shown.
    """
    if low is None or high is None:
        return significant(value)
    most = digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)
    half_width = (high - low) / 2
    decimals = min(1 - math.floor(math.log10(half_width)), most) if half_width else most
    decimals = max(decimals, 0)
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def percent(fraction: float) -> str:
    """A fraction in percent, with the one decimal that papers give, or more where it has more: 75.1, 74.92."""
    return f"{fraction * 100:.1f}" if round(fraction, 3) == round(fraction, 6) else f"{fraction * 100:.2f}"
