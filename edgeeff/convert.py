"""From a network to files that were proven: trace once, then write, run and compare each file.

A file gets its final name only after it ran in its own runtime and came close enough to the network.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeeff import parity
from edgeeff.artifacts import write_manifest
from edgeeff.errors import ConversionError
from edgeeff.files import replacing, sha256_of
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.integers import IntegerForm, Quantizer, in_form, io_metadata, once, reads_bytes, stored, with_scales
from edgeeff.int8.quantization import from_io, to_io
from edgeeff.traced_network import Network
from edgeeff.values import Artifact, Parity

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from edgeeff.protocols import Converter, Runtime


INTEGER_PRECISIONS = ("int8-weights", "dynamic", "int8")

_CURES = {
    "fp32": "look for weights or activations of extreme size",
    "int8-weights": "--calibration with photos like those in use gains some 5 dB",
    "dynamic": "--calibration with photos like those in use corrects biases, --precision int8-weights keeps more",
    "int8": "more and better --calibration images, or --precision int8-weights, keep more",
}


def file_name(network: Network, precision: str, suffix: str) -> str:
    """For example "lite0-fp32.tflite". Whatever is not the published network's is part of the name.

    Two networks that differ have two names, so that converting one never replaces the other.
    """
    parts = [network.name, precision]
    if not network.weights.startswith("pretrained"):
        parts.append(re.sub(r"[^A-Za-z0-9.]+", "-", network.weights.replace("=", "")).strip("-."))
        parts += [network.weights_sha256[:8]] if network.weights_sha256 else []
    if network.padding is not None and network.padding != network.own_padding:
        parts.append(network.padding)
    if network.classes not in (None, 1000):
        parts.append(f"{network.classes}classes" if network.classes else "features")
    if network.machine is not None:
        parts.append(network.machine.name)
    if network.io != "float":
        parts.append(f"{network.io}-io")
    if network.via is not None:
        parts.append(network.via.partition(" ")[0])
    return f"{'-'.join(parts)}.{suffix}"


def convert(
    network: Network,
    targets: Sequence[tuple[Converter, Runtime, str]],
    out: Path,
    started: Callable[[str], None] = lambda name: None,
    quantize: Quantizer | None = None,
    options: IntegerOptions | None = None,
    form: IntegerForm | None = None,
) -> Iterator[Artifact]:
    """Writes the network in each of the formats and precisions, and yields each artifact once it is in place.

    Args:
        targets: (converter, the runtime that checks its files, precision).
        out: the folder; it is made where it is missing.
        started: told the name of each file before it is written.
        quantize: for the precisions in int8.
        options: of those; `min_sqnr_db` takes the place of their own parity limit.
        form: of the files in int8.

    Raises:
        ConversionError: an op has no form in a format, or a file misses its parity limit; nothing is then
            left under its final name, and what stood there before is untouched.
        UsageError: the folder cannot be written.
    """
    options = options or IntegerOptions()
    quantize = once(quantize, each_runtime=options.differs_by_runtime) if quantize is not None else None
    for converter, runtime, precision in targets:
        wanted = in_form(network, converter, form or IntegerForm(), precision)
        path = out / file_name(wanted, precision, converter.name)
        started(path.name)
        forms, limits = iter([wanted]), _Limits(parity.LIMITS_DB[precision])
        if precision in INTEGER_PRECISIONS and quantize is not None:
            forms = iter(quantize(wanted, precision))
            limits = limits.with_options(options, precision)
        yield _first_within(limits, forms, path, converter, runtime, precision)


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a file has to keep: the SQNR of its outputs and, where asked for, the class of all but a share of images."""

    sqnr_db: float
    max_drop: float | None = None

    def with_options(self, options: IntegerOptions, precision: str) -> _Limits:
        sqnr_db = self.sqnr_db if options.min_sqnr_db is None else options.min_sqnr_db
        return _Limits(sqnr_db, options.max_drop if precision == "int8" else None)


class _MissedError(ConversionError):
    """The file is sound, and misses a limit."""


def _first_within(
    limits: _Limits, forms: Iterator[Network], path: Path, converter: Converter, runtime: Runtime, precision: str
) -> Artifact:
    """Writes one form after the other until a file keeps the limits.

    Raises:
        ConversionError: none does; what is said is what the last file missed.
    """
    missed: _MissedError | None = None
    while True:
        try:
            made = next(forms)
        except (StopIteration, ConversionError) as ended:
            if missed is not None:
                raise missed from ended
            raise
        try:
            return _written(made, limits, path, converter, runtime, precision)
        except _MissedError as error:
            missed = error


def _written(
    made: Network, limits: _Limits, path: Path, converter: Converter, runtime: Runtime, precision: str
) -> Artifact:
    with replacing(path) as temporary:
        converter.write(made.graph, temporary, precision=precision, metadata=_metadata(made, precision))
        proof = _prove(made, temporary, converter, runtime, precision, limits)
        artifact = _describe(made, temporary, path, converter, runtime, precision, proof)
        write_manifest(artifact)
    return artifact


