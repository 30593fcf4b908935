"""What two files answer to the same input in this process: for devices whose runners give no outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff import registry
from edgeeff.compare import Answer
from edgeeff.ports import real_values, stored
from edgeeff.values import Port, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeeff.protocols import Array


def answer(path: Path, format_name: str, seed: int) -> Answer:
    """Runs the file once on seeded noise.

    Raises:
        MissingExtraError: the format's runtime is not installed here.
        UsageError: the runtime cannot run it.
    """
    import numpy as np

    session = registry.runtime(registry.converter(format_name).runtime).open(path, 1)
    rng = np.random.default_rng(seed)
    given = [_filled(port, rng.standard_normal(_shape(port))) for port in session.inputs]
    outputs = [real_values(value, port) for port, value in zip(session.outputs, session(given), strict=True)]
    inputs = tuple(TensorSpec(port.name, port.dtype, _shape(port)) for port in session.inputs)
    return Answer(inputs, tuple(output.reshape(-1) for output in outputs), tuple(output.shape for output in outputs))


def _shape(port: Port) -> tuple[int, ...]:
    return tuple(1 if n is None else n for n in port.shape)


def _filled(port: Port, normal: NDArray[np.float64]) -> Array:
    """Noise as the input's type holds it: quantised where it stands for real numbers; else 0 and 1, as indices."""
    import numpy as np

    dtype = np.dtype(port.dtype)
    if dtype.kind != "f" and port.scale is None:
        return (normal > 0).astype(dtype)
    return stored(normal, port)
