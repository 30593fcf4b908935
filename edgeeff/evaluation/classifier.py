"""A loaded file as a function from an image file's pixels to real outputs, whatever types and layout it wants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import MeasurementError, UsageError, unknown_name
from edgeeff.files import sha256_of
from edgeeff.ports import real_values, stored
from edgeeff.protocols import Runtime, Session
from edgeeff.values import Artifact, Normalisation, Port
from edgeeff.wording import sizes

RAW = "raw"
NORMALISATIONS = {
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "lite": Normalisation((127 / 255,) * 3, (128 / 255,) * 3),
    "centred": Normalisation((0.5,) * 3, (0.5,) * 3),
    "unit": Normalisation((0.0,) * 3, (1.0,) * 3),
    RAW: Normalisation((0.0,) * 3, (1 / 255,) * 3),
}
"""What files without a manifest may want: standardised, [-1, 1), [-1, 1], [0, 1], and [0, 255]."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How an image becomes the file's input."""

    resolution: int
    normalisation: Normalisation


@dataclass(frozen=True, slots=True)
class Classifier:
    """A file, loaded. `features` means that its outputs are no classes."""

    path: Path
    sha256: str
    session: Session
    preparation: Preparation
    outputs: int
    runtime: str
    precision: str
    format: str
    variant: str | None
    features: bool

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float64]:
        """The outputs of one image, (3, resolution, resolution) and normalised.

        Raises:
            MeasurementError: they are not finite.
        """
        port = self.session.inputs[0]
        laid = image if _is_nchw(port) else image.transpose(1, 2, 0)
        (output,) = self.session([np.ascontiguousarray(stored(laid, port)[None])])
        real = real_values(np.asarray(output).reshape(-1), self.session.outputs[0])
        if not np.isfinite(real).all():
            raise MeasurementError(f"{self.path} gives values that are not finite numbers", "convert it again")
        return real


def load(
    path: Path,
    runtime: Runtime,
    manifest: Artifact | None,
    *,
    format_name: str,
    precision: str,
    normalisation: str | None = None,
    resolution: int | None = None,
    threads: int | None = None,
) -> Classifier:
    """Loads a file, and finds out what it wants: by its manifest, else by itself and the options.

    Args:
        manifest: what stands beside the file, where it does.
        precision: to be shown.
        normalisation: one of NORMALISATIONS, in place of the manifest's.
        resolution: for a file that leaves it open.

    Raises:
        UsageError: it is not a network of one square image and one row of outputs, or its normalisation is not known.
    """
    session = runtime.open(path, threads)
    _check_ports(path, session)
    pixels = _resolution(path, session.inputs[0], manifest, resolution)
    preparation = Preparation(pixels, _normalisation(path, manifest, normalisation))
    _check_scale(path, session.inputs[0], normalisation)
    return Classifier(
        path=path,
        sha256=manifest.sha256 if manifest else sha256_of(path),
        session=session,
        preparation=preparation,
        outputs=_count(path, session, preparation),
        runtime=f"{runtime.name} {runtime.version()}",
        precision=precision,
        format=format_name,
        variant=manifest.variant if manifest else None,
        features=manifest is not None and manifest.classes == 0,
    )


def _check_ports(path: Path, session: Session) -> None:
    if len(session.inputs) != 1 or len(session.outputs) != 1:
        found = f"{len(session.inputs)} inputs and {len(session.outputs)} outputs"
        raise UsageError(f"{path} has {found}; evaluate takes a network of one image and one row of outputs")
    shape = session.inputs[0].shape
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise UsageError(f"{path} takes {sizes(shape)}; evaluate takes RGB images, 1x3xHxW or 1xHxWx3")


def _is_nchw(port: Port) -> bool:
    return port.shape[1] == 3


def _resolution(path: Path, port: Port, manifest: Artifact | None, asked: int | None) -> int:
    height, width = port.shape[2:] if _is_nchw(port) else port.shape[1:3]
    if height != width:
        raise UsageError(f"{path} takes images of {height} x {width} pixels; evaluate takes square ones")
    if height is not None and asked not in (None, height):
        raise UsageError(f"{path} takes images of {height} pixels, and --resolution asks for {asked}")
    found = height or asked or (manifest.resolution if manifest else None)
    if found is None:
        raise UsageError(f"{path} leaves the size of its images open", "say --resolution 224")
    return found


def _normalisation(path: Path, manifest: Artifact | None, asked: str | None) -> Normalisation:
    if asked is not None:
        if asked not in NORMALISATIONS:
            raise unknown_name("normalisation", asked, NORMALISATIONS)
        return NORMALISATIONS[asked]
    if manifest is not None and manifest.normalisation is not None:
        return manifest.normalisation
    lacks = "has no manifest" if manifest is None else "has a manifest that does not say it"
    raise UsageError(
        f"how {path} wants its images normalised is not known: it {lacks}",
        f"say --normalisation {', '.join(NORMALISATIONS)}",
    )


def _check_scale(path: Path, port: Port, asked: str | None) -> None:
    if np.dtype(port.dtype).kind in "iu" and port.scale is None and asked != RAW:
        raise UsageError(
            f"{path} takes {port.dtype} and does not say what its integers stand for",
            "if they are pixels, say --normalisation raw",
        )


def _count(path: Path, session: Session, preparation: Preparation) -> int:
    """The number of outputs, by running the file once."""
    port, side = session.inputs[0], preparation.resolution
    shape = (1, 3, side, side) if _is_nchw(port) else (1, side, side, 3)
    (output,) = session([np.zeros(shape, port.dtype)])
    if output.ndim == 0 or max(output.shape) != output.size or output.size < 2:
        raise UsageError(f"{path} gives {sizes(output.shape)}; evaluate takes one row of outputs, such as 1x1000")
    return int(output.size)
