"""What each technique of int8 gains: all of them, each one left out, none, all without photos, and mixed precision.

    python -m edgeeff.benchmarks.against.int8_techniques --calibration CALIB --held-out OTHERS \\
        --network lite0 --network b0=efficientnet_b0_features.safetensors

CALIB and OTHERS are folders of photos; crops of one photo must not stand in both. Everything that can be is in int8,
but for other-photos, which counts in mixed precision alone: `--min-sqnr 20` with it and without. These two differ only
where all in int8 misses 20 dB (B0, not Lite0). Swish-equalisation is tried only without a limit, and has a row of that
kind; that row has all the others, too. The figures are those of the written .tflite files, run in LiteRT: SQNR
of the outputs in dB against the float file on OTHERS, and on how many of them the class in first place is the same. CPU
is what the whole conversion took.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgeeff import registry
from edgeeff.artifacts import read_manifest
from edgeeff.errors import EdgeeffError, MeasurementError
from edgeeff.evaluation.dataset import find_unlabelled
from edgeeff.images import preprocess
from edgeeff.int8.techniques import SWISH_EQUALISATION, TECHNIQUES
from edgeeff.parity import agreement, sqnr_db
from edgeeff.report._table import Column, Table, text

from ._measure import output_of

_IN_PART = "other-photos"
"""The technique that makes no difference where all is in int8."""

_ALL_IN_INT8, _MIXED = ("--min-sqnr", "-1000"), ("--min-sqnr", "20")


@dataclass(frozen=True, slots=True)
class Row:
    network: str
    what: str
    sqnr_db: float
    agree: int
    images: int
    cpu_s: float


@click.command()
@click.option("--network", "names", multiple=True, required=True, help="NAME, or NAME=WEIGHTS. Repeatable.")
@click.option("--calibration", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--held-out", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/techniques"), show_default=True)
def main(names: Sequence[str], calibration: Path, held_out: Path, work: Path) -> None:
    """Measures each technique on each network."""
    rows: list[Row] = []
    try:
        for name in names:
            for row in _rows(name, calibration, held_out, work):
                rows.append(row)
                click.echo(f"{row.network}, {row.what}: {row.sqnr_db:.1f} dB, {row.cpu_s:.0f} s of CPU", err=True)
    except EdgeeffError as error:
        raise click.ClickException(str(error)) from error
    columns = [Column("network"), Column("techniques"), Column("SQNR, dB", "decimal")]
    columns += [Column("same class"), Column("CPU, s", "decimal")]
    cells = [[r.network, r.what, f"{r.sqnr_db:.1f}", f"{r.agree}/{r.images}", f"{r.cpu_s:.0f}"] for r in rows]
    click.echo(text(Table(columns, cells)), nl=False)


def _rows(name: str, calibration: Path, held_out: Path, work: Path) -> Iterator[Row]:
    variant, _, weights = name.partition("=")
    chosen = ["--variant", variant, "--weights", weights or "pretrained"]
    exact = _convert([*chosen, "--out", str(work)])
    manifest = read_manifest(exact)
    if manifest is None or manifest.normalisation is None or manifest.resolution is None:
        raise MeasurementError(f"{exact}: its manifest does not tell how images are normalised")
    examples = find_unlabelled(held_out).examples
    images = np.stack([preprocess(example.path, manifest.resolution, manifest.normalisation) for example in examples])
    expected = _outputs(exact, images)
    for what, options in _settings(str(calibration)):
        before = _cpu_s()
        path = _convert([*chosen, "--precision", "int8", *options, "--out", str(work)])
        spent = _cpu_s() - before
        given = _outputs(path, images)
        yield Row(variant, what, sqnr_db(expected, given), agreement(expected, given), len(images), spent)


def _settings(calibration: str) -> Iterator[tuple[str, list[str]]]:
    photos = ["--calibration", calibration]
    everywhere = [name for name in TECHNIQUES if name not in (_IN_PART, SWISH_EQUALISATION)]
    yield "all", [*photos, *_ALL_IN_INT8]
    for technique in everywhere:
        yield f"without {technique}", [*photos, *_ALL_IN_INT8, "--without", technique]
    none = [part for name in everywhere for part in ("--without", name)]
    yield "none (min-max, plain rounding)", [*photos, *_ALL_IN_INT8, *none]
    yield "all, --calibration none", ["--calibration", "none", *_ALL_IN_INT8]
    yield f"all, {SWISH_EQUALISATION}", photos
    yield f"all, {' '.join(_MIXED)}", [*photos, *_MIXED]
    yield f"without {_IN_PART}, {' '.join(_MIXED)}", [*photos, *_MIXED, "--without", _IN_PART]


def _convert(options: Sequence[str]) -> Path:
    """The file that `edgeeff convert` writes.

    Raises:
        MeasurementError: it fails.
    """
    said = output_of([sys.executable, "-m", "edgeeff", "convert", *options, "--json"], {})
    return Path(json.loads(said)["artifacts"][0]["path"])


def _outputs(path: Path, images: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
    layout = registry.converter("tflite").layout
    outputs, defects = registry.runtime("litert").check(path, [layout(images)])
    if defects:
        raise MeasurementError(f"{path}: {'; '.join(defects)}")
    return [np.asarray(output, np.float32) for output in outputs]


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
