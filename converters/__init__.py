"""File formats: torch network -> graph (`trace`), graph -> ONNX or TFLite file. One module a format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeeff.errors import MissingExtraError

if TYPE_CHECKING:
    import torch

    from ._trace import Trace


def trace(module: torch.nn.Module, inputs: Sequence[torch.Tensor], *, name: str) -> Trace:
    """Runs a network once and returns its simplified graph and its outputs; see `_trace.trace`.

    Raises:
        MissingExtraError: torch is not installed.
        edgeeff.errors.ConversionError: see `_trace.trace`.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("torch", "torch", "converting a network") from error
    from dataclasses import replace

    from ._passes import simplify
    from ._trace import trace as run

    traced = run(module, inputs, name=name)
    return replace(traced, graph=simplify(traced.graph))
