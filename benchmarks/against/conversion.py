"""edgeeff's conversion beside TensorFlow's converter, litert-torch and torch.onnx.export, in one interleaved run.

    python -m edgeeff.benchmarks.against.conversion --variant b0 --rounds 5 \\
        --python-tensorflow ENV/bin/python --python-litert-torch ENV2/bin/python --python-torch-onnx ENV/bin/python

The other tools are this script's own extra, not edgeeff's. They do not fit into one environment; make two:

    python3.11 -m venv ENV && ENV/bin/pip install torch==2.13.0 tensorflow-cpu==2.21.0 onnx onnxscript
    python3.11 -m venv ENV2 && ENV2/bin/pip install torch==2.13.0 litert-torch==0.10.0

A tool that is not there is listed as not run.

Conversions: each is a cold process; its CPU time (user and system) and its peak memory are the operating system's
own figures. A round runs every route once, in random order. All convert the same network with the same random
weights. What each does within its process, and where that is not the same:

- edgeeff: the whole of `edgeeff convert`: import torch, make the weights, trace, write, run the file in its runtime,
  compare it with torch, read it back, hash it. The others check nothing.
- tensorflow: builds the network in TensorFlow's ops, from weights that were stored before: it neither imports torch
  nor makes weights.
- litert-torch, torch-dynamo and torch-torchscript: import torch, make the weights, convert.

Latency: in processes that load all files of a format, single calls alternate in random order, with one thread of the
runtime in edgeeff's environment. Below 1, edgeeff's file is faster. "edgeeff again" is the same file loaded once more:
as far as its ratio is from 1, no other can be trusted. "Apart" is the distance between the outputs of the two files on
the same noise, which shows that they compute the same.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edgeeff.errors import EdgeeffError
from edgeeff.report._table import text

from ._routes import Route, convert_all, find_routes, pair_all
from ._tables import Pairs, Run, conversions, latencies, verdicts

Sizes = Mapping[tuple[str, str, str], int]


@click.command()
@click.option("--variant", "variants", multiple=True, default=["b0"], show_default=True, help="Repeatable.")
@click.option("--format", "formats", multiple=True, type=click.Choice(["tflite", "onnx"]), help="Default: both.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Conversions by each route.")
@click.option("--processes", type=click.IntRange(0), default=8, show_default=True, help="For latency; 0: none.")
@click.option("--python-tensorflow", metavar="PATH", help="An interpreter with tensorflow.")
@click.option("--python-litert-torch", metavar="PATH", help="An interpreter with litert-torch.")
@click.option("--python-torch-onnx", metavar="PATH", help="An interpreter with torch, onnx and onnxscript.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/against"), show_default=True)
@click.option("--timeout", "timeout_s", type=float, default=1800, show_default=True, help="Seconds a conversion.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with every run.")
def main(
    variants: Sequence[str],
    formats: Sequence[str],
    rounds: int,
    processes: int,
    python_tensorflow: str | None,
    python_litert_torch: str | None,
    python_torch_onnx: str | None,
    work: Path,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Converts and times variants by edgeeff and by other tools, and compares."""
    pythons = {
        "tensorflow": python_tensorflow,
        "litert-torch": python_litert_torch,
        "torch-dynamo": python_torch_onnx,
        "torch-torchscript": python_torch_onnx,
    }
    try:
        given = {name: python for name, python in pythons.items() if python}
        routes, missing = find_routes(given, formats or ("tflite", "onnx"), work.resolve())
        runs, pairs = [], []
        for run in convert_all(variants, routes, rounds, timeout_s):
            runs.append(run)
            told = run.cost.error or f"{run.cost.cpu_s:.2f} s of CPU, {run.cost.peak_bytes / 1e6:.0f} MB"
            click.echo(f"round {run.round}: {run.variant} to {run.format} by {run.route}: {told}", err=True)
        for pair in pair_all(variants, routes, processes):
            pairs.append(pair)
            click.echo(f"timed {pair.variant} {pair.format}: {', '.join(pair.routes)}", err=True)
    except EdgeeffError as error:
        raise click.ClickException(str(error)) from error
    sizes = _sizes(variants, routes)
    shown = _document(routes, missing, runs, pairs, sizes) if as_json else _text(routes, missing, runs, pairs, sizes)
    click.echo(shown, nl=False)


def _sizes(variants: Sequence[str], routes: Sequence[Route]) -> Sizes:
    files = {(variant, route.format, route.name): route.file(variant) for variant in variants for route in routes}
    return {key: path.stat().st_size for key, path in files.items() if path is not None}


def _text(
    routes: Sequence[Route], missing: Sequence[str], runs: Sequence[Run], pairs: Sequence[Pairs], sizes: Sizes
) -> str:
    versions = [f"{r.name}: {', '.join(f'{k} {v}' for k, v in r.versions.items())}" for r in routes]
    parts = [text(conversions(runs, sizes)), "\n".join(verdicts(runs))]
    if pairs:
        parts.append(text(latencies(pairs)))
    return "\n".join([*parts, *dict.fromkeys(versions), *missing]) + "\n"


def _document(
    routes: Sequence[Route], missing: Sequence[str], runs: Sequence[Run], pairs: Sequence[Pairs], sizes: Sizes
) -> str:
    document: dict[str, Any] = {
        "machine": platform.platform(),
        "python": platform.python_version(),
        "versions": {route.name: dict(route.versions) for route in routes},
        "not_run": list(missing),
        "conversions": [asdict(run) for run in runs],
        "files": [{"variant": v, "format": f, "route": r, "size_bytes": size} for (v, f, r), size in sizes.items()],
        "targets": verdicts(runs),
        "latency": [asdict(pair) for pair in pairs],
    }
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    main()
