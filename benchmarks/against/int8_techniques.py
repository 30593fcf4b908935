"""What each technique of int8 gains: all of them, each one left out, none, and all without photos.

    python -m edgeeff.benchmarks.against.int8_techniques --calibration CALIB --held-out OTHERS \\
        --network lite0 --network b0=efficientnet_b0_features.safetensors

CALIB and OTHERS are folders of photos; crops of one photo must not stand in both. The figures are of the simulated
integers, of which the files hold the same: everything in int8 that can be, SQNR of the outputs in dB against the float
network on OTHERS, and on how many of them the class in first place is the same. CPU is what quantizing took.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edgeeff.calibration import Calibration, load, preprocess
from edgeeff.cli.convert import find_variant
from edgeeff.convert import Network
from edgeeff.converters import quantize, simulate, synthesise, trace
from edgeeff.errors import EdgeeffError
from edgeeff.evaluation.dataset import find_unlabelled
from edgeeff.integer_options import IntegerOptions
from edgeeff.networks import from_variant
from edgeeff.parity import agreement, sqnr_db
from edgeeff.report._table import Column, Table, text
from edgeeff.techniques import TECHNIQUES
from edgeeff.weights import load as load_weights


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
def main(names: Sequence[str], calibration: Path, held_out: Path) -> None:
    """Measures each technique on each network."""
    rows: list[Row] = []
    try:
        for name in names:
            for row in _rows(name, calibration, held_out):
                rows.append(row)
                click.echo(f"{row.network}, {row.what}: {row.sqnr_db:.1f} dB, {row.cpu_s:.0f} s of CPU", err=True)
    except EdgeeffError as error:
        raise click.ClickException(str(error)) from error
    columns = [Column("network"), Column("techniques"), Column("SQNR, dB", "decimal")]
    columns += [Column("same class"), Column("CPU, s", "decimal")]
    cells = [[r.network, r.what, f"{r.sqnr_db:.1f}", f"{r.agree}/{r.images}", f"{r.cpu_s:.0f}"] for r in rows]
    click.echo(text(Table(columns, cells)), nl=False)


def _rows(name: str, calibration: Path, held_out: Path) -> Iterator[Row]:
    variant_name, _, weights = name.partition("=")
    variant, family = find_variant(variant_name)
    loaded = load_weights(variant, family, weights or "pretrained", classes=None, padding=None)
    network = from_variant(variant, family, loaded, trace)
    assert network.normalisation is not None
    normalisation = network.normalisation
    examples = find_unlabelled(held_out).examples
    images = np.stack([preprocess(example.path, variant.resolution, normalisation) for example in examples])
    expected = simulate(network.graph, images)
    photos = load(calibration, variant.resolution, normalisation)
    for what, left_out in _settings():
        yield _row(network, what, photos, frozenset(left_out), images, expected)
    yield _row(network, "all, --calibration none", synthesise(network), frozenset(), images, expected)


def _settings() -> Iterator[tuple[str, Sequence[str]]]:
    yield "all", ()
    for technique in TECHNIQUES:
        yield f"without {technique}", (technique,)
    yield "none (min-max, plain rounding)", tuple(TECHNIQUES)


def _row(
    network: Network,
    what: str,
    photos: Calibration,
    left_out: frozenset[str],
    images: NDArray[np.float32],
    expected: Sequence[NDArray[np.float32]],
) -> Row:
    before = _cpu_s()
    made = quantize(network, "int8", photos, IntegerOptions(without=left_out))
    spent = _cpu_s() - before
    given = simulate(made.graph, images)
    return Row(network.name, what, sqnr_db(expected, given), agreement(expected, given), len(images), spent)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
