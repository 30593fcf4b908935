"""Networks by another project's converter (`--via`): the same proof as for our own files, and a SavedModel's."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff import parity
from edgeeff.artifacts import write_manifest
from edgeeff.convert import convert, file_name
from edgeeff.errors import ConversionError, UsageError
from edgeeff.files import cannot_write, sha256_of
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.protocols import Road, Runtime
from edgeeff.traced_network import Network
from edgeeff.values import Artifact, Parity, TensorSpec

if TYPE_CHECKING:
    from edgeeff.protocols import Array

SAVED_MODEL = "saved_model"


class Unchecked:
    """A runtime that looks for no defects: what another project writes is as it writes it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.name = runtime.name
        self.version = runtime.version
        self.open = runtime.open
        self.infer = runtime.infer

    def check(self, path: Path, inputs: Sequence[Array]) -> tuple[list[Array], Sequence[str]]:
        return self._runtime.infer(path, inputs), ()


def convert_by(
    road: Road,
    network: Network,
    targets: Sequence[tuple[str, Runtime | None, str]],
    out: Path,
    started: Callable[[str], None],
    images: Array | None,
    held_out: Callable[[Network], Network],
    min_sqnr_db: float | None,
) -> Iterator[Artifact]:
    """Writes a network by a road, and yields each artifact once it is in place.

    Args:
        targets: (format, the runtime that runs it, precision); a SavedModel is run by the road itself.
        images: to quantise with; None where there are none.
        held_out: network -> the same, to be proven on images that it was not quantised with.

    Raises:
        ConversionError: as `convert.convert`.
        UsageError: as `convert.convert`.
    """
    network = replace(network, via=f"{road.name} {road.version()}")
    for format_name, runtime, precision in targets:
        if format_name == SAVED_MODEL:
            yield _save(road, network, out, started)
        elif runtime is not None:
            target = (road.converter(images), Unchecked(runtime), precision)
            try:
                options = IntegerOptions(min_sqnr_db)
                yield from convert(network, [target], out, started, lambda made, _: [held_out(made)], options)
            except ConversionError as error:
                if precision != "int8":
                    raise
                cure = f"without --via, int8 keeps more; to have {road.name}'s as it is: --min-sqnr 0"
                raise ConversionError(error.message, cure) from error


def _save(road: Road, network: Network, out: Path, started: Callable[[str], None]) -> Artifact:
    """A SavedModel, which is a folder: written under another name and renamed once it is proven."""
    path = out / file_name(network, "fp32", SAVED_MODEL)
    started(path.name)
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise UsageError(f"cannot write {path}: something else is there", "move it away, or name another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=out) as work:
            made = Path(work) / "made"
            road.save(network.graph, made)
            artifact = _describe(road, network, made, path)
            if path.exists():
                path.rename(Path(work) / "before")
            made.chmod(0o777 & ~_umask_of(out))
            made.rename(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_manifest(artifact)
    return artifact


def _umask_of(folder: Path) -> int:
    """What the folder, which was made with the user's mask, does not permit."""
    return 0o777 & ~folder.stat().st_mode


def _describe(road: Road, network: Network, made: Path, path: Path) -> Artifact:
    layout = road.converter(None).layout
    inputs = [layout(image) for image in network.inputs]
    expected, outputs = [layout(output) for output in network.outputs], road.infer(made, inputs)
    parity.require_shapes(expected, outputs)
    limit_db = parity.LIMITS_DB["fp32"]
    proof = Parity(
        sqnr_db=parity.sqnr_db(expected, outputs),
        max_abs=parity.max_abs(expected, outputs),
        limit_db=limit_db,
        inputs=network.inputs_label,
        runtime=f"{road.name} {road.version()}",
    )
    if not proof.sqnr_db >= limit_db:
        fault = f"{network.name} {SAVED_MODEL}: the outputs are {proof.sqnr_db:.1f} dB from the network's"
        raise ConversionError(f"{fault}; the limit is {limit_db:g} dB", "the folder was not kept")
    return Artifact(
        path=path,
        format=SAVED_MODEL,
        precision="fp32",
        variant=network.name,
        weights=network.weights,
        sha256=folder_sha256(made),
        size_bytes=sum(file.stat().st_size for file in made.rglob("*") if file.is_file()),
        parameters=network.parameters,
        macs=network.graph.macs,
        ops=len(network.graph.nodes),
        inputs=tuple(_spec(name, value) for name, value in zip(network.graph.inputs, inputs, strict=True)),
        outputs=tuple(_spec(f"output_{i}", value) for i, value in enumerate(outputs)),
        normalisation=network.normalisation,
        labels=network.labels,
        parity=proof,
        versions={road.name: road.version()},
        resolution=network.resolution,
        family=network.family,
        padding=network.padding,
        bn_eps=network.bn_eps,
        classes=network.classes,
        weights_sha256=network.weights_sha256,
        notes=network.notes,
        via=network.via,
    )


def _spec(name: str, value: Array) -> TensorSpec:
    return TensorSpec(name, str(value.dtype), (None, *value.shape[1:]))


def folder_sha256(folder: Path) -> str:
    """Of the names and contents of its files."""
    listing = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        listing.update(f"{file.relative_to(folder).as_posix()}\0{sha256_of(file)}\n".encode())
    return listing.hexdigest()
