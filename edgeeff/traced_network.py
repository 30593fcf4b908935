"""A network on its way to files: traced, with what it computed, and everything that its files must say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeeff.graph import Graph
    from edgeeff.int8.machines import Machine
    from edgeeff.values import Normalisation


@dataclass(frozen=True, slots=True)
class Network:
    """A traced network: its graph, what it computed from `inputs`, and where it comes from.

    `inputs` and `outputs` are float32, the inputs NCHW. `parameters` counts the torch network's own, before
    batch normalisations were folded. `own_padding` is what the network's authors build it with.
    """

    name: str
    graph: Graph
    inputs: tuple[NDArray[np.float32], ...]
    outputs: tuple[NDArray[np.float32], ...]
    inputs_label: str
    weights: str
    parameters: int
    family: str | None = None
    resolution: int | None = None
    padding: str | None = None
    own_padding: str = "same"
    bn_eps: float | None = None
    classes: int | None = None
    normalisation: Normalisation | None = None
    labels: str | None = None
    weights_sha256: str | None = None
    notes: tuple[str, ...] = ()
    machine: Machine | None = None
    """Whose kernels its integers are made for; None where they suit all."""
    io: str = "float"
    explanation: Mapping[str, Any] | None = None
    """Of its int8 form, for who asked for it."""
    via: str | None = None
    """As in `Artifact`."""
    exact: Callable[[Sequence[NDArray[np.float32]]], tuple[NDArray[np.float64], ...]] | None = None
    """Computes the outputs of inputs in float64, where the network can: it tells how far float32 itself is off."""
