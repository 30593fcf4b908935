"""File formats: torch network -> graph (`trace`), graph -> ONNX or TFLite file. One module a format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeeff.errors import ConversionError, MissingExtraError

if TYPE_CHECKING:
    import torch

    from ._trace import Trace


def trace(module: torch.nn.Module, inputs: Sequence[torch.Tensor], *, name: str) -> Trace:
    """Runs a network once and returns its simplified graph and its outputs; see `_trace.trace`.

    Raises:
        MissingExtraError: torch is not installed.
        ConversionError: see `_trace.trace`; or nothing is left of the network when it is simplified.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("torch", "torch", "converting a network") from error
    from dataclasses import replace

    from ._passes import simplify
    from ._trace import trace as run

    traced = run(module, inputs, name=name)
    graph = simplify(traced.graph)
    if not graph.nodes:
        raise ConversionError(f"{name} does nothing but pass its input on: there is nothing to convert")
    return replace(traced, graph=graph)
