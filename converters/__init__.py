"""File formats: torch network -> graph (`trace`), graph -> ONNX or TFLite file. One module a format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgeeff.errors import MissingExtraError

if TYPE_CHECKING:
    import torch

    from edgeeff.graph import Graph
    from edgeeff.int8.calibration import Calibration
    from edgeeff.int8.integer_options import IntegerOptions
    from edgeeff.protocols import Array
    from edgeeff.traced_network import Network

    from ._quantize import IntegerQuantizer
    from ._to_int8 import Quantised
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


def on_held_out(network: Network, calibration: Calibration) -> Network:
    """The network with what it computes of the held-out images as what its files are proven on."""
    from dataclasses import replace

    from ._execute import outputs

    images = calibration.held_out
    label = f"{len(images)} held-out images of {calibration.source}"
    return replace(network, inputs=(images,), outputs=tuple(outputs(network.graph, images)), inputs_label=label)


def quantize_for_timing(graph: Graph, image: Array) -> Graph:
    """Everything in int8 that can be, with the ranges of one image: for latency alone, which does not depend on them.

    Args:
        image: (1, channels, height, width).
    """
    from ._timing import quantize_roughly

    return quantize_roughly(graph, image)


def synthesise(network: Network) -> Calibration:
    """Images to calibrate on, made from the network alone; see `_synthesis`."""
    from ._synthesis import synthesise as make

    return make(network)


def quantize(
    network: Network, precision: str, calibration: Calibration | None, options: IntegerOptions | None = None
) -> Network:
    """The first of `quantizations`."""
    return next(quantizations(network, precision, calibration, options))


def quantizations(
    network: Network,
    precision: str,
    calibration: Calibration | None,
    options: IntegerOptions | None = None,
    known: dict[bool, IntegerQuantizer] | None = None,
) -> Iterator[Network]:
    """The network with its graph quantised, and the held-out images as what its files are proven on.

    Where limits were asked for there may be several forms that keep them in simulation, the cheapest first.

    Args:
        precision: "int8-weights", "dynamic" or "int8".
        calibration: images; all but "int8" can do without.
        options: limits, techniques; none and all where they are not given.
        known: see `_to_int8.integers`.

    Raises:
        UsageError: "int8" without images.
        ConversionError: the limits of "int8" are out of reach.
    """
    from dataclasses import replace

    from edgeeff.int8.calibration import NO_PHOTOS

    from ._synthesis import CAVEAT

    for each in _quantised(network, precision, calibration, options, known):
        notes = (*network.notes, *each.notes)
        if calibration is not None and NO_PHOTOS in calibration.source:
            notes = (*notes, CAVEAT)
        made = replace(network, graph=each.graph, notes=notes, explanation=each.explanation or None)
        if calibration is not None:
            label = f"{len(calibration.held_out)} held-out images of {calibration.source}"
            made = replace(made, inputs=(calibration.held_out,), outputs=each.held_out, inputs_label=label)
        yield made


def _quantised(
    network: Network,
    precision: str,
    calibration: Calibration | None,
    options: IntegerOptions | None,
    known: dict[bool, IntegerQuantizer] | None,
) -> Iterator[Quantised]:
    """The graph alone; see `quantizations`."""
    from edgeeff.errors import UsageError
    from edgeeff.int8.integer_options import IntegerOptions
    from edgeeff.int8.quantization import image_scale

    from ._to_int8 import integers, weights_to_int8

    options, machine = options or IntegerOptions(), network.machine
    if precision != "int8":
        pairs_saturate = machine is not None and machine.pairs_saturate
        return iter([weights_to_int8(network.graph, calibration, options, pairs_saturate)])
    if calibration is None:
        raise UsageError(
            "--precision int8 needs --calibration DIR, a folder of photos, or --calibration none",
            "--precision int8-weights and dynamic need none",
        )
    image = None if network.normalisation is None else image_scale(network.normalisation)
    return integers(network.graph, calibration, options, machine=machine, image=image, known=known)
