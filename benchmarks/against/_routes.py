"""The ways from a variant to a file, run as cold processes; the files then timed against each other."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import edgeeff

from ._measure import output_of, run_cold
from ._peers import find
from ._tables import OURS, Pairs, Run

PEERS_SCRIPT = Path(__file__).with_name("_peers.py")
RUNTIMES = {"tflite": "litert", "onnx": "onnxruntime"}

PEERS: dict[str, tuple[str, tuple[set[str], ...]]] = {
    # route: its format, and the packages of which it needs one each
    "tensorflow": ("tflite", ({"tensorflow", "tensorflow-cpu"},)),
    "litert-torch": ("tflite", ({"litert-torch"}, {"torch"})),
    "torch-dynamo": ("onnx", ({"torch"}, {"onnx"}, {"onnxscript"})),
    "torch-torchscript": ("onnx", ({"torch"}, {"onnx"})),
}

CONTROL = "edgeeff again"
"""The same file once more: as far as its ratio is from 1, the other ratios cannot be trusted."""

ROUNDS, MAX_S = 40, 20.0
"""Of calls within one process, for latency."""


@dataclass(frozen=True, slots=True)
class Route:
    """A tool in an interpreter, the versions that matter there, and the folder in which it works."""

    name: str
    format: str
    python: str
    versions: Mapping[str, str]
    work: Path

    def folder(self, variant: str) -> Path:
        return self.work / variant / self.name

    def file(self, variant: str) -> Path | None:
        """What it wrote, once it has."""
        return next(self.folder(variant).glob(f"[!.]*.{self.format}"), None)

    def command(self, variant: str) -> list[str]:
        folder = self.folder(variant)
        if self.name == OURS:
            what = ["--variant", variant, "--weights", "random", "--format", self.format]
            return [self.python, "-m", "edgeeff", "convert", *what, "--out", str(folder)]
        out = folder / f"{variant}.{self.format}"
        return [self.python, str(PEERS_SCRIPT), self.name, variant, str(_weights(variant, self.work)), str(out)]

    @property
    def environment(self) -> dict[str, str]:
        return {} if self.name == OURS else _core_only(self.work)


def find_routes(pythons: Mapping[str, str], formats: Sequence[str], work: Path) -> tuple[list[Route], list[str]]:
    """The routes that can be run, and a line for each that cannot."""
    own = {"edgeeff": edgeeff.__version__}
    routes = [Route(OURS, format_name, sys.executable, own, work) for format_name in formats]
    missing = []
    for name, (format_name, needs) in PEERS.items():
        if format_name not in formats:
            continue
        python = pythons.get(name, sys.executable)
        installed = json.loads(output_of([python, str(PEERS_SCRIPT), "versions"], _core_only(work)))
        lacking = [" or ".join(sorted(options)) for options in needs if not options & installed.keys()]
        if lacking:
            missing.append(f"{name}: NOT RUN, {python} has no {', no '.join(lacking)}")
        else:
            needed = set[str]().union(*needs)
            versions = {package: version for package, version in installed.items() if package in needed}
            routes.append(Route(name, format_name, python, versions, work))
    return routes, missing


def convert_all(variants: Sequence[str], routes: Sequence[Route], rounds: int, timeout_s: float) -> Iterator[Run]:
    """Every route once a round, in random order; each run as it ends."""
    rng = random.Random(0)
    for variant in variants:
        for route in routes:
            route.folder(variant).mkdir(parents=True, exist_ok=True)
        weights = _weights(variant, routes[0].work)
        # In a process of its own, as everything that would make this one large: see `_measure.Cost`.
        output_of([sys.executable, str(PEERS_SCRIPT), "weights", variant, str(weights)], _core_only(routes[0].work))
    everything = [(variant, route) for variant in variants for route in routes]
    for number in range(rounds):
        for variant, route in rng.sample(everything, len(everything)):
            log = route.folder(variant) / f"{route.format}-{number}.log"
            cost = run_cold(route.command(variant), route.environment, log, timeout_s)
            yield Run(variant, route.format, route.name, number, cost)


def pair_all(variants: Sequence[str], routes: Sequence[Route], processes: int) -> Iterator[Pairs]:
    """Times the files of each variant and format against each other; each process as it ends."""
    formats = dict.fromkeys(route.format for route in routes)
    for seed in range(processes):
        for variant in variants:
            for format_name in formats:
                written = {r.name: r.file(variant) for r in routes if r.format == format_name}
                files = {name: path for name, path in written.items() if path is not None}
                if OURS in files and len(files) > 1:
                    yield _pair(variant, format_name, files | {CONTROL: files[OURS]}, seed)


def _pair(variant: str, format_name: str, files: Mapping[str, Path], seed: int) -> Pairs:
    samples, distances_db = call_in_turn(variant, format_name, list(files.values()), MAX_S, threads=1, seed=seed)
    return Pairs(variant, format_name, tuple(files), samples, distances_db)


def call_in_turn(
    variant: str, format_name: str, paths: Sequence[Path], max_s: float, *, threads: int, seed: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[float, ...]]:
    """Each file's samples in nanoseconds, and how far its outputs are from the first one's in dB; see `_pairs`."""
    spec = {
        "runtime": RUNTIMES[format_name],
        "format": format_name,
        "paths": [str(path) for path in paths],
        "resolution": find(variant)[0].resolution,
        "threads": threads,
        "seed": seed,
        "rounds": ROUNDS,
        "max_s": max_s,
    }
    said = output_of([sys.executable, "-m", "edgeeff.benchmarks.against._pairs"], {}, json.dumps(spec))
    record = json.loads(said.splitlines()[-1])
    return tuple(tuple(values) for values in record["samples_ns"]), tuple(record["distances_db"])


def _weights(variant: str, work: Path) -> Path:
    return work / variant / "weights.npz"


def _core_only(work: Path) -> dict[str, str]:
    """An environment in which a foreign interpreter finds edgeeff's core, and none of our other packages."""
    link = work / "core" / "edgeeff"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(Path(edgeeff.__file__).resolve().parent)
    return {"PYTHONPATH": str(link.parent)}
