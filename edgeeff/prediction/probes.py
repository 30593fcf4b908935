"""The networks that a latency model is fitted to, and the files of them that are timed.

Six scalings of a base spread depth, width and resolution apart, so that what each costs can be told, from below the
smallest published network to beyond B4 and Lite4. Their weights are random: latency does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff.prediction.latency_model import Costs, costs

if TYPE_CHECKING:
    from edgeeff.graph import Graph
    from edgeeff.protocols import Array, Converter, ModelFamily
    from edgeeff.traced_network import Network
    from edgeeff.values import Variant

SCALINGS = ((1.0, 1.0, 192), (1.0, 1.6, 224), (1.3, 1.0, 256), (0.8, 1.2, 320), (1.2, 1.4, 352), (1.5, 2.0, 400))
"""Width, depth, resolution; with b0 and lite0 as bases, twelve networks. None of them is a published one."""

BASES = ("b0", "lite0")


@dataclass(frozen=True, slots=True)
class Probe:
    """A network to time: its costs do not depend on the file's format or precision."""

    name: str
    costs: Costs
    files: dict[tuple[str, str], Path]
    """By format and precision."""


def scaled(base: Variant, family: ModelFamily) -> Iterator[Variant]:
    """The base's scalings."""
    for width, depth, resolution in SCALINGS:
        yield family.scaled(base, width=width, depth=depth, resolution=resolution)


def write(
    network: Network,
    converters: Sequence[Converter],
    precisions: Sequence[str],
    folder: Path,
    quantize: Callable[[Graph, Array], Graph],
) -> Probe:
    """Writes a network's files for timing: they are not checked, and not meant to be kept."""
    files = {}
    for precision in precisions:
        graph = quantize(network.graph, network.inputs[0]) if precision == "int8" else network.graph
        for converter in converters:
            path = folder / f"{network.name}-{precision}.{converter.name}"
            converter.write(graph, path, precision=precision, metadata={})
            files[converter.name, precision] = path
    return Probe(network.name, costs(network.graph), files)