def _metadata(network: Network, precision: str) -> dict[str, str]:
    """What the file says of itself, for whoever finds it without its manifest."""
    fields = {"variant": network.name, "weights": network.weights, "precision": precision}
    if network.normalisation is not None:
        fields["mean"] = " ".join(f"{value:g}" for value in network.normalisation.mean)
        fields["std"] = " ".join(f"{value:g}" for value in network.normalisation.std)
        fields["input"] = "RGB image in [0, 1], minus mean, divided by std"
        if network.io == "uint8" and reads_bytes(network.graph, network.normalisation):
            fields["input"] = "RGB image in [0, 255], its bytes as they are"
    if network.labels:
        fields["labels"] = network.labels
    if network.machine is not None:
        fields["machine"] = network.machine.name
    return fields | io_metadata(network.graph)


def _prove(
    network: Network,
    path: Path,
    converter: Converter,
    runtime: Runtime,
    precision: str,
    limits: _Limits,
) -> Parity:
    """Runs the file and compares it with the network.

    Raises:
        ConversionError: it misses a limit, or its runtime found a defect.
    """
    graph = network.graph
    inputs = [converter.layout(image) for image in stored(graph, graph.inputs, network.inputs, to_io)]
    # An image that shares a batch with others shares the range of its activations with them.
    outputs, defects = runtime.check(path, [image[:1] for image in inputs] if precision == "dynamic" else inputs)
    if precision == "dynamic":
        outputs = _one_by_one(runtime, path, inputs)
    if defects:
        raise ConversionError(f"{network.name} {precision} {converter.name}: {'; '.join(defects)}")
    outputs = stored(graph, graph.outputs, outputs, from_io)
    expected = [converter.layout(output) for output in network.outputs]
    parity.require_shapes(expected, outputs)
    sqnr_db, limit_db = parity.sqnr_db(expected, outputs), limits.sqnr_db
    if precision == "fp32" and sqnr_db < limit_db and network.exact is not None:
        limit_db = parity.float_limit_db(network.exact(network.inputs), network.outputs)
    proof = Parity(
        sqnr_db=sqnr_db,
        max_abs=parity.max_abs(expected, outputs),
        limit_db=limit_db,
        inputs=network.inputs_label,
        runtime=f"{runtime.name} {runtime.version()}",
    )
    if not sqnr_db >= limit_db:
        cure = _CURES.get(precision, "take --precision fp32")
        raise _MissedError(
            f"{network.name} {precision} {converter.name}: the file's outputs are {sqnr_db:.1f} dB from the "
            f"network's; the limit is {limit_db:.4g} dB",
            f"the file was not kept; {cure}",
        )
    if limits.max_drop is not None:
        _require_classes(f"{network.name} {precision} {converter.name}", expected, outputs, limits.max_drop)
    return proof


def _require_classes(name: str, expected: Sequence[ArrayLike], outputs: Sequence[ArrayLike], max_drop: float) -> None:
    """Raises _MissedError where more images than allowed have another class in first place."""
    agree, count = parity.agreement(expected, outputs), len(np.asarray(expected[0]))
    if 1 - agree / count > max_drop + 1e-9:
        raise _MissedError(
            f"{name}: the file gives {count - agree} of {count} images another class than the network; "
            f"the limit is {100 * max_drop:g} %",
            "the file was not kept; --min-sqnr asks for more accuracy",
        )


def _one_by_one(runtime: Runtime, path: Path, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs for each image in a run of its own."""
    import numpy as np

    session = runtime.open(path)
    single = [session([image[i : i + 1] for image in inputs]) for i in range(len(inputs[0]))]
    return [np.concatenate(parts) for parts in zip(*single, strict=True)]


def _describe(
    network: Network,
    written: Path,
    path: Path,
    converter: Converter,
    runtime: Runtime,
    precision: str,
    proof: Parity,
) -> Artifact:
    summary = converter.inspect(written)
    return Artifact(
        path=path,
        format=converter.name,
        precision=precision,
        variant=network.name,
        weights=network.weights,
        sha256=sha256_of(written),
        size_bytes=written.stat().st_size,
        parameters=network.parameters,
        macs=network.graph.macs,
        ops=summary.ops,
        inputs=with_scales(network.graph, summary.inputs, network.graph.inputs),
        outputs=with_scales(network.graph, summary.outputs, network.graph.outputs),
        normalisation=network.normalisation,
        labels=network.labels,
        parity=proof,
        versions=_versions(runtime),
        resolution=network.resolution,
        family=network.family,
        padding=network.padding,
        bn_eps=network.bn_eps,
        classes=network.classes,
        peak_activation_bytes=4 * network.graph.peak_activation_elements(),
        weights_sha256=network.weights_sha256,
        notes=network.notes,
        via=network.via,
        machine=network.machine.name if network.machine is not None else None,
    )


def _versions(runtime: Runtime) -> Mapping[str, str]:
    """What made and checked the file."""
    packages = {name: version(name) for name in ("edgeeff", "torch", "numpy")}
    return {**packages, "python": platform.python_version(), runtime.name: runtime.version()}
