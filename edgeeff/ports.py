"""Real numbers as the inputs of a loaded file hold them, and what its outputs hold as real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.values import Port


def stored(real: NDArray[Any], port: Port) -> NDArray[np.generic]:
    """The numbers in the type of an input: rounded and clipped where it holds integers, by its scale if it has one."""
    kind = np.dtype(port.dtype)
    if kind.kind not in "iu":
        return real.astype(kind, copy=False)
    limits = np.iinfo(kind)
    integers = np.rint(real / (port.scale or 1.0)) + port.zero_point
    stored: NDArray[np.generic] = integers.clip(limits.min, limits.max).astype(kind)
    return stored


def real_values(values: NDArray[np.generic], port: Port) -> NDArray[np.float64]:
    """What the values of an output stand for."""
    real = np.asarray(values).astype(np.float64)
    return real if port.scale is None else (real - port.zero_point) * port.scale
