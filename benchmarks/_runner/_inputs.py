"""What the model is fed: seeded values of its inputs' types and shapes."""

from __future__ import annotations

from ._facts import RunnerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np

    Shapes = dict[str, list[int]]


def shape_to_run(name: str, shape: Sequence[Any], given: Shapes) -> list[int]:
    """The input's shape as given, else the file's with an open batch dimension taken as 1."""
    if name in given:
        if len(given[name]) != len(shape):
            raise RunnerError("shape", f"input {name!r} has {len(shape)} dimensions, {given[name]} was given")
        return list(given[name])
    fixed = [n if isinstance(n, int) and n > 0 else -1 for n in shape]
    if fixed and fixed[0] == -1:
        fixed[0] = 1
    if -1 in fixed:
        raise RunnerError("shape", f"input {name!r} leaves dimensions open: {list(shape)}")
    return fixed


def fill(rng: np.random.Generator, name: str, dtype: np.dtype[Any], shape: list[int], scale: float, zero: int) -> Any:
    """Seeded values that the type can hold: standard normal, quantised where there is a scale.

    Bytes without a scale are taken as an image's, other integers as indices or masks, for which only 0 and 1 are
    always in range.
    """
    import numpy as np

    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 1, size=shape, endpoint=True).astype(dtype)
    if dtype.kind not in "iu":
        raise RunnerError("input", f"input {name!r} has the type {dtype}, which cannot be filled")
    limits = np.iinfo(dtype)
    if scale > 0:
        quantised = np.rint(rng.standard_normal(shape) / scale) + zero
        return np.clip(quantised, limits.min, limits.max).astype(dtype)
    low, high = (limits.min, limits.max) if dtype.itemsize == 1 else (0, 1)
    return rng.integers(low, high, size=shape, dtype=dtype, endpoint=True)
