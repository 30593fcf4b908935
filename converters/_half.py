"""float16's range, which weights must not exceed in any format."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import ConversionError


def require_half(name: str, value: NDArray[Any]) -> None:
    """Raises ConversionError where a weight exceeds float16's largest number, or is none."""
    largest, limit = float(np.abs(value).max()), float(np.finfo(np.float16).max)
    if not largest <= limit:
        raise ConversionError(
            f"{name}: the value {largest:g} exceeds float16's largest, {limit:g}", "convert with --precision fp32"
        )
