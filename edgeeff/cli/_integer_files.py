"""Files of integers on the command line: their options, and whether they pay on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff import registry
from edgeeff.cli._shared import say, warn
from edgeeff.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from edgeeff.int8.integers import IntegerForm
    from edgeeff.protocols import Converter, Runtime
    from edgeeff.traced_network import Network
    from edgeeff.values import Artifact


def integer_form(
    targets: Sequence[tuple[Converter, Runtime, str]], machine: str | None, io: str | None
) -> IntegerForm | None:
    """How files in int8 are to be made; None where there are none.

    Raises:
        UsageError: a name is unknown, or an option would change nothing.
    """
    from edgeeff.int8.integers import SUMS_IN_INTEGERS, IntegerForm

    integers = [converter for converter, _, precision in targets if precision in SUMS_IN_INTEGERS]
    if machine is not None and not any(converter.machine_specific for converter in integers):
        raise UsageError(
            f"--for {machine} changes nothing here: only ONNX in int8 or dynamic is made for one kind of machine",
            "add --format onnx --precision int8, or leave --for out",
        )
    if io is not None and not any(precision == "int8" for _, _, precision in targets):
        raise UsageError(f"--io {io} changes nothing at a precision that computes in float", "add --precision int8")
    if not integers:
        return None
    from edgeeff.int8.machines import HOST, find_machine
    from edgeeff.int8.quantization import IO

    if io is not None and io not in IO:
        raise unknown_name("type of --io", io, IO)
    return IntegerForm(find_machine(machine or HOST), io or "float")


def say_whether_it_pays(artifact: Artifact, network: Network) -> None:
    """Times a file of integers beside fp32, a few calls in turn, where it is made for this machine."""
    from edgeeff.int8.integers import SUMS_IN_INTEGERS
    from edgeeff.int8.machines import this_machine
    from edgeeff.int8.pays import latency_ratios, verdict

    if artifact.precision not in SUMS_IN_INTEGERS or artifact.machine not in (None, this_machine().name):
        return
    converter = registry.converter(artifact.format)
    runtime = registry.runtime(converter.runtime)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"fp32.{artifact.format}"
        converter.write(network.graph, path, precision="fp32", metadata={})
        calls = [_call(runtime, each, converter, network) for each in (artifact.path, path)]
        text, is_slower = verdict(artifact.precision, latency_ratios(*calls))
    (warn if is_slower else say)(f"{artifact.path.name}: {text}")


def _call(runtime: Runtime, path: Path, converter: Converter, network: Network) -> Callable[[], Any]:
    """One run of a file with the network's own inputs, on one thread."""
    from edgeeff.ports import stored

    session = runtime.open(path, threads=1)
    images = [converter.layout(image[:1]) for image in network.inputs]
    inputs = [stored(image, port) for image, port in zip(images, session.inputs, strict=True)]
    return lambda: session(inputs)
