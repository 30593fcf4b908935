"""Files of integers: for which machine, and what they take and give. See `machines` and `quantization`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgeeff.int8.machines import Machine, this_machine
from edgeeff.int8.quantization import ValueScale, io_scale, takes_bytes
from edgeeff.values import Normalisation, TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeeff.graph import Graph
    from edgeeff.protocols import Converter
    from edgeeff.traced_network import Network


@dataclass(frozen=True, slots=True)
class IntegerForm:
    """How files of integers are made.

    Args:
        machine: whose kernels they suit, where a format's files differ in that.
        io: of `quantization.IO`.
    """

    machine: Machine = field(default_factory=this_machine)
    io: str = "float"


Quantizer = Callable[["Network", str], Iterable["Network"]]
"""(network, precision) -> the network with its graph quantised, and the inputs to prove its files on.

Several, the cheapest first, where limits can be kept in several ways: the first whose file keeps them is it."""


SUMS_IN_INTEGERS = ("dynamic", "int8")
"""The precisions whose arithmetic is integer, so that a machine's kernels matter to them."""

_SPEED = {
    (
        "onnx",
        "dynamic",
    ): "onnxruntime has no fast kernels for dynamic: 2.7 to 4 times fp32's latency was measured (Lite0, "
    "B0; x86 with VNNI); --precision int8-weights is as small, closer to fp32 and as fast as it",
    ("tflite", "dynamic"): "dynamic took 0.64 to 0.84 of fp32's latency where the processor has VNNI; without such "
    "instructions it can be slower than fp32: bench it there beside --precision int8-weights",
}


def in_form(network: Network, converter: Converter, form: IntegerForm, precision: str) -> Network:
    """The network as its file in a format and precision is to be."""
    if precision not in SUMS_IN_INTEGERS:
        return network
    machine = form.machine if converter.machine_specific else None
    speed = _SPEED.get((converter.name, precision))
    notes = network.notes if speed is None else (*network.notes, speed)
    if machine is not None and machine != this_machine():
        notes = (*notes, f"made for {machine.name}, checked on {this_machine().name}: {_elsewhere(machine)}")
    return replace(network, machine=machine, io=form.io if precision == "int8" else "float", notes=notes)


def _elsewhere(machine: Machine) -> str:
    """How a file for another machine than this one is checked; `benchmarks/_onnx_integers.py` does it."""
    if this_machine().pairs_saturate:
        return "simulated in float, since sums are cut off in the integer kernels here"
    if machine.pairs_saturate:
        return "no pair of its weights can be cut off, so both compute the same integers"
    return "in this machine's integer kernels, whose outputs were the same bit for bit where both were compared"


def once(quantize: Quantizer, *, each_runtime: bool = False) -> Quantizer:
    """Quantises a network once for all files that can share the result.

    Args:
        each_runtime: what is cheap in one runtime may be dear in another, and the choice depends on it.
    """
    found: dict[tuple[str, bool, bool], tuple[list[Network], Iterator[Network]]] = {}

    def quantize_once(network: Network, precision: str) -> Iterator[Network]:
        machine = network.machine
        key = (precision, machine is not None and machine.pairs_saturate, each_runtime and machine is None)
        if key not in found:
            found[key] = [], iter(quantize(replace(network, notes=()), precision))
        for made in _from_the_first(*found[key]):
            yield shared(network, made)

    def shared(network: Network, made: Network) -> Network:
        graph = made.graph
        if graph.quantization is not None:
            unsigned = network.machine is not None and network.machine.unsigned
            quantization = replace(graph.quantization, unsigned=unsigned, io=network.io)
            graph = replace(graph, quantization=quantization)
        notes = (*network.notes, *made.notes)
        return replace(made, graph=graph, machine=network.machine, io=network.io, notes=notes)

    return quantize_once


def _from_the_first(known: list[Network], further: Iterator[Network]) -> Iterator[Network]:
    yield from known
    for made in further:
        known.append(made)
        yield made


def reads_bytes(graph: Graph, normalisation: Normalisation) -> bool:
    """Whether a file that takes uint8 takes an image's bytes as they are."""
    quantization = graph.quantization
    return quantization is not None and all(
        takes_bytes(quantization.values[name], normalisation) for name in graph.inputs
    )


def io_metadata(graph: Graph) -> dict[str, str]:
    """How a file's integers become real numbers, where it takes and gives such."""
    quantization = graph.quantization
    if quantization is None or quantization.io == "float":
        return {}
    fields = {}
    for name in (*graph.inputs, *graph.outputs):
        form = io_scale(quantization.values[name], quantization.io)
        fields[f"quantization:{name}"] = f"real = ({quantization.io} - {form.zero_point}) * {form.scale!r}"
    return fields


def stored(
    graph: Graph,
    names: Iterable[str],
    arrays: Sequence[NDArray[Any]],
    change: Callable[[NDArray[Any], ValueScale, str], NDArray[Any]],
) -> list[NDArray[Any]]:
    """Real numbers as the file takes them, or what it gives as real numbers."""
    quantization = graph.quantization
    if quantization is None or quantization.io == "float":
        return list(arrays)
    forms = [quantization.values[name] for name in names]
    return [change(array, form, quantization.io) for array, form in zip(arrays, forms, strict=True)]


def with_scales(graph: Graph, specs: Sequence[TensorSpec], names: Iterable[str]) -> tuple[TensorSpec, ...]:
    """A file's inputs or outputs with what their integers stand for."""
    quantization = graph.quantization
    if quantization is None or quantization.io == "float":
        return tuple(specs)
    forms = [io_scale(quantization.values[name], quantization.io) for name in names]
    pairs = zip(specs, forms, strict=True)
    return tuple(replace(spec, scale=form.scale, zero_point=form.zero_point) for spec, form in pairs)
